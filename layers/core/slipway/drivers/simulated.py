"""A simulated environment: every operation takes a few seconds and succeeds.

The stack's parameter SimulatedSeconds sets the time; restoring takes half of it, retiring none. The
environment has a database, which is ready immediately, and a service, which takes the time.

If the stack's parameter SimulateFaults allows it, an environment's configuration can script faults
by verb, so that every recovery can be tried by hand:

    {"simulate": {"provision": {"seconds": 30}, "ship": {"refuse": "no capacity"},
                  "retire": {"fault_seconds": 20, "resource": "database"}}}

`seconds`: how long it takes. `refuse`: the reason for which it always fails. `fault_seconds`: how
long it answers with transient faults. `resource`: the affected resource, if not the service.
`version`: the affected version, if not all.
"""

from __future__ import annotations

import math
from typing import Any

from slipway.domain.deployment import LogLine
from slipway.domain.fields import slug
from slipway.domain.ids import parse_environment
from slipway.drivers.base import Operation, Progress
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

# Short, so that a rollout soon notices its cancellation.
LOOKS_EVERY_SECONDS = 5
# Later calls are less frequent, because an execution's history is limited.
_LOOKS_EVERY_SHARE = 1 / 20
_LONGEST = 1e9
# A teardown that is requested meanwhile begins after this wait.
_LONGEST_WAIT_SECONDS = 30


class Simulated:
    resources: tuple[str, ...] = ("database", "service")

    def provision(self, operation: Operation) -> Progress:
        environment = parse_environment(operation.environment_id)
        host = f"{slug(operation.environment_name)}-{environment.e[-8:]}"
        base_url = f"https://{host}.simulated.example.com"
        return _progress(operation, "provision", 1.0, base_url)

    def ship(self, operation: Operation) -> Progress:
        return _progress(operation, "ship", 1.0)

    def restore(self, operation: Operation) -> Progress:
        return _progress(operation, "restore", 0.5)

    def retire(self, operation: Operation) -> Progress:
        return _progress(operation, "retire", 0.0)

    def lines(self, operation: Operation) -> list[LogLine]:
        return []


def _progress(
    operation: Operation, verb: str, share: float, base_url: str | None = None
) -> Progress:
    script = _script(operation, verb)
    if operation.resource not in (None, script.get("resource", "service")):
        return Progress(done=True)
    passed = (operation.now - operation.started_at).total_seconds()
    if "refuse" in script:
        raise DriverRefused(str(script["refuse"]))
    if passed < _number(script, "fault_seconds", 0):
        raise DriverFault("a fault of config.simulate")
    left = _number(script, "seconds", settings().simulated_seconds * share) - passed
    if left <= 0:
        return Progress(done=True, base_url=base_url)
    wait = max(LOOKS_EVERY_SECONDS, int(passed * _LOOKS_EVERY_SHARE))
    return Progress(done=False, wait_seconds=min(math.ceil(left), wait, _LONGEST_WAIT_SECONDS))


def _script(operation: Operation, verb: str) -> dict[str, Any]:
    """The scripted faults. Values of any other shape are ignored."""
    simulate = operation.config.get("simulate") if settings().simulate_faults else None
    script = simulate.get(verb) if isinstance(simulate, dict) else None
    its_own = isinstance(script, dict) and script.get("version", operation.version)
    return script if isinstance(script, dict) and its_own == operation.version else {}


def _number(script: dict[str, Any], name: str, default: float) -> float:
    value = script.get(name)
    return value if isinstance(value, int | float) and value < _LONGEST else default
