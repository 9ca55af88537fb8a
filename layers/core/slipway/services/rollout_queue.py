"""The queue of an environment's deployments: accepting, superseding and canceling them.

The environment's record has the last id that was accepted, and a transaction accepts only a later
one. So ids, queue and list have one order. If another deployment is accepted at the same time, the
transaction fails and is tried again with a later id.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.deployment import Deployment, NewDeployment, is_outdated
from slipway.domain.environment import TAKES_DEPLOYMENTS, OnConflict
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.records import change, changed
from slipway.domain.rights import tier_of
from slipway.errors import (
    Busy,
    DeploymentFinished,
    EnvironmentNotReady,
    OutdatedDeployment,
    QueueBusy,
    no_such,
)
from slipway.services import fitting, places, quotas
from slipway.services.quotas import Claim
from slipway.settings import limits
from slipway.store import (
    actions,
    deadlines,
    deployment_records,
    environment_records,
    idempotency,
    listed,
    queue_records,
    quota_records,
    table,
)
from slipway.store.table import (
    Check,
    ConditionFailed,
    Fields,
    Put,
    Transaction,
    TransactionFailed,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.records import (
        AuthorRecord,
        DeploymentRecord,
        EnvironmentRecord,
        FailureRecord,
        PlaceRecord,
    )

# The `on_conflict` modes that change what is ahead of the new deployment.
MAKES_WAY = ("supersede", "cancel_running")

_TRIES = 20


# --- accepting --------------------------------------------------------------------------------


class EnvironmentPart(NamedTuple):
    """What the transaction writes to the environment's record as well, and on which condition."""

    fields: Fields
    condition: str = ""
    values: Mapping[str, Any] = MappingProxyType({})


class View(NamedTuple):
    """The state before a deployment is accepted; `ahead` is None if it was not read."""

    record: EnvironmentRecord
    ahead: list[PlaceRecord] | None
    claim: Claim


def claim_for(environment: EnvironmentId, principal: Principal) -> Claim:
    """The slots that a new deployment of the principal takes."""
    return Claim(
        quota_records.deployments_of(principal.user_id),
        quota_records.deployments_in(environment.project),
    )


def enqueue(environment: EnvironmentId, wanted: NewDeployment, principal: Principal) -> Deployment:
    """Accept a version at the end of the queue. Raises and costs as accept."""
    content = {
        "kind": "release",
        "trigger": "api",
        "labels": wanted.labels or None,
        "version": wanted.version,
        "artifact": wanted.artifact,
        "order": wanted.order,
        "allow_outdated": wanted.allow_outdated,
    }
    return accept(environment, content, wanted.on_conflict, principal)


def accept(
    environment: EnvironmentId,
    content: Fields,
    on_conflict: OnConflict | None,
    principal: Principal,
    also: Mapping[str, table.Action] | None = None,
    seen: View | None = None,
    part: EnvironmentPart | None = None,
) -> Deployment:
    """Accept a release or an update at the end of the queue.

    `content` are the fields of its record that describe the release or update. `also` and `part`
    are further parts of the transaction. `seen` is the state if the caller has read it.

    Raises NotFound, Invalid, EnvironmentNotReady, EnvironmentHeld, TemplateTakesNoVersion,
    QueueBusy, OutdatedDeployment, QuotaExceeded, Busy; TransactionFailed if a further part failed.
    Two round trips; more if the order matters but was uncertain, or if a quota is nearly used up.
    """
    order_matters = on_conflict == "reject" or _may_be_outdated(content)
    view = seen or _first_view(environment, principal, order_matters)
    for _ in range(_TRIES):
        if order_matters and view.ahead is None:
            _require_ready(environment, view.record, content, principal)
            view = view._replace(ahead=queue_records.read_in_order(environment))
        shown, transaction = draft(environment, content, on_conflict, principal, view, part)
        for name, action in (also or {}).items():
            transaction.add(name, action)
        try:
            idempotency.commit(transaction, shown)
        except TransactionFailed as failed:
            overlooked = failed.get("queue") is not None
            repeat = view.claim.see_again(failed) or overlooked
            view = View(_current(failed, view.record, repeat, part), None, view.claim)
            order_matters = order_matters or overlooked
        else:
            return shown
    raise Busy(1)


def draft(
    environment: EnvironmentId,
    content: Fields,
    on_conflict: OnConflict | None,
    principal: Principal,
    view: View,
    part: EnvironmentPart | None = None,
) -> tuple[Deployment, Transaction]:
    """The deployment that `accept` accepts if nothing has changed, and the transaction that does;
    its part `environment` updates the environment. No round trip. Raises as accept."""
    _require_ready(environment, view.record, content, principal)
    mode = on_conflict or view.record["on_conflict"]
    parts = _guard(environment, view, mode)
    _check_order(view, content)
    shown, transaction = _acceptance(environment, view, content, mode, principal, part)
    for name, action in parts.items():
        transaction.add(name, action)
    return shown, transaction


def _first_view(environment: EnvironmentId, principal: Principal, order_matters: bool) -> View:
    """The environment's record and, if the order matters and is certain, what is ahead; one round
    trip. Raises NotFound."""
    keys, claim = authorization.keys(environment, principal), claim_for(environment, principal)
    if not order_matters:
        found, slots = table.read(keys, *claim.queries)
        record = authorization.authorized(environment, principal, found)
        claim.see(slots)
        return View(record, None, claim)
    (*found, held), [places, *slots] = table.read(
        (*keys, queue_records.lock(environment)),
        *(queue_records.first_places(environment), *claim.queries),
    )
    record = authorization.authorized(environment, principal, found)
    claim.see(slots)
    ahead = queue_records.certainly_in_order(record, held, places)
    return View(record, ahead, claim)


def _require_ready(
    environment: EnvironmentId, record: EnvironmentRecord, content: Fields, principal: Principal
) -> None:
    """Raises EnvironmentNotReady, EnvironmentHeld, what require_release raises, and QuotaExceeded
    if as many deployments wait as may. No round trip if there is room."""
    status = environment_records.to_model(record).as_seen_at(timestamps.now()).status
    if status not in TAKES_DEPLOYMENTS:
        raise EnvironmentNotReady(status)
    if "hold" in record and places.waits_while_held(content, principal):
        # Imported here, because few environments are held.
        from slipway.errors.rollbacks import EnvironmentHeld

        raise EnvironmentHeld(record["hold"]["deployment_id"], record["hold"]["reason"])
    fitting.require_release(record, content)
    if record.get("waiting", 0) >= limits().deployments_waiting:
        quotas.waiting_counted(environment, record)


def _guard(environment: EnvironmentId, view: View, mode: str) -> dict[str, Check]:
    """The part of the transaction that fails if the queue is not as it was read.

    Raises QueueBusy if the mode is `reject` and a deployment is ahead.
    """
    if view.ahead is not None:
        if view.ahead and mode == "reject":
            raise QueueBusy()
        return {"queue": queue_records.lock_unchanged(environment, view.ahead)}
    last = view.record.get("last_accepted")
    if mode == "reject" and last:
        newest = DeploymentId(environment.p, environment.e, last)
        return {"queue": queue_records.queue_is_empty(newest)}
    return {}


def _may_be_outdated(content: Fields) -> bool:
    return content.get("order") is not None and not content["allow_outdated"]


def _check_order(view: View, content: Fields) -> None:
    """Raises OutdatedDeployment if the live version, or one ahead, is newer."""
    if not _may_be_outdated(content):
        return
    mine, record = content["order"], view.record
    live = record.get("live_order")
    if live is not None and is_outdated(mine, live):
        newest = record["live_deployment_id"]
        raise OutdatedDeployment(newest, live, mine, record.get("live_version"))
    for each in view.ahead or ():
        if (order := each.get("order")) is not None and is_outdated(mine, order):
            raise OutdatedDeployment(each["deployment_id"], order, mine)


def _acceptance(
    environment: EnvironmentId,
    view: View,
    content: Fields,
    mode: str,
    principal: Principal,
    part: EnvironmentPart | None,
) -> tuple[Deployment, Transaction]:
    """The new deployment, with the id in `content` if it has one, and what accepts it."""
    last = view.record.get("last_accepted")
    deployment = DeploymentId(environment.p, environment.e, ids.new_part(after=last))
    if "id" in content:
        deployment = ids.parse_deployment(content["id"])
    at = timestamps.written(timestamps.now())
    new: Any = {
        "id": str(deployment),
        "project_id": str(environment.project),
        "environment_id": str(environment),
        **content,
        "status": "pending",
        "on_conflict": mode,
        "created_at": at,
        **principal.made(),
        "slots": view.claim.numbers(),
        **deadlines.due_fields(str(deployment)),
        **listed.deployment_fields(deployment),
        "within": deployment_records.within(view.record),
    }
    reason = deployment_records.describe_change(changed(new, {}))
    new["change"] = change("deployment_pending", principal.author(), at, reason)
    place = places.of(new, principal)
    slots = view.claim.slots().items()
    transaction = (
        Transaction({part: Put(slot, {"holder": new["id"]}) for part, slot in slots})
        .add("member", authorization.still_may(environment, principal, tier_of(view.record)))
        .add("environment", _still_accepts(deployment, last, place, part))
        .put("record", deployment_records.key(deployment), new)
        .put("place", queue_records.place(deployment, new), place)
    )
    return deployment_records.to_model(changed(new, {})), transaction


def _still_accepts(
    deployment: DeploymentId,
    last: str | None,
    place: Mapping[str, Any],
    part: EnvironmentPart | None,
) -> Update:
    """Only if nothing was accepted after `last`, the environment still takes deployments, it is not
    held if that matters for the place, and its queue has room."""
    states = {f"s{i}": state for i, state in enumerate(sorted(TAKES_DEPLOYMENTS))}
    unchanged = "last_accepted = :seen" if last else "attribute_not_exists(last_accepted)"
    free = " AND attribute_not_exists(#hold)" if place["automatic"] else ""
    update = Update(
        environment_records.key(deployment.environment),
        "SET last_accepted = :part ADD waiting :one",
        {
            **{"part": deployment.d, "seen": last, "now": timestamps.written(timestamps.now())},
            **{"one": 1, "most": limits().deployments_waiting, **states},
        },
        condition=f"#status IN ({', '.join(f':{word}' for word in states)})"
        " AND (attribute_not_exists(waiting) OR waiting < :most)"
        f" AND (attribute_not_exists(expires_at) OR expires_at > :now) AND {unchanged}{free}",
    )
    return actions.merged(update, *part) if part else update


def _current(
    failed: TransactionFailed,
    record: EnvironmentRecord,
    repeat: bool,
    part: EnvironmentPart | None,
) -> EnvironmentRecord:
    """The environment's record after a failed acceptance that can be repeated.

    `repeat`: whether a part failed that is seen again. Raises NotFound if the environment or the
    membership is gone, and `failed` itself if another part of the transaction failed, or the
    environment's with a `part`, which depends on what the caller has read.
    """
    current = failed.get("environment")
    if failed.get("member") is not None:
        raise authorization.lost(failed["member"], "environment") from None
    if current == {}:
        raise no_such("environment") from None
    if (part and current) or (current is None and not repeat):
        raise failed
    latest: EnvironmentRecord = current or record
    return latest


# --- superseding and canceling ----------------------------------------------------------------


def make_way(deployment: DeploymentId) -> None:
    """Apply the deployment's `on_conflict` to the deployments ahead of it.

    Repeating it changes nothing. One round trip for the record; if it makes way, one for each 100
    that wait and one for each that it supersedes, and up to three to stop the running one.
    """
    new = deployment_records.find(deployment)
    if new is None or not makes_way(new):
        return
    for place in queue_records.waiting(deployment.environment):
        other = ids.parse_deployment(place["deployment_id"])
        # A place of an earlier release does not say that it lasts.
        lasts = place.get("lasts") or place["kind"] == "update"
        # A rollback takes the place of another rollback alone.
        replaced = place.get("urgent") if new.get("urgent") else not lasts
        if other.d < deployment.d and replaced:
            reason = f"{deployment_records.describe_change(new)} takes its place"
            failure: FailureRecord = {"error": "Superseded", "reason": reason}
            end = queue_records.ending("superseded", failure, superseded_by=new["id"])
            with suppress(TransactionFailed):
                queue_records.end_waiting(other, place, end).commit()
    if new["on_conflict"] == "cancel_running" or new.get("urgent"):
        _stop_running(new)


def makes_way(item: DeploymentRecord) -> bool:
    """Whether the deployment changes what is ahead of it."""
    return item["on_conflict"] in MAKES_WAY or "urgent" in item


def _stop_running(new: DeploymentRecord) -> None:
    """Ask what rolls out ahead of `new` to stop; an update only for a rollback."""
    environment = ids.parse_deployment(new["id"]).environment
    [held] = table.get(queue_records.lock(environment))
    holder = held and held.get("holder")
    running = deployment_records.find(ids.parse_deployment(holder)) if holder else None
    lasts = running and deployment_records.changes_environment(running) and "urgent" not in new
    if running and running["id"] < new["id"] and not lasts:
        with suppress(ConditionFailed):
            table.write(queue_records.request_stop(running, _stop_requested(new["made_by"])))


def cancel(deployment: DeploymentId, principal: Principal) -> Deployment:
    """Cancel a deployment: immediately if it waits, otherwise between two steps of its rollout.

    A rollout that has started its last write still succeeds. Repeating it changes nothing.
    Raises NotFound, DeploymentFinished, Busy. Two round trips; more if the deployment changes in
    between.
    """
    for _ in range(_TRIES):
        item = authorization.read(deployment, principal)
        if item.get("finished_at"):
            raise DeploymentFinished(item["status"])
        if item.get("cancel_requested_at"):
            return deployment_records.to_model(item)
        with suppress(ConditionFailed):
            if item.get("token") is not None:
                return _cancel_running(item, principal)
            return _cancel_waiting(item, principal)
    raise Busy(1)


def _cancel_running(item: DeploymentRecord, principal: Principal) -> Deployment:
    asked = _stop_requested(principal.author())
    shown = deployment_records.to_model(changed(item, asked))
    request = queue_records.request_stop(item, asked, only_in_this_status=True)
    idempotency.write(shown, request)
    return shown


def _cancel_waiting(item: DeploymentRecord, principal: Principal) -> Deployment:
    author = principal.author()
    reason = f"{author.get('name', author['id'])} canceled it"
    failure: FailureRecord = {"error": "Canceled", "reason": reason}
    end = queue_records.ending("canceled", failure, **_canceled_by(author))
    shown = deployment_records.to_model(changed(item, end))
    transaction = queue_records.end_waiting(ids.parse_deployment(item["id"]), item, end)
    idempotency.commit(transaction, shown)
    return shown


def _stop_requested(by: AuthorRecord) -> Fields:
    return {"cancel_requested_at": timestamps.written(timestamps.now()), **_canceled_by(by)}


def _canceled_by(by: AuthorRecord) -> Fields:
    return {"cancel_requested_by": by["id"], "cancel_author": by}


def cancel_all(environment: EnvironmentId, reason: str) -> None:
    """Cancel the running deployment and those that wait. Repeating it changes nothing.

    Two round trips, three if one runs, and one for each deployment.
    """
    failure: FailureRecord = {"error": "EnvironmentGone", "reason": reason}
    [held] = table.get(queue_records.lock(environment))
    holder = held and held.get("holder")
    running = deployment_records.find(ids.parse_deployment(holder)) if holder else None
    if running:
        end = queue_records.ending("canceled", failure)
        with suppress(TransactionFailed):
            queue_records.end_holder(running, end).commit()
    for place in queue_records.waiting(environment):
        deployment = ids.parse_deployment(place["deployment_id"])
        end = queue_records.ending("canceled", failure)
        with suppress(TransactionFailed):
            queue_records.end_waiting(deployment, place, end).commit()
