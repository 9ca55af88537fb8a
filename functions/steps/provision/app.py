"""Provision: make what the environment is made of."""

from typing import Any

from slipway import ids, saga
from slipway.errors import Overtaken
from slipway.store import environments


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{environment_id, execution, started_at}` -> Progress.

    Raises Overtaken if the environment is to go before it has come; DriverRefused, DriverFault.
    """
    environment = environments.find(ids.parse_environment(event["environment_id"]))
    if environment is None or environment["status"] != "provisioning":
        raise Overtaken("The environment is not wanted any more")
    return saga.provision(environment, event).model_dump()
