"""Rollouts: which deployment may roll out, and what its execution is given.

One deployment of an environment rolls out at a time: the holder of the environment's lock. The end
of a rollout is one transaction of roll_out_deployment, which writes the result and releases the
lock.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.domain import ids, timestamps
from slipway.domain.deployment import is_outdated
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import change, changed
from slipway.store import (
    actions,
    deployment_records,
    environment_records,
    log_records,
    project_records,
    queue_records,
    quota_records,
    table,
)
from slipway.store.table import ConditionFailed, Fields, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import (
        DeploymentRecord,
        EnvironmentRecord,
        FailureRecord,
        PlaceRecord,
        ProjectRecord,
    )
    from slipway.services.configuration import Made

# A configuration is made again if the environment gets another one meanwhile.
_TRIES = 10


def acquire_next(environment: EnvironmentId) -> DeploymentRecord | None:
    """The deployment that holds the lock. If the lock is free, the first in the queue gets it.

    Returns None if the queue is empty, if the environment does not run, or if another process has
    just given the lock to a deployment. Repeating it changes nothing.
    """
    keys = (
        queue_records.lock(environment),
        environment_records.key(environment),
        project_records.key(environment.project),
    )
    for _ in range(_TRIES):
        held, record, project = table.get(*keys)
        if held and held.get("holder"):
            return deployment_records.find(ids.parse_deployment(held["holder"]))
        if not (record and record["status"] == "running"):
            return None
        with suppress(_Reconfigured):
            return _first_in_queue(record, project, held["token"] if held else 0)
    return None


def _first_in_queue(
    record: EnvironmentRecord, project: ProjectRecord | None, last_token: int
) -> DeploymentRecord | None:
    """The first that waits and is not outdated, once it has the lock. Raises _Reconfigured."""
    for place in queue_records.waiting(ids.parse_environment(record["id"])):
        if "hold" in record and place.get("automatic"):
            continue
        item = deployment_records.find(ids.parse_deployment(place["deployment_id"]))
        if item is None:
            return None
        # Checked again, because a newer version may have gone live since it was accepted.
        if not _is_outdated(item, record):
            made = _configuration_for(item, record, project)
            return _acquire(item, place, record, last_token, made)
        _supersede(item, record)
    return None


class _Reconfigured(Exception):
    """The environment's configuration has changed while one was made for a deployment."""


def _configuration_for(
    item: DeploymentRecord, record: EnvironmentRecord, project: ProjectRecord | None
) -> Made | None:
    """The configuration that has to be made for the deployment: if a level above the environment
    has changed since its newest one. None if there is nothing to make. One round trip then."""
    above = project.get("configurations") if project else None
    has_any = above or record.get("configuration")
    if "configuration" in item or not has_any:
        return None
    # Imported here, because many projects have no configurations.
    from slipway.services import configuration

    if not configuration.is_pending(record, project or {}):
        return None
    found = table.get(*configuration.keys(ids.parse_environment(record["id"])))
    levels = configuration.levels(record, found)
    return configuration.new_version(record, levels, item["made_by"], f"deployment {item['id']}")


def execution_input(item: DeploymentRecord) -> dict[str, Any]:
    """The input of the rollout's execution: ids, keys, fencing token, and the change as text."""
    deployment = ids.parse_deployment(item["id"])
    slots = quota_records.held(quota_records.DEPLOYMENT, item)
    keys = {
        "deployment": deployment_records.key(deployment),
        "environment": environment_records.key(deployment.environment),
        "lock": queue_records.lock(deployment.environment),
        "user_slot": slots.get("user", quota_records.no_slot(f"{item['id']}/user")),
        "project_slot": slots.get("project", quota_records.no_slot(f"{item['id']}/project")),
    }
    return {
        "deployment_id": item["id"],
        "brings": deployment_records.describe_change(item),
        "token": item["token"],
        "keys": {name: each.wire() for name, each in keys.items()},
        "log": {"pk": f"DEP#{deployment.d}", "sk": log_records.PREFIX},
    }


def record_lost_execution(item: DeploymentRecord, outcome: str) -> bool:
    """Record that a rollout's execution ended with `outcome` and recorded nothing.

    The deployment fails, the lock is released, and what is live is in doubt. Returns False if the
    deployment has ended meanwhile.
    """
    deployment = ids.parse_deployment(item["id"])
    failure: FailureRecord = {
        "error": "ExecutionLost",
        "reason": f"Its execution has {outcome} unrecorded",
    }
    end = queue_records.ending("failed", failure)
    transaction = queue_records.end_holder(item, end)
    try:
        transaction.add("environment", environment_records.mark_in_doubt(deployment)).commit()
    except TransactionFailed:
        return False
    return True


def release_ended(item: DeploymentRecord) -> bool:
    """Release the lock of a deployment that has ended. Returns whether it still held it."""
    try:
        table.write(queue_records.release(ids.parse_deployment(item["id"]), item["token"]))
    except ConditionFailed:
        return False
    return True


def _acquire(
    item: DeploymentRecord,
    place: PlaceRecord,
    environment: EnvironmentRecord,
    last_token: int,
    made: Made | None,
) -> DeploymentRecord | None:
    """None if another process was faster, or if what is live has changed.

    The deployment's configuration is fixed here: its own, the one that is `made` for it, or the
    newest. Raises _Reconfigured if it could not be made.
    """
    newest = made.number if made else environment.get("configuration", 0)
    number = item.get("configuration", newest)
    fields: Fields = {"token": last_token + 1, "configuration": number or None}
    if deployment_records.is_update(item) or item.get("trigger") == "configuration":
        # These do not change the live version.
        fields |= {
            name: environment.get(f"live_{name}") for name in environment_records.LIVE_FIELDS
        }
    deployment = ids.parse_deployment(item["id"])
    transaction = queue_records.take(deployment, fields, place, last_token)
    leaves = _leaves_queue(environment, item, number, made)
    for part, action in (made.actions if made else {}).items():
        transaction.add(part, action)
    try:
        transaction.add("environment", leaves).commit()
    except TransactionFailed as failed:
        if made and failed.get("lock") is None:
            raise _Reconfigured from None
        return None
    return changed(item, fields)


def _leaves_queue(
    environment: EnvironmentRecord, item: DeploymentRecord, number: int, made: Made | None
) -> table.Update:
    """The update of the environment's record when the deployment gets the lock."""
    leaves = queue_records.leaves_queue(environment)
    if made:
        at = timestamps.written(timestamps.now())
        text = f"configuration {number}: the project or the tier has changed"
        fields = {"change": change("configured", item["made_by"], at, text), "updated_at": at}
        leaves = actions.merged(leaves, {**made.fields, **fields}, made.condition, made.values)
        # What the environment shows has changed.
        leaves = actions.adding(leaves, {"version": 1})
    if number != environment.get("live_configuration", 0):
        # Registered before it is written, so that a teardown knows of it.
        leaves = actions.adding(leaves, {"delivered": {str(number)}})
    return leaves


def _supersede(item: DeploymentRecord, environment: EnvironmentRecord) -> None:
    """End a waiting deployment that is older than what is live."""
    reason = f"{environment['live_version']} is live and newer"
    failure: FailureRecord = {"error": "OutdatedDeployment", "reason": reason}
    newer = environment["live_deployment_id"]
    end = queue_records.ending("superseded", failure, superseded_by=newer)
    try:
        queue_records.end_waiting(ids.parse_deployment(item["id"]), item, end).commit()
    except TransactionFailed:
        return


def _is_outdated(item: DeploymentRecord, environment: EnvironmentRecord) -> bool:
    newer = is_outdated(item.get("order"), environment.get("live_order"))
    return newer and not item["allow_outdated"]
