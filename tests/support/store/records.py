"""Read and change records of the table directly."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, get_args

from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.deployment import NewDeployment
from slipway.domain.environment import Status
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.services import (
    rollout_queue,
    rollouts,
)
from slipway.store import (
    environment_records,
    table,
)
from tests.support.store import world

STATES: tuple[Status, ...] = get_args(Status)


def lease(environment: EnvironmentId) -> Any:
    return table.get(environment_records.lease(environment))[0]


def overdue(environment: EnvironmentId) -> None:
    """Its time was over a second ago."""
    past = timestamps.written(timestamps.now() - timedelta(seconds=1))
    change = table.Update(
        environment_records.key(environment), "SET expires_at = :past", {"past": past}
    )
    table.write(change)


def waiting_in(environment: EnvironmentId) -> list[str]:
    items, _ = table.query(f"ENV#{environment.e}", "QUEUE#", limit=100)
    return [item["deployment_id"] for item in items]


def joins(environment: EnvironmentId, user_id: Principal, **fields: Any) -> DeploymentId:
    new = NewDeployment.model_validate_json(json.dumps({"version": "v1", **fields}))
    return ids.parse_deployment(rollout_queue.enqueue(environment, new, user_id).id)


def runs(environment: EnvironmentId) -> DeploymentId:
    """The first in the queue has the lock and has begun."""
    item = rollouts.acquire_next(environment)
    assert item
    this = ids.parse_deployment(item["id"])
    world.begins(this)
    return this
