"""Environments and their leases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from slipway import ids, workflows
from slipway.errors import (
    Busy,
    EnvironmentGoing,
    NameTaken,
    NoLease,
    NotFound,
    NothingToRetry,
    Overtaken,
    PreconditionFailed,
    ProjectGoing,
    TtlExceedsPolicy,
)
from slipway.ids import EnvironmentId, ProjectId
from slipway.model import moments
from slipway.model.environment import (
    DEFAULT_TTL_HOURS,
    TAKES_DEPLOYMENTS,
    Environment,
    NewEnvironment,
    Status,
    comes_from,
    workflow_of,
)
from slipway.model.paging import Page, Paging, bad_cursor
from slipway.settings import settings
from slipway.store import due, projects, table
from slipway.store.table import Delete, Item, Key, Lost, Put, Update

_PREFIX = "ENV#"
# TTL is the second killer, so it leaves the first a little time.
_TTL_GRACE_SECONDS = 2
_CHANGE_TRIES = 5
_TEARDOWN_RETRIES = 4


def key(environment: EnvironmentId) -> Key:
    return Key(f"PROJECT#{environment.p}", _PREFIX + environment.e)


def lease(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "LEASE")


def read(item: Item) -> Environment:
    workflow = workflow_of(item["status"])
    name = teardown(item) if workflow == "retire_environment" else item["id"]
    arn = workflows.execution_arn(workflow, name)
    config = json.loads(item["config"]) if "config" in item else None
    shown = {
        **item,
        "config": config,
        "execution_arn": arn,
        "execution_url": workflows.execution_url(arn),
    }
    return Environment.model_validate(shown)


def get(environment: EnvironmentId, user_id: str) -> Environment:
    """Raises NotFound, also for somebody else's environment."""
    return read(authorised(environment, user_id)).as_seen_at(moments.now())


def authorised(environment: EnvironmentId, user_id: str) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    allowed, item = table.get(projects.member(environment.project, user_id), key(environment))
    if not (allowed and item):
        raise NotFound("No such environment")
    return item


def find(environment: EnvironmentId) -> Item | None:
    """The whole record, for the workflows: they ask for nobody's permission."""
    return table.get(key(environment))[0]


def of(project: ProjectId, user_id: str, paging: Paging) -> Page[Environment]:
    """The project's environments, newest first. Raises NotFound. Two round trips."""
    after = paging.after
    if after is not None and not after.startswith(_PREFIX):
        raise bad_cursor()
    projects.get(project, user_id)
    items, last = table.query(
        f"PROJECT#{project.p}", _PREFIX, limit=paging.limit, after=after, newest_first=True
    )
    now = moments.now()
    return Page([read(item).as_seen_at(now) for item in items], last)


def add(project: ProjectId, wanted: NewEnvironment, user_id: str) -> Environment:
    """Raises NotFound, Invalid, NameTaken, ProjectGoing. Two round trips.

    What is written here is all that provisioning, expiry and teardown need: the table's stream
    starts them.
    """
    environment = EnvironmentId(project.p, ids.new_part())
    now = moments.now()
    policy = projects.policy(project, user_id)
    most = policy.most_hours(settings().max_ttl_hours)
    hours = wanted.lifetime_hours(most, policy.default_ttl_hours or DEFAULT_TTL_HOURS)
    item: Item = {
        "id": str(environment),
        "project_id": str(project),
        "name": wanted.name,
        "type": wanted.type,
        "status": "provisioning",
        "operation": "provision_environment",
        "driver": "simulated",
        "on_conflict": wanted.on_conflict,
        "config": wanted.config_json(),
        "created_at": moments.written(now),
        "created_by": user_id,
        **due.by(str(environment)),
        "actor": user_id,
        "updated_at": moments.written(now),
        "version": 1,
    }
    actions: list[table.Action] = [
        projects.is_member(project, user_id),
        projects.takes_environments(project),
        Put(
            projects.environment_name(project, wanted.name),
            {"environment_id": str(environment), "name": wanted.name},
        ),
        Put(key(environment), item),
    ]
    if hours is not None:
        ends = moments.hours_after(now, hours)
        item.update(
            ttl_hours=hours,
            expires_at=moments.written(ends),
            max_expires_at=moments.written(moments.hours_after(now, most)),
            expiry_mode=policy.expiry_mode,
            lease=1,
        )
        actions.append(Put(lease(environment), _lease(environment, ends)))
    try:
        table.transact(*actions)
    except Lost as lost:
        member, active, name, *_ = lost.reasons
        if member is not None or active == {}:
            raise NotFound("No such project") from None
        if active is not None:
            raise ProjectGoing() from None
        if name is None:
            raise
        raise NameTaken(f"The project has an environment named {wanted.name} already") from None
    return read({name: value for name, value in item.items() if value is not None})


def _lease(environment: EnvironmentId, ends: datetime) -> Item:
    ttl = moments.epoch(ends) + _TTL_GRACE_SECONDS
    return {"environment_id": str(environment), "expires_at": moments.written(ends), "ttl": ttl}


def tear_down(environment: EnvironmentId, user_id: str, if_version: int | None) -> Environment:
    """Begin to tear the environment down, once; repeating it shows how far that is.

    Raises NotFound, PreconditionFailed. Two round trips.
    """
    item = authorised(environment, user_id)
    if if_version is not None and if_version != item["version"]:
        raise PreconditionFailed()
    if item["status"] == "teardown_failed":
        with suppress(Overtaken):
            return read(retry_teardown(environment, user_id))
    still, was = ("", {}) if if_version is None else (" AND version = :was", {"was": if_version})
    try:
        return read(_move(environment, "tearing_down", user_id, still, was))
    except Overtaken:
        shown = get(environment, user_id)
        if if_version is not None and if_version != shown.version:
            raise PreconditionFailed() from None
        return shown


def give_back(environment: EnvironmentId, actor: str) -> None:
    """Tear it down whoever asks: its project goes. Repeating it changes nothing."""
    with suppress(Overtaken):
        _move(environment, "tearing_down", actor)


def expire(environment: EnvironmentId, actor: str) -> None:
    """Its lease is over: if that is still so, it begins to go. Repeating it changes nothing."""
    with suppress(Overtaken):
        _move(
            environment,
            "expiring",
            actor,
            condition=" AND expires_at <= :now",
            values={"now": moments.written(moments.now())},
        )


def _move(
    environment: EnvironmentId,
    to: Status,
    actor: str,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> Item:
    """Change the state, if the present one allows it; raises Overtaken if it does not."""
    now = moments.written(moments.now())
    # A teardown that failed is begun anew by retry_teardown, which numbers the attempts.
    states = sorted(comes_from(to) - {"teardown_failed"})
    since = {f"s{i}": state for i, state in enumerate(states)}
    change = Update(
        key(environment),
        "SET #status = :to, actor = :actor, updated_at = :at, version = version + :one,"
        " due = :due, due_at = :due_at",
        {
            **due.by(str(environment)),
            "to": to,
            "actor": actor,
            "at": now,
            "one": 1,
            **since,
            **(values or {}),
        },
        condition=f"#status IN ({', '.join(f':{word}' for word in since)})" + condition,
    )
    try:
        return table.write(change)
    except Lost:
        raise Overtaken() from None


def extend(environment: EnvironmentId, hours: float, user_id: str) -> Environment:
    """Let it live for `hours` from now, if that is longer than it has; never shorter.

    Raises NotFound, NoLease, EnvironmentGoing, TtlExceedsPolicy. Two round trips.
    """
    item = _leased(environment, user_id)
    now = moments.now()
    most = datetime.fromisoformat(item["max_expires_at"])
    if hours > 24 * 366 or moments.hours_after(now, hours) > most:
        raise TtlExceedsPolicy(item["max_expires_at"])
    return _prolong(environment, item, moments.hours_after(now, hours), user_id)


def touch(environment: EnvironmentId, user_id: str) -> Environment:
    """Begin the time of an idle lease anew, as far as the policy goes.

    Raises NotFound, NoLease, EnvironmentGoing. Two round trips.
    """
    item = _leased(environment, user_id)
    if item["expiry_mode"] != "idle":
        raise NoLease("The environment's expiry_mode is absolute: extend it instead")
    return _prolong(environment, item, _anew(item, moments.now()), user_id)


def used(environment: EnvironmentId, at: str) -> None:
    """A deployment succeeded at `at`: an idle lease begins anew. Repeating it changes nothing."""
    item = find(environment)
    if item and item.get("expiry_mode") == "idle" and "expires_at" in item:
        with suppress(EnvironmentGoing):
            _prolong(environment, item, _anew(item, datetime.fromisoformat(at)), "deployment")


def pin(environment: EnvironmentId, reason: str, user_id: str) -> Environment:
    """Hold the lease open until it is unpinned; pinning it again changes nothing.

    Raises NotFound, NoLease, EnvironmentGoing. Two round trips.
    """
    item = authorised(environment, user_id)
    if "pinned" in item:
        return read(item)
    item = _with_lease(item)
    pinned = {"reason": reason, "at": moments.written(moments.now()), "by": user_id}
    changes = {"pinned": pinned, "expires_at": None}
    return _change_lease(environment, item, changes, Delete(lease(environment)), user_id)


def unpin(environment: EnvironmentId, user_id: str) -> Environment:
    """Let the time run again: its own from now on, as far as the policy goes.

    Raises NotFound, NoLease, EnvironmentGoing. Two round trips.
    """
    item = authorised(environment, user_id)
    if "pinned" not in item:
        raise NoLease("The environment is not pinned")
    ends = _anew(item, moments.now())
    # The execution that waited for the old end is gone, or finds nothing to do: it takes another.
    changes = {
        "expires_at": moments.written(ends),
        "lease": item["lease"] + 1,
        "pinned": None,
    }
    put = Put(lease(environment), _lease(environment, ends), condition=None)
    return _change_lease(environment, item, changes, put, user_id)


def _leased(environment: EnvironmentId, user_id: str) -> Item:
    return _with_lease(authorised(environment, user_id))


def _with_lease(item: Item) -> Item:
    if item["type"] == "persistent":
        raise NoLease("A persistent environment never expires")
    if "pinned" in item:
        raise NoLease("The environment is pinned; unpin it first")
    return item


def _anew(item: Item, since: datetime) -> datetime:
    ends = moments.hours_after(since, item["ttl_hours"])
    return max(since, min(ends, datetime.fromisoformat(item["max_expires_at"])))


def _prolong(environment: EnvironmentId, item: Item, ends: datetime, actor: str) -> Environment:
    if moments.written(ends) <= item["expires_at"]:
        return _lasting(item)
    changes = {"expires_at": moments.written(ends)}
    put = Put(lease(environment), _lease(environment, ends), condition=None)
    return _change_lease(environment, item, changes, put, actor)


def _lasting(item: Item) -> Environment:
    """Raises EnvironmentGoing for what is not to last."""
    shown = read(item).as_seen_at(moments.now())
    if shown.status not in TAKES_DEPLOYMENTS:
        raise EnvironmentGoing(shown.status)
    return shown


def _change_lease(
    environment: EnvironmentId, item: Item, changes: Item, lease_change: Put | Delete, actor: str
) -> Environment:
    """Write the lease's part of the record (None takes a field away), if it still lives.

    What else changes in the record meanwhile does not matter; another change of the lease does.
    """
    for _ in range(_CHANGE_TRIES):
        _lasting(item)
        now = moments.written(moments.now())
        again = due.by(item["id"])
        written = {
            **changes,
            **again,
            "version": item["version"] + 1,
            "updated_at": now,
            "actor": actor,
        }
        expression, values = table.setting(written)
        update = Update(
            key(environment),
            expression,
            {**values, "was": item["version"], "now": now},
            condition="version = :was AND (attribute_not_exists(expires_at) OR expires_at > :now)",
        )
        try:
            table.transact(update, lease_change)
        except Lost as lost:
            fresh = lost.reasons[0] or item
            if any(fresh.get(name) != item.get(name) for name in ("expires_at", "pinned")):
                break
            item = fresh
        else:
            after = {**item, **written}
            return read({name: value for name, value in after.items() if value is not None})
    _lasting(fresh)
    raise Busy(1)


def retry_teardown(environment: EnvironmentId, actor: str) -> Item:
    """Begin a teardown that failed anew, with an execution of its own. Raises Overtaken."""
    change = Update(
        key(environment),
        "SET #status = :to, teardown_attempts = if_not_exists(teardown_attempts, :one) + :one,"
        " actor = :actor, updated_at = :at, version = version + :one,"
        " due = :due, due_at = :due_at REMOVE next_retry_at",
        {
            **due.by(str(environment)),
            "to": "tearing_down",
            "failed": "teardown_failed",
            "actor": actor,
            "at": moments.written(moments.now()),
            "one": 1,
        },
        condition="#status = :failed",
    )
    try:
        return table.write(change)
    except Lost:
        raise Overtaken() from None


def ask_to_retry(environment: EnvironmentId, user_id: str) -> Environment:
    """Raises NotFound, NothingToRetry. Two round trips."""
    item = authorised(environment, user_id)
    try:
        return read(retry_teardown(environment, user_id))
    except Overtaken:
        raise NothingToRetry(f"The environment is {item['status']}") from None


def plan_retry(item: Item) -> None:
    """Say when a failed teardown is tried again: in 1, 2, 4, 8 minutes, then never by itself."""
    attempts = item.get("teardown_attempts", 1)
    if attempts > _TEARDOWN_RETRIES or "next_retry_at" in item:
        return
    minutes = timedelta(minutes=2 ** (attempts - 1))
    at = datetime.fromisoformat(item["updated_at"]) + minutes
    change = Update(
        key(ids.parse_environment(item["id"])),
        "SET next_retry_at = :at, due = :due, due_at = :due_at",
        {
            **due.by(item["id"], at),
            "at": moments.written(at),
            "failed": "teardown_failed",
            "was": item["version"],
        },
        condition="#status = :failed AND version = :was",
    )
    with suppress(Lost):
        table.write(change)


def forget(environment: EnvironmentId, user_id: str) -> Environment:
    """Call an environment destroyed whose teardown failed, and record what remains.

    Raises NotFound, NothingToRetry. Two round trips.
    """
    item = authorised(environment, user_id)
    if item["status"] != "teardown_failed":
        raise NothingToRetry(
            f"The environment is {item['status']}: only what could not be torn"
            " down can be forgotten"
        )
    now = moments.written(moments.now())
    fields = {
        "status": "destroyed",
        "destroyed_at": now,
        "forgotten": True,
        "actor": user_id,
        "updated_at": now,
        "version": item["version"] + 1,
        "due": None,
        "next_retry_at": None,
    }
    expression, values = table.setting(fields)
    try:
        table.transact(
            Update(
                key(environment),
                expression,
                {**values, "was": item["version"]},
                condition="version = :was",
            ),
            Delete(projects.environment_name(environment.project, item["name"])),
            Delete(lease(environment)),
            Update(projects.key(environment.project), "ADD environments :less", {"less": -1}),
        )
    except Lost:
        raise NothingToRetry("The environment has changed in this moment") from None
    return get(environment, user_id)


def ended_unrecorded(item: Item, outcome: str) -> None:
    """Write down that the execution that worked on it has ended without a word."""
    failure = {"error": "ExecutionLost", "reason": f"Its execution has {outcome} unrecorded"}
    environment = ids.parse_environment(item["id"])
    fields = {
        "failure": failure,
        "actor": "reconcile",
        "updated_at": moments.written(moments.now()),
        "version": item["version"] + 1,
        "operation": None,
        **due.by(item["id"]),
    }
    if item["status"] == "provisioning":
        fields["status"] = "failed"
    elif "operation" not in item:
        fields["status"] = "teardown_failed"
    expression, values = table.setting(fields)
    with suppress(Lost):
        table.write(
            Update(
                key(environment),
                expression,
                {**values, "was": item["version"]},
                condition="version = :was",
            )
        )


def teardown(item: Item) -> str:
    """The name of the execution that tears it down: one for each attempt."""
    attempts = item.get("teardown_attempts", 1)
    return item["id"] if attempts == 1 else f"{item['id']}-{attempts}"


def expiry(item: Item) -> str:
    """The name of the execution that ends this lease: one for each time it began to run."""
    return item["id"] if item["lease"] == 1 else f"{item['id']}-{item['lease']}"


def carried(item: Item) -> dict[str, Any]:
    """What an execution about this environment is given: ids, keys, and when it expires (`""`
    for never)."""
    environment = ids.parse_environment(item["id"])
    keys = {
        "environment": key(environment),
        "lease": lease(environment),
        "name": projects.environment_name(environment.project, item["name"]),
        "project": projects.key(environment.project),
    }
    return {
        "environment_id": item["id"],
        "expires_at": item.get("expires_at", ""),
        "keys": {name: each.wire() for name, each in keys.items()},
    }
