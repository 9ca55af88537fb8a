"""How deployments of one environment follow each other: a queue, and a lock that one may hold.

The lock's token grows with every holder. A rollout writes only as the holder of its token, so
an execution that has lost the lock can do no harm. The end of a rollout, its result and the
release of the lock, is one transaction, in roll_out_deployment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.deployment import Deployment, NewDeployment, is_outdated
from slipway.domain.environment import TAKES_DEPLOYMENTS, OnConflict
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.records import (
    DeploymentRecord,
    EnvironmentRecord,
    FailureRecord,
    LockRecord,
    PlaceRecord,
    changed,
)
from slipway.errors import (
    Busy,
    DeploymentFinished,
    EnvironmentNotReady,
    OutdatedDeployment,
    QueueBusy,
    no_such,
)
from slipway.store import (
    deadlines,
    deployment_records,
    environment_records,
    idempotency,
    log_records,
    table,
)
from slipway.store.table import (
    Check,
    ConditionFailed,
    Fields,
    Found,
    Key,
    Query,
    Transaction,
    TransactionFailed,
    Update,
)

# What a deployment's `on_conflict` says if it does not only wait.
MAKES_WAY = ("supersede", "cancel_running")

_PREFIX = "QUEUE#"
_ORDER_TRIES = 20
_SHOWN = 100
_LIKELY = 20
# More than a request may take and clocks may differ.
_YOUNG_SECONDS = 60


def lock(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "LOCK")


def _place(deployment: DeploymentId) -> Key:
    return Key(f"ENV#{deployment.e}", _PREFIX + deployment.d)


def list_(environment: EnvironmentId, principal: Principal) -> list[Deployment]:
    """The deployment that runs, then those that wait, in order; at most 100.

    Raises NotFound. One round trip, two if the queue reaches further back than the newest.
    """
    keys = (*authorization.keys(environment, principal), lock(environment))
    (*found, held), [(places, _), (newest, _)] = table.read(
        keys,
        _places(environment),
        Query(f"ENV#{environment.e}", deployment_records.PREFIX, _LIKELY, newest_first=True),
    )
    authorization.authorized(environment, *found)
    ahead = [held["holder"]] if held and held.get("holder") else []
    ahead += [place["deployment_id"] for place in places]
    # With those among the newest that no place leads to: who is given the lock between the reads.
    items = {item["id"]: item for item in newest}
    further = {each for each in ahead[:_SHOWN] if each not in items}
    for item in table.get(
        *(deployment_records.key(ids.parse_deployment(each)) for each in further)
    ):
        if item:
            items[item["id"]] = item
    waiting = sorted(each for each, item in items.items() if not item.get("finished_at"))
    return [deployment_records.read(items[each]) for each in waiting[:_SHOWN]]


def _ahead(environment: EnvironmentId) -> list[PlaceRecord]:
    """`{deployment_id, order?}` of who holds the lock and of who waits, in order; one round trip.

    Who is given the lock in that very moment may be missed: `_nobody_came_between` is for that.
    """
    [held], [found] = table.read([lock(environment)], _places(environment))
    return _holding(held) + _all_waiting(environment, found)


def _places(environment: EnvironmentId) -> Query:
    return Query(f"ENV#{environment.e}", _PREFIX, _SHOWN)


def _holding(held: LockRecord | None) -> list[PlaceRecord]:
    if held and held.get("holder"):
        holder: PlaceRecord = {"deployment_id": held["holder"], "kind": "release"}
        if order := held.get("order"):
            holder["order"] = order
        return [holder]
    return []


def _all_waiting(environment: EnvironmentId, first_page: Found) -> list[PlaceRecord]:
    places, further = first_page
    return list(_waiting(environment)) if further else places


def _waiting(environment: EnvironmentId) -> Iterator[PlaceRecord]:
    after = None
    while True:
        places, after = table.query(f"ENV#{environment.e}", _PREFIX, limit=100, after=after)
        yield from places
        if after is None:
            return


def join(environment: EnvironmentId, wanted: NewDeployment, principal: Principal) -> Deployment:
    """Accept a version at the end of the queue. As accept."""
    brings = {
        "kind": "release",
        "version": wanted.version,
        "artifact": wanted.artifact,
        "order": wanted.order,
        "allow_outdated": wanted.allow_outdated,
    }
    return accept(environment, brings, wanted.on_conflict, principal)


def accept(
    environment: EnvironmentId,
    brings: Fields,
    on_conflict: OnConflict | None,
    principal: Principal,
    also: Mapping[str, table.Action] | None = None,
    seen: EnvironmentRecord | None = None,
) -> Deployment:
    """Accept what is to be brought into the environment at the end of the queue.

    `seen` is the environment's record, if whoever asks has read it. Raises NotFound,
    EnvironmentNotReady, QueueBusy, OutdatedDeployment, Busy; TransactionFailed if one of `also`
    did, which are further parts of the transaction. Two round trips; more if it matters who is
    ahead and that was not certain at once.

    The environment remembers the last id that it accepted and takes only later ones, so ids,
    queue and list have one order; who is overtaken by another caller looks again and asks with a
    later id.
    """
    item, ahead = (
        (seen, None) if seen else _seen_at_once(environment, brings, on_conflict, principal)
    )
    looked = on_conflict == "reject" or _may_be_outdated(brings)
    for _ in range(_ORDER_TRIES):
        if (
            environment_records.read(item).as_seen_at(timestamps.now()).status
            not in TAKES_DEPLOYMENTS
        ):
            break
        meets = on_conflict or item["on_conflict"]
        last = item.get("last_accepted")
        nobody: Check | None = None
        if looked:
            ahead = _ahead(environment) if ahead is None else ahead
            if ahead and meets == "reject":
                raise QueueBusy()
            nobody = _nobody_came_between(environment, ahead)
        elif meets == "reject" and last:
            nobody = _nobody_is_left(DeploymentId(environment.p, environment.e, last))
        _check_order(item, ahead or [], brings)
        deployment = DeploymentId(environment.p, environment.e, ids.new_part(after=last))
        new = _new(deployment, brings, meets, principal)
        shown = deployment_records.read(changed(new, {}))
        place = {
            "deployment_id": str(deployment),
            "kind": brings["kind"],
            "order": brings.get("order"),
        }
        transaction = (
            Transaction()
            .check("member", authorization.membership(environment.project, principal))
            .add("environment", _accept(environment, deployment, last))
            .put("record", deployment_records.key(deployment), new)
            .put("place", _place(deployment), place)
        )
        for part, action in (also or {}).items():
            transaction.add(part, action)
        if nobody:
            transaction.add("nobody_ahead", nobody)
        try:
            idempotency.commit(transaction, shown)
        except TransactionFailed as failed:
            current = failed.get("environment")
            overlooked = failed.get("nobody_ahead") is not None
            if failed.get("member") is not None or current == {}:
                raise no_such("environment") from None
            if current is None and not overlooked:
                raise
            item, ahead, looked = current or item, None, looked or overlooked
        else:
            return shown
    else:
        raise Busy(1)
    raise EnvironmentNotReady(environment_records.read(item).as_seen_at(timestamps.now()).status)


def _seen_at_once(
    environment: EnvironmentId, brings: Fields, on_conflict: OnConflict | None, principal: Principal
) -> tuple[EnvironmentRecord, list[PlaceRecord] | None]:
    """The environment's record, and what is ahead if that counts; None if that is not certain.

    Raises NotFound.
    """
    access = authorization.keys(environment, principal)
    if not (on_conflict == "reject" or _may_be_outdated(brings)):
        return authorization.authorized(environment, *table.get(*access)), None
    (*found, held), [places] = table.read((*access, lock(environment)), _places(environment))
    item = authorization.authorized(environment, *found)
    ahead = _holding(held) + _all_waiting(environment, places)
    # What was accepted after the queue was read and before the record was would be missed: the
    # record says how old the last one is.
    last = item.get("last_accepted")
    known = any(ids.parse_deployment(each["deployment_id"]).d == last for each in ahead)
    if last and not known and ids.age(last) < _YOUNG_SECONDS:
        return item, None
    return item, ahead


def _nobody_is_left(last: DeploymentId) -> Check:
    """Nobody is ahead, by the word of the last that was accepted alone: who rejects had nobody
    ahead of him, so if the last one did, and has ended, there is nobody."""
    return Check(
        deployment_records.key(last),
        "on_conflict = :reject AND attribute_exists(finished_at)",
        {"reject": "reject"},
    )


def _nobody_came_between(environment: EnvironmentId, ahead: Sequence[PlaceRecord]) -> Check:
    """Nobody has been given the lock since who is ahead was looked at."""
    return Check(
        lock(environment),
        "attribute_not_exists(holder) OR holder = :first",
        {"first": ahead[0]["deployment_id"] if ahead else ""},
    )


def _may_be_outdated(brings: Fields) -> bool:
    return brings.get("order") is not None and not brings["allow_outdated"]


def _check_order(item: EnvironmentRecord, ahead: list[PlaceRecord], brings: Fields) -> None:
    """Raises OutdatedDeployment if what is live or ahead is newer than what is brought."""
    if not _may_be_outdated(brings):
        return
    others = [(each["deployment_id"], each.get("order")) for each in ahead]
    if live := item.get("live_deployment_id"):
        others.insert(0, (live, item.get("live_order")))
    for deployment_id, order in others:
        if is_outdated(brings["order"], order):
            raise OutdatedDeployment(deployment_id)


def _new(deployment: DeploymentId, brings: Fields, on_conflict: str, principal: Principal) -> Any:
    return {
        "id": str(deployment),
        "project_id": str(deployment.environment.project),
        "environment_id": str(deployment.environment),
        **brings,
        "status": "pending",
        "on_conflict": on_conflict,
        "created_at": timestamps.written(timestamps.now()),
        "created_by": principal.user_id,
        **deadlines.by(str(deployment)),
    }


def _accept(environment: EnvironmentId, deployment: DeploymentId, seen: str | None) -> Update:
    """Only if nothing else was accepted since it was looked at, and the environment lives on."""
    states = {f"s{i}": state for i, state in enumerate(sorted(TAKES_DEPLOYMENTS))}
    unchanged = "last_accepted = :seen" if seen else "attribute_not_exists(last_accepted)"
    return Update(
        environment_records.key(environment),
        "SET last_accepted = :part",
        {"part": deployment.d, "seen": seen, "now": timestamps.written(timestamps.now()), **states},
        condition=f"#status IN ({', '.join(f':{word}' for word in states)})"
        f" AND (attribute_not_exists(expires_at) OR expires_at > :now) AND {unchanged}",
    )


def make_way(deployment: DeploymentId) -> None:
    """What a new deployment does to those ahead of it; repeating it changes nothing."""
    new = deployment_records.find(deployment)
    if new is None or new["on_conflict"] not in MAKES_WAY:
        return
    for place in _waiting(deployment.environment):
        other = ids.parse_deployment(place["deployment_id"])
        if other.d < deployment.d and place["kind"] != "update":
            reason = f"{new['version']} takes its place"
            failure: FailureRecord = {"error": "Superseded", "reason": reason}
            _leave(other, _end("superseded", failure, superseded_by=new["id"]))
    if new["on_conflict"] == "cancel_running":
        [held] = table.get(lock(deployment.environment))
        holder = held and held.get("holder")
        running = deployment_records.find(ids.parse_deployment(holder)) if holder else None
        if running and running["id"] < new["id"] and not deployment_records.is_update(running):
            asked = _asked_to_stop(new["created_by"])
            with suppress(ConditionFailed):
                table.write(_stop(ids.parse_deployment(running["id"]), asked))


def holder_or_next(environment: EnvironmentId) -> DeploymentRecord | None:
    """The deployment that has the lock, which the first in the queue is given if it is free.

    None if nobody has it and nobody waits, or if somebody else gave it just now, or if the
    environment does not run.
    """
    held, record = table.get(lock(environment), environment_records.key(environment))
    if held and held.get("holder"):
        return deployment_records.find(ids.parse_deployment(held["holder"]))
    if not (record and record["status"] == "running"):
        return None
    for place in _waiting(environment):
        deployment = ids.parse_deployment(place["deployment_id"])
        item = deployment_records.find(deployment)
        if item is None:
            return None
        # Checked again: what was live when it was accepted may not be so any more.
        if _is_outdated(item, record):
            reason = f"{record['live_version']} is live and newer"
            failure: FailureRecord = {"error": "OutdatedDeployment", "reason": reason}
            newer = record["live_deployment_id"]
            _leave(deployment, _end("superseded", failure, superseded_by=newer))
            continue
        return _give_to(item, place, record, held["token"] if held else 0)
    return None


def _is_outdated(item: DeploymentRecord, environment: EnvironmentRecord) -> bool:
    newer = is_outdated(item.get("order"), environment.get("live_order"))
    return newer and not item["allow_outdated"]


def _give_to(
    item: DeploymentRecord, place: PlaceRecord, environment: EnvironmentRecord, last_token: int
) -> DeploymentRecord | None:
    """None if somebody else gave it just now, or changed what is live."""
    deployment, token = ids.parse_deployment(item["id"]), last_token + 1
    hold, values = table.setting(
        {"holder": str(deployment), "token": token, "order": place.get("order")}
    )
    fields: Fields = {"token": token}
    if deployment_records.is_update(item):
        # It is about the environment: what is live in it stays so.
        fields |= {
            name: environment.get(f"live_{name}") for name in environment_records.WHAT_IS_LIVE
        }
    takes, taken = table.setting(fields)
    transaction = (
        Transaction()
        .add("environment", _as_seen(environment))
        .update(
            "lock",
            lock(deployment.environment),
            hold,
            {**values, "before": last_token},
            condition="attribute_not_exists(holder)"
            " AND (attribute_not_exists(#token) OR #token = :before)",
        )
        .delete("place", _place(deployment), "attribute_exists(pk)")
        .update(
            "record",
            deployment_records.key(deployment),
            takes,
            {**taken, "pending": "pending"},
            condition="#status = :pending",
        )
    )
    try:
        transaction.commit()
    except TransactionFailed:
        return None
    return changed(item, fields)


def _as_seen(environment: EnvironmentRecord) -> Check:
    """It runs, and no other rollout has ended since it was looked at."""
    live = environment.get("live_deployment_id")
    unchanged = "live_deployment_id = :live" if live else "attribute_not_exists(live_deployment_id)"
    values = {"running": "running"} | ({"live": live} if live else {})
    where = environment_records.key(ids.parse_environment(environment["id"]))
    return Check(where, f"#status = :running AND {unchanged}", values)


def carried(item: DeploymentRecord) -> dict[str, Any]:
    """The input of the rollout's execution: ids, keys, the fencing token, what it brings."""
    deployment = ids.parse_deployment(item["id"])
    keys = {
        "deployment": deployment_records.key(deployment),
        "environment": environment_records.key(deployment.environment),
        "lock": lock(deployment.environment),
    }
    return {
        "deployment_id": item["id"],
        "brings": deployment_records.brings(item),
        "token": item["token"],
        "keys": {name: each.wire() for name, each in keys.items()},
        "log": {"pk": f"DEP#{deployment.d}", "sk": log_records.PREFIX},
    }


def cancel(deployment: DeploymentId, principal: Principal) -> Deployment:
    """Stop a deployment: at once if it waits, else when its rollout looks next.

    A rollout that is at its very last write by then succeeds all the same. Asking again changes
    nothing. Raises NotFound, DeploymentFinished, Busy. Two round trips; more if it moves on in
    that moment.
    """
    for _ in range(_ORDER_TRIES):
        item = authorization.read(deployment, principal)
        if item.get("finished_at"):
            raise DeploymentFinished(item["status"])
        if item.get("cancel_requested_at"):
            return deployment_records.read(item)
        with suppress(ConditionFailed):
            if item.get("token") is not None:
                asked = _asked_to_stop(principal.actor)
                shown = deployment_records.read(changed(item, asked))
                idempotency.write(shown, _stop(deployment, asked, as_read=item))
            else:
                failure: FailureRecord = {
                    "error": "Canceled",
                    "reason": f"{principal.actor} canceled it",
                }
                end = _end("canceled", failure, cancel_requested_by=principal.actor)
                shown = deployment_records.read(changed(item, end))
                idempotency.commit(_leaving(deployment, end), shown)
            return shown
    raise Busy(1)


def _asked_to_stop(by: str) -> Fields:
    return {"cancel_requested_at": timestamps.written(timestamps.now()), "cancel_requested_by": by}


def _stop(
    deployment: DeploymentId, asked: Fields, as_read: DeploymentRecord | None = None
) -> Update:
    """The rollout reads it between its steps. Not if it has ended or was asked before."""
    change, values = table.setting(asked)
    condition = (
        "attribute_exists(#token) AND attribute_not_exists(finished_at)"
        " AND attribute_not_exists(cancel_requested_at)"
    )
    if as_read:
        values["was"] = as_read["status"]
        condition += " AND #status = :was"
    return Update(deployment_records.key(deployment), change, values, condition)


def ended_unrecorded(item: DeploymentRecord, outcome: str) -> bool:
    """Write down that a rollout's execution has ended without a word, and pass the lock on; whether
    that was still to be done. What it has left behind is in doubt."""
    deployment = ids.parse_deployment(item["id"])
    failure: FailureRecord = {
        "error": "ExecutionLost",
        "reason": f"Its execution has {outcome} unrecorded",
    }
    end = _end("failed", failure)
    transaction = (
        Transaction()
        .add("lock", _release(deployment, item["token"]))
        .add("record", _ended(deployment, end, "attribute_exists(#token)"))
        .add("environment", environment_records.is_in_doubt(deployment))
    )
    try:
        transaction.commit()
    except TransactionFailed:
        return False
    return True


def release_of_the_ended(item: DeploymentRecord) -> bool:
    """Take the lock from a deployment that has ended; whether it had it."""
    deployment = ids.parse_deployment(item["id"])
    try:
        table.write(_release(deployment, item["token"]))
    except ConditionFailed:
        return False
    return True


def _release(deployment: DeploymentId, token: int) -> Update:
    return Update(
        lock(deployment.environment),
        "REMOVE holder, #order",
        {"token": token, "holder": str(deployment)},
        condition="holder = :holder AND #token = :token",
    )


def cancel_all(environment: EnvironmentId, reason: str) -> None:
    """End the rollout that runs and all that wait. Repeating it changes nothing."""
    failure: FailureRecord = {"error": "EnvironmentGone", "reason": reason}
    [held] = table.get(lock(environment))
    if held and held.get("holder"):
        deployment = ids.parse_deployment(held["holder"])
        end = _end("canceled", failure)
        transaction = (
            Transaction()
            .add("lock", _release(deployment, held["token"]))
            .add("record", _ended(deployment, end, "attribute_exists(#token)"))
        )
        with suppress(TransactionFailed):
            transaction.commit()
    for place in _waiting(environment):
        _leave(ids.parse_deployment(place["deployment_id"]), _end("canceled", failure))


def _leave(deployment: DeploymentId, end: Fields) -> bool:
    """Take a deployment that waits out of the queue; whether it waited still."""
    try:
        _leaving(deployment, end).commit()
    except TransactionFailed:
        return False
    return True


def _leaving(deployment: DeploymentId, end: Fields) -> Transaction:
    return (
        Transaction()
        .delete("place", _place(deployment), "attribute_exists(pk)")
        .add("record", _ended(deployment, end, "attribute_not_exists(#token)"))
    )


def _end(status: str, failure: FailureRecord, **fields: str) -> Fields:
    """What a deployment's record says of its end."""
    at = timestamps.written(timestamps.now())
    return {"status": status, "finished_at": at, "failure": failure, **fields}


def _ended(deployment: DeploymentId, end: Fields, condition: str) -> Update:
    expression, values = table.setting({**end, "due": None})
    return Update(
        deployment_records.key(deployment),
        expression,
        values,
        condition=f"{condition} AND attribute_not_exists(finished_at)",
    )
