"""Which of the sources changed. By polling: no dependency, and the same on every system."""

from pathlib import Path

from local.package import sources

WATCHED = ("functions", "layers", "statemachines", "template.yaml")

Snapshot = dict[Path, tuple[int, int]]


def snapshot(root: Path) -> Snapshot:
    """Time and size of every source."""
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
    """What was added, removed or written in between."""
    return sorted({path for path, _ in before.items() ^ after.items()})
