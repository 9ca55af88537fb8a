"""Ship: bring a version into an environment."""

from typing import Any

from slipway import drivers, ids
from slipway.errors import Canceled
from slipway.store import deployments, environments, logs


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{deployment_id, token, execution, started_at, entered_at}` -> Progress.

    Raises Canceled if somebody asked it to stop; Overtaken if the deployment is not this
    execution's any more; DriverRefused (RolledBack if what was live is so again), DriverFault.
    """
    deployment = ids.parse_deployment(event["deployment_id"])
    shipping, environment = deployments.held_by(deployment, event["token"])
    if "cancel_requested_at" in shipping:
        raise Canceled(f"{shipping['cancel_requested_by']} canceled it")
    logs.keep(deployment, drivers.lines(environment, event))
    version, name = shipping["version"], environment["name"]
    artifact = shipping.get("artifact")
    progress = drivers.ask("ship", environment, event, version=version, artifact=artifact)
    if progress.outputs:
        environments.came_up(deployment.environment, progress.outputs)
    line = (
        f"{version} is in {name}"
        if progress.done
        else f"Shipping {version} into {name}; next look in {progress.wait_seconds} s"
    )
    logs.write(deployment, "ship", event["entered_at"], line)
    return progress.model_dump(exclude={"outputs"})
