"""Provision: make what the environment is made of."""

from typing import Any

from slipway.domain import ids
from slipway.errors import Overtaken
from slipway.services import provisioning
from slipway.store import environments


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{environment_id, execution, started_at}` -> Progress.

    Raises Overtaken if the environment is to go before it has come; DriverRefused, DriverFault.
    """
    identity = ids.parse_environment(event["environment_id"])
    environment = environments.find(identity)
    if environment is None or environment["status"] != "provisioning":
        raise Overtaken("The environment is not wanted any more")
    environment = environments.with_project_name(environment)
    with provisioning.heard(environment, event):
        progress = provisioning.provision(environment, event)
    if progress.outputs is not None:
        environments.came_up(identity, progress.outputs)
    # One without an address is up as well.
    return {**progress.model_dump(exclude={"outputs"}), "base_url": progress.base_url or ""}
