"""The processor time of a call."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable

# The promise of docs/security.md: no request of up to 1 MB takes more.
MOST_SECONDS = 1.0
# Seconds that the work of `_slowness` takes on an undisturbed core of the machine that set the
# limit.
_REFERENCE_SECONDS = 0.027
_TEXT = json.dumps([{"Type": "AWS::SQS::Queue", "Properties": {"n": [n]}} for n in range(6_000)])


def as_in_a_new_process() -> None:
    """Keep what the process has collected so far out of the garbage collections to come.

    A worker of pytest has far more objects than a function, and to go through them takes longer
    than what is measured.
    """
    gc.collect()
    gc.freeze()


def seconds(call: Callable[[], object]) -> float:
    """The processor time of the call, in seconds of an undisturbed core."""
    began = time.process_time()
    call()
    taken = time.process_time() - began
    if taken < MOST_SECONDS / 4:
        return taken
    return taken / max(1.0, min(_slowness(), _slowness()))


def least_of(call: Callable[[], object], tries: int = 3) -> float:
    """The processor time of the fastest try: other processes slow some of them down.

    It is not tried again if the first one is well below the limit.
    """
    taken = seconds(call)
    while taken > MOST_SECONDS / 2 and (tries := tries - 1):
        taken = min(taken, seconds(call))
    return taken


def _slowness() -> float:
    """How much longer than on an undisturbed core the same work takes now.

    Processes on the same core share its caches and its units, so their work costs each of them
    more processor time.
    """
    began = time.process_time()
    for _ in range(6):
        left = [json.loads(_TEXT)]
        while left:
            node = left.pop()
            if isinstance(node, dict):
                left.extend(node.values())
            elif isinstance(node, list):
                left.extend(node)
    return (time.process_time() - began) / _REFERENCE_SECONDS
