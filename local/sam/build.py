"""`sam build` for this machine: the layer for its processor and the chosen Python.

A build is cached in `.slipway/` under a name that depends on all of its inputs, so the same sources
are built once.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from local import package

SOURCES = ("functions", "layers")
LOCK = Path("local", "sam.lock")
KEPT = 4  # builds; older ones are removed


class BuildFailed(Exception):
    """`sam build` failed. The message is its output."""


def processor() -> str:
    """Lambda's name for this machine's processor."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


def built(
    root: Path,
    cache: Path,
    sam: Path,
    parameters: dict[str, str],
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """The folder of a build of `root` with these values of Architecture and PythonRuntime.

    `sam` is SAM CLI's folder of programs. Reads all sources if the build is cached, else takes
    about six seconds. Raises BuildFailed.
    """
    name = f"built-{_fingerprint(root, sam, parameters)}"
    folder = cache / name
    if not folder.exists():
        say("running sam build")
        cache.mkdir(exist_ok=True)
        # The paths in a build's template are relative, so the build is created at the same depth.
        scratch = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
        try:
            _build(root, scratch, sam, parameters)
            scratch.chmod(0o755)  # containers read it as another user
            with contextlib.suppress(OSError):  # another process has finished the same build
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    os.utime(folder)
    _forget_older(cache)
    return folder


def _build(root: Path, target: Path, sam: Path, parameters: dict[str, str]) -> None:
    given = [f"{name}={value}" for name, value in parameters.items()]
    done = subprocess.run(
        [sam / "sam", "build", "--build-dir", str(target), "--parameter-overrides", *given],
        cwd=root,
        env={
            **os.environ,
            "PATH": f"{sam}{os.pathsep}{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            "ARCHITECTURE": parameters["Architecture"],
            "RUNTIME": parameters["PythonRuntime"],
            "COMPILER": _compiler(parameters["PythonRuntime"]),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BuildFailed(f"sam build:\n{done.stdout}{done.stderr}".rstrip())


def _compiler(runtime: str) -> str:
    """The interpreter that compiles the layer: this one, if its version is the runtime's."""
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable if runtime == here else os.environ.get("COMPILER") or runtime


def _fingerprint(root: Path, sam: Path, parameters: dict[str, str]) -> str:
    """A digest of the sources, the parameters and SAM CLI's version."""
    digest = hashlib.sha256(repr((str(root), sorted(parameters.items()))).encode())
    files = [root / "template.yaml", root / "samconfig.toml", root / LOCK]
    for folder in SOURCES:
        files += package.sources(root / folder)
    for path in files:
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _forget_older(cache: Path) -> None:
    found = sorted(cache.glob("built-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in found[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
