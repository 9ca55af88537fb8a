"""Dispatch: what the table's stream says has changed, brought to the workflow that carries it on.

The only code that starts executions. The stream delivers at least once, so what to do is read
from the table as it is now, and each thing done here changes nothing when it is done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from slipway.aws import executions
from slipway.domain import failure, ids
from slipway.domain.environment import GOING, TAKES_DEPLOYMENTS
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import StackGone
from slipway.services import (
    leases,
    projects,
    reconcile_schedule,
    rollout_queue,
    rollouts,
    teardowns,
)
from slipway.store import (
    deployment_records,
    environment_records,
    event_records,
)
from slipway.store.wire import decode

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord

_CARRIED_ON = ("status", "operation", "lease", "template", "nudged_at")
_processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The records that could not be handled are reported, tried again, and at last put aside."""
    answer = dict(
        process_partial_response(
            event=event, record_handler=_changed, processor=_processor, context=context
        )
    )
    if any("due" in record["dynamodb"].get("NewImage", {}) for record in event["Records"]):
        # Above all for those that could not be handled: reconcile is there for them.
        reconcile_schedule.keep_awake()
    return answer


def _changed(record: Any) -> None:
    raw = record.raw_event
    keys = raw["dynamodb"]["Keys"]
    kind, _, rest = keys["sk"]["S"].partition("#")
    before = raw["dynamodb"].get("OldImage", {})
    after = raw["dynamodb"].get("NewImage", {})
    if kind in ("ENV", "DEP"):
        event_records.note(before, after)
    if kind == "LEASE":
        _lease_ran_out(before)
    elif kind == "PROJECT" and not rest and _differs(before, after, "status", "nudged_at"):
        _project_changed(ids.parse_project(after["id"]["S"]))
    elif kind == "ENV" and _differs(before, after, *_CARRIED_ON):
        _environment_changed(ids.parse_environment(after["id"]["S"]))
    elif kind == "DEP" and _differs(before, after, "status", "nudged_at"):
        _deployment_changed(ids.parse_deployment(after["id"]["S"]))
    if kind == "ENV" and _differs(before, after, "secret_inputs", "secret_places"):
        _forget_what_was_replaced(decode(before), decode(after))


def _differs(before: dict[str, Any], after: dict[str, Any], *names: str) -> bool:
    return any(before.get(name) != after.get(name) for name in names)


def _lease_ran_out(lease: dict[str, Any]) -> None:
    leases.expire(ids.parse_environment(lease["environment_id"]["S"]), "ttl")


def _project_changed(project: ProjectId) -> None:
    for environment, actor in projects.to_tear_down(project):
        teardowns.give_back(environment, actor)
    projects.erase_if_empty(project)


def _environment_changed(environment: EnvironmentId) -> None:
    item = environment_records.find(environment)
    if item is None:
        return
    status = item["status"]
    name, carried = item["id"], environment_records.carried(item)
    if item.get("operation"):
        # Also for one that is to go already: nobody else says that provisioning let go of it.
        executions.start("provision_environment", name, carried)
    if status == "running":
        _give_the_lock(environment)
    if status in TAKES_DEPLOYMENTS and item.get("expires_at"):
        executions.start("expire_environment", environment_records.expiry(item), carried)
    if status not in TAKES_DEPLOYMENTS:
        rollout_queue.cancel_all(environment, f"The environment is {status}")
    # Provisioning has its hands on the infrastructure until it says that it let go.
    if status in GOING and not item.get("operation"):
        executions.start("retire_environment", environment_records.teardown(item), carried)
    if status == "teardown_failed":
        teardowns.plan_retry(item, "dispatch")
    if status == "destroyed":
        projects.erase_if_empty(environment.project)
    if item.get("template"):
        from slipway.store import template_records

        template_records.note_use(item)


def _forget_what_was_replaced(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Secrets that an update has put others in the place of; no record ever names them again."""
    # Imported here and below: few environments have secrets, and fewer change them.
    from slipway.aws import secret_inputs

    in_use = secret_inputs.places(after)
    for name, place in secret_inputs.places(before).items() if before else ():
        if in_use.get(name) != place:
            secret_inputs.remove(place, [name])


def _deployment_changed(deployment: DeploymentId) -> None:
    item = deployment_records.find(deployment)
    if item and item["status"] == "running":
        # It has the lock, and nobody else is to have it before it has ended.
        return
    if item and item["status"] == "pending" and item["on_conflict"] in rollout_queue.MAKES_WAY:
        rollout_queue.make_way(deployment)
    if item and item.get("finished_at") and item.get("token") is not None:
        event_records.keep_timeline(item, executions.steps_of("roll_out_deployment", item["id"]))
    if item and item["status"] == "succeeded":
        leases.used(deployment.environment, item["finished_at"])
    if item and _error(item) == StackGone.__name__:
        # Somebody has deleted what the environment was made of, so it counts as destroyed.
        teardowns.give_back(deployment.environment, item["id"])
    _give_the_lock(deployment.environment)
    if item and item.get("finished_at") and item.get("secret_place"):
        _forget_what_is_not_used(item)


def _error(item: DeploymentRecord) -> str | None:
    reported = item.get("failure")
    return failure.decode(reported)["error"] if reported else None


def _forget_what_is_not_used(update: DeploymentRecord) -> None:
    """The secrets of an update that has ended, but for those that the environment has now."""
    from slipway.aws import secret_inputs

    place = update["secret_place"]
    environment = environment_records.find(ids.parse_environment(update["environment_id"]))
    in_use = secret_inputs.places(environment) if environment else {}
    unused = [name for name in update["secret_inputs"] if in_use.get(name) != place]
    secret_inputs.remove(place, unused)


def _give_the_lock(environment: EnvironmentId) -> None:
    item = rollouts.acquire_next(environment)
    if item is not None and item["status"] == "pending":
        executions.start("roll_out_deployment", item["id"], rollouts.execution_input(item))
