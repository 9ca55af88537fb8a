"""Confirmations: destructive requests of machines wait here for a person of the project.

The API only writes: what is asked, and what a person decided. The table's stream starts a workflow
that lets an undecided request expire, and another one that carries out what is approved.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.access import authorization, policy
from slipway.access.asking import asker, fail
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.confirmation import Confirmation
from slipway.domain.ids import ConfirmationId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.errors import (
    ConfirmationChanged,
    ConfirmationDecided,
    ConfirmationRequired,
    no_such,
)
from slipway.store import confirmation_records as records
from slipway.store import deadlines, idempotency, project_records, table
from slipway.store.table import ConditionFailed, Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.confirmation_record import ConfirmationRecord

_MOST_MEMBERS = 100


# --- reading ----------------------------------------------------------------------------------


def list_(principal: Principal, paging: Paging) -> Page[Confirmation]:
    """A page of what the person may decide now, in all projects, newest first; one round trip.

    An entry appears and disappears about a second after the confirmation does. Raises Invalid.
    """
    where = records.inbox(principal.user_id)
    _, items, last = table.page((), where, records.INBOX, paging)
    now = timestamps.now()
    shown = (records.to_model(item).as_seen_at(now) for item in items)
    return Page([each for each in shown if each.status == "awaiting_confirmation"], last)


def get(confirmation: ConfirmationId, principal: Principal) -> Confirmation:
    """The confirmation, for a member of the project and for who asked; one round trip.

    Raises NotFound, Forbidden.
    """
    item, _ = _read(confirmation, principal)
    return records.to_model(item).as_seen_at(timestamps.now())


def _read(confirmation: ConfirmationId, principal: Principal) -> tuple[ConfirmationRecord, Any]:
    """The record, and the principal's membership. Raises NotFound, Forbidden."""
    member = project_records.member(confirmation.project, principal.user_id)
    item, membership = table.get(records.key(confirmation), member)
    if not item or item["id"] != str(confirmation):
        raise no_such("confirmation")
    # Even of a project that is gone, the asker learns what became of its request.
    if item["asked_by"]["id"] == principal.id:
        return item, membership
    grant = principal.grant
    outside = grant is not None and not (
        (grant.project_ids is None or item["project_id"] in grant.project_ids)
        and (grant.environment_ids is None or item["target"] in grant.environment_ids)
        and (grant.tiers is None or item.get("tier") in grant.tiers)
    )
    if not membership or outside:
        raise no_such("confirmation")
    authorization.require_role(principal, membership["role"])
    return item, membership


# --- deciding ---------------------------------------------------------------------------------


def approve(
    confirmation: ConfirmationId,
    principal: Principal,
    digest: str | None = None,
    confirmed: str | None = None,
) -> Confirmation:
    """Approve the request, which is then carried out. Repeating it changes nothing.

    `digest`: that of what the person has read, if it is sent. `confirmed`: the name of a protected
    environment, typed by the person. Raises NotFound, Forbidden, ConfirmationChanged,
    ConfirmationRequired, ConfirmationDecided. Two round trips.
    """
    item = _decidable(confirmation, principal)
    if digest is not None and digest != item["digest"]:
        raise ConfirmationChanged()
    if item.get("protected") and confirmed != item["target_name"]:
        raise ConfirmationRequired(item["target_name"])
    more = {**deadlines.due_fields(item["id"]), "confirmed_name": confirmed}
    return _decide(item, principal, "approved", more)


def reject(confirmation: ConfirmationId, principal: Principal, reason: str | None) -> Confirmation:
    """Reject the request, for good. Repeating it changes nothing.

    Raises NotFound, Forbidden, ConfirmationDecided. Two round trips.
    """
    item = _decidable(confirmation, principal)
    ended = records.finished("rejected", principal.actor, item["version"] + 1)
    more = {**ended, "rejection": reason, "due": None, "due_at": None}
    return _decide(item, principal, "rejected", more)


def _decidable(confirmation: ConfirmationId, principal: Principal) -> ConfirmationRecord:
    """The record, if the person could do what it asks. Raises NotFound, Forbidden."""
    item, membership = _read(confirmation, principal)
    if not membership:
        raise no_such("confirmation")
    own, tier = item.get("created_by") == principal.user_id, item.get("tier")
    role = policy.role_in(membership["role"], membership.get("overrides"), tier)
    authorization.require_role(principal.asking(item["action"]), role, tier, own=own)
    return item


def _decide(
    item: ConfirmationRecord, principal: Principal, decision: str, more: Fields
) -> Confirmation:
    now = timestamps.now()
    at = timestamps.written(now)
    fields = {
        "status": decision,
        "decided_by": asker(principal),
        "decided_at": at,
        "updated_at": at,
        "change": {"action": decision, "actor": principal.actor, "at": at},
        "version": item["version"] + 1,
        **more,
    }
    own = item.get("created_by") == principal.user_id
    still = authorization.still_may(
        ids.parse_project(item["project_id"]),
        principal.asking(item["action"]),
        item.get("tier"),
        own=own,
    )
    transaction = Transaction().add("record", records.decision(item, fields, at))
    transaction.add("member", still)
    for part, action in records.released(item).items():
        transaction.add(part, action)
    shown = records.to_model({**item, **{k: v for k, v in fields.items() if v is not None}})
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed as failed:
        found = failed.get("record")
        if found is None:
            raise authorization.lost(failed["member"], "confirmation") from None
        if found and _is_repeated(found, principal, decision):
            return records.to_model(found)
        other = records.to_model(found or item).as_seen_at(now)
        raise ConfirmationDecided(other.status) from None
    return shown


def _is_repeated(found: ConfirmationRecord, principal: Principal, decision: str) -> bool:
    by = found.get("decided_by")
    rejected = found["status"] == "rejected"
    same = bool(by) and found.get("decided_at") and (decision == "rejected") == rejected
    return bool(same and by and by["id"] == principal.id)


# --- the platform's own part ------------------------------------------------------------------


def deliver(item: ConfirmationRecord) -> None:
    """Put an undecided confirmation into the inboxes of those who may decide, and remove one that
    is decided. Repeating it changes nothing. Two round trips."""
    project = ids.parse_project(item["project_id"])
    members, _ = table.query(f"PROJECT#{project.p}", "MEMBER#usr_", limit=_MOST_MEMBERS)
    writes = [_delivery(item, member["sk"].removeprefix("MEMBER#"), member) for member in members]
    if writes:
        table.write_at_once(writes)


def redeliver(project: ProjectId, user_id: str) -> None:
    """Make a user's inbox fit a membership that has changed. Two round trips, and one write for
    each undecided confirmation of the project."""
    [membership], [(notes, _)] = table.read(
        [project_records.member(project, user_id)], records.undecided(project)
    )
    for note in notes:
        item = records.find(ids.parse_confirmation(note["confirmation_id"]))
        if item:
            table.write_at_once([_delivery(item, user_id, membership)])


def _delivery(item: ConfirmationRecord, user_id: str, membership: Any) -> Any:
    own = item.get("created_by") == user_id
    rule = policy.ACTIONS[item["action"]]
    waits = item["status"] == "awaiting_confirmation"
    if waits and membership:
        tier = item.get("tier")
        role = policy.role_in(membership["role"], membership.get("overrides"), tier)
        if policy.allows_role(rule, role, tier, own=own):
            return records.deliver(item, user_id)
    return records.take_back(ids.parse_confirmation(item["id"]), user_id)


def expire(item: ConfirmationRecord, actor: str) -> bool:
    """Let an undecided confirmation expire if its time is over; whether this call did it."""
    if item["expires_at"] > timestamps.written(timestamps.now()):
        return False
    fields = records.finished("expired", actor, item["version"] + 1)
    with suppress(ConditionFailed):
        table.write(records.ending(item, fields, "awaiting_confirmation"))
        return True
    return False


def record_lost_execution(item: ConfirmationRecord, outcome: str) -> bool:
    """End an approved confirmation whose workflow ended without recording an outcome."""
    detail = f"The workflow that carries it out is {outcome}. Nothing was changed. Ask again."
    return fail(item, {"status": 503, "code": "execution_lost", "detail": detail}, "reconcile")
