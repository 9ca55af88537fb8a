"""Throttling of HTTP APIs: a token bucket for each route with settings of its own, and one for all
others of a stage.

AWS says that its limits are targets that may be exceeded. Here they are exact. AWS does not say
whether routes without settings of their own share a bucket. Here they do, which refuses earlier.
"""

import time
from collections.abc import Mapping
from typing import Any

# Until a bucket is full again, it is kept. Then it says nothing.
_MOST = 10_000


class Buckets:
    """The buckets of all stages. `allows` takes a token."""

    def __init__(self) -> None:
        # The tokens that were left, and when.
        self._left: dict[tuple[str, str, str], tuple[float, float]] = {}

    def allows(self, api_id: str, stage: str, route: str, settings: Mapping[str, Any]) -> bool:
        """Whether the route takes one more request now; `settings` are the stage's record."""
        own = settings.get("routeSettings", {}).get(route) or {}
        limits = {**(settings.get("defaultRouteSettings") or {}), **own}
        rate, burst = limits.get("throttlingRateLimit"), limits.get("throttlingBurstLimit")
        if rate is None or burst is None:
            return True
        key = api_id, stage, route if own else ""
        now = time.monotonic()
        left, since = self._left.pop(key, (float(burst), now))
        left = min(float(burst), left + (now - since) * float(rate))
        if len(self._left) >= _MOST:
            self._left.pop(next(iter(self._left)))
        self._left[key] = (left - 1 if left >= 1 else left), now
        return left >= 1
