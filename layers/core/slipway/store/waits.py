"""Requests that wait for a change: how many may wait at the same time, in all and of one caller.

Each waiting request keeps a function's execution busy, of which an account may have as few as ten.
One item has an entry for each of them, with the caller and the moment until which it counts; its
own process removes it, or the moment passes. The write that adds an entry returns all of them, and
says thereby whether there are too many: DynamoDB carries out writes of one item one by one, so two
callers never take the last place together.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from slipway.domain import ids
from slipway.errors import StoreUnavailable
from slipway.settings import limits
from slipway.store import table
from slipway.store.table import Key, Update

_KEY = Key("WAITS", "WAITS")
_PREFIX = "wait_"
# A process that outlives its request by so much was killed.
_GRACE_SECONDS = 10


class Place(NamedTuple):
    """A waiting request's entry, and the entries of processes that were killed."""

    name: str
    left_behind: Sequence[str]


def take(user_id: str, seconds: float) -> Place | None:
    """A place for a request that waits so long; None if too many wait. One round trip, two if so.

    A failure of the table counts as too many, because a request need not wait.
    """
    name, now = f"{_PREFIX}{ids.new_part()}", time.time()
    entry = {"by": user_id, "until": int(now + seconds) + _GRACE_SECONDS}
    try:
        item = table.write_aside(Update(_KEY, f"SET #{name} = :entry", {"entry": entry}, ""))
    except StoreUnavailable:
        return None
    entries: dict[str, Any] = {key: item[key] for key in item if key.startswith(_PREFIX)}
    waiting = {key: each for key, each in entries.items() if each["until"] > now}
    place = Place(name, sorted(entries.keys() - waiting.keys()))
    own = sum(each["by"] == user_id for each in waiting.values())
    if len(waiting) <= limits().waits and own <= limits().waits_per_caller:
        return place
    give_back(place)
    return None


def give_back(place: Place) -> None:
    """Let another request wait; one round trip. If it fails, the place is free a little later."""
    names = ", ".join(f"#{name}" for name in (place.name, *place.left_behind))
    try:
        table.write_aside(Update(_KEY, f"REMOVE {names}", {}, ""))
    except StoreUnavailable:
        return
