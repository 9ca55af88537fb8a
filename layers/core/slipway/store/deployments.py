"""Deployments, the queue they wait in, and the lock that lets one at a time through.

The lock's token grows with every holder. A rollout writes only as the holder of its token, so
an execution that has lost the lock can do no harm.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from slipway import ids, workflows
from slipway.errors import Busy, EnvironmentNotReady, NotFound, Overtaken
from slipway.ids import DeploymentId, EnvironmentId
from slipway.model import moments
from slipway.model.deployment import Deployment, LogLine, NewDeployment
from slipway.model.environment import TAKES_DEPLOYMENTS
from slipway.model.paging import Page, Paging, bad_cursor
from slipway.store import environments, projects, table
from slipway.store.table import Check, Delete, Item, Key, Lost, Put, Update

_PREFIX = "DEP#"
_QUEUED = "QUEUE#"
_LOG = "LOG#"
_ORDER_TRIES = 20


def key(deployment: DeploymentId) -> Key:
    return Key(f"ENV#{deployment.e}", _PREFIX + deployment.d)


def lock(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "LOCK")


def _queued(deployment: DeploymentId) -> Key:
    return Key(f"ENV#{deployment.e}", _QUEUED + deployment.d)


def read(item: Item) -> Deployment:
    arn = workflows.execution_arn("roll_out_deployment", item["id"])
    shown = {
        **item,
        "logs_url": f"/api/v1/deployments/{item['id']}/logs",
        "execution_arn": arn,
        "execution_url": workflows.execution_url(arn),
    }
    return Deployment.model_validate(shown)


def get(deployment: DeploymentId, user_id: str) -> Deployment:
    """Raises NotFound, also for somebody else's deployment."""
    member = projects.member(deployment.environment.project, user_id)
    allowed, item = table.get(member, key(deployment))
    # Its key does not name the project, so an id with a made-up ancestry would find it too.
    if not (allowed and item and item["id"] == str(deployment)):
        raise NotFound("No such deployment")
    return read(item)


def find(deployment: DeploymentId) -> Item | None:
    """The whole record, for the workflows: they ask for nobody's permission."""
    return table.get(key(deployment))[0]


def held_by(deployment: DeploymentId, token: int) -> tuple[Item, Item]:
    """The running deployment and its environment; one round trip.

    Raises Overtaken if they are not for the holder of this token to change any more.
    """
    item, environment = table.get(key(deployment), environments.key(deployment.environment))
    if not (item and item["status"] == "running" and item["token"] == token):
        raise Overtaken("The rollout was ended by somebody else")
    if not (environment and environment["status"] == "running"):
        raise Overtaken("The environment is not running any more")
    return item, environment


def of(environment: EnvironmentId, user_id: str, paging: Paging) -> Page[Deployment]:
    """The environment's deployments, newest first. Raises NotFound. Two round trips."""
    after = paging.after
    if after is not None and not after.startswith(_PREFIX):
        raise bad_cursor()
    environments.get(environment, user_id)
    items, last = table.query(
        f"ENV#{environment.e}", _PREFIX, limit=paging.limit, after=after, newest_first=True
    )
    return Page([read(item) for item in items], last)


def add(environment: EnvironmentId, wanted: NewDeployment, user_id: str) -> Deployment:
    """Accept a deployment at the end of the environment's queue.

    Raises NotFound, EnvironmentNotReady, Busy. One round trip. The environment remembers the
    last id that it accepted and takes only later ones, so ids, queue and list have one order;
    who is overtaken by another caller takes a later id and asks again.
    """
    part = ids.new_part()
    for _ in range(_ORDER_TRIES):
        deployment = DeploymentId(environment.p, environment.e, part)
        item = _new(deployment, wanted, user_id)
        try:
            table.transact(
                projects.is_member(environment.project, user_id),
                _accept(environment, part),
                Put(key(deployment), item),
                Put(_queued(deployment), {"deployment_id": str(deployment)}),
            )
        except Lost as lost:
            member, accepting, *_ = lost.reasons
            if member is not None or not accepting:
                raise NotFound("No such environment") from None
            status = environments.read(accepting).as_seen_at(moments.now()).status
            if status not in TAKES_DEPLOYMENTS:
                raise EnvironmentNotReady(status) from None
            part = ids.new_part(after=accepting["last_accepted"])
        else:
            return read(item)
    raise Busy(1)


def _new(deployment: DeploymentId, wanted: NewDeployment, user_id: str) -> Item:
    return {
        "id": str(deployment),
        "project_id": str(deployment.environment.project),
        "environment_id": str(deployment.environment),
        "version": wanted.version,
        "status": "pending",
        "created_at": moments.written(moments.now()),
        "created_by": user_id,
    }


def _accept(environment: EnvironmentId, part: str) -> Update:
    states = {f"s{i}": state for i, state in enumerate(sorted(TAKES_DEPLOYMENTS))}
    return Update(
        environments.key(environment),
        "SET last_accepted = :part",
        {"part": part, "now": moments.written(moments.now()), **states},
        condition=f"#status IN ({', '.join(f':{word}' for word in states)})"
        " AND (attribute_not_exists(expires_at) OR expires_at > :now)"
        " AND (attribute_not_exists(last_accepted) OR last_accepted < :part)",
    )


def holder_or_next(environment: EnvironmentId) -> Item | None:
    """The deployment that has the lock, which the first in the queue is given if it is free.

    None if nobody has it and nobody waits, or if somebody else gave it just now.
    """
    [held] = table.get(lock(environment))
    if held and "holder" in held:
        return find(ids.parse_deployment(held["holder"]))
    waiting, _ = table.query(f"ENV#{environment.e}", _QUEUED, limit=1)
    if not waiting:
        return None
    deployment = ids.parse_deployment(waiting[0]["deployment_id"])
    token = (held["token"] if held else 0) + 1
    try:
        table.transact(
            Check(environments.key(environment), "#status = :running", {"running": "running"}),
            Update(
                lock(environment),
                "SET holder = :holder, #token = :token",
                {"holder": str(deployment), "token": token, "before": token - 1},
                condition="attribute_not_exists(holder)"
                " AND (attribute_not_exists(#token) OR #token = :before)",
            ),
            Delete(_queued(deployment), "attribute_exists(pk)"),
            Update(
                key(deployment),
                "SET #token = :token",
                {"token": token, "pending": "pending"},
                condition="#status = :pending",
            ),
        )
    except Lost:
        return None
    return find(deployment)


def carried(item: Item) -> dict[str, Any]:
    """What the rollout's execution is given: ids, keys and the fencing token."""
    deployment = ids.parse_deployment(item["id"])
    keys = {
        "deployment": key(deployment),
        "environment": environments.key(deployment.environment),
        "lock": lock(deployment.environment),
    }
    return {
        "deployment_id": item["id"],
        "version": item["version"],
        "token": item["token"],
        "keys": {name: each.wire() for name, each in keys.items()},
        "log": {"pk": f"DEP#{deployment.d}", "sk": _LOG},
    }


def cancel_all(environment: EnvironmentId, reason: str) -> None:
    """End the rollout that runs and all that wait. Repeating it changes nothing."""
    [held] = table.get(lock(environment))
    if held and "holder" in held:
        _cancel_holder(environment, held, reason)
    after = None
    while True:
        waiting, after = table.query(f"ENV#{environment.e}", _QUEUED, limit=50, after=after)
        for entry in waiting:
            _cancel_waiting(ids.parse_deployment(entry["deployment_id"]), reason)
        if after is None:
            return


def _canceled(deployment: DeploymentId, reason: str, condition: str, **values: Any) -> Update:
    failure = {"error": "EnvironmentGone", "reason": reason}
    return Update(
        key(deployment),
        "SET #status = :canceled, finished_at = :at, failure = :failure",
        {"canceled": "canceled", "at": moments.written(moments.now()), "failure": failure} | values,
        condition,
    )


def _cancel_waiting(deployment: DeploymentId, reason: str) -> None:
    with suppress(Lost):
        table.transact(
            Delete(_queued(deployment), "attribute_exists(pk)"),
            _canceled(deployment, reason, "#status = :pending", pending="pending"),
        )


def _cancel_holder(environment: EnvironmentId, held: Item, reason: str) -> None:
    deployment = ids.parse_deployment(held["holder"])
    with suppress(Lost):
        table.transact(
            Update(
                lock(environment),
                "REMOVE holder",
                {"token": held["token"], "holder": held["holder"]},
                condition="holder = :holder AND #token = :token",
            ),
            _canceled(
                deployment,
                reason,
                "#status IN (:pending, :running)",
                pending="pending",
                running="running",
            ),
        )


def log(deployment: DeploymentId, step: str, entered_at: str, *messages: str) -> None:
    """Write lines of the rollout's log, one round trip a line.

    A step that is tried again writes its lines again under the same keys, which begin with
    the moment when the workflow entered the step (as text): nothing is said twice.
    """
    for n, message in enumerate(messages):
        line = {"ts": entered_at, "step": step, "level": "info", "message": message}
        with suppress(Lost):
            table.write(Put(Key(f"DEP#{deployment.d}", f"{_LOG}{entered_at}#{step}#{n}"), line))


def logs(deployment: DeploymentId, user_id: str, paging: Paging) -> Page[LogLine]:
    """The rollout's lines, oldest first. Raises NotFound. Two round trips.

    While the deployment has not ended the last page has a cursor too: more may come after it.
    """
    after = paging.after
    if after is not None and not after.startswith(_LOG):
        raise bad_cursor()
    ended = get(deployment, user_id).finished_at is not None
    items, last = table.query(f"DEP#{deployment.d}", _LOG, limit=paging.limit, after=after)
    if last is None and not ended:
        last = items[-1]["sk"] if items else after
    return Page([LogLine(**item) for item in items], last)
