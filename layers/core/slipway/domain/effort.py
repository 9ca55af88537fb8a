"""Limits on checking a caller's text: steps for its patterns, and a deadline for all of it.

The checks take time in proportion to the text's size, and its size is limited, so a request that
meets the deadline has found a case that nobody thought of. It is refused instead of keeping the
function busy until Lambda stops it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.errors import TooCostly

# Seconds of processor time. The worst texts known take half of it (tests/security/test_costs.py).
SECONDS = 2.0
# Looking at the clock takes as long as checking a small value.
_CHECKS_FOR_EACH_LOOK = 64


class Exhausted(Exception):
    """No step is left."""


class Budget:
    """A number of steps that several computations share. A step takes about a microsecond."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Raises Exhausted."""
        self._left -= steps
        if self._left < 0:
            raise Exhausted


class _Clock(threading.local):
    until: float | None = None
    checks = 0


_clock = _Clock()


@contextmanager
def limited(seconds: float | None = None) -> Iterator[None]:
    """Let `check` raise TooCostly once this thread has used so much processor time in the block."""
    _clock.until = time.thread_time() + (SECONDS if seconds is None else seconds)
    try:
        yield
    finally:
        _clock.until = None


def check() -> None:
    """To be called by every loop over what a caller sent. Raises TooCostly."""
    _clock.checks += 1
    if _clock.checks % _CHECKS_FOR_EACH_LOOK or _clock.until is None:
        return
    if time.thread_time() > _clock.until:
        raise TooCostly
