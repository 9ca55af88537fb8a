"""The rollout queue of an environment: its places, and the lock that one deployment may hold.

The lock's token grows with every holder. A rollout writes only as the holder of its token, so an
execution that has lost the lock can do no harm. The lock is deleted with the environment, which
gives it to nobody from the moment on when it no longer runs, so no token is given twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from slipway.domain import ids, timestamps
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.records import change
from slipway.store import (
    deployment_records,
    environment_records,
    lifetimes,
    log_records,
    quota_records,
    table,
)
from slipway.store.table import Check, Fields, Found, Key, Query, Transaction, Update

if TYPE_CHECKING:
    from slipway.domain.events import Action
    from slipway.domain.records import (
        DeploymentRecord,
        EnvironmentRecord,
        FailureRecord,
        LockRecord,
        PlaceRecord,
    )

PAGE = 100
lock = environment_records.lock

_PREFIX = "QUEUE#"
# Longer than a request takes and clocks differ.
_YOUNG_SECONDS = 60


def place(deployment: DeploymentId, held: DeploymentRecord | PlaceRecord) -> Key:
    """The key of the deployment's place in the queue. `held` is its record or its place."""
    # Ids have no such character, and it sorts ahead of theirs.
    rank = "!" if held.get("urgent") else ""
    return Key(f"ENV#{deployment.e}", _PREFIX + rank + deployment.d)


# --- reading ----------------------------------------------------------------------------------


def first_places(environment: EnvironmentId) -> Query:
    """The first page of the deployments that wait, in order."""
    return Query(f"ENV#{environment.e}", _PREFIX, PAGE)


def waiting(environment: EnvironmentId) -> Iterator[PlaceRecord]:
    """Every deployment that waits, in order; a round trip for each 100."""
    after = None
    while True:
        places, after = table.query(f"ENV#{environment.e}", _PREFIX, limit=PAGE, after=after)
        yield from places
        if after is None:
            return


def in_order(
    environment: EnvironmentId, held: LockRecord | None, first_page: Found
) -> list[PlaceRecord]:
    """The deployment that holds the lock, then those that wait; reads on after the first page."""
    places, further = first_page
    return _holder(held) + (list(waiting(environment)) if further else places)


def certainly_in_order(
    record: EnvironmentRecord, held: LockRecord | None, first_page: Found
) -> list[PlaceRecord] | None:
    """As in_order, by what was read at the same time; None if that is not certain.

    A deployment that was accepted between the reads is missing. `record`, the environment's, has
    its id, which tells how old it is.
    """
    ahead = in_order(ids.parse_environment(record["id"]), held, first_page)
    last = record.get("last_accepted")
    known = any(ids.parse_deployment(each["deployment_id"]).d == last for each in ahead)
    return None if last and not known and ids.age(last) < _YOUNG_SECONDS else ahead


def read_in_order(environment: EnvironmentId) -> list[PlaceRecord]:
    """As in_order, in one round trip.

    Lock and places are read at different times, so a deployment that acquires the lock in
    between is missed. `lock_unchanged` makes a transaction fail in that case.
    """
    [held], [found] = table.read([lock(environment)], first_places(environment))
    return in_order(environment, held, found)


def _holder(held: LockRecord | None) -> list[PlaceRecord]:
    if not (held and held.get("holder")):
        return []
    holder: PlaceRecord = {"deployment_id": held["holder"], "kind": "release"}
    if order := held.get("order"):
        holder["order"] = order
    return [holder]


# --- parts of transactions --------------------------------------------------------------------


def lock_unchanged(environment: EnvironmentId, ahead: list[PlaceRecord]) -> Check:
    """No other deployment has acquired the lock since `ahead` was read."""
    return Check(
        lock(environment),
        "attribute_not_exists(holder) OR holder = :first",
        {"first": ahead[0]["deployment_id"] if ahead else ""},
    )


def queue_is_empty(last: DeploymentId) -> Check:
    """The last accepted deployment also used `reject` and has ended, so the queue is empty."""
    return Check(
        deployment_records.key(last),
        "on_conflict = :reject AND attribute_exists(finished_at)",
        {"reject": "reject"},
    )


def leaves_queue(environment: EnvironmentRecord) -> Update:
    """One deployment less waits. The environment runs, and no other rollout has ended since its
    record was read."""
    live = environment.get("live_deployment_id")
    unchanged = "live_deployment_id = :live" if live else "attribute_not_exists(live_deployment_id)"
    values = {"running": "running", "less": -1} | ({"live": live} if live else {})
    where = environment_records.key(ids.parse_environment(environment["id"]))
    return Update(where, "ADD waiting :less", values, f"#status = :running AND {unchanged}")


def correct_waiting(found: EnvironmentRecord, count: int) -> Update:
    """Let a count of waiting deployments that was found to be wrong be `count`, unless deployments
    were accepted or have left the queue since."""
    where = environment_records.key(ids.parse_environment(found["id"]))
    last = found.get("last_accepted", "")
    values = {"found": found["waiting"], "last": last, "count": count}
    condition = "waiting = :found AND last_accepted = :last"
    return Update(where, "SET waiting = :count", values, condition)


def take(
    deployment: DeploymentId, fields: Fields, held_place: PlaceRecord, before: int
) -> Transaction:
    """Give the lock to the deployment in place of the holder with the token `before`, and write
    `fields`, which have the new token, to its record."""
    order = held_place.get("order")
    hold = {"holder": str(deployment), "token": fields["token"], "order": order}
    held, held_values = table.setting(hold)
    takes, taken = table.setting(fields)
    return (
        Transaction()
        .update(
            "lock",
            lock(deployment.environment),
            held,
            {**held_values, "before": before},
            condition="attribute_not_exists(holder)"
            " AND (attribute_not_exists(#token) OR #token = :before)",
        )
        .delete("place", place(deployment, held_place), "attribute_exists(pk)")
        .update(
            "record",
            deployment_records.key(deployment),
            takes,
            {**taken, "pending": "pending"},
            condition="#status = :pending",
        )
    )


def release(deployment: DeploymentId, token: int) -> Update:
    """Take the lock from the deployment, if it still holds it with this token."""
    return Update(
        lock(deployment.environment),
        "REMOVE holder, #order",
        {"token": token, "holder": str(deployment)},
        condition="holder = :holder AND #token = :token",
    )


def ending(status: str, failure: FailureRecord, **fields: str) -> Fields:
    """The fields of a deployment's record that say how it ended, now."""
    at = timestamps.written(timestamps.now())
    return {"status": status, "finished_at": at, "failure": failure, **fields}


def end_holder(item: DeploymentRecord, end: Fields) -> Transaction:
    """End the deployment that holds the lock and its log, release the lock, free its slots."""
    deployment = ids.parse_deployment(item["id"])
    transaction = (
        Transaction()
        .add("lock", release(deployment, item["token"]))
        .add("record", _end(deployment, end, "attribute_exists(#token)"))
        .add("line", _last_line(deployment, end))
    )
    return _freeing(transaction, item)


def end_waiting(
    deployment: DeploymentId, held: DeploymentRecord | PlaceRecord, end: Fields
) -> Transaction:
    """End a deployment that waits and its log, give up its place, and free its slots.

    `held` is its record or its place, both of which name the slots.
    """
    less = Update(
        environment_records.key(deployment.environment), "ADD waiting :less", {"less": -1}
    )
    transaction = (
        Transaction()
        .delete("place", place(deployment, held), "attribute_exists(pk)")
        .add("record", _end(deployment, end, "attribute_not_exists(#token)"))
        .add("environment", less)
        .add("line", _last_line(deployment, end))
    )
    return _freeing(transaction, held)


def _freeing(transaction: Transaction, held: DeploymentRecord | PlaceRecord) -> Transaction:
    for part, action in quota_records.freed(quota_records.DEPLOYMENT, held).items():
        transaction.add(part, action)
    return transaction


def _last_line(deployment: DeploymentId, end: Fields) -> Update:
    return log_records.last_line(deployment, end["status"], end["finished_at"], end["failure"])


def _end(deployment: DeploymentId, end: Fields, condition: str) -> Update:
    why = change(
        cast("Action", f"deployment_{end['status']}"),
        end.get("cancel_author") or end.get("cancel_requested_by", str(deployment)),
        end["finished_at"],
        end["failure"]["reason"],
    )
    over = {"due": None, "ttl": lifetimes.ended(end["finished_at"])}
    expression, values = table.setting({**end, "change": why, **over})
    return Update(
        deployment_records.key(deployment),
        expression,
        values,
        condition=f"{condition} AND attribute_not_exists(finished_at)",
    )


def request_stop(
    record: DeploymentRecord, asked: Fields, *, only_in_this_status: bool = False
) -> Update:
    """Ask the rollout to stop, unless it has ended or was asked before.

    The rollout reads the request between its steps.
    """
    expression, values = table.setting(asked)
    condition = (
        "attribute_exists(#token) AND attribute_not_exists(finished_at)"
        " AND attribute_not_exists(cancel_requested_at)"
    )
    if only_in_this_status:
        values["was"] = record["status"]
        condition += " AND #status = :was"
    where = deployment_records.key(ids.parse_deployment(record["id"]))
    return Update(where, expression, values, condition)
