"""Restore: return an environment to its state before a failed or canceled rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway import drivers
from slipway.aws import secret_inputs
from slipway.domain import failure, ids
from slipway.store import deployment_records, environment_records, log_records

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{deployment_id, token, execution, started_at, entered_at, failure}` -> Progress and `live`.

    `live` is the version that was live before. Without one it is None, or the template's version
    if the deployment is an update.

    Raises StaleWrite if the deployment no longer belongs to this execution; DriverRefused
    (StackGone if the stack no longer exists), DriverFault.
    """
    deployment = ids.parse_deployment(event["deployment_id"])
    shipping, environment = deployment_records.held_by(deployment, event["token"])
    with secret_inputs.hidden(environment, also=deployment_records.changes_environment(shipping)):
        return _restore(event, shipping, environment)


def _restore(
    event: dict[str, Any], shipping: DeploymentRecord, environment: EnvironmentRecord
) -> dict[str, Any]:
    deployment = ids.parse_deployment(shipping["id"])
    log_records.keep(deployment, drivers.lines(environment, event))
    before, artifact = environment.get("live_version"), environment.get("live_artifact")
    update = deployment_records.changes_environment(shipping)
    number = environment.get("live_configuration", 0)
    reconfigures = deployment_records.configuration_of(shipping, environment) != number
    full_update = update or reconfigures or "live_in_doubt" in environment
    if full_update:
        environment = environment_records.with_project_name(environment)
    if full_update and number:
        # Imported here, because few environments have a configuration. Its version is still in the
        # parameter store.
        from slipway.services import delivery

        content = delivery.content(environment, number)
        environment = delivery.with_configuration(environment, number, content)
    progress = drivers.ask(
        "restore", environment, event, version=before, artifact=artifact, full_update=full_update
    )
    if progress.outputs is not None:
        environment_records.record_outputs(environment, progress.outputs, str(deployment))
    if progress.done and "live_in_doubt" in environment:
        environment_records.clear_doubt(deployment, before)
    if progress.done:
        # As in Ship: keep the lines that were written since the first call.
        log_records.keep(deployment, drivers.lines(environment, event))
    # An execution that started with an earlier definition does not pass the failure.
    why = failure.summary(event["failure"]) if "failure" in event else "Canceled"
    live = before or (environment.get("template") if update else None)
    line = f"{why}; going back to {live}" if live else f"{why}; taking it away again"
    log_records.write(deployment, "restore", event["entered_at"], line)
    return {**progress.model_dump(exclude={"outputs"}), "live": live}
