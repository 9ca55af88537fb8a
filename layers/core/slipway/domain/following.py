"""Following logs that arrive late, out of order, and from several places.

CloudWatch Logs finds lines by the time that they carry. A follower who remembers the last of these
times misses a line that carries an earlier one and comes later. So lines are read in the order in
which CloudWatch received them, which no later line can disturb, and looked for among those whose
time is up to OVERLAP earlier.

Searching is eventually consistent: of two lines, the one that was received later may be found
first. A line is *settled* once it was received SETTLES ago; all that were received before are then
found. A cursor is a place in the order of settled lines, with the few lines behind it that the
reader has had already. There are FRESH of them at most, because a cursor is part of an address:
when more lines come than that, the reader gets them once they are settled, a little later.

Nothing is kept between two requests, so a cursor can be used any number of times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from slipway.domain.paging import bad_cursor

# Milliseconds. OVERLAP: how long before it was received a line may have been written.
OVERLAP = 300_000
SETTLES = 10_000
# How far the clocks of those who write lines and of CloudWatch may be apart.
SKEW = 2_000
FRESH = 32
# A place behind which nothing comes moves on when it has become so old, but not each time, so that
# the answer to a reader who knows it stays the same.
_IDLE = 60_000
_LAST = 2**53
_DIGEST = 12


class Order(NamedTuple):
    """Where a line is among all lines: when it was received, its own time, its id and source."""

    received: int
    at: int
    id: str
    source: str


class LogEvent(NamedTuple):
    """A line as CloudWatch has it. `text` is not masked."""

    order: Order
    text: str

    @property
    def digest(self) -> str:
        """What cursors remember of it."""
        known = f"{self.order.source} {self.order.id}".encode()
        return hashlib.sha256(known).hexdigest()[:_DIGEST]


@dataclass(frozen=True)
class Place:
    """Behind all lines up to `after` that have this time or a later one, and behind `seen`."""

    since: int
    after: Order
    seen: frozenset[str] = frozenset()

    @classmethod
    def beginning(cls, since: int) -> Place:
        """Before the first line of this time."""
        return cls(since, Order(since - SKEW, 0, "", ""))

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place of a cursor. Raises Invalid if it is none."""
        parts = text.split("|")
        numbers, seen = parts[:3], parts[-1]
        if len(parts) != 6 or not all(_is_number(each) for each in numbers) or len(seen) % _DIGEST:
            raise bad_cursor()
        since, received, at = map(int, numbers)
        digests = {seen[n : n + _DIGEST] for n in range(0, len(seen), _DIGEST)}
        if not since <= received + SKEW:
            raise bad_cursor()
        return cls(since, Order(received, at, parts[3], parts[4]), frozenset(digests))

    def __str__(self) -> str:
        seen = "".join(sorted(self.seen))
        return "|".join([str(self.since), *map(str, self.after), seen])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 17


@dataclass(frozen=True)
class Taken:
    """The next lines, the place behind each, the place to go on from, and whether it is known that
    there are more now."""

    events: list[LogEvent]
    places: list[Place]
    place: Place
    more: bool


def take(
    found: Iterable[LogEvent], place: Place, *, now: int, known: int | None, limit: int
) -> Taken:
    """The next lines behind the place, `limit` at most.

    `found` are lines, of which all are there that were received until `known`; None: all that can
    be found at present, which is `now`, in milliseconds.
    """
    settled = now - SETTLES
    later = sorted(
        (each for each in found if each.order > place.after and _is_known(each, known)),
        key=lambda each: each.order,
    )
    events: list[LogEvent] = []
    places: list[Place] = []
    held = False
    seen = place.seen
    for each in later:
        fresh = each.order.received > settled
        had = each.digest in seen
        if not had and (len(events) == limit or (fresh and len(seen) >= FRESH)):
            held = True
            break
        seen = seen | {each.digest} if fresh else seen - {each.digest}
        place = Place(place.since, place.after if fresh else each.order, seen)
        if not had:
            events.append(each)
            places.append(place)
    bound = settled if known is None else min(known, settled)
    if not held and bound - place.after.received > (_IDLE if known is None else 0):
        # All that were received until then have been taken.
        place = Place(place.since, Order(bound, _LAST, "", ""), seen)
    return Taken(events, places, place, known is not None or len(events) == limit)


def _is_known(event: LogEvent, known: int | None) -> bool:
    return known is None or event.order.received <= known


def begins(place: Place, overlap: int = OVERLAP) -> int:
    """The time from which lines have to be looked for that are behind the place."""
    return max(place.since, place.after.received - overlap)
