"""Distribute the tests over the processes of pytest-xdist by their markers.

- `xdist_group("name")`: all tests of the group run in one process. They share what is slow to
  start, or look at what the others did.
- `independent`: each test may run in any process. These are long searches.
- Without a marker all tests of a module run in one process.

The group END_TO_END begins first: it mostly waits, so the other processes work meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

END_TO_END = "e2e"
_SEPARATOR = " in group "


def group(item: pytest.Item) -> str:
    """The tests of one group run in one process."""
    if item.get_closest_marker("independent"):
        return item.nodeid
    if marker := item.get_closest_marker("xdist_group"):
        return str(marker.args[0])
    return item.nodeid.partition("::")[0]


@contextmanager
def groups_in_ids(session: pytest.Session) -> Iterator[None]:
    """Within the block the ids of the tests end with their groups.

    A worker process of pytest-xdist sends nothing but ids to the scheduler, which does not collect
    the tests itself. The ids of reports stay as they are.
    """
    ids = [item.nodeid for item in session.items]
    for item in session.items:
        item._nodeid = f"{item.nodeid}{_SEPARATOR}{group(item)}"  # type: ignore[attr-defined]
    yield
    for item, known in zip(session.items, ids, strict=True):
        item._nodeid = known  # type: ignore[attr-defined]


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Assigns whole groups to the worker processes."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.rpartition(_SEPARATOR)[2]

    def _assign_work_unit(self, node: Any) -> None:
        if END_TO_END in self.workqueue:
            self.workqueue.move_to_end(END_TO_END, last=False)
        super()._assign_work_unit(node)
