"""An environment that is only pretended: every operation takes a few seconds and succeeds.

How many is set in one place, the stack's parameter SimulatedSeconds; the ways back take half.
"""

from __future__ import annotations

import math

from slipway.drivers.base import Operation, Progress
from slipway.ids import parse_environment
from slipway.model.fields import slug
from slipway.settings import settings

# So that nobody who cancels waits for long.
LOOKS_EVERY_SECONDS = 5


class Simulated:
    def provision(self, operation: Operation) -> Progress:
        environment = parse_environment(operation.environment_id)
        host = f"{slug(operation.environment_name)}-{environment.e[-8:]}"
        return _after(operation, 1.0, base_url=f"https://{host}.simulated.example.com")

    def ship(self, operation: Operation) -> Progress:
        return _after(operation, 1.0)

    def restore(self, operation: Operation) -> Progress:
        return _after(operation, 0.5)

    def retire(self, operation: Operation) -> Progress:
        return _after(operation, 0.5)


def _after(operation: Operation, share: float, base_url: str | None = None) -> Progress:
    takes = settings().simulated_seconds * share
    left = takes - (operation.now - operation.started_at).total_seconds()
    if left <= 0:
        return Progress(done=True, base_url=base_url)
    return Progress(done=False, wait_seconds=min(math.ceil(left), LOOKS_EVERY_SECONDS))
