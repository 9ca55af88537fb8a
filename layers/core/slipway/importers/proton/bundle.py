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
from slipway.importers.proton.report import InvalidBundle

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


class Scalar(str):
    """A YAML scalar as text. `plain`: it was not quoted. `line`: its line in the file."""

    plain: bool
    line: int

    @classmethod
    def of(cls, text: str, *, plain: bool = False, line: int = 0) -> Scalar:
        made = cls(text)
        made.plain, made.line = plain, line
        return made


@dataclass(frozen=True)
class Bundle:
    """The bundle's texts and their file names. `schema` is None for a component."""

    kind: Kind
    schema: str | None
    schema_file: str
    template: str
    template_file: str
    pipeline_file: str | None


def read(path: Path) -> Bundle:
    """Raises InvalidBundle."""
    try:
        files = dict(_folder(path) if path.is_dir() else _archive(path))
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise InvalidBundle(getattr(error, "strerror", None) or str(error)) from None
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
    line of a rendered text comes. Raises InvalidBundle."""

    def source(line: int) -> int:
        return line if lines is None else lines[min(line, len(lines)) - 1]

    def scalar(event: ScalarEvent) -> str:
        plain = bool(event.implicit[0])
        line = event.start_mark.line + 1 if event.start_mark else 0
        return Scalar.of(event.value, plain=plain, line=source(line))

    try:
        return template_syntax.from_yaml(text, scalar)
    except Refused as refused:
        said = "; ".join(f"{each.pointer} {each.detail}" for each in refused.fields)
        told = re.sub(r"line (\d+)", lambda found: f"line {source(int(found[1]))}", refused.detail)
        raise InvalidBundle(f"{file}: {said or told}") from None


def _folder(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The folder's files. Links are not followed."""
    count = 0
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(parent) / name
            count += 1
            if count > _MAX_FILES:
                raise InvalidBundle(f"the bundle has more than {_MAX_FILES} files")
            if file.is_symlink() or not file.is_file() or not _wanted(name):
                continue
            with file.open("rb") as opened:
                yield PurePosixPath(file.relative_to(path).as_posix()), opened.read(MAX_BYTES + 1)


def _archive(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The archive's regular files. Raises InvalidBundle for a name that points outside it."""
    with gzip.open(path) as unpacked:
        content = unpacked.read(_MAX_UNPACKED + 1)
    if len(content) > _MAX_UNPACKED:
        raise InvalidBundle(f"the archive has more than {_MAX_UNPACKED} bytes when unpacked")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for count, member in enumerate(archive):
            name = PurePosixPath(member.name)
            if count >= _MAX_FILES:
                raise InvalidBundle(f"the bundle has more than {_MAX_FILES} files")
            if name.is_absolute() or ".." in name.parts:
                raise InvalidBundle(f"{member.name[:200]!r} points outside the archive")
            file = archive.extractfile(member) if member.isreg() and _wanted(name.name) else None
            if file is not None:
                yield name, file.read(MAX_BYTES + 1)


def _wanted(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json")) and not name.startswith(".")


def _root(files: Mapping[PurePosixPath, bytes]) -> PurePosixPath:
    """The bundle's folder. An archive may contain the bundle in one."""
    roots = {name.parent.parent for name in files if name.match(_SCHEMA)}
    if not roots:
        roots = {name.parent for name in files if name.name == "manifest.yaml"}
    if not roots:
        raise InvalidBundle(
            f"neither {_SCHEMA} nor manifest.yaml exists: this is not a Proton bundle"
        )
    if len(roots) > 1:
        several = ", ".join(sorted(str(each) for each in roots)[:10])
        raise InvalidBundle(f"there is more than one bundle: {several}; specify one of them")
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
        raise InvalidBundle(
            "neither infrastructure/ nor instance_infrastructure/ exists: a customer-managed"
            " environment has no resources that a template could create"
        )
    if len(found) > 1:
        raise InvalidBundle("both infrastructure/ and instance_infrastructure/ exist")
    return found[0]


def _template_file(files: Mapping[str, bytes], kind: Kind) -> str:
    """The one template that the manifest names."""
    folder = PurePosixPath(_FOLDERS[kind])
    manifest = (folder / "manifest.yaml").as_posix()
    said = tree(_text(files, manifest), manifest)
    infrastructure = said.get("infrastructure") if isinstance(said, dict) else None
    templates = infrastructure.get("templates") if isinstance(infrastructure, dict) else None
    if not isinstance(templates, list) or len(templates) != 1:
        raise InvalidBundle(f"{manifest}: #/infrastructure/templates must name one template")
    [named] = templates
    if not isinstance(named, dict):
        raise InvalidBundle(f"{manifest}: #/infrastructure/templates/0 must be a mapping")
    if named.get("rendering_engine") == "codebuild" or "template_language" not in named:
        raise InvalidBundle(
            f"{manifest}: CodeBuild ran commands of this bundle, and Slipway runs none: write a"
            " CloudFormation template for what they make"
        )
    for key, wanted in (("template_language", "cloudformation"), ("rendering_engine", "jinja")):
        if named.get(key) != wanted:
            written = str(named.get(key))[:50]
            raise InvalidBundle(f"{manifest}: {key} is {written}, but only {wanted} is supported")
    file = named.get("file")
    if not isinstance(file, str) or not file or PurePosixPath(file).name != file:
        raise InvalidBundle(
            f"{manifest}: #/infrastructure/templates/0/file must name a file in the same folder"
        )
    return (folder / file).as_posix()


def _text(files: Mapping[str, bytes], name: str) -> str:
    if name not in files:
        raise InvalidBundle(f"{name} is missing")
    if len(files[name]) > MAX_BYTES:
        raise InvalidBundle(f"{name}: must be at most {MAX_BYTES} bytes")
    try:
        return files[name].decode("utf-8-sig")
    except ValueError:
        raise InvalidBundle(f"{name}: is not valid UTF-8") from None
