"""Environments and their leases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from slipway import ids, workflows
from slipway.errors import (
    NameTaken,
    NotFound,
    Overtaken,
    PreconditionFailed,
    ProjectGoing,
)
from slipway.ids import EnvironmentId, ProjectId
from slipway.model import moments
from slipway.model.environment import (
    Environment,
    NewEnvironment,
    Status,
    comes_from,
    workflow_of,
)
from slipway.model.paging import Page, Paging, bad_cursor
from slipway.settings import settings
from slipway.store import projects, table
from slipway.store.table import Item, Key, Lost, Put, Update

_PREFIX = "ENV#"
# TTL is the second killer, so it leaves the first a little time.
_TTL_GRACE_SECONDS = 2


def key(environment: EnvironmentId) -> Key:
    return Key(f"PROJECT#{environment.p}", _PREFIX + environment.e)


def lease(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "LEASE")


def read(item: Item) -> Environment:
    arn = workflows.execution_arn(workflow_of(item["status"]), item["id"])
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
    return read(_item(environment, user_id)).as_seen_at(moments.now())


def _item(environment: EnvironmentId, user_id: str) -> Item:
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
    """Raises NotFound, Invalid, NameTaken, ProjectGoing. One round trip.

    What is written here is all that provisioning, expiry and teardown need: the table's stream
    starts them.
    """
    environment = EnvironmentId(project.p, ids.new_part())
    now = moments.now()
    hours = wanted.lifetime_hours(at_most=settings().max_ttl_hours)
    item: Item = {
        "id": str(environment),
        "project_id": str(project),
        "name": wanted.name,
        "type": wanted.type,
        "status": "provisioning",
        "operation": "provision_environment",
        "driver": "simulated",
        "config": wanted.config_json(),
        "created_at": moments.written(now),
        "created_by": user_id,
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
        item.update(ttl_hours=hours, expires_at=moments.written(ends))
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
    item = _item(environment, user_id)
    if if_version is not None and if_version != item["version"]:
        raise PreconditionFailed()
    try:
        return read(_move(environment, "tearing_down"))
    except Overtaken:
        return get(environment, user_id)


def give_back(environment: EnvironmentId) -> None:
    """Tear it down whoever asks: its project goes. Repeating it changes nothing."""
    with suppress(Overtaken):
        _move(environment, "tearing_down")


def expire(environment: EnvironmentId) -> None:
    """Its lease is over: if that is still so, it begins to go. Repeating it changes nothing."""
    with suppress(Overtaken):
        _move(
            environment,
            "expiring",
            condition=" AND expires_at <= :now",
            values={"now": moments.written(moments.now())},
        )


def _move(
    environment: EnvironmentId,
    to: Status,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> Item:
    """Change the state, if the present one allows it; raises Overtaken if it does not."""
    since = {f"s{i}": state for i, state in enumerate(sorted(comes_from(to)))}
    change = Update(
        key(environment),
        "SET #status = :to, updated_at = :at, version = version + :one",
        {"to": to, "at": moments.written(moments.now()), "one": 1, **since, **(values or {})},
        condition=f"#status IN ({', '.join(f':{word}' for word in since)})" + condition,
    )
    try:
        return table.write(change)
    except Lost:
        raise Overtaken() from None


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
