"""Deployment records. Their queue is in slipway.store.queue_records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slipway.aws import executions
from slipway.domain import failure
from slipway.domain.deployment import Deployment
from slipway.domain.environment import MASK
from slipway.domain.ids import DeploymentId
from slipway.domain.rights import tier_of
from slipway.errors import StaleWrite
from slipway.store import environment_records, table
from slipway.store.table import Key

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

PREFIX = "DEP#"


def key(deployment: DeploymentId) -> Key:
    """The key of the deployment's record."""
    return Key(f"ENV#{deployment.e}", PREFIX + deployment.d)


def is_update(item: DeploymentRecord) -> bool:
    """Whether the deployment updates the environment itself instead of releasing a version."""
    return item["kind"] == "update"


def describe_change(item: DeploymentRecord) -> str:
    """The deployment's change as text: its version, or an update's template or inputs."""
    if is_update(item):
        return str(item.get("template", "a change of inputs"))
    return str(item["version"])


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
    shown = {
        **item,
        "sequence": order if isinstance(order, int) else None,
        "committed_at": order if isinstance(order, str) else None,
        "inputs": _inputs(item) if is_update(item) else None,
        "labels": item.get("labels") or {},
        "trigger": item.get("trigger") or ("update" if is_update(item) else "api"),
        "failure": failure.decode(item["failure"]) if "failure" in item else None,
        "environment_name": item.get("within", {}).get("name"),
        "logs_url": f"/api/v1/deployments/{item['id']}/logs",
        "execution_arn": execution.arn,
        "execution_url": execution.url,
    }
    return Deployment.model_validate(shown)


def _inputs(item: DeploymentRecord) -> dict[str, str | None]:
    return {**json.loads(item["inputs"]), **dict.fromkeys(item["secret_inputs"], MASK)}


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
