"""Distribute the tests over the processes of pytest-xdist by their markers.

- `xdist_group("name")`: all tests of the group run in one process. They share what is slow to
  start, or look at what the others did.
- `independent`: each test may run in any process. These are long searches.
- Without a marker all tests of a module run in one process.

The groups END_TO_END begin first: they mostly wait, so the other processes work meanwhile. Each
has a platform of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

END_TO_END = ("e2e", "e2e stacks")
_SEPARATOR = " in group "


def group(item: pytest.Item) -> str:
    """The tests of one group run in one process."""
    if item.get_closest_marker("independent"):
        return item.nodeid
    if marker := item.get_closest_marker("xdist_group"):
        return str(marker.args[0])
    return item.nodeid.partition("::")[0]


@dataclass(frozen=True)
class Grouped:
    """Stands for a test while the ids are sent."""

    nodeid: str


@contextmanager
def groups_in_ids(session: Any) -> Iterator[None]:
    """Within the block the ids of the session's tests end with their groups.

    A worker process of pytest-xdist sends nothing but ids to the scheduler, which does not collect
    the tests itself. The tests keep their ids, so reports show them as they are.
    """
    items = session.items
    session.items = [Grouped(f"{item.nodeid}{_SEPARATOR}{group(item)}") for item in items]
    try:
        yield
    finally:
        session.items = items


def group_in(nodeid: str) -> str:
    """The group at the end of an id that was sent."""
    return nodeid.rpartition(_SEPARATOR)[2]


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Assigns whole groups to the worker processes."""

    def _split_scope(self, nodeid: str) -> str:
        return group_in(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        for name in reversed(END_TO_END):
            if name in self.workqueue:
                self.workqueue.move_to_end(name, last=False)
        super()._assign_work_unit(node)
