"""Provision: create the environment's resources."""

from typing import Any

from slipway.domain import ids
from slipway.errors import StaleWrite
from slipway.services import provisioning
from slipway.store import environment_records


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{environment_id, execution, started_at}` -> Progress.

    Raises StaleWrite if the environment is to be torn down; DriverRefused, DriverFault.
    """
    identity = ids.parse_environment(event["environment_id"])
    environment = environment_records.find(identity)
    if environment is None or environment["status"] != "provisioning":
        raise StaleWrite("The environment is being torn down")
    environment = environment_records.with_project_name(environment)
    with provisioning.recording_logs(environment, event):
        progress = provisioning.provision(environment, event)
    if progress.outputs is not None:
        environment_records.record_outputs(environment, progress.outputs, "provision_environment")
    # An environment without a URL is running as well.
    return {**progress.model_dump(exclude={"outputs"}), "base_url": progress.base_url or ""}
