"""Rollbacks: bring an environment back to the state that it had with an earlier deployment.

A rollback is a deployment of its own. It has the version, artifact, template version, inputs and
configuration of its target, goes ahead of all that wait, and asks what rolls out to stop. It sets a
hold in the same transaction (slipway.services.holds). A second request for the same target, while
the first has not ended, gets the first one.

It depends on what is live and on what rolls out. So the transaction fails if either has changed
since it was read, and everything is read and decided again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.deployment import Deployment
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.records import change
from slipway.domain.rollback import NewRollback, RollbackPlan, TextChange
from slipway.errors import Busy, PlanPending, QueueBusy
from slipway.services import protection, rollback_drafts, rollout_queue
from slipway.services.rollback_drafts import Draft, Seen
from slipway.services.rollout_queue import EnvironmentPart
from slipway.store import deployment_records, queue_records, table
from slipway.store.table import Fields, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.environment import OnConflict
    from slipway.domain.records import EnvironmentRecord

_TRIES = 10


def request(
    environment: EnvironmentId,
    wanted: NewRollback,
    principal: Principal,
    confirmed: str | None = None,
) -> tuple[Deployment, bool]:
    """Accept a rollback ahead of the queue, and hold the environment. Returns the deployment, and
    whether it is a new one: False for a rollback to the same target that has not ended.

    `confirmed` is the name in `X-Confirm`, which a protected environment needs if its template or
    inputs change. Raises NotFound, Invalid, NothingToRollBackTo, ConfirmationRequired,
    EnvironmentNotReady, QuotaExceeded, Busy, DriverFault; for machines also
    ConfirmationNeeded, Forbidden and PlanPending if something but the version changes. Two round
    trips; one more if the target is not among the newest, if the template version is not cached, or
    for the configuration; more if what is live changes meanwhile.
    """
    for _ in range(_TRIES):
        seen = rollback_drafts.look(environment, principal)
        chosen = rollback_drafts.choose(environment, seen, wanted.to)
        if under_way := rollback_drafts.under_way(seen, chosen):
            return deployment_records.to_model(under_way), False
        draft = rollback_drafts.draft_of(environment, seen, chosen)
        mode = _mode(environment, principal, seen.record, draft, confirmed)
        with suppress(TransactionFailed):
            return _accepted(environment, wanted, principal, seen, draft, mode), True
    raise Busy(1)


def preview(environment: EnvironmentId, wanted: NewRollback, principal: Principal) -> RollbackPlan:
    """What the rollback would change, without changing it. Raises as `request`.

    CloudFormation previews it in a change set; repeat the call for progress.
    """
    seen = rollback_drafts.look(environment, principal)
    record = seen.record
    draft = rollback_drafts.draft_of(
        environment, seen, rollback_drafts.choose(environment, seen, wanted.to)
    )
    target, after = draft.target, draft.would_be
    template = TextChange(before=record.get("template"), after=after.get("template"))
    plan = RollbackPlan(
        environment_id=str(environment),
        rolls_back_to=target["id"],
        stops=seen.holder,
        version=TextChange(before=record.get("live_version"), after=target.get("version")),
        artifact=TextChange(before=record.get("live_artifact"), after=target.get("artifact")),
        template=template if template.before else None,
        inputs=rollback_drafts.inputs(record, after),
        variables=rollback_drafts.variables(draft),
        warnings=draft.version.warnings if draft.version else [],
    )
    if record["driver"] != "cloudformation":
        return plan
    # Imported here, because only plans need it.
    from slipway.services import change_sets

    change_set = change_sets.preview(rollback_drafts.for_a_plan(record, after), {}, creates=False)
    return RollbackPlan.model_validate({**plan.model_dump(), "change_set": change_set})


# --- accepting it -----------------------------------------------------------------------------


def _mode(
    environment: EnvironmentId,
    principal: Principal,
    record: EnvironmentRecord,
    draft: Draft,
    confirmed: str | None,
) -> OnConflict:
    """What to do if others are ahead. Raises as `request`.

    A machine's rollback that changes more than the version is accepted as its updates are.
    """
    if not rollback_drafts.changes_more(record, draft):
        return "queue"
    if not principal.is_machine:
        protection.require_confirmed(record, confirmed)
        return "queue"
    from slipway.services import machine_updates

    would_be = rollback_drafts.for_a_plan(record, draft.would_be)
    alone = record["driver"] == "cloudformation" and machine_updates.must_be_alone(
        environment, principal, record, would_be, {}, ()
    )
    return "reject" if alone else "queue"


def _accepted(
    environment: EnvironmentId,
    wanted: NewRollback,
    principal: Principal,
    seen: Seen,
    draft: Draft,
    mode: OnConflict,
) -> Deployment:
    """Raises TransactionFailed if what is live, rolls out or is configured has changed."""
    record = seen.record
    new = DeploymentId(
        environment.p, environment.e, ids.new_part(after=record.get("last_accepted"))
    )
    number, also, part = _configuration(record, draft, principal, new)
    part = _holding(record, wanted, principal, new, part)
    if mode != "reject":
        ahead: Any = [{"deployment_id": seen.holder}] if seen.holder else []
        also["lock"] = queue_records.lock_unchanged(environment, ahead)
    content = {
        **_content(draft),
        "id": str(new),
        "reason": wanted.reason,
        "configuration": number or None,
    }
    view = rollout_queue.View(record, None, seen.claim)
    try:
        return rollout_queue.accept(environment, content, mode, principal, also, view, part)
    except QueueBusy:
        # Only while nothing is ahead is it known what a machine's rollback would delete.
        raise PlanPending(1, "Another deployment is ahead of it. Send it again.") from None


def _content(draft: Draft) -> Fields:
    """The fields of the deployment's record that say what it brings."""
    target = draft.target
    brought = {name: target.get(name) for name in ("version", "artifact", "order", "labels")}
    return {
        **brought,
        "kind": "release",
        "trigger": "rollback",
        "allow_outdated": True,
        "urgent": True,
        "rolls_back_to": target["id"],
        "becomes": draft.state,
    }


def _configuration(
    record: EnvironmentRecord, draft: Draft, principal: Principal, new: DeploymentId
) -> tuple[int, dict[str, table.Action], EnvironmentPart]:
    """The number of the rollback's configuration, and what the transaction writes to make it."""
    if draft.configured is None or not rollback_drafts.is_reconfigured(record, draft):
        return record.get("configuration", 0), {}, EnvironmentPart({})
    from slipway.services import configuration

    levels, content = draft.configured
    number, reason = (
        rollback_drafts.number_of(draft.target),
        f"{new} rolls back to {draft.target['id']}",
    )
    made = configuration.restored(record, levels, number, content, principal.author(), reason)
    part = EnvironmentPart(made.fields, made.condition, made.values)
    return made.number, dict(made.actions), part


def _holding(
    record: EnvironmentRecord,
    wanted: NewRollback,
    principal: Principal,
    new: DeploymentId,
    part: EnvironmentPart,
) -> EnvironmentPart:
    """The part of the environment's record, with the hold. It fails if the record has changed."""
    now, by = timestamps.written(timestamps.now()), principal.author()
    hold = {"reason": wanted.reason, "at": now, "by": by, "deployment_id": str(new)}
    fields = {
        **part.fields,
        "hold": hold,
        "change": change("held", by, now, wanted.reason),
        "updated_at": now,
        "version": record["version"] + 1,
    }
    condition = " AND ".join(each for each in (part.condition, "version = :was") if each)
    return EnvironmentPart(fields, condition, {**part.values, "was": record["version"]})
