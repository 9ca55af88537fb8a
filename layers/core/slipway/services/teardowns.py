"""Teardowns: starting them, retrying failed ones, and forgetting environments that stay."""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import failure, ids, timestamps
from slipway.domain.environment import Environment, comes_from, seen_version
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import change, changed
from slipway.errors import (
    Busy,
    FieldError,
    Invalid,
    NothingToRetain,
    NothingToRetry,
    PreconditionFailed,
    StaleWrite,
)
from slipway.services import protection
from slipway.store import (
    audit,
    deadlines,
    environment_records,
    idempotency,
    lifetimes,
    listed,
    project_records,
    quota_records,
    table,
)
from slipway.store.table import ConditionFailed, Fields, Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.environment_requests import TeardownRetry
    from slipway.domain.events import Action
    from slipway.domain.records import Actor, EnvironmentRecord

# Failed teardowns are retried for so long, at first after a minute and later once an hour.
_RETRIED_FOR = timedelta(hours=24)
_LONGEST_PAUSE_MINUTES = 60
_TRIES = 5


def begin(
    environment: EnvironmentId,
    principal: Principal,
    if_version: Container[int] | None,
    confirmed: str | None = None,
    record: EnvironmentRecord | None = None,
) -> Environment:
    """Begin to tear the environment down, or retry a failed teardown. Repeat it for progress.

    `record` is the environment's if the caller has just read it by an authorization of its own.
    `if_version` has the versions that the caller expects, None is any; `confirmed` is the name in
    `X-Confirm`. Raises NotFound, PreconditionFailed, ConfirmationRequired, Busy. Two round trips,
    three if a teardown has already begun.
    """
    item = record or authorization.read(environment, principal)
    if if_version is not None and seen_version(item, timestamps.now()) not in if_version:
        raise PreconditionFailed()
    if item["status"] == "teardown_failed":
        with suppress(StaleWrite):
            return retry(item, principal.author(), if_version)
    for _ in range(_TRIES):
        if item["status"] in comes_from("tearing_down"):
            protection.require_confirmed(item, confirmed)
        try:
            return environment_records.to_model(
                environment_records.moved(item, "tearing_down", principal.author())
            )
        except StaleWrite:
            before, item = item, authorization.read(environment, principal)
        if if_version is not None and seen_version(item, timestamps.now()) not in if_version:
            raise PreconditionFailed()
        if before["version"] == item["version"] or item["status"] == "teardown_failed":
            return environment_records.to_model(item).as_seen_at(timestamps.now())
    raise Busy(1)


def begin_as(environment: EnvironmentId, actor: Actor) -> None:
    """Begin to tear the environment down without authorization, for the platform itself.

    No-op if the state does not allow it, so repeating it changes nothing. One round trip.
    """
    with suppress(StaleWrite):
        environment_records.move(environment, "tearing_down", actor)


def retry(
    item: EnvironmentRecord,
    actor: Actor,
    if_version: Container[int] | None = None,
    retain: Collection[str] = (),
) -> Environment:
    """Start another attempt of a failed teardown, which gets an execution of its own.

    `retain` are resources that this and later attempts leave in place. After an attempt that a
    person asked for, retries begin again. Raises StaleWrite if the teardown has not failed or if
    `if_version` lacks the version; Busy. One round trip.
    """
    key = environment_records.key(ids.parse_environment(item["id"]))
    for _ in range(_TRIES):
        is_expected = if_version is None or item["version"] in if_version
        if item["status"] != "teardown_failed" or not is_expected:
            raise StaleWrite()
        fields = _next_attempt(item, actor, retain)
        shown = environment_records.to_model(changed(item, fields))
        expression, values = table.setting(fields)
        values["was"] = item["version"]
        try:
            idempotency.write(shown, Update(key, expression, values, "version = :was"))
        except ConditionFailed as failed:
            item = failed.found or item
        else:
            return shown
    raise Busy(1)


def _next_attempt(item: EnvironmentRecord, actor: Actor, retain: Collection[str]) -> Fields:
    now = timestamps.written(timestamps.now())
    retained = sorted({*item.get("retain", ()), *retain})
    reason = f"What is retained: {', '.join(retained)}" if retain else None
    return {
        **deadlines.due_fields(item["id"]),
        "status": "tearing_down",
        "retain": set(retained) or None,
        "teardown_attempts": item.get("teardown_attempts", 1) + 1,
        "change": change("tearing_down", actor, now, reason),
        "updated_at": now,
        "version": item["version"] + 1,
        "next_retry_at": None,
        "retrying_since": item.get("retrying_since") if actor == "reconcile" else None,
        "retries_ended": None,
    }


def request_retry(
    environment: EnvironmentId, principal: Principal, wanted: TeardownRetry | None = None
) -> Environment:
    """Retry a failed teardown now, without deleting the resources that the request names.

    Raises NotFound, NothingToRetry, NothingToRetain, Invalid, Busy. Two round trips; more if the
    environment changes in between.
    """
    for _ in range(_TRIES):
        item = authorization.read(environment, principal)
        if item["status"] != "teardown_failed":
            raise NothingToRetry(
                f"The environment is {item['status']}. Only a failed teardown can be retried."
            )
        retain = _retained(item, wanted.retain) if wanted and wanted.retain else []
        # The names are those of the resources that this attempt has left.
        if_version = {item["version"]} if retain else None
        with suppress(StaleWrite):
            return retry(item, principal.author(), if_version, retain)
    raise Busy(1)


def _retained(item: EnvironmentRecord, names: Sequence[str]) -> list[str]:
    """The remaining resources with these logical ids. Raises NothingToRetain, Invalid."""
    # Imported here, because few teardowns leave anything in place.
    from slipway.domain import blockers

    details = [blockers.parse(each) for each in item.get("remains", ())]
    remains = {each.logical_id: each.named for each in details}
    if not remains:
        raise NothingToRetain()
    unknown = [
        FieldError(
            f"#/retain/{n}", f"is not one of the remaining resources: {', '.join(sorted(remains))}"
        )
        for n, name in enumerate(names)
        if name not in remains
    ]
    if unknown:
        raise Invalid(unknown)
    return [remains[name] for name in names]


def plan_retry(item: EnvironmentRecord, actor: str) -> bool:
    """Plan the next attempt of a failed teardown, for 24 hours after the first one failed.

    The pauses are 1, 2, 4, 8, 16, 32 minutes, then an hour. Returns whether another attempt is
    planned. Repeating it changes nothing. At most one round trip.
    """
    if item.get("next_retry_at") or item.get("retries_ended"):
        return item.get("next_retry_at") is not None
    failed_at = datetime.fromisoformat(item["updated_at"])
    since = datetime.fromisoformat(item.get("retrying_since") or item["updated_at"])
    at = failed_at + _pause(failed_at - since)
    if at - since > _RETRIED_FOR:
        reason = "It was retried for 24 hours. Somebody must retry or force it"
        _record_plan(item, "retries_ended", actor, reason, {"retries_ended": True, "due": None})
        return False
    again = timestamps.written(at)
    fields = {
        **deadlines.due_fields(item["id"], at),
        "next_retry_at": again,
        "retrying_since": timestamps.written(since),
    }
    _record_plan(item, "retry_planned", actor, f"tried again at {again}", fields)
    return True


def _pause(retried_for: timedelta) -> timedelta:
    """The pause before the next attempt: each is about as long as all before it together."""
    minutes = max(1, int(retried_for.total_seconds() / 60) + 1)
    return timedelta(minutes=min(_LONGEST_PAUSE_MINUTES, 2 ** (minutes.bit_length() - 1)))


def _record_plan(
    item: EnvironmentRecord, action: Action, actor: str, reason: str, fields: Fields
) -> None:
    """Write the fields, unless the record has changed."""
    now = timestamps.written(timestamps.now())
    fields = {
        **fields,
        "change": change(action, actor, now, reason),
        "updated_at": now,
        "version": item["version"] + 1,
    }
    expression, values = table.setting(fields)
    key = environment_records.key(ids.parse_environment(item["id"]))
    values |= {"failed": "teardown_failed", "was": item["version"]}
    with suppress(ConditionFailed):
        still = "#status = :failed AND version = :was"
        table.write(Update(key, expression, values, still))


def _what_remains(item: EnvironmentRecord) -> str:
    reported = item.get("failure")
    reason = failure.decode(reported)["reason"] if reported else failure.NO_REASON
    remains = environment_records.remaining(item) if item.get("resources") else []
    return f"What remains: {', '.join(remains) or reason}"


def forget(
    environment: EnvironmentId,
    principal: Principal,
    if_version: Container[int] | None,
    confirmed: str | None = None,
) -> Environment:
    """Mark an environment whose teardown failed as destroyed, and record what remains of it.

    `if_version` has the versions that the caller expects, None is any; `confirmed` is the name in
    `X-Confirm`. Repeating it changes nothing. Raises NotFound, PreconditionFailed, NothingToRetry,
    ConfirmationRequired, Busy. Two round trips.
    """
    for _ in range(_TRIES):
        item = authorization.read(environment, principal)
        if if_version is not None and seen_version(item, timestamps.now()) not in if_version:
            raise PreconditionFailed()
        if item.get("forgotten"):
            return environment_records.to_model(item)
        if item["status"] != "teardown_failed":
            status = item["status"]
            detail = f"Only a failed teardown can be forced. The environment is {status}."
            raise NothingToRetry(detail)
        protection.require_confirmed(item, confirmed)
        fields = _forgotten(item, principal)
        audit.note(action="environments:force")
        with suppress(TransactionFailed):
            _destroying(environment, item, fields).commit()
            return environment_records.to_model(changed(item, fields))
    raise Busy(1)


def _forgotten(item: EnvironmentRecord, principal: Principal) -> Fields:
    now = timestamps.written(timestamps.now())
    return {
        "status": "destroyed",
        "destroyed_at": now,
        "forgotten": True,
        "change": change("forgotten", principal.author(), now, _what_remains(item)),
        "updated_at": now,
        "version": item["version"] + 1,
        # Until what belongs to it goes with it (slipway.services.retention).
        **deadlines.due_fields(item["id"]),
        "ttl": lifetimes.ended(now),
        "next_retry_at": None,
        **listed.NOT_LISTED,
    }


def _destroying(environment: EnvironmentId, item: EnvironmentRecord, fields: Fields) -> Transaction:
    """The transaction that destroys the environment's items, as retire_environment does."""
    # Imported here, because few environments are forgotten.
    from slipway.store import log_records

    expression, values = table.setting(fields)
    project = environment.project
    external_id = str(item.get("external_id") or item["id"])
    transaction = (
        Transaction()
        .update(
            "record",
            environment_records.key(environment),
            expression,
            {**values, "was": item["version"]},
            condition="version = :was",
        )
        .delete("name", project_records.environment_name(project, item["name"]))
        .delete("external_id", project_records.external_id(project, external_id))
        .delete("lease", environment_records.lease(environment))
        .delete("lock", environment_records.lock(environment))
        .add("line", log_records.forgotten(environment, fields["change"]))
        .update("project", project_records.key(project), "ADD environments :less", {"less": -1})
    )
    for part, action in quota_records.freed(quota_records.ENVIRONMENT, item).items():
        transaction.add(part, action)
    if item.get("template") or item.get("configuration") or item.get("delivered"):
        # Reconcile removes the secrets, which the failed teardown did not reach.
        from slipway.services import cleanup

        transaction.add(
            "secrets", cleanup.secrets_may_be_orphaned(str(environment), timestamps.now())
        )
    return transaction
