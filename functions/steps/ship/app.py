"""Ship: bring a version, or an update of the environment itself, into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway import drivers
from slipway.domain import ids
from slipway.domain.records import changed
from slipway.errors import Canceled
from slipway.store import deployment_records, environment_records, log_records

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{deployment_id, token, execution, started_at, entered_at}` -> Progress and `record`, what
    success writes to the environment's record: `{action, reason, set, remove}`.

    Raises Canceled if somebody asked it to stop; Overtaken if the deployment is not this
    execution's any more; DriverRefused (RolledBack if what was live is so again, StackGone if
    nothing is there any more), DriverFault.
    """
    deployment = ids.parse_deployment(event["deployment_id"])
    shipping, environment = deployment_records.held_by(deployment, event["token"])
    if shipping.get("cancel_requested_at"):
        raise Canceled(f"{shipping['cancel_requested_by']} canceled it")
    log_records.keep(deployment, drivers.lines(environment, event))
    becomes, name = _becomes(shipping, environment), environment["name"]
    # Whatever a rollout has left that could not be taken back.
    anew = bool(becomes or environment.get("live_in_doubt"))
    if anew:
        environment = environment_records.with_project_name(changed(environment, becomes))
    progress = drivers.ask(
        "ship",
        environment,
        event,
        version=shipping.get("version"),
        artifact=shipping.get("artifact"),
        anew=anew,
    )
    if progress.outputs is not None:
        environment_records.came_up(environment, progress.outputs, str(deployment))
    brings = deployment_records.brings(shipping)
    line = (
        f"{brings} is in {name}"
        if progress.done
        else f"Shipping {brings} into {name}; next look in {progress.wait_seconds} s"
    )
    if progress.done:
        # Nobody looks again at what it has said since.
        log_records.keep(deployment, drivers.lines(environment, event))
    log_records.write(deployment, "ship", event["entered_at"], line)
    record = environment_records.after_rollout(shipping, becomes) if progress.done else None
    return {**progress.model_dump(exclude={"outputs"}), "record": record}


def _becomes(shipping: DeploymentRecord, environment: EnvironmentRecord) -> dict[str, Any]:
    if not deployment_records.is_update(shipping):
        return {}
    # Imported here: most rollouts bring a version.
    from slipway.services import updates

    return updates.becomes(shipping, environment)
