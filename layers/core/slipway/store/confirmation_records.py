"""Confirmation records, the places that they hold, and the inboxes of those who may decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from slipway.domain import ids, timestamps
from slipway.domain.confirmation import KEPT, Confirmation
from slipway.domain.ids import ConfirmationId, ProjectId
from slipway.store import deadlines, table
from slipway.store.table import Delete, Fields, Key, Put, Query, Update

if TYPE_CHECKING:
    from slipway.domain.confirmation_record import ConfirmationRecord

PREFIX = "CONFIRMATION#"
INBOX = "INBOX#"
_OPEN = "ASKED#"

# What one asker may leave undecided in a project, so that it cannot tire people out.
MOST_OPEN = 20


def key(confirmation: ConfirmationId) -> Key:
    """The key of the confirmation's record."""
    return Key(f"PROJECT#{confirmation.p}", PREFIX + confirmation.c)


def open_request(project: ProjectId, digest: str) -> Key:
    """The key of the note that a request with this digest is undecided."""
    return Key(f"PROJECT#{project.p}", _OPEN + digest)


def place(project: ProjectId, asker: str, slot: str) -> Key:
    """The key of one of the places for what the asker may leave undecided."""
    return Key(f"PROJECT#{project.p}", f"ASKING#{asker}#{slot}")


def inbox(user_id: str) -> str:
    """The partition key of what the user may decide, below INBOX."""
    return f"USER#{user_id}"


def undecided(project: ProjectId) -> Query:
    """The query for the notes of the project's undecided requests."""
    return Query(f"PROJECT#{project.p}", _OPEN, 1000)


def find(confirmation: ConfirmationId) -> ConfirmationRecord | None:
    """The record, without authorization: for the platform itself. One round trip."""
    [item] = table.get(key(confirmation))
    return item if item and item["id"] == str(confirmation) else None


def execution_input(item: ConfirmationRecord) -> dict[str, Any]:
    """The input of the executions about a confirmation. It is always the same."""
    confirmation = ids.parse_confirmation(item["id"])
    return {
        "keys": {"confirmation": key(confirmation).wire()},
        "confirmation": item["id"],
        "served_by": item["served_by"],
        "expires_at": item["expires_at"],
        # A text, as DynamoDB's JSON has numbers.
        "ttl": str(timestamps.epoch(datetime.fromisoformat(item["expires_at"]) + KEPT)),
    }


def to_model(item: ConfirmationRecord | Mapping[str, Any]) -> Confirmation:
    """The confirmation as the API shows it."""
    request = json.loads(item["request"])
    body = request.get("body")
    shown = {
        **item,
        "request": {**request, "body": json.loads(body) if body else None},
        "result": json.loads(item["result"]) if item.get("result") else None,
    }
    return Confirmation.model_validate(shown)


# --- writing ----------------------------------------------------------------------------------


def held(item: ConfirmationRecord, now: str) -> dict[str, Update]:
    """The parts of a transaction that hold the places of a new confirmation until it expires.

    `open` fails if the same request is undecided, and `place` if another one holds the place.
    """
    project = ids.parse_project(item["project_id"])
    fields = {
        "confirmation_id": item["id"],
        "until": item["expires_at"],
        "ttl": timestamps.epoch(datetime.fromisoformat(item["expires_at"])),
    }
    expression, values = table.setting(fields)
    condition = "attribute_not_exists(pk) OR #until <= :now"
    values["now"] = now
    keys = {
        "open": open_request(project, item["digest"]),
        "place": place(project, item["asked_by"]["id"], item["slot"]),
    }
    return {part: Update(each, expression, values, condition) for part, each in keys.items()}


def released(item: ConfirmationRecord) -> dict[str, Delete]:
    """The parts of a transaction that release the places of a confirmation which is decided."""
    project = ids.parse_project(item["project_id"])
    return {
        "open": Delete(open_request(project, item["digest"])),
        "place": Delete(place(project, item["asked_by"]["id"], item["slot"])),
    }


def decision(item: ConfirmationRecord, fields: Fields, now: str) -> Update:
    """The write that decides an undecided confirmation. It fails if it is decided or expired."""
    expression, values = table.setting(fields)
    values |= {"awaits": "awaiting_confirmation", "now": now, "was": item["digest"]}
    return Update(
        key(ids.parse_confirmation(item["id"])),
        expression,
        values,
        "#status = :awaits AND expires_at > :now AND digest = :was",
    )


def ending(item: ConfirmationRecord, fields: Fields, was: str) -> Update:
    """The write that ends a confirmation whose status is `was`."""
    expression, values = table.setting({**fields, "due": None, "due_at": None})
    where = key(ids.parse_confirmation(item["id"]))
    return Update(where, expression, {**values, "expected": was}, "#status = :expected")


def finished(action: str, actor: str, version: int) -> Fields:
    """The fields of a confirmation that has ended."""
    now = timestamps.now()
    at = timestamps.written(now)
    return {
        "status": action,
        "finished_at": at,
        "updated_at": at,
        "change": {"action": action, "actor": actor, "at": at},
        "version": version,
        "ttl": timestamps.epoch(now + KEPT),
    }


def carrying_out(item: ConfirmationRecord) -> Update:
    """The part of a request's transaction that uses its confirmation up: it happens once."""
    fields = finished("carried_out", item["asked_by"]["id"], item["version"] + 1)
    write = ending(item, fields, "approved")
    values = {**write.values, "was": item["digest"]}
    return write._replace(values=values, condition=f"{write.condition} AND digest = :was")


def told(item: ConfirmationRecord, result: str) -> Update:
    """The write that adds the response to a confirmation which was carried out."""
    where = key(ids.parse_confirmation(item["id"]))
    condition = "#status = :done AND attribute_not_exists(#result)"
    at = timestamps.written(timestamps.now())
    change = {"action": "carried_out", "actor": item["asked_by"]["id"], "at": at}
    values = {"result": result, "done": "carried_out", "one": 1, "change": change, "at": at}
    text = "SET #result = :result, change = :change, updated_at = :at, version = version + :one"
    return Update(where, text, values, condition)


def overdue_at(item: ConfirmationRecord) -> Fields:
    """The deadline of an undecided confirmation: reconcile looks if nothing has let it expire."""
    at = datetime.fromisoformat(item["expires_at"]) + timedelta(minutes=1)
    return deadlines.due_fields(item["id"], at)


# --- inboxes ----------------------------------------------------------------------------------


def deliver(item: ConfirmationRecord, user_id: str) -> Put:
    """The write that puts an undecided confirmation into a user's inbox."""
    where = Key(inbox(user_id), INBOX + ids.parse_confirmation(item["id"]).c)
    left_out = ("pk", "sk", "due", "due_at", "seen", "user_id", "slot", "ttl")
    copy = {name: value for name, value in item.items() if name not in left_out}
    ends = timestamps.epoch(datetime.fromisoformat(item["expires_at"]))
    return Put(where, {**copy, "ttl": ends}, condition=None)


def take_back(confirmation: ConfirmationId, user_id: str) -> Delete:
    """The write that removes a confirmation from a user's inbox."""
    return Delete(Key(inbox(user_id), INBOX + confirmation.c))
