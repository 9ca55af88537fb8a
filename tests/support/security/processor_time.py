"""What a call costs in processor time."""

from __future__ import annotations

import time
from collections.abc import Callable

# The promise of docs/security.md: no request of up to 1 MB takes more.
MOST_SECONDS = 1.0


def seconds(call: Callable[[], object]) -> float:
    """The processor time of the call, in seconds."""
    began = time.process_time()
    call()
    return time.process_time() - began


def least_of(call: Callable[[], object], tries: int = 3) -> float:
    """The processor time of the fastest try: other processes slow some of them down.

    It is not tried again if the first one is well below the limit.
    """
    taken = seconds(call)
    while taken > MOST_SECONDS / 2 and (tries := tries - 1):
        taken = min(taken, seconds(call))
    return taken
