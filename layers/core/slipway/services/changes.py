"""Changes of an environment: its name, configuration, labels, tier, protection and `on_conflict`.

They change the record, not what runs. A renamed environment's stack keeps the name with which it
was created in `EnvironmentName`, because its resources may be called after it. What brings other
resources is an update (slipway.services.updates).
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.environment import GOING, Environment, seen_version
from slipway.domain.environment_requests import EnvironmentChange, config_json
from slipway.domain.ids import EnvironmentId
from slipway.domain.json_values import is_same, merged
from slipway.domain.labels import patched
from slipway.domain.records import change as record_change
from slipway.domain.records import changed
from slipway.domain.rights import tier_of
from slipway.errors import Busy, EnvironmentGoing, NameTaken, PreconditionFailed, ProjectGoing
from slipway.services.protection import require_confirmed
from slipway.store import environment_records, project_records, table
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import Actor, EnvironmentRecord

_TRIES = 10
_WRITTEN = ("name", "first_name", "on_conflict", "config", "labels", "tier", "protected")


def change(
    environment: EnvironmentId,
    wanted: EnvironmentChange,
    principal: Principal,
    confirmed: str | None,
    if_version: Container[int] | None,
) -> Environment:
    """Change the fields that the request sets. No-op if nothing differs.

    A change of the tier needs the role in both tiers, and an end of the protection needs
    `confirmed` of a caller who is no machine. `if_version` has the versions that the caller
    expects, None is any. Raises NotFound, Forbidden, Invalid, NameTaken, ConfirmationRequired,
    EnvironmentGoing, ProjectGoing, PreconditionFailed, Busy. Two round trips; more if the
    environment changes in between.
    """
    for _ in range(_TRIES):
        keys = (
            *authorization.keys(environment, principal),
            project_records.key(environment.project),
        )
        *found, within = table.get(*keys)
        item = authorization.authorized(environment, principal, found)
        if if_version is not None and seen_version(item, timestamps.now()) not in if_version:
            raise PreconditionFailed()
        if wanted.tier:
            authorization.require_tier(principal, found[0], wanted.tier)
        shown = environment_records.to_model(item, within).as_seen_at(timestamps.now())
        wanted.require_unchanged(shown)
        fields = _differences(item, wanted)
        if not fields:
            return shown
        if "protected" in fields and not fields["protected"]:
            # A header that a model sends stands in for no person.
            require_confirmed(item, None if principal.is_machine else confirmed)
        if shown.status in {*GOING, "destroyed"}:
            raise EnvironmentGoing(shown.status)
        if changed_to := write(environment, item, fields, principal):
            return changed_to
    raise Busy(1)


def write(
    environment: EnvironmentId, item: EnvironmentRecord, fields: Fields, principal: Principal
) -> Environment | None:
    """Write these fields of the record, which was read as `item`; None removes one.

    The caller has checked that the principal may do that. Returns None, and changes nothing, if the
    record has changed since. Raises Forbidden, NotFound, NameTaken, ProjectGoing. One round trip.
    """
    written = changed(item, _write_fields(item, fields, principal.author()))
    try:
        _transaction(environment, item, written, principal).commit()
    except TransactionFailed as failed:
        _refuse(failed, written)
        return None
    return _shown(written)


def _shown(item: EnvironmentRecord) -> Environment:
    return environment_records.to_model(item).as_seen_at(timestamps.now())


def _differences(item: EnvironmentRecord, wanted: EnvironmentChange) -> Fields:
    """The fields of the record that the request changes; None for those that it removes."""
    labels, config = item.get("labels"), json.loads(item.get("config") or "null")
    before: Fields = {
        "name": item["name"],
        "on_conflict": item["on_conflict"],
        "config": config,
        "labels": labels,
        "tier": tier_of(item),
        "protected": bool(item.get("protected")),
    }
    after = {name: getattr(wanted, name) for name in before if name in wanted.model_fields_set}
    if "labels" in after:
        after["labels"] = patched(labels, wanted.labels)
    if "config" in after:
        after["config"] = merged(config, wanted.config)
    fields = {name: value for name, value in after.items() if not is_same(before[name], value)}
    if "config" in fields:
        fields["config"] = config_json(fields["config"])
    # An unprotected environment has no such attribute, so that conditions are simple.
    return {name: None if value is False else value for name, value in fields.items()}


def _write_fields(item: EnvironmentRecord, fields: Fields, actor: Actor) -> Fields:
    now = timestamps.written(timestamps.now())
    renamed = {"first_name": item.get("first_name") or item["name"]} if "name" in fields else {}
    return {
        **fields,
        **renamed,
        "change": record_change("changed", actor, now, _reason(fields)),
        "updated_at": now,
        "version": item["version"] + 1,
    }


def _reason(fields: Fields) -> str:
    """What the event says: each changed field, with its value if that is a word."""
    words = dict(fields)
    if "protected" in words:
        words["protected"] = "true" if words["protected"] else "false"
    return ", ".join(
        name if name in ("config", "labels") else f"{name}: {value}"
        for name, value in sorted(words.items())
    )


def _transaction(
    environment: EnvironmentId,
    item: EnvironmentRecord,
    written: EnvironmentRecord,
    principal: Principal,
) -> Transaction:
    names = (*_WRITTEN, "change", "updated_at", "version")
    expression, values = table.setting({name: written.get(name) for name in names})
    transaction = Transaction().update(
        "record",
        environment_records.key(environment),
        expression,
        {**values, "was": item["version"], "status_was": item["status"]},
        condition="version = :was AND #status = :status_was",
    )
    transaction.add("member", authorization.still_may(environment, principal, tier_of(item)))
    _reserve(transaction, environment, item, written)
    if written.get("protected") and not item.get("protected"):
        transaction.add("project", project_records.count_protection(environment.project))
    elif written["name"] != item["name"]:
        # A cascade goes through the names, and would miss one that moves.
        transaction.add("project", project_records.still_active(environment.project))
    return transaction


def _reserve(
    transaction: Transaction,
    environment: EnvironmentId,
    item: EnvironmentRecord,
    written: EnvironmentRecord,
) -> None:
    """Add the parts that let the item of the name say what the record says."""
    before = project_records.environment_name(environment.project, item["name"])
    after = project_records.environment_name(environment.project, written["name"])
    marks: Fields = {"name": written["name"], "protected": written.get("protected")}
    if before != after:
        transaction.put("name", after, {"environment_id": item["id"], **marks})
        own = {"id": item["id"]}
        transaction.delete("old_name", before, "environment_id = :id", own)
    elif marks != {"name": item["name"], "protected": item.get("protected")}:
        transaction.update("name", before, *table.setting(marks))


def _refuse(failed: TransactionFailed, written: Any) -> None:
    """Raise the refusal for a failed change; return if it has to be tried again.

    Raises Forbidden, NotFound, ProjectGoing, NameTaken.
    """
    if failed.get("member") is not None:
        raise authorization.lost(failed["member"], "environment") from None
    if failed.get("record") is not None:
        return
    if failed.get("project") is not None:
        raise ProjectGoing() from None
    if failed.get("name"):
        name = written["name"]
        raise NameTaken(
            f"The project already has an environment named {name}. Choose another name."
        ) from None
