"""Deployment records. Their queue is in slipway.store.queue_records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slipway.aws import executions, secret_inputs
from slipway.domain import failure
from slipway.domain.deployment import Deployment
from slipway.domain.environment import MASK
from slipway.domain.ids import DeploymentId
from slipway.domain.rights import tier_of
from slipway.errors import StaleWrite
from slipway.store import environment_records, table
from slipway.store.table import Key

if TYPE_CHECKING:
    from slipway.domain.records import (
        DeploymentRecord,
        EnvironmentRecord,
        LiveRecord,
        SnapshotRecord,
    )

PREFIX = "DEP#"
# How many of the deployments that were live last can be rolled back to. The values of the secret
# inputs that they had are kept.
KEPT = 10


def key(deployment: DeploymentId) -> Key:
    """The key of the deployment's record."""
    return Key(f"ENV#{deployment.e}", PREFIX + deployment.d)


def is_update(item: DeploymentRecord) -> bool:
    """Whether the deployment updates the environment itself instead of releasing a version."""
    return item["kind"] == "update"


def changes_environment(item: DeploymentRecord) -> bool:
    """Whether the deployment changes the environment's template or inputs.

    No later version contains its change, so none supersedes it.
    """
    return "inputs" in item or "becomes" in item


def configuration_of(item: DeploymentRecord, environment: EnvironmentRecord) -> int:
    """The number of the deployment's configuration, 0 for none; what is live for a deployment that
    an earlier release has begun."""
    return item.get("configuration", environment.get("live_configuration", 0))


def describe_change(item: DeploymentRecord) -> str:
    """The deployment's change as text: its version, or an update's template or inputs."""
    if item.get("trigger") == "configuration":
        return f"configuration {item.get('configuration', 'next')} of {item.get('version', 'it')}"
    if is_update(item):
        return str(item.get("template", "a change of inputs"))
    return str(item.get("version") or item.get("becomes", {}).get("template", "no version"))


def snapshot(environment: EnvironmentRecord) -> SnapshotRecord:
    """The state of the environment beside its version and artifact, as its record has it."""
    places = secret_inputs.places(environment)
    kept: SnapshotRecord = {"secret_inputs": sorted(places), "secret_places": places}
    if "template" in environment:
        kept["template"], kept["inputs"] = environment["template"], environment["inputs"]
    return kept


def live_history(item: DeploymentRecord, environment: EnvironmentRecord) -> list[LiveRecord]:
    """The deployments that were live, newest first, once this one is; at most KEPT."""
    newest: LiveRecord = {"id": item["id"]}
    if version := item.get("version"):
        newest["version"] = version
    history = environment.get("live_history", [])
    if target := item.get("rolls_back_to"):
        same = (each.get("same_as") for each in history if each["id"] == target)
        newest["same_as"] = next(same, None) or target
    return [newest, *history][:KEPT]


def within(environment: EnvironmentRecord) -> dict[str, Any]:
    """What lists filter deployments by: the environment as it is when one is created."""
    found = {
        "name": environment["name"],
        "type": environment["type"],
        "tier": tier_of(environment),
        "template": environment.get("template"),
    }
    return {name: value for name, value in found.items() if value is not None}


def to_model(item: DeploymentRecord) -> Deployment:
    """The deployment as the API returns it. Values of secret inputs are masked."""
    execution = executions.execution("roll_out_deployment", item["id"])
    order = item.get("order")
    becomes = item.get("becomes", {})
    shown = {
        **item,
        "template": becomes.get("template") or item.get("template"),
        "sequence": order if isinstance(order, int) else None,
        "committed_at": order if isinstance(order, str) else None,
        "inputs": _inputs(item),
        "configuration": item.get("configuration", 0 if "token" in item else None),
        "labels": item.get("labels") or {},
        "trigger": item.get("trigger") or ("update" if is_update(item) else "api"),
        "failure": failure.decode(item["failure"]) if "failure" in item else None,
        "environment_name": item.get("within", {}).get("name"),
        "logs_url": f"/api/v1/deployments/{item['id']}/logs",
        "execution_arn": execution.arn,
        "execution_url": execution.url,
    }
    return Deployment.model_validate(shown)


def _inputs(item: DeploymentRecord) -> dict[str, str | None] | None:
    held = item.get("becomes", item)
    if "inputs" not in held:
        return None
    return {**json.loads(held["inputs"]), **dict.fromkeys(held["secret_inputs"], MASK)}


def find(deployment: DeploymentId) -> DeploymentRecord | None:
    """The record, None if there is none, without authorization: for workflows. One round trip."""
    item: DeploymentRecord | None = table.get(key(deployment))[0]
    return item


def held_by(deployment: DeploymentId, token: int) -> tuple[DeploymentRecord, EnvironmentRecord]:
    """The records of a running deployment and its environment; one round trip.

    Raises StaleWrite if the deployment no longer runs with this fencing token, or if the
    environment no longer runs.
    """
    item, environment = table.get(key(deployment), environment_records.key(deployment.environment))
    if not (item and item["status"] == "running" and item["token"] == token):
        raise StaleWrite("The rollout has already been ended")
    if not (environment and environment["status"] == "running"):
        raise StaleWrite("The environment is no longer running")
    return item, environment
