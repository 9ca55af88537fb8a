"""A Retry obeys its MaxDelaySeconds and JitterStrategy.

Defect: the stock interpreter ignores both. It waits IntervalSeconds * BackoffRate ** n, at most a
minute.
"""

import random
from typing import Any


def delay(retrier: dict[str, Any], retries: int) -> float:
    """Seconds to wait before retry number `retries` + 1."""
    seconds: float = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** retries
    seconds = min(seconds, retrier.get("MaxDelaySeconds", seconds))
    if retrier.get("JitterStrategy") != "FULL":
        return seconds
    # Jitter needs no secure randomness.
    return random.uniform(0, seconds)  # nosec B311


def patch(module: Any) -> None:
    stock = module._find_matching_retrier

    def find(retriers: list[dict[str, Any]], error: str, counts: dict[int, int]) -> Any:
        retrier, index = stock(retriers, error, counts)
        if retrier is None:
            return retrier, index
        seconds = delay(retrier, counts.get(index, 0))
        return retrier | {"IntervalSeconds": seconds, "BackoffRate": 1.0}, index

    module._find_matching_retrier = find


TARGETS = {"ministack.services.stepfunctions": patch}
