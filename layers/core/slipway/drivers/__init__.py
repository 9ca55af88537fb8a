"""What an environment is made of. A driver is one file here and one line in DRIVERS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from slipway.drivers.base import Driver, Operation, Progress
from slipway.drivers.simulated import Simulated
from slipway.errors import DriverRefused
from slipway.model import moments

DRIVERS: dict[str, type[Driver]] = {
    "simulated": Simulated,
}

LONGEST = timedelta(hours=1)


def ask(
    verb: Literal["provision", "ship", "restore", "retire"],
    environment: Mapping[str, Any],
    event: Mapping[str, Any],
    version: str | None = None,
) -> Progress:
    """Ask the environment's driver how far `verb` is; the first call starts it.

    `event` is what the workflow sends: `execution`, its name, and `started_at`.
    Raises DriverRefused, also when it has taken an hour; DriverFault.
    """
    operation = Operation(
        execution=event["execution"],
        environment_id=environment["id"],
        environment_name=environment["name"],
        started_at=datetime.fromisoformat(event["started_at"]),
        now=moments.now(),
        version=version,
        config=json.loads(environment.get("config", "{}")),
    )
    if operation.now - operation.started_at > LONGEST:
        raise DriverRefused(f"It has taken longer than {LONGEST}")
    driver = DRIVERS[environment["driver"]]()
    progress: Progress = getattr(driver, verb)(operation)
    return progress
