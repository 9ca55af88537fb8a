"""Reads a bundle's files without trusting them: a folder, or the archive that Proton kept in S3.

    schema/schema.yaml
    infrastructure/{manifest,cloudformation}.yaml             of an environment template
    instance_infrastructure/{manifest,cloudformation}.yaml    of a service template
    pipeline_infrastructure/…                                 of a service template, if it has one
    manifest.yaml, cloudformation.yaml                        of a component, which has no schema

Nothing is unpacked to disk, and nothing outside the folder is read.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from slipway.domain import template_syntax
from slipway.domain.template import MAX_BYTES
from slipway.errors import Refused
from slipway.importers.proton.report import Broken

if TYPE_CHECKING:
    from yaml import ScalarEvent

Kind = Literal["environment", "service", "component"]

_MAX_FILES = 1000
_MAX_UNPACKED = 50_000_000
_FOLDERS: dict[Kind, str] = {
    "environment": "infrastructure",
    "service": "instance_infrastructure",
    "component": ".",
}
_SCHEMA = "schema/schema.yaml"
_PIPELINE = "pipeline_infrastructure"


class Written(str):
    """A scalar as written, with its quoting and its place."""

    plain: bool
    line: int

    @classmethod
    def of(cls, text: str, *, plain: bool = False, line: int = 0) -> Written:
        made = cls(text)
        made.plain, made.line = plain, line
        return made


@dataclass(frozen=True)
class Bundle:
    """`schema` is None for a component."""

    kind: Kind
    schema: str | None
    schema_file: str
    template: str
    template_file: str
    pipeline_file: str | None


def read(path: Path) -> Bundle:
    """Raises Broken."""
    try:
        files = dict(_folder(path) if path.is_dir() else _archive(path))
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise Broken(getattr(error, "strerror", None) or str(error)) from None
    root = _root(files)
    here = {
        name.relative_to(root).as_posix(): content
        for name, content in files.items()
        if name.is_relative_to(root)
    }
    kind = _kind(here)
    template_file = _template_file(here, kind)
    return Bundle(
        kind=kind,
        schema=None if kind == "component" else _text(here, _SCHEMA),
        schema_file=_SCHEMA,
        template=_text(here, template_file),
        template_file=template_file,
        pipeline_file=next((name for name in sorted(here) if name.startswith(_PIPELINE)), None),
    )


def tree(text: str, file: str, lines: Sequence[int] | None = None) -> Any:
    """A file's YAML as mappings, lists and Written. `lines`: the line of the file from which each
    line of a rendered text comes. Raises Broken."""

    def source(line: int) -> int:
        return line if lines is None else lines[min(line, len(lines)) - 1]

    def scalar(event: ScalarEvent) -> str:
        plain = bool(event.implicit[0])
        line = event.start_mark.line + 1 if event.start_mark else 0
        return Written.of(event.value, plain=plain, line=source(line))

    try:
        return template_syntax.from_yaml(text, scalar)
    except Refused as refused:
        said = "; ".join(f"{each.pointer} {each.detail}" for each in refused.fields)
        told = re.sub(r"line (\d+)", lambda found: f"line {source(int(found[1]))}", refused.detail)
        raise Broken(f"{file}: {said or told}") from None


def _folder(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The folder's files. Links are not followed."""
    count = 0
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(parent) / name
            count += 1
            if count > _MAX_FILES:
                raise Broken(f"more than {_MAX_FILES} files are no bundle")
            if file.is_symlink() or not file.is_file() or not _wanted(name):
                continue
            with file.open("rb") as opened:
                yield PurePosixPath(file.relative_to(path).as_posix()), opened.read(MAX_BYTES + 1)


def _archive(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The archive's regular files, except those whose names lead out of it."""
    with gzip.open(path) as unpacked:
        content = unpacked.read(_MAX_UNPACKED + 1)
    if len(content) > _MAX_UNPACKED:
        raise Broken(f"it has more than {_MAX_UNPACKED} bytes unpacked")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for count, member in enumerate(archive):
            name = PurePosixPath(member.name)
            if count >= _MAX_FILES:
                raise Broken(f"more than {_MAX_FILES} files are no bundle")
            if name.is_absolute() or ".." in name.parts:
                raise Broken(f"{member.name[:200]!r} leads out of the archive")
            file = archive.extractfile(member) if member.isreg() and _wanted(name.name) else None
            if file is not None:
                yield name, file.read(MAX_BYTES + 1)


def _wanted(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json")) and not name.startswith(".")


def _root(files: Mapping[PurePosixPath, bytes]) -> PurePosixPath:
    """The bundle's folder: an archive may wrap everything in one."""
    roots = {name.parent.parent for name in files if name.match(_SCHEMA)}
    if not roots:
        roots = {name.parent for name in files if name.name == "manifest.yaml"}
    if not roots:
        raise Broken(f"there is no {_SCHEMA} and no manifest.yaml: this is no Proton bundle")
    if len(roots) > 1:
        several = ", ".join(sorted(str(each) for each in roots)[:10])
        raise Broken(f"there is more than one bundle: {several}; name one of them")
    return roots.pop()


def _kind(files: Mapping[str, bytes]) -> Kind:
    if _SCHEMA not in files:
        return "component"
    found: list[Kind] = [
        kind
        for kind in ("environment", "service")
        if any(name.startswith(f"{_FOLDERS[kind]}/") for name in files)
    ]
    if not found:
        raise Broken(
            "there is neither infrastructure/ nor instance_infrastructure/: a customer managed"
            " environment makes nothing that a template could make"
        )
    if len(found) > 1:
        raise Broken("there are both infrastructure/ and instance_infrastructure/")
    return found[0]


def _template_file(files: Mapping[str, bytes], kind: Kind) -> str:
    """The one template that the manifest names."""
    folder = PurePosixPath(_FOLDERS[kind])
    manifest = (folder / "manifest.yaml").as_posix()
    said = tree(_text(files, manifest), manifest)
    infrastructure = said.get("infrastructure") if isinstance(said, dict) else None
    templates = infrastructure.get("templates") if isinstance(infrastructure, dict) else None
    if not isinstance(templates, list) or len(templates) != 1:
        raise Broken(f"{manifest}: #/infrastructure/templates must name one template")
    [named] = templates
    if not isinstance(named, dict):
        raise Broken(f"{manifest}: #/infrastructure/templates/0 must be a mapping")
    for key, wanted in (("template_language", "cloudformation"), ("rendering_engine", "jinja")):
        if named.get(key) != wanted:
            written = str(named.get(key))[:50]
            raise Broken(f"{manifest}: {key} is {written}, and only {wanted} can be carried over")
    file = named.get("file")
    if not isinstance(file, str) or not file or PurePosixPath(file).name != file:
        raise Broken(f"{manifest}: #/infrastructure/templates/0/file must be a file beside it")
    return (folder / file).as_posix()


def _text(files: Mapping[str, bytes], name: str) -> str:
    if name not in files:
        raise Broken(f"{name} is missing")
    if len(files[name]) > MAX_BYTES:
        raise Broken(f"{name}: must be at most {MAX_BYTES} bytes")
    try:
        return files[name].decode("utf-8-sig")
    except ValueError:
        raise Broken(f"{name}: is not valid UTF-8") from None
