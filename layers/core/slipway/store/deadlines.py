"""Deadlines: a sparse index of the records that reconcile must check.

A record is in the index while it has the field `due`. Each write that changes a record's state sets
the next deadline in the same item, so a deadline costs no write of its own. Reconcile postpones the
deadline of a record that needs nothing.
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


def due_fields(identity: str, at: datetime | None = None) -> dict[str, Any]:
    """The fields that put a record into the index.

    `identity` is the record's id, which chooses the shard. It is due at `at`, or in five minutes if
    `at` is None.
    """
    shard = zlib.crc32(identity.encode()) % _SHARDS
    return {"due": f"DUE#{shard}", "due_at": timestamps.written(at or timestamps.now() + _GRACE)}


def overdue(until: datetime, limit: int | None = None) -> Iterator[Key]:
    """The keys of the records that are due by `until`, as an iterator.

    `limit` is the size of a page; one round trip for each page of each of the four shards. The
    index is eventually consistent.
    """
    for shard in range(_SHARDS):
        yield from table.query_index(INDEX, f"DUE#{shard}", timestamps.written(until), limit)


def any_due() -> bool:
    """Whether any record has a deadline, however far off; at most one round trip for each shard.

    The index lags behind the table, mostly by less than a second.
    """
    return any(True for _ in overdue(datetime.max.replace(tzinfo=UTC), limit=1))


def postpone(key: Key, identity: str, at: datetime | None = None) -> None:
    """Set the next deadline of a record that needs nothing now, in five minutes if `at` is None.

    No-op if the record has no deadline. One round trip.
    """
    fields = due_fields(identity, at)
    with suppress(ConditionFailed):
        table.write(
            Update(key, "SET due = :due, due_at = :due_at", fields, "attribute_exists(due)")
        )


def clear(key: Key) -> None:
    """Remove the deadline of a record that cannot change again. One round trip."""
    with suppress(ConditionFailed):
        table.write(Update(key, "REMOVE due, due_at", {}, "attribute_exists(due)"))


def nudge(key: Key, identity: str) -> None:
    """Change the record, so that the stream sends it to dispatch again. One round trip."""
    fields = {**due_fields(identity), "now": timestamps.written(timestamps.now())}
    with suppress(ConditionFailed):
        table.write(Update(key, "SET due = :due, due_at = :due_at, nudged_at = :now", fields))
