"""Restore: put an environment back as it was before a rollout that was canceled."""

from typing import Any

from slipway import drivers, ids
from slipway.store import deployments


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{deployment_id, token, execution, started_at, entered_at}` -> Progress.

    Raises Overtaken if the deployment is not this execution's any more; DriverRefused,
    DriverFault.
    """
    deployment = ids.parse_deployment(event["deployment_id"])
    _, environment = deployments.held_by(deployment, event["token"])
    before = environment.get("live_version")
    progress = drivers.ask("restore", environment, event, version=before)
    line = f"Canceled: back to {before}" if before else "Canceled: taking it away again"
    deployments.log(deployment, "restore", event["entered_at"], line)
    return progress.model_dump()
