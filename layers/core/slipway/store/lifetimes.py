"""Lifetimes: when DynamoDB's TTL removes what is over, and that nobody sees it from then on.

TTL deletes an item within days after its `ttl`, and items in no order. So the order is in the
values: what belongs to a record has a `ttl` that is not later than the record's, and reads leave
out every item whose `ttl` is over (slipway.store.table), whether it is deleted or not. The write
that ends a record sets its `ttl`; a log line or an event of a deployment is written with its own.
docs/retention.md has the lifetime of every kind of item.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from slipway.domain import timestamps
from slipway.settings import lifetimes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_DAY_SECONDS = 24 * 60 * 60


def of_line(at: datetime | None = None) -> int:
    """The `ttl` of a log line that is written at `at`, now if None.

    A line goes at the latest with what ended when it was written, however long lines are kept.
    """
    return timestamps.epoch(at or timestamps.now()) + min(lifetimes()) * _DAY_SECONDS


def ended(at: str) -> int:
    """The `ttl` of what ended at `at`, a timestamp as text."""
    return timestamps.epoch(datetime.fromisoformat(at)) + lifetimes().ended * _DAY_SECONDS


def is_over(item: Mapping[str, Any]) -> bool:
    """Whether nobody may see the item any more."""
    return "ttl" in item and item["ttl"] <= timestamps.now().timestamp()
