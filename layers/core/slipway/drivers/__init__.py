"""What an environment is made of. A driver is one file here and one line in DRIVERS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from slipway.drivers.base import Driver, Operation, Progress
from slipway.drivers.simulated import Simulated
from slipway.errors import DriverFault, DriverRefused
from slipway.model import moments

DRIVERS: dict[str, type[Driver]] = {
    "simulated": Simulated,
}

LONGEST = timedelta(hours=1)


def of(environment: Mapping[str, Any]) -> Driver:
    return DRIVERS[environment["driver"]]()


def ask(
    verb: Literal["provision", "ship", "restore", "retire"],
    environment: Mapping[str, Any],
    event: Mapping[str, Any],
    *,
    resource: str | None = None,
    version: str | None = None,
) -> Progress:
    """Ask the environment's driver how far `verb` is; the first call starts it.

    `event` is what the workflow sends: `execution`, its name, and `started_at`.
    Raises DriverRefused, also when it has taken an hour; DriverFault. Both name the resource.
    """
    operation = Operation(
        execution=event["execution"],
        environment_id=environment["id"],
        environment_name=environment["name"],
        started_at=datetime.fromisoformat(event["started_at"]),
        now=moments.now(),
        resource=resource,
        version=version,
        config=json.loads(environment.get("config", "{}")),
    )
    try:
        progress: Progress = getattr(of(environment), verb)(operation)
        if not progress.done and operation.now - operation.started_at > LONGEST:
            raise DriverRefused(f"It has taken longer than {LONGEST}")
    except (DriverRefused, DriverFault) as error:
        if resource is None:
            raise
        raise type(error)(f"{resource}: {error}") from error
    return progress
