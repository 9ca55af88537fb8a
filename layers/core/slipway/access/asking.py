"""Asking for a confirmation: a machine's destructive request is stored, to wait for a person.

slipway.services.confirmations has what happens to it then.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.destruction import seen
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.confirmation import LASTS, SERVED_BY, Confirmation, digest_of
from slipway.domain.environment import seen_version
from slipway.domain.ids import ConfirmationId, EnvironmentId, ProjectId
from slipway.domain.preconditions import IfMatch
from slipway.domain.rights import tier_of
from slipway.errors import Busy, ConfirmationNeeded, PreconditionFailed, TooManyUndecided
from slipway.store import audit, table
from slipway.store import confirmation_records as records
from slipway.store.table import ConditionFailed, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.confirmation_record import AskerRecord, ConfirmationRecord


def asker(principal: Principal) -> AskerRecord:
    """Who acts, as records name it. Known once the request's first round trip is done."""
    return {"id": principal.id, "kind": principal.kind, "name": principal.name}


def ask(needed: ConfirmationNeeded, request: Mapping[str, Any], host: str) -> Confirmation:
    """Let the request wait for a person. The same request that waits already is returned.

    `request` has `method`, `path`, `query`, `body`, a text, and `if_match`; `host` is the name
    under which it came. Raises PreconditionFailed, TooManyUndecided, NotFound, Forbidden, Busy. One
    round trip; one more if the same request waits already, or for each place that is taken.
    """
    item = _draft(needed, request, host)
    project = ids.parse_project(item["project_id"])
    principal = needed.principal
    # Spreads the writers; nobody gains by guessing a number.
    slots = random.sample(range(records.MOST_OPEN), records.MOST_OPEN)  # nosec B311
    for slot in slots:
        item["slot"] = f"{slot:02d}"
        transaction = Transaction().put("record", _key(item), item)
        for part, action in records.held(item, item["created_at"]).items():
            transaction.add(part, action)
        own = item.get("created_by") == principal.user_id
        still = authorization.still_may(project, principal, item.get("tier"), own=own)
        try:
            audit.note(action="confirmations:request")
            transaction.add("member", still).commit()
        except TransactionFailed as failed:
            if failed.get("member") is not None:
                raise authorization.lost(failed["member"], "project") from None
            if failed.get("open") is not None:
                return _waiting(failed["open"]["confirmation_id"])
        else:
            return records.to_model(item)
    raise TooManyUndecided(records.MOST_OPEN)


def _draft(needed: ConfirmationNeeded, request: Mapping[str, Any], host: str) -> ConfirmationRecord:
    principal, record = needed.principal, needed.record
    project: ProjectId = needed.target.project
    _require_match(request.get("if_match"), record)
    now = timestamps.now()
    at = timestamps.written(now)
    bound = {**request, "if_match": f'"{record["version"]}"'}
    item: Any = {
        "id": str(ConfirmationId(project.p, ids.new_part())),
        "project_id": str(project),
        "status": "awaiting_confirmation",
        "action": principal.action,
        "target": str(needed.target),
        "target_name": record["name"],
        "reason": needed.detail,
        "request": json.dumps(bound),
        "host": host,
        "served_by": SERVED_BY[principal.action],
        "seen": seen(record),
        "digest": digest_of(principal.id, bound, seen(record)),
        "asked_by": asker(principal),
        "user_id": principal.user_id,
        "created_at": at,
        "expires_at": timestamps.written(now + LASTS),
        "updated_at": at,
        "change": {"action": "asked", "actor": principal.actor, "at": at},
        "version": 1,
    }
    if isinstance(needed.target, EnvironmentId):
        item |= {"tier": tier_of(record), "created_by": record["created_by"]}
        item |= {"protected": True} if record.get("protected") else {}
    item |= records.overdue_at(item)
    drafted: ConfirmationRecord = item
    return drafted


def _require_match(if_match: str | None, record: Mapping[str, Any]) -> None:
    if seen_version(record, timestamps.now()) not in IfMatch(if_match):
        raise PreconditionFailed()


def _waiting(confirmation_id: str) -> Confirmation:
    """The confirmation of the same request. Raises Busy if it has just been decided."""
    found = records.find(ids.parse_confirmation(confirmation_id))
    if found is None or found["status"] != "awaiting_confirmation":
        raise Busy(1)
    return records.to_model(found)


def _key(item: ConfirmationRecord) -> table.Key:
    return records.key(ids.parse_confirmation(item["id"]))


def fail(item: ConfirmationRecord, result: Mapping[str, Any], actor: str) -> bool:
    """End an approved confirmation that was not carried out; whether this call did it."""
    fields = records.finished("failed", actor, item["version"] + 1)
    with suppress(ConditionFailed):
        table.write(records.ending(item, {**fields, "result": json.dumps(result)}, "approved"))
        return True
    return False
