"""Write the command line and its dependencies as one file, with the packages of this environment.

    python cli/bundle.py dist/slipway.pyz

The file is for this version of Python and this kind of machine, because some packages are compiled.
Python imports no compiled module from an archive, so the first run unpacks it into a cache.
The keyring is left out. Tokens are then kept in a file with mode 600.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
import tomllib
import zipapp
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

_HERE = Path(__file__).parent
_LEFT_OUT = {"keyring"}
# The digest in the place of BUILD names what was unpacked, so another archive is unpacked again.
_START = """
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

archive = Path(__file__).parent
caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
unpacked = caches / "BUILD"
if not unpacked.is_dir():
    caches.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=caches))
    with zipfile.ZipFile(archive) as file:
        file.extractall(made)
    try:
        made.rename(unpacked)
    except OSError:  # Another process was faster.
        shutil.rmtree(made)
sys.path[0] = str(unpacked)

from slipway_cli.main import run

run()
"""


def main(target: Path) -> None:
    """Write the archive. Raises PackageNotFoundError if a dependency is not installed."""
    project = tomllib.loads((_HERE / "pyproject.toml").read_text())["project"]
    wanted = {_name(each) for each in project["dependencies"]} - _LEFT_OUT
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder)
        shutil.copytree(_HERE / "slipway_cli", staged / "slipway_cli", ignore=_no_caches)
        for name in sorted(_with_dependencies(wanted)):
            _copy(name, staged)
        (staged / "__main__.py").write_text(_START.replace("BUILD", _digest(staged)))
        zipapp.create_archive(staged, target, "/usr/bin/env python3", compressed=True)
    target.chmod(0o755)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def _with_dependencies(names: set[str]) -> set[str]:
    found: set[str] = set()
    left = [*names]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _requires(name)
    return found


def _requires(name: str) -> Iterator[str]:
    """The packages that this one needs everywhere: those under a marker are for extras."""
    for each in distribution(name).requires or ():
        if ";" not in each:
            yield _name(each)


def _copy(name: str, target: Path) -> None:
    """Copy the package's modules, and its metadata with its licence."""
    found = distribution(name)
    for file in found.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(found.locate_file(file)), place)


def _digest(folder: Path) -> str:
    """The digest of all files below the folder."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;(]", requirement)[0].lower()


_no_caches = shutil.ignore_patterns("__pycache__")

if __name__ == "__main__":
    main(Path(sys.argv[1]))
