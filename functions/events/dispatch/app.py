"""Dispatch: starts the workflow that handles a change in the table's stream.

No other code starts executions. The stream delivers each change at least once, so dispatch reads
the current records from the table, and each of its actions is idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from slipway.aws import executions
from slipway.domain import failure, ids, timestamps
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

_RELEVANT = ("status", "operation", "lease", "template", "hold", "nudged_at")
_NAMES_SECRETS = ("secret_inputs", "secret_places", "live_history", "hold")
_TO_LINK = "UNLINKED#"
# By then nearly every change has been handled: this one waited in a queue, or was given up.
_LATE_SECONDS = 300
_processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of stream records. Returns the failed ones, which Lambda retries."""
    answer = dict(
        process_partial_response(
            event=event, record_handler=_handle_change, processor=_processor, context=context
        )
    )
    if any("due" in record["dynamodb"].get("NewImage", {}) for record in event["Records"]):
        # Above all after a failure, because reconcile then handles the record.
        reconcile_schedule.keep_awake()
    return answer


def _handle_change(record: Any) -> None:
    raw = record.raw_event
    keys = raw["dynamodb"]["Keys"]
    if keys["pk"]["S"].startswith(_TO_LINK):
        # Imported here, because half of the readers never link.
        from slipway.services import audit_links

        audit_links.link(keys["pk"]["S"].removeprefix(_TO_LINK))
        return
    kind, _, rest = keys["sk"]["S"].partition("#")
    before = raw["dynamodb"].get("OldImage", {})
    after = raw["dynamodb"].get("NewImage", {})
    if kind in ("CONFIRMATION", "MEMBER"):
        _handle_confirmations(kind, keys)
    if kind in ("ENV", "DEP"):
        event_records.record(before, after)
    if kind == "ENV":
        _handle_replaced(before, after)
    if kind == "LEASE":
        _handle_expired_lease(before)
    elif kind == "PROJECT" and not rest and not after:
        from slipway.services import retention

        retention.settle_project(ids.parse_project(before["id"]["S"]))
    elif kind == "PROJECT" and not rest and _differs(before, after, "status", "nudged_at"):
        _handle_project(ids.parse_project(after["id"]["S"]))
    elif kind == "ENV" and (_differs(before, after, *_RELEVANT) or _is_late(raw["dynamodb"])):
        _handle_environment(ids.parse_environment(after["id"]["S"]))
    elif kind == "DEP" and _differs(before, after, "status", "nudged_at"):
        _handle_deployment(ids.parse_deployment(after["id"]["S"]))
        if "promotion_id" in after:
            # Imported here, because few deployments come from one.
            from slipway.services import promotion_progress

            promotion = ids.parse_promotion(after["promotion_id"]["S"])
            promotion_progress.refresh(promotion, after["id"]["S"])
    if kind == "ENV" and before and _differs(before, after, *_NAMES_SECRETS):
        _delete_replaced_secrets(decode(before), decode(after))


def _handle_replaced(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Another deployment may have gone live: the one that was live has ended now."""
    was = before.get("live_deployment_id")
    if was and was != after.get("live_deployment_id"):
        # Imported here and below, because most changes end nothing.
        from slipway.services import retention

        retention.replaced(was["S"], after["updated_at"]["S"])


def _handle_confirmations(kind: str, keys: Any) -> None:
    """A request that waits for a person, or a person who may decide by now, or no longer."""
    # Imported here, because few requests have to wait.
    from slipway.services import confirmations
    from slipway.store import confirmation_records

    part, _, rest = keys["sk"]["S"].partition("#")
    project = ids.parse_project(f"prj_{keys['pk']['S'].partition('#')[2]}")
    if part == "MEMBER":
        confirmations.redeliver(project, rest)
        return
    item = confirmation_records.find(ids.ConfirmationId(project.p, rest))
    if item is None:
        return
    confirmations.deliver(item)
    execution_input = confirmation_records.execution_input(item)
    if item["status"] == "awaiting_confirmation":
        executions.start("await_confirmation", item["id"], execution_input)
    if item["status"] == "approved":
        executions.start("carry_out_confirmation", item["id"], execution_input)


def _differs(before: dict[str, Any], after: dict[str, Any], *names: str) -> bool:
    return any(before.get(name) != after.get(name) for name in names)


def _is_late(change: dict[str, Any]) -> bool:
    """Whether the environment may have ended since, so that the change's event comes after it."""
    at = change.get("ApproximateCreationDateTime")
    return at is not None and float(at) < timestamps.now().timestamp() - _LATE_SECONDS


def _handle_expired_lease(lease: dict[str, Any]) -> None:
    leases.expire(ids.parse_environment(lease["environment_id"]["S"]), "ttl")


def _handle_project(project: ProjectId) -> None:
    for environment, actor in projects.to_tear_down(project):
        teardowns.begin_as(environment, actor)
    projects.erase_if_empty(project)


def _handle_environment(environment: EnvironmentId) -> None:
    item = environment_records.find(environment)
    if item is None:
        return
    status = item["status"]
    name, execution_input = item["id"], environment_records.execution_input(item)
    if item.get("operation"):
        # Even if the environment is to be destroyed: only this execution can end provisioning.
        executions.start("provision_environment", name, execution_input)
    if status == "running":
        _start_next_deployment(environment)
    if status in TAKES_DEPLOYMENTS and item.get("expires_at"):
        executions.start(
            "expire_environment", environment_records.expiry_execution(item), execution_input
        )
    if status not in TAKES_DEPLOYMENTS:
        rollout_queue.cancel_all(environment, f"The environment is {status}")
    # Until `operation` is removed, provisioning may still change the infrastructure.
    if status in GOING and not item.get("operation"):
        executions.start(
            "retire_environment", environment_records.teardown_execution(item), execution_input
        )
    if status == "teardown_failed":
        teardowns.plan_retry(item, "dispatch")
    if status == "destroyed":
        from slipway.services import retention

        if item.get("delivered"):
            _look_for_orphans(environment)
        projects.erase_if_empty(environment.project)
        retention.settle(item)
    if item.get("template"):
        from slipway.store import template_records

        template_records.update_use(item)


def _look_for_orphans(environment: EnvironmentId) -> None:
    """A step that was under way when the teardown began may have written a configuration after it.
    Reconcile looks for one later."""
    # Imported here, because few environments that end have had a configuration.
    from slipway.services import cleanup
    from slipway.store import table

    table.write(cleanup.secrets_may_be_orphaned(str(environment)))


def _delete_replaced_secrets(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Delete the secrets that an update has replaced, to which no record refers any more."""
    # Imported here and below, because few writes replace secrets.
    from slipway.services import kept_secrets

    kept_secrets.delete_replaced(cast(Any, before), cast(Any, after))


def _handle_deployment(deployment: DeploymentId) -> None:
    item = deployment_records.find(deployment)
    if item and item["status"] == "running":
        # The deployment keeps the lock until it ends.
        return
    if item and item["status"] == "pending" and rollout_queue.makes_way(item):
        rollout_queue.make_way(deployment)
    if item and item.get("finished_at") and item.get("token") is not None:
        event_records.keep_timeline(item, executions.steps_of("roll_out_deployment", item["id"]))
    if item and item.get("finished_at") and "ttl" not in item and item["status"] != "succeeded":
        from slipway.services import retention

        retention.ended(item)
    if item and item["status"] == "succeeded":
        leases.restart_idle(deployment.environment, item["finished_at"])
    if item and _error(item) == StackGone.__name__:
        # The stack was deleted by hand, so the environment is torn down.
        teardowns.begin_as(deployment.environment, item["id"])
    _start_next_deployment(deployment.environment)
    if item and item.get("finished_at") and item.get("secret_place"):
        from slipway.services import kept_secrets

        kept_secrets.delete_unused(item)


def _error(item: DeploymentRecord) -> str | None:
    reported = item.get("failure")
    return failure.decode(reported)["error"] if reported else None


def _start_next_deployment(environment: EnvironmentId) -> None:
    item = rollouts.acquire_next(environment)
    if item is not None and item["status"] == "pending":
        executions.start("roll_out_deployment", item["id"], rollouts.execution_input(item))
