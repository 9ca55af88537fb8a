"""Sources -> input for CloudFormation: artifacts, and a template that refers to them.

The steps are those of `sam build` and `sam package`, in seconds instead of minutes. The layer's
dependencies are installed once for each interpreter and lock file, and cached in `.slipway/`.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BUCKET = "artifacts"
UNDATED = (1980, 1, 1, 0, 0, 0)  # the same sources give the same bytes


class Broken(Exception):
    """The sources cannot be packaged. The message says where and why."""


@dataclass
class Package:
    """A template whose code URIs are keys in BUCKET, and the bytes behind each key."""

    template: dict[str, Any]
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def add(self, content: bytes, suffix: str) -> dict[str, str]:
        key = hashlib.sha256(content).hexdigest() + suffix
        self.artifacts[key] = content
        return {"Bucket": BUCKET, "Key": key}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: !Ref x is {"Ref": x}, !Sub x is {"Fn::Sub": x}."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


def load_yaml(path: Path) -> dict[str, Any]:
    """Parse a YAML file with CloudFormation's short forms. Raises Broken."""
    try:
        with path.open() as file:
            # _Loader is a SafeLoader.
            content = yaml.load(file, _Loader)  # nosec B506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Broken(f"{path.name}: {error}") from error
    if not isinstance(content, dict):
        raise Broken(f"{path.name}: not a mapping")
    return content


def sources(folder: Path) -> Iterator[Path]:
    """The files that belong to a package, sorted. Bytecode and hidden files do not."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name != "__pycache__" and not name.startswith(".") and not name.endswith(".egg-info")
        )
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith((".pyc", "~")):
                yield Path(parent, name)


def zipped(folder: Path, into: bytes = b"", prefix: str = "") -> bytes:
    """Append a folder's sources to the zip `into`. Raises Broken for invalid Python."""
    archive = io.BytesIO(into)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as target:
        for path in sources(folder):
            content = path.read_bytes()
            if path.suffix == ".py":
                _check(path, content)
            name = prefix + path.relative_to(folder).as_posix()
            target.writestr(zipfile.ZipInfo(name, UNDATED), content)
    return archive.getvalue()


def _check(path: Path, content: bytes) -> None:
    try:
        compile(content, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise Broken(f"{path}{f':{line}' if line else ''}: {error}") from error


def build(root: Path, dependencies: bytes) -> Package:
    """Package the application in `root`. `dependencies` is from `layer_dependencies`."""
    template = load_yaml(root / "template.yaml")
    package = Package(template)
    for name, resource in (template.get("Resources") or {}).items():
        kind, properties = resource.get("Type"), resource.get("Properties") or {}
        if kind == "AWS::Serverless::Function":
            code = zipped(_existing(root, name, properties.get("CodeUri")))
            properties["CodeUri"] = package.add(code, ".zip")
        elif kind == "AWS::Serverless::LayerVersion":
            folder = _existing(root, name, properties.get("ContentUri"))
            code = dependencies
            for module in sorted(path for path in folder.iterdir() if path.is_dir()):
                if (module / "__init__.py").exists():
                    code = zipped(module, code, f"python/{module.name}/")
            properties["ContentUri"] = package.add(code, ".zip")
        elif kind == "AWS::Serverless::StateMachine":
            path = _existing(root, name, properties.get("DefinitionUri"))
            machine = load_yaml(path)
            if machine.get("StartAt") not in (machine.get("States") or {}):
                raise Broken(f"{path.name}: StartAt is not one of its States")
            # CloudFormation also reads YAML here, the emulator only JSON.
            content = json.dumps(machine, default=str).encode()
            properties["DefinitionUri"] = package.add(content, ".json")
    for name, include in includes(template.get("Resources")):
        snippet = _existing(root, name, include.get("Location")).read_bytes()
        key = package.add(snippet, ".yaml")["Key"]
        include["Location"] = f"s3://{BUCKET}/{key}"
    return package


def includes(node: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters of each `AWS::Include` below a node, with the top key that it is under."""
    if isinstance(node, list):
        for each in node:
            yield from includes(each, name)
    elif isinstance(node, dict):
        transform = node.get("Fn::Transform")
        if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
            yield name, transform["Parameters"]
        for key, value in node.items():
            yield from includes(value, name or key)


def with_includes(root: Path, node: Any) -> Any:
    """The node with the contents of each included file in the place of its `AWS::Include`."""
    if isinstance(node, list):
        return [with_includes(root, each) for each in node]
    if not isinstance(node, dict):
        return node
    if transform := node.get("Fn::Transform"):
        assert transform["Name"] == "AWS::Include" and len(node) == 1
        # As CloudFormation reads it: without the short forms of the template.
        return yaml.safe_load((root / transform["Parameters"]["Location"]).read_text())
    return {key: with_includes(root, value) for key, value in node.items()}


def _existing(root: Path, name: str, uri: Any) -> Path:
    if not isinstance(uri, str) or not (root / uri).exists():
        raise Broken(f"template.yaml: {name}: no such path: {uri}")
    return root / uri


def layer_dependencies(root: Path, cache: Path, scratch: Path, say: Callable[[str], None]) -> bytes:
    """A zip of the dependencies of `layers/core` for this interpreter, with bytecode.

    The bytecode is unchecked, because unpacking does not preserve the sources' times.
    """
    layer = root / "layers" / "core"
    lock = layer / "requirements.lock"
    if not lock.exists():
        lock = layer / "requirements.txt"
    if not lock.exists():
        return b""
    about = f"{sys.implementation.cache_tag} {sys.platform} {platform.machine()}".encode()
    kept = cache / f"layer-{hashlib.sha256(lock.read_bytes() + about).hexdigest()[:16]}.zip"
    if not kept.exists():
        say("installing the layer's dependencies")
        with tempfile.TemporaryDirectory(prefix="layer-", dir=scratch) as folder:
            target = Path(folder, "layer", "python")
            _install(lock, target)
            shutil.make_archive(str(Path(folder, "layer")), "zip", target.parent)
            Path(folder, "layer.zip").rename(kept)
    return kept.read_bytes()


def _install(lock: Path, target: Path) -> None:
    hashes = ["--require-hashes"] if lock.suffix == ".lock" else []
    quiet = ["-q", "--disable-pip-version-check", "--no-compile", "--no-input"]
    pip = ["-m", "pip", "install", *quiet, *hashes, "-r", str(lock), "-t", str(target)]
    bytecode = ["-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    for arguments in (pip, [*bytecode, str(target)]):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise Broken(f"{' '.join(arguments[:3])}:\n{done.stdout}{done.stderr}".rstrip())
