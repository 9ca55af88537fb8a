"""Leases: how long an ephemeral environment lives.

Three mechanisms end a lease: expire_environment, to the second; the TTL of the lease's item; and
reconcile. Each changes the environment's state only if the lease is over and the state has not
changed yet, so one of them wins. expire_environment and reconcile also warn of the end; each
warning is recorded once.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.environment import TAKES_DEPLOYMENTS, Environment, comes_from
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import change, changed
from slipway.errors import Busy, EnvironmentGoing, NoLease, StaleWrite, TtlExceedsPolicy
from slipway.store import deadlines, environment_records, idempotency, table
from slipway.store.table import (
    ConditionFailed,
    Delete,
    Fields,
    Transaction,
    TransactionFailed,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.events import Action
    from slipway.domain.records import Actor, EnvironmentRecord, PinRecord

_TRIES = 5


def extend(environment: EnvironmentId, hours: float, principal: Principal) -> Environment:
    """Extend the lease to `hours` from now. No-op if it already lasts longer.

    Raises NotFound, NoLease, EnvironmentGoing, TtlExceedsPolicy. Two round trips.
    """
    item = _leased(environment, principal)
    now = timestamps.now()
    latest = datetime.fromisoformat(item["max_expires_at"])
    if hours > 24 * 366 or timestamps.hours_after(now, hours) > latest:
        raise TtlExceedsPolicy(item["max_expires_at"])
    return _prolong(environment, item, timestamps.hours_after(now, hours), principal.author())


def touch(environment: EnvironmentId, principal: Principal) -> Environment:
    """Restart an idle lease, up to the policy's maximum lifetime.

    Raises NotFound, NoLease, EnvironmentGoing. Two round trips.
    """
    item = _leased(environment, principal)
    if item["expiry_mode"] != "idle":
        raise NoLease("The environment's expiry_mode is absolute. Extend it instead.")
    return _prolong(environment, item, _restarted(item, timestamps.now()), principal.author())


def restart_idle(environment: EnvironmentId, at: str) -> None:
    """Restart an idle lease, because a deployment succeeded at `at` (a timestamp as text).

    No-op for other leases. Repeating it changes nothing. Two round trips.
    """
    item = environment_records.find(environment)
    if item and item.get("expiry_mode") == "idle" and item.get("expires_at"):
        with suppress(EnvironmentGoing):
            _prolong(environment, item, _restarted(item, datetime.fromisoformat(at)), "deployment")


def pin(environment: EnvironmentId, reason: str, principal: Principal) -> Environment:
    """Pin the environment: it does not expire until it is unpinned. Repeating it changes nothing.

    Raises NotFound, NoLease, EnvironmentGoing. Two round trips.
    """
    item = authorization.read(environment, principal)
    if item.get("pinned"):
        return environment_records.to_model(item)
    item = _with_lease(item)
    pinned: PinRecord = {
        "reason": reason,
        "at": timestamps.written(timestamps.now()),
        "by": principal.author(),
    }
    return _change(environment, item, "pinned", principal.author(), pinned=pinned)


def unpin(environment: EnvironmentId, principal: Principal) -> Environment:
    """Unpin the environment: its lease starts again, up to the policy's maximum lifetime.

    Raises NotFound, NoLease, EnvironmentGoing. Two round trips.
    """
    item = authorization.read(environment, principal)
    if not item.get("pinned"):
        raise NoLease("The environment is not pinned, so its lease already runs.")
    ends = _restarted(item, timestamps.now())
    return _change(environment, item, "unpinned", principal.author(), ends=ends)


def expire(environment: EnvironmentId, actor: str) -> None:
    """Expire the environment if its lease is over; one round trip. Repeating it changes nothing."""
    with suppress(StaleWrite):
        environment_records.move(
            environment,
            "expiring",
            actor,
            condition=" AND expires_at <= :now",
            values={"now": timestamps.written(timestamps.now())},
        )


def warn(item: EnvironmentRecord, actor: str) -> bool:
    """Record the lease's next warning, if it is due; its event is made from the record.

    Returns whether this call recorded it. At most one round trip.
    """
    now = timestamps.written(timestamps.now())
    if not item.get("warn_at") or item["warn_at"][0] > now:
        return False
    alive = {f"s{i}": state for i, state in enumerate(sorted(comes_from("expiring")))}
    warning = Update(
        environment_records.key(ids.parse_environment(item["id"])),
        "SET change = :change, updated_at = :now, version = version + :one REMOVE warn_at[0]",
        {
            "this": item["warn_at"][0],
            "change": change("expiry_warning", actor, now),
            "now": now,
            "one": 1,
            **alive,
        },
        condition="warn_at[0] = :this AND expires_at > :now"
        f" AND #status IN ({', '.join(f':{word}' for word in alive)})",
    )
    try:
        table.write(warning)
    except ConditionFailed:
        return False
    return True


def _leased(environment: EnvironmentId, principal: Principal) -> EnvironmentRecord:
    return _with_lease(authorization.read(environment, principal))


def _with_lease(item: EnvironmentRecord) -> EnvironmentRecord:
    if item["type"] == "persistent":
        raise NoLease("A persistent environment never expires, so it has no lease to change.")
    if item.get("pinned"):
        raise NoLease("The environment is pinned. Unpin it first.")
    return item


def _restarted(item: EnvironmentRecord, since: datetime) -> datetime:
    ends = timestamps.hours_after(since, item["ttl_hours"])
    return max(since, min(ends, datetime.fromisoformat(item["max_expires_at"])))


def _prolong(
    environment: EnvironmentId, item: EnvironmentRecord, ends: datetime, actor: Actor
) -> Environment:
    if timestamps.written(ends) <= item["expires_at"]:
        return _require_living(item)
    return _change(environment, item, "extended", actor, ends=ends)


def _require_living(item: EnvironmentRecord) -> Environment:
    """The environment. Raises EnvironmentGoing if it is expiring or being torn down."""
    shown = environment_records.to_model(item).as_seen_at(timestamps.now())
    if shown.status not in TAKES_DEPLOYMENTS:
        raise EnvironmentGoing(shown.status)
    return shown


def _change(
    environment: EnvironmentId,
    item: EnvironmentRecord,
    action: Action,
    actor: Actor,
    *,
    ends: datetime | None = None,
    pinned: PinRecord | None = None,
) -> Environment:
    """Let the lease end at `ends`, or pin it.

    Tries again if the record changes meanwhile, but not if its lease does. Raises EnvironmentGoing,
    Busy.
    """
    lease = environment_records.lease(environment)
    lease_change = environment_records.lease_put(environment, ends) if ends else Delete(lease)
    for _ in range(_TRIES):
        _require_living(item)
        now = timestamps.written(timestamps.now())
        written = {
            **_end_fields(ends, item),
            **deadlines.due_fields(item["id"]),
            "pinned": pinned,
            "version": item["version"] + 1,
            "updated_at": now,
            "change": change(action, actor, now, _reason(ends, pinned)),
        }
        transaction = Transaction().add("record", _write(item, written, now))
        shown = environment_records.to_model(changed(item, written))
        try:
            idempotency.commit(transaction.add("lease", lease_change), shown)
        except TransactionFailed as failed:
            fresh = failed.get("record") or item
            if any(fresh.get(name) != item.get(name) for name in ("expires_at", "pinned")):
                break
            item = fresh
        else:
            return shown
    _require_living(fresh)
    raise Busy(1)


def _write(item: EnvironmentRecord, fields: Fields, now: str) -> Update:
    """Write the fields, if the record is unchanged and its lease is not over."""
    expression, values = table.setting(fields)
    return Update(
        environment_records.key(ids.parse_environment(item["id"])),
        expression,
        # An execution that hands its lease over changes only `lease`.
        {**values, "was": item["version"], "was_lease": item["lease"], "now": now},
        condition="version = :was AND lease = :was_lease"
        " AND (attribute_not_exists(expires_at) OR expires_at > :now)",
    )


def _reason(ends: datetime | None, pinned: PinRecord | None) -> str | None:
    if pinned:
        return pinned["reason"]
    return f"expires at {timestamps.written(ends)}" if ends else None


def _end_fields(ends: datetime | None, item: EnvironmentRecord) -> Fields:
    if ends is None:
        return {"expires_at": None, "warn_at": None}
    fields = environment_records.lease_fields(ends, item.get("warn_before_hours", ()))
    current_wake = environment_records.next_wake(item)
    if not current_wake or environment_records.next_wake(fields) < current_wake:
        # A waiting execution would wake too late, so the lease gets another one.
        fields["lease"] = item["lease"] + 1
    return fields
