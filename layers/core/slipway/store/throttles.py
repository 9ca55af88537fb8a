"""Throttles: how often something may be tried, with a delay that doubles.

A throttle counts attempts in windows of fixed length. The first `free` attempts of a window may
follow each other at once; then each one delays the next, for a second, two, four, at most for
`longest` seconds, or until the window ends. An attempt is counted before it is made: of many at the
same time, only those are made that would also have been made one after another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.store.table import Key, Update


@dataclass(frozen=True)
class Rule:
    """`window` and `longest` are in seconds."""

    free: int
    longest: int
    window: int

    def delay(self, attempts: int) -> float:
        """The seconds that the last of so many attempts delays the next one."""
        if attempts < self.free:
            return 0
        return min(self.longest, 2.0 ** min(attempts - self.free, 30))


class Throttle:
    """The attempts of one subject, such as an account, in the current window."""

    def __init__(self, subject: str, rule: Rule) -> None:
        self.rule = rule
        self._now = time.time()
        window = int(self._now) // rule.window
        self._ends = (window + 1) * rule.window
        self.key = Key(f"ATTEMPTS#{subject}#{window}", "ATTEMPTS")

    def wait(self, item: Mapping[str, Any] | None) -> float:
        """How many seconds from now the next attempt may be made, 0 if now."""
        if not item:
            return 0
        return max(0.0, min(float(item["next_at"]) / 1000, self._ends) - self._now)

    def claim(self, item: Mapping[str, Any] | None) -> Update:
        """The write that counts an attempt. Its condition fails if others were counted meanwhile.

        `item` is the one at the throttle's key, and nothing has to be waited for.
        """
        attempts = item["attempts"] if item else 0
        values: dict[str, Any] = {"one": 1, "ttl": self._ends + 60}
        if attempts < self.rule.free - 1:
            # Concurrent attempts without a delay do not disturb each other.
            return Update(
                self.key,
                "ADD attempts :one SET next_at = :now, #ttl = :ttl",
                {**values, "now": int(self._now * 1000), "last": self.rule.free - 1},
                "attribute_not_exists(attempts) OR attempts < :last",
            )
        next_at = int((self._now + self.rule.delay(attempts + 1)) * 1000)
        values |= {"next": next_at, "none": 0}
        condition = "attribute_not_exists(attempts)"
        if item:
            condition = "attempts = :attempts AND next_at = :was"
            values |= {"attempts": attempts, "was": item["next_at"]}
        return Update(
            self.key,
            "SET attempts = if_not_exists(attempts, :none) + :one, next_at = :next, #ttl = :ttl",
            values,
            condition,
        )

    def give_back(self) -> Update:
        """The write that uncounts an attempt which succeeded. Nobody has to wait less for it."""
        values = {"less": -1, "now": int(self._now * 1000), "ttl": self._ends + 60}
        return Update(
            self.key,
            "ADD attempts :less SET next_at = if_not_exists(next_at, :now), #ttl = :ttl",
            values,
            condition="",
        )
