"""What somebody should look at if nothing happens to it: a sparse index by deadline.

A record is in the index while it has `due`; what is over takes it away. Whoever looks and finds
all well sets the next deadline, so a deadline costs nobody else a write.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.domain import timestamps
from slipway.store import table
from slipway.store.table import ConditionFailed, Key, Update

INDEX = "due"
_SHARDS = 4
_GRACE = timedelta(minutes=5)


def by(identity: str, at: datetime | None = None) -> dict[str, Any]:
    """The fields that put a record into the index: due at that moment, in five minutes if None."""
    shard = zlib.crc32(identity.encode()) % _SHARDS
    return {"due": f"DUE#{shard}", "due_at": timestamps.written(at or timestamps.now() + _GRACE)}


def overdue(until: datetime, limit: int | None = None) -> Iterator[Key]:
    """The keys of every record that is due by then, read a page at a time."""
    for shard in range(_SHARDS):
        yield from table.query_index(INDEX, f"DUE#{shard}", timestamps.written(until), limit)


def is_any() -> bool:
    """Whether any record is ever due. The index lags behind the table, mostly by less than a
    second."""
    return any(True for _ in overdue(datetime.max.replace(tzinfo=UTC), limit=1))


def look_again(key: Key, identity: str, at: datetime | None = None) -> None:
    """All is well: set the next deadline, in five minutes if `at` is None."""
    fields = by(identity, at)
    with suppress(ConditionFailed):
        table.write(
            Update(key, "SET due = :due, due_at = :due_at", fields, "attribute_exists(due)")
        )


def done(key: Key) -> None:
    """Nothing can happen to it any more."""
    with suppress(ConditionFailed):
        table.write(Update(key, "REMOVE due, due_at", {}, "attribute_exists(due)"))


def nudge(key: Key, identity: str) -> None:
    """Change the record, so that the stream brings it to dispatch again."""
    fields = {**by(identity), "now": timestamps.written(timestamps.now())}
    with suppress(ConditionFailed):
        table.write(Update(key, "SET due = :due, due_at = :due_at, nudged_at = :now", fields))
