"""Protection: changing an environment's tier and protection, and what protection refuses.

A protected environment is deleted only by a maintainer who sends its name in `X-Confirm`. Its
lease still ends it. The project's record counts the environments that were ever protected, so that
a cascade fails if one was protected after it looked.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.environment import GOING, Environment, EnvironmentChange
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import change as record_change
from slipway.domain.records import changed
from slipway.domain.rights import tier_of
from slipway.errors import (
    Busy,
    ConfirmationRequired,
    EnvironmentGoing,
    PreconditionFailed,
    ProjectGoing,
)
from slipway.store import environment_records, project_records, table
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import Actor, EnvironmentRecord

_TRIES = 5


def require_confirmed(record: EnvironmentRecord, confirmed: str | None) -> None:
    """Raises ConfirmationRequired unless the environment is unprotected, or `confirmed` (the
    header `X-Confirm`) is its name."""
    if record.get("protected") and confirmed != record["name"]:
        raise ConfirmationRequired(record["name"])


def change(
    environment: EnvironmentId,
    wanted: EnvironmentChange,
    principal: Principal,
    confirmed: str | None,
    if_version: Container[int] | None,
) -> Environment:
    """Change the environment's tier or protection. No-op if nothing differs.

    A change of the tier needs the role in both tiers, and an end of the protection needs
    `confirmed` of a caller who is no machine. `if_version` has the versions that the caller
    expects, None is any. Raises NotFound, Forbidden, ConfirmationRequired, EnvironmentGoing,
    ProjectGoing, PreconditionFailed, Busy. Two round trips.
    """
    for _ in range(_TRIES):
        keys = authorization.keys(environment, principal)
        membership, record = table.get(*keys)
        item = authorization.authorized(environment, principal, (membership, record))
        if if_version is not None and item["version"] not in if_version:
            raise PreconditionFailed()
        if wanted.tier:
            authorization.require_tier(principal, membership, wanted.tier)
        fields = _differences(item, wanted)
        if not fields:
            return environment_records.to_model(item).as_seen_at(timestamps.now())
        if fields.get("protected") is False:
            # A header that a model sends stands in for no person.
            require_confirmed(item, None if principal.is_machine else confirmed)
        _require_present(item)
        written = changed(item, _write_fields(item, fields, principal.author()))
        try:
            _transaction(environment, item, written, principal).commit()
        except TransactionFailed as failed:
            if failed.get("member") is not None:
                raise authorization.lost(failed["member"], "environment") from None
            if failed.get("project") is not None:
                raise ProjectGoing() from None
        else:
            return environment_records.to_model(written).as_seen_at(timestamps.now())
    raise Busy(1)


def _differences(item: EnvironmentRecord, wanted: EnvironmentChange) -> Fields:
    """The wanted fields that differ from the record's."""
    fields: Fields = {}
    if wanted.tier and wanted.tier != tier_of(item):
        fields["tier"] = wanted.tier
    if wanted.protected is not None and wanted.protected != bool(item.get("protected")):
        fields["protected"] = wanted.protected
    return fields


def _require_present(item: EnvironmentRecord) -> None:
    """Raises EnvironmentGoing if the environment is ending or has ended."""
    status = environment_records.to_model(item).as_seen_at(timestamps.now()).status
    if status in {*GOING, "destroyed"}:
        raise EnvironmentGoing(status)


def _write_fields(item: EnvironmentRecord, fields: Fields, actor: Actor) -> Fields:
    now = timestamps.written(timestamps.now())
    reason = ", ".join(f"{name}: {_word(value)}" for name, value in sorted(fields.items()))
    # An unprotected environment has no such attribute, so that conditions are simple.
    stored = {name: None if value is False else value for name, value in fields.items()}
    return {
        **stored,
        "change": record_change("changed", actor, now, reason),
        "updated_at": now,
        "version": item["version"] + 1,
    }


def _word(value: str | bool) -> str:
    return str(value).lower()


def _transaction(
    environment: EnvironmentId,
    item: EnvironmentRecord,
    written: EnvironmentRecord,
    principal: Principal,
) -> Transaction:
    names = ("tier", "protected", "change", "updated_at", "version")
    expression, values = table.setting({name: written.get(name) for name in names})
    transaction = Transaction().update(
        "record",
        environment_records.key(environment),
        expression,
        {**values, "was": item["version"], "status_was": item["status"]},
        condition="version = :was AND #status = :status_was",
    )
    transaction.add("member", authorization.still_may(environment, principal, tier_of(item)))
    if bool(written.get("protected")) != bool(item.get("protected")):
        mark, marked = table.setting({"protected": written.get("protected")})
        name = project_records.environment_name(environment.project, item["name"])
        transaction.update("name", name, mark, marked)
    if written.get("protected") and not item.get("protected"):
        transaction.add("project", project_records.count_protection(environment.project))
    return transaction
