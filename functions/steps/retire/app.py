"""Retire: remove the environment's resources, the last one first."""

from typing import Any

from slipway.domain import ids
from slipway.errors import StaleWrite
from slipway.services import provisioning
from slipway.store import environment_records


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{environment_id, execution, started_at}` -> Progress and `ending`.

    `ending` is the message that ends the environment's log if this was the last call.

    Raises StaleWrite if there is no such record; DriverRefused, DriverFault.
    """
    environment = environment_records.find(ids.parse_environment(event["environment_id"]))
    if environment is None:
        raise StaleWrite("The environment's record no longer exists")
    with provisioning.recording_logs(environment, event) as notes:
        progress = provisioning.retire(environment, event, notes)
    ending = environment_records.ending(environment)
    return {**progress.model_dump(exclude={"outputs", "note"}), "ending": ending}
