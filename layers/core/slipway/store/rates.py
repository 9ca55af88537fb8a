"""Requests per minute of each caller, counted without a round trip of their own.

A process takes leases: it adds a few requests at once to the caller's count of this minute, in the
table, and serves them before it counts again. Leases grow from one request to a fiftieth of the
limit. The write is sent together with what the request reads anyway (slipway.store.table).

If the answer says that the minute's requests are used up, the request is refused once it has read,
and this process refuses all others of that minute without any call. A request that begins with a
write is carried out; the next one is refused. A lease that fails does not keep anyone from being
served. See docs/decisions/0028.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from slipway.errors import TooManyRequests
from slipway.settings import limits
from slipway.store.actions import Key, Update

WINDOW_SECONDS = 60
_LEASES = 50
_MOST_CALLERS = 1000


class Allowance:
    """This process's count of one caller's requests in one minute.

    `counted` is the count in the table, `leased` how many of it this process may serve, and `spent`
    how many it has served. `step` is how many it leases next; `asks` is whether the current request
    takes a lease, and `refused` whether it got none. `owed` requests were served without one, and
    are counted with the next.
    """

    def __init__(self, user_id: str, window: int, limit: int) -> None:
        self.user_id = user_id
        self.window = window
        self.limit = limit
        self.counted = self.leased = self.spent = self.owed = 0
        self.step = 1
        self.asks = self.refused = False

    def serve(self) -> None:
        """Count one more request. Raises TooManyRequests if it is known that none is left."""
        self.asks = self.spent >= self.leased
        self.refused = self.asks and self.counted >= self.limit
        self.require()
        self.spent += 1

    def owe(self) -> None:
        """Count one more request, with the next lease. Raises TooManyRequests if none is left."""
        self.refused = self.counted + self.owed >= self.limit
        self.require()
        self.owed += 1

    def postpone(self) -> None:
        """Let the current request, which was to take a lease, be counted with the next one."""
        self.asks = False
        self.spent -= 1
        self.owed += 1

    def require(self) -> None:
        """Raises TooManyRequests if the current request has no allowance."""
        if self.refused:
            self.asks = False
            raise TooManyRequests(self.resets(), limit=self.limit)

    def lease(self) -> Update:
        """The write that takes the next lease."""
        ttl = (self.window + 2) * WINDOW_SECONDS
        return Update(
            Key(f"RATE#{self.user_id}", f"RATE#{self.window}"),
            "SET #ttl = :ttl ADD counted :step",
            {"ttl": ttl, "step": self.step + self.owed},
            condition="",
        )

    def leases(self, answer: Mapping[str, Any] | None) -> None:
        """Take note of the lease's answer: the item, None if the write failed."""
        self.asks = False
        if answer is None:
            # Imported here, because the functions of the workflows do not need it.
            from slipway.observe import log

            log().warning("A caller's requests could not be counted", extra={"user": self.user_id})
            return
        self.owed = 0
        self.counted = int(answer["counted"])
        granted = max(0, min(self.step, self.limit - self.counted + self.step))
        self.leased = self.spent - 1 + granted
        self.refused = not granted
        self.step = min(self.step * 2, max(1, self.limit // _LEASES))

    def resets(self) -> int:
        """The seconds until the minute ends."""
        return max(1, math.ceil((self.window + 1) * WINDOW_SECONDS - time.time()))

    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11)."""
        free = max(0, self.limit - max(self.counted, self.spent))
        left = 0 if self.refused else free + max(0, self.leased - self.spent)
        return {
            "RateLimit": f'"requests";r={left};t={self.resets()}',
            "RateLimit-Policy": f'"requests";q={self.limit};w={WINDOW_SECONDS}',
        }


_known: dict[str, Allowance] = {}
_current: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


def begin(user_id: str) -> None:
    """Count a request of the user, which is served from now on. Raises TooManyRequests."""
    if known := _allowance(user_id):
        known.serve()


def begin_late(user_id: str) -> None:
    """Count a request that only its first round trip has shown to be the user's.

    Raises TooManyRequests.
    """
    if known := _allowance(user_id):
        known.owe()


def _allowance(user_id: str) -> Allowance | None:
    """The user's allowance, of the current request from now on; None if nothing limits it."""
    limit = limits().requests_per_minute
    if not limit:
        return None
    window = int(time.time() // WINDOW_SECONDS)
    known = _known.pop(user_id, None)
    if known is None or known.window != window:
        known = Allowance(user_id, window, limit)
    if len(_known) >= _MOST_CALLERS:
        # The one that has not sent a request for the longest time.
        del _known[next(iter(_known))]
    _known[user_id] = known
    _current.set(known)
    return known


def finish() -> None:
    """Say that no request is served."""
    _current.set(None)


def current() -> Allowance | None:
    """The allowance of the current request, None if it is anonymous or nothing limits it."""
    return _current.get()


def charge(requests: int) -> None:
    """Count the current request as so many more, with the next lease: what it does is costly."""
    if known := _current.get():
        known.owed += requests


def headers() -> dict[str, str]:
    """The headers of the answer to the current request; none if nothing limits it."""
    known = _current.get()
    return known.headers() if known else {}


def forget() -> None:
    """Clear what the process knows, as a new one would start; for tests."""
    _known.clear()
    _current.set(None)
