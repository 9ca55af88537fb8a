"""Ship: deploy a version, or an update of the environment itself, to the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway import drivers
from slipway.aws import secret_inputs
from slipway.domain import ids
from slipway.domain.records import changed
from slipway.errors import Canceled
from slipway.store import deployment_records, environment_records, log_records
from slipway.store.wire import encode_for_sdk

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord
    from slipway.drivers.base import Progress


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{deployment_id, token, execution, started_at, entered_at}` -> Progress and `record`.

    `record` has the changes that success makes to the environment's record:
    `{action, reason, set, remove}`. `snapshot` is what success writes to the deployment's, as an
    SDK integration takes it.

    Raises Canceled if a user canceled the deployment; StaleWrite if it no longer belongs to this
    execution; DriverRefused (RolledBack if the previous version is live again, StackGone if the
    stack no longer exists), DriverFault.
    """
    deployment = ids.parse_deployment(event["deployment_id"])
    shipping, environment = deployment_records.held_by(deployment, event["token"])
    if shipping.get("cancel_requested_at"):
        raise Canceled(f"{shipping['cancel_requested_by']} canceled it")
    with secret_inputs.hidden(environment, also=deployment_records.changes_environment(shipping)):
        return _ship(event, shipping, environment)


def _ship(
    event: dict[str, Any], shipping: DeploymentRecord, environment: EnvironmentRecord
) -> dict[str, Any]:
    deployment = ids.parse_deployment(shipping["id"])
    log_records.keep(deployment, drivers.lines(environment, event))
    becomes = _becomes(shipping, environment)
    number = deployment_records.configuration_of(shipping, environment)
    reconfigures = number != environment.get("live_configuration", 0)
    # A full update also replaces what an earlier rollout could not restore.
    full_update = bool(becomes or reconfigures or environment.get("live_in_doubt"))
    after, progress = environment, None
    if full_update:
        after = environment_records.with_project_name(changed(environment, becomes))
    if full_update and (number or reconfigures):
        # Imported here and below, because most rollouts bring no configuration.
        from slipway.services import delivery

        content = delivery.content(environment, number)
        after = delivery.with_configuration(after, number, content)
        delivery.require_fit(after)
        if number and reconfigures and not shipping.get("delivered"):
            progress = delivery.deliver(shipping, environment, content, event)
            # It may have taken so long that the environment is being torn down by now.
            deployment_records.held_by(deployment, event["token"])
    progress = progress or drivers.ask(
        "ship",
        after,
        event,
        version=shipping.get("version"),
        artifact=shipping.get("artifact"),
        full_update=full_update,
    )
    return _looked(event, shipping, environment, becomes, after, progress)


def _looked(
    event: dict[str, Any],
    shipping: DeploymentRecord,
    environment: EnvironmentRecord,
    becomes: dict[str, Any],
    after: EnvironmentRecord,
    progress: Progress,
) -> dict[str, Any]:
    """Record what the driver says, and return it."""
    deployment = ids.parse_deployment(shipping["id"])
    if progress.outputs is not None:
        environment_records.record_outputs(environment, progress.outputs, str(deployment))
    if progress.done:
        # No later call reads the lines that were written since the first one.
        log_records.keep(deployment, drivers.lines(environment, event))
        if environment.get("delivered"):
            from slipway.services import delivery

            delivery.remove_unused(shipping, environment)
    line = _line(deployment_records.describe_change(shipping), environment["name"], progress)
    log_records.write(deployment, "ship", event["entered_at"], line)
    done = _when_done(shipping, environment, becomes, after) if progress.done else {}
    return {**progress.model_dump(exclude={"outputs", "note"}), **done}


def _when_done(
    shipping: DeploymentRecord,
    environment: EnvironmentRecord,
    becomes: dict[str, Any],
    after: EnvironmentRecord,
) -> dict[str, Any]:
    """What success writes to the records of the environment and the deployment."""
    history = deployment_records.live_history(shipping, environment)
    also = {**becomes, "live_history": history}
    return {
        "record": environment_records.after_rollout(shipping, also),
        "snapshot": encode_for_sdk(deployment_records.snapshot(after)),
    }


def _line(brings: str, environment: str, progress: Progress) -> str:
    """The line of the deployment's log about one look at the driver."""
    if progress.done:
        return f"{brings} is in {environment}"
    what = progress.note or f"Shipping {brings} into {environment}"
    return f"{what}; next look in {progress.wait_seconds} s"


def _becomes(shipping: DeploymentRecord, environment: EnvironmentRecord) -> dict[str, Any]:
    if not deployment_records.changes_environment(shipping):
        return {}
    # Imported here, because most rollouts ship a version.
    from slipway.services import updates

    if "becomes" in shipping:
        return updates.replaced_fields(shipping)
    return updates.updated_fields(shipping, environment)
