"""Detects changed sources by polling, which needs no dependency and works everywhere."""

from pathlib import Path

from local.package import sources

WATCHED = (
    "alarms",
    "functions",
    "layers",
    "policies",
    "statemachines",
    "throttling",
    "template.yaml",
)

Snapshot = dict[Path, tuple[int, int]]


def snapshot(root: Path) -> Snapshot:
    """Modification time and size of every source."""
    seen: Snapshot = {}
    for name in WATCHED:
        path = root / name
        for file in [path] if path.is_file() else sources(path):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            seen[file] = (status.st_mtime_ns, status.st_size)
    return seen


def changed(before: Snapshot, after: Snapshot) -> list[Path]:
    """The files that were added, removed or written between two snapshots."""
    return sorted({path for path, _ in before.items() ^ after.items()})
