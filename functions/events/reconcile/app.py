"""Reconcile: checks overdue records and repairs those that a lost event or a crash left behind.

It reads only the sparse index of deadlines, and each record again before it acts. For an execution
that was never started it touches the record, so that dispatch starts it; for one that ended without
an outcome it records one. When no record has a deadline, it disables the schedule that invokes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from slipway import observe
from slipway.aws import executions
from slipway.domain import ids, timestamps
from slipway.domain.environment import GOING
from slipway.errors import StaleWrite
from slipway.services import cleanup, leases, reconcile_schedule, rollouts, teardowns
from slipway.store import deadlines, environment_records, table
from slipway.store.table import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.domain.confirmation_record import ConfirmationRecord
    from slipway.domain.promotion_records import PromotionRecord
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

_metrics = Metrics()
_LEASE_GRACE = timedelta(minutes=1)


@_metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """`{ahead_minutes?}` -> `{looked_at, repaired, failed}`, numbers of records.

    With `ahead_minutes`, deadlines within so many minutes count as overdue. The failure of one
    record does not stop the others.
    """
    until = timestamps.now() + timedelta(minutes=float(event.get("ahead_minutes", 0)))
    counts = {"looked_at": 0, "repaired": 0, "failed": 0}
    for key in deadlines.overdue(until):
        counts["looked_at"] += 1
        try:
            repair = _repair(key)
        except Exception:
            observe.log().exception("Could not reconcile", extra={"pk": key.pk, "sk": key.sk})
            counts["failed"] += 1
            continue
        if repair:
            counts["repaired"] += 1
            observe.event("repair", repair=repair, pk=key.pk, sk=key.sk)
    _metrics.add_metric(name="Repairs", unit=MetricUnit.Count, value=counts["repaired"])
    reconcile_schedule.rest()
    return counts


def _repair(key: Key) -> str | None:
    """The kind of repair; None if none was needed."""
    [item] = table.get(key)
    if item is None:
        return None
    if key.sk.startswith(cleanup.STORED):
        # Imported here, because few values are left behind.
        from slipway.services import stored_secrets

        stored_secrets.carry_out(key, item)
        return "stored_secrets"
    if key.sk.startswith(cleanup.SECRETS):
        its_record = environment_records.find(ids.parse_environment(item["id"]))
        return "orphaned_secrets" if cleanup.remove_orphaned_secrets(item, its_record) else None
    if key.sk.startswith(cleanup.PLAN):
        cleanup.delete_orphaned_plan(item)
        return "orphaned_plan"
    if key.sk.startswith("CONFIRMATION#"):
        return _confirmation(key, item)
    if key.sk.startswith("PROMOTION#"):
        return _promotion(key, item)
    if key.sk == "PROJECT":
        # The project is being deleted: dispatch tears its environments down and then erases it.
        deadlines.nudge(key, item["id"])
        return None
    if key.sk == "ENDED":
        from slipway.services import retention

        project = ids.parse_project(item["project_id"])
        return "outlived" if retention.settle_project(project) else None
    return _environment(key, item) if key.sk.startswith("ENV#") else _deployment(key, item)


def _environment(key: Key, item: EnvironmentRecord) -> str | None:
    environment = ids.parse_environment(item["id"])
    status, lost = item["status"], environment_records.record_lost_execution
    if item.get("operation"):
        return _execution(key, item, "provision_environment", item["id"], lost)
    if status in GOING:
        name = environment_records.teardown_execution(item)
        return _execution(key, item, "retire_environment", name, lost)
    if status == "teardown_failed":
        return _failed_teardown(key, item)
    if item.get("expires_at") and status != "destroyed":
        if datetime.fromisoformat(item["expires_at"]) <= timestamps.now():
            leases.expire(environment, "reconcile")
            return "lease_overdue"
        if leases.warn(item, "reconcile"):
            # The deadline stays. The next run sets a new one.
            return "expiry_warned"
        wakes_at = datetime.fromisoformat(environment_records.next_wake(item))
        deadlines.postpone(key, item["id"], wakes_at + _LEASE_GRACE)
        return None
    if status == "destroyed":
        from slipway.services import retention

        return "outlived" if retention.settle(item) else None
    deadlines.clear(key)
    return None


def _failed_teardown(key: Key, item: EnvironmentRecord) -> str | None:
    if not item.get("next_retry_at"):
        if teardowns.plan_retry(item, "reconcile"):
            # Dispatch did not plan the retry: the event was lost, or it gave up.
            return "retry_planned"
        # No retry is left. A user must act.
        deadlines.clear(key)
        return None
    if datetime.fromisoformat(item["next_retry_at"]) > timestamps.now():
        return None
    try:
        teardowns.retry(item, "reconcile")
    except StaleWrite:
        # A user has retried it already.
        return None
    return "teardown_retried"


def _deployment(key: Key, item: DeploymentRecord) -> str | None:
    if item.get("finished_at"):
        held = item.get("token") is not None and rollouts.release_ended(item)
        deadlines.clear(key)
        return "lock_of_the_ended" if held else None
    if item.get("token") is not None:
        return _execution(
            key, item, "roll_out_deployment", item["id"], rollouts.record_lost_execution
        )
    # The deployment waits. The event of the released lock may have been lost.
    deadlines.nudge(key, item["id"])
    return None


def _confirmation(key: Key, item: ConfirmationRecord) -> str | None:
    # Imported here, because few requests have to wait.
    from slipway.services import confirmations

    if item["status"] == "awaiting_confirmation":
        return "confirmation_overdue" if confirmations.expire(item, "reconcile") else None
    if item["status"] != "approved":
        deadlines.clear(key)
        return None
    workflow = "carry_out_confirmation"
    return _execution(key, item, workflow, item["id"], confirmations.record_lost_execution)


def _promotion(key: Key, item: PromotionRecord) -> str | None:
    # Imported here, because dispatch tells most promotions what has come of them.
    from slipway.services import promotion_progress

    after = promotion_progress.refresh(ids.parse_promotion(item["id"]), "reconcile")
    if after and not after.get("finished_at"):
        deadlines.postpone(key, item["id"])
    return "promotion_behind" if after and after["revision"] != item["revision"] else None


def _execution(
    key: Key,
    item: Any,
    workflow: str,
    name: str,
    record_lost: Callable[[Any, str], bool],
) -> str | None:
    outcome = executions.outcome(workflow, name)
    if outcome == "RUNNING":
        deadlines.postpone(key, item["id"])
        return None
    if outcome is None:
        deadlines.nudge(key, item["id"])
        return "never_started"
    return "ended_unrecorded" if record_lost(item, outcome) else None
