"""The style, the scripts and the icon of the console, under names that have their hashes.

    /console/assets/console.3f9a0c1d2e4b.css

A name with the hash of its content is kept by browsers for a year. Under another hash, such as that
of the release before, the content is the newest, and is not kept.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

BELOW = "/console/assets/"
FOREVER = "public, max-age=31536000, immutable"
_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HASH_LETTERS = 12
_folder: list[Path] = []


class Asset(NamedTuple):
    """A file, its media type, and the hash of its content."""

    content: bytes
    media: str
    hash: str


def serve_from(folder: Path) -> None:
    """Serve the files of this folder."""
    _folder[:] = [folder]
    _known.cache_clear()


@cache
def _known() -> dict[str, Asset]:
    found = {}
    for path in _folder[0].iterdir():
        if path.suffix in _MEDIA:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:_HASH_LETTERS]
            found[path.name] = Asset(content, _MEDIA[path.suffix], digest)
    return found


def address(name: str) -> str:
    """The path of this asset, with its hash."""
    stem, _, suffix = name.rpartition(".")
    return f"{BELOW}{stem}.{_known()[name].hash}.{suffix}"


def find(path: str) -> tuple[Asset, bool] | None:
    """The asset at a path, and whether the path has its hash. None if there is none."""
    stem, _, suffix = path.removeprefix(BELOW).rpartition(".")
    name, _, digest = stem.rpartition(".")
    asset = _known().get(f"{name}.{suffix}")
    return (asset, digest == asset.hash) if asset else None
