"""Teardowns: the end of an environment, tried again when it fails, forgotten when asked to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import failure, ids, timestamps
from slipway.domain.environment import Environment, TeardownRetry
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import change, changed
from slipway.errors import (
    Busy,
    FieldError,
    Invalid,
    NothingToRetain,
    NothingToRetry,
    Overtaken,
    PreconditionFailed,
)
from slipway.store import deadlines, environment_records, idempotency, project_records, table
from slipway.store.table import ConditionFailed, Fields, Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

_RETRIES = 4
_TRIES = 5


def begin(environment: EnvironmentId, principal: Principal, if_version: int | None) -> Environment:
    """Begin to tear the environment down, once; repeating it shows how far that is.

    Raises NotFound, PreconditionFailed. Two round trips.
    """
    item = authorization.read(environment, principal)
    if if_version is not None and if_version != item["version"]:
        raise PreconditionFailed()
    if item["status"] == "teardown_failed":
        with suppress(Overtaken):
            return retry(item, principal.actor, if_version)
    still, was = ("", {}) if if_version is None else (" AND version = :was", {"was": if_version})
    try:
        return environment_records.read(
            environment_records.move(environment, "tearing_down", principal.actor, still, was)
        )
    except Overtaken:
        record = authorization.read(environment, principal)
        shown = environment_records.read(record).as_seen_at(timestamps.now())
        if if_version is not None and if_version != shown.version:
            raise PreconditionFailed() from None
        return shown


def give_back(environment: EnvironmentId, actor: str) -> None:
    """Tear it down whoever asks: its project goes, or what it is made of is gone. Repeating it
    changes nothing."""
    with suppress(Overtaken):
        environment_records.move(environment, "tearing_down", actor)


def retry(
    item: EnvironmentRecord, actor: str, if_version: int | None = None, retain: Collection[str] = ()
) -> Environment:
    """Begin a teardown that failed anew, with an execution of its own. Raises Overtaken, Busy.

    What is named to be retained is so by this attempt and all that follow.
    """
    key = environment_records.key(ids.parse_environment(item["id"]))
    for _ in range(_TRIES):
        if item["status"] != "teardown_failed" or if_version not in (None, item["version"]):
            raise Overtaken()
        now = timestamps.written(timestamps.now())
        retained = sorted({*item.get("retain", ()), *retain})
        reason = f"What is retained: {', '.join(retained)}" if retain else None
        fields = {
            **deadlines.by(item["id"]),
            "status": "tearing_down",
            "retain": set(retained) or None,
            "teardown_attempts": item.get("teardown_attempts", 1) + 1,
            "change": change("tearing_down", actor, now, reason),
            "updated_at": now,
            "version": item["version"] + 1,
            "next_retry_at": None,
        }
        shown = environment_records.read(changed(item, fields))
        expression, values = table.setting(fields)
        values["was"] = item["version"]
        try:
            idempotency.write(shown, Update(key, expression, values, "version = :was"))
        except ConditionFailed as failed:
            item = failed.found or item
        else:
            return shown
    raise Busy(1)


def ask_to_retry(
    environment: EnvironmentId, principal: Principal, wanted: TeardownRetry | None = None
) -> Environment:
    """Raises NotFound, NothingToRetry, NothingToRetain, Invalid, Busy.

    Two round trips; more if the environment changes in that moment.
    """
    for _ in range(_TRIES):
        item = authorization.read(environment, principal)
        if item["status"] != "teardown_failed":
            raise NothingToRetry(
                f"The environment is {item['status']}. Only a failed teardown can be retried."
            )
        retain = _retained(item, wanted.retain) if wanted and wanted.retain else []
        # What they were looked up in is what remained then, and no other attempt's.
        if_version = item["version"] if retain else None
        with suppress(Overtaken):
            return retry(item, principal.actor, if_version, retain)
    raise Busy(1)


def _retained(item: EnvironmentRecord, names: Sequence[str]) -> list[str]:
    """What remains by these logical ids, as the driver told. Raises NothingToRetain, Invalid."""
    told = [each.partition(": ")[2] for each in item.get("remains", ())]
    remains = {each.partition(" (")[0]: each for each in told}
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
    """Say when a failed teardown is tried again: in 1, 2, 4, 8 minutes, then never by itself.

    Whether it is tried again at all. Repeating it changes nothing.
    """
    attempts = item.get("teardown_attempts", 1)
    if attempts > _RETRIES or item.get("next_retry_at"):
        return item.get("next_retry_at") is not None
    minutes = timedelta(minutes=2 ** (attempts - 1))
    at = datetime.fromisoformat(item["updated_at"]) + minutes
    now, again = timestamps.written(timestamps.now()), timestamps.written(at)
    fields = {
        **deadlines.by(item["id"], at),
        "next_retry_at": again,
        "change": change("retry_planned", actor, now, f"tried again at {again}"),
        "updated_at": now,
        "version": item["version"] + 1,
    }
    expression, values = table.setting(fields)
    key = environment_records.key(ids.parse_environment(item["id"]))
    values |= {"failed": "teardown_failed", "was": item["version"]}
    with suppress(ConditionFailed):
        still = "#status = :failed AND version = :was"
        table.write(Update(key, expression, values, still))
    return True


def _what_remains(item: EnvironmentRecord) -> str:
    reported = item.get("failure")
    reason = failure.decode(reported)["reason"] if reported else failure.NO_REASON
    return f"What remains: {', '.join(sorted(item.get('resources', ()))) or reason}"


def forget(environment: EnvironmentId, principal: Principal, if_version: int | None) -> Environment:
    """Call an environment destroyed whose teardown failed, and record what remains; repeating it
    changes nothing.

    Raises NotFound, PreconditionFailed, NothingToRetry. Two round trips.
    """
    item = authorization.read(environment, principal)
    if if_version is not None and if_version != item["version"]:
        raise PreconditionFailed()
    if item.get("forgotten"):
        return environment_records.read(item)
    if item["status"] != "teardown_failed":
        raise NothingToRetry(
            f"The environment is {item['status']}. Only one whose teardown failed can be deleted"
            " with force."
        )
    now = timestamps.written(timestamps.now())
    fields = {
        "status": "destroyed",
        "destroyed_at": now,
        "forgotten": True,
        "change": change("forgotten", principal.actor, now, _what_remains(item)),
        "updated_at": now,
        "version": item["version"] + 1,
        "due": None,
        "next_retry_at": None,
    }
    try:
        _destroying(environment, item, fields).commit()
    except TransactionFailed:
        raise NothingToRetry(
            "The environment has changed at the same time. Read it again, then retry."
        ) from None
    return environment_records.read(changed(item, fields))


def _destroying(environment: EnvironmentId, item: EnvironmentRecord, fields: Fields) -> Transaction:
    """A transaction that ends the environment without a workflow, as retire_environment would."""
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
        .update("project", project_records.key(project), "ADD environments :less", {"less": -1})
    )
    if item.get("template"):
        # Reconcile removes its secrets, as a completed teardown would have done.
        from slipway.services import cleanup

        transaction.add(
            "secrets", cleanup.secrets_may_be_orphaned(str(environment), timestamps.now())
        )
    return transaction
