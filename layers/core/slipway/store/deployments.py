"""Deployments: their records. How one follows another is in store/queue.py."""

from __future__ import annotations

import json

from slipway.aws import executions
from slipway.domain.deployment import Deployment
from slipway.domain.environment import MASK
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.paging import Page, Paging
from slipway.errors import NotFound, Overtaken
from slipway.store import environments, projects, table
from slipway.store.table import Item, Key

PREFIX = "DEP#"


def key(deployment: DeploymentId) -> Key:
    return Key(f"ENV#{deployment.e}", PREFIX + deployment.d)


def is_update(item: Item) -> bool:
    """Whether it is about the environment itself, and brings no version."""
    return "inputs" in item


def brings(item: Item) -> str:
    """What it brings into the environment, in words."""
    if is_update(item):
        return str(item.get("template", "a change of inputs"))
    return str(item["version"])


def read(item: Item) -> Deployment:
    arn = executions.execution_arn("roll_out_deployment", item["id"])
    order = item.get("order")
    shown = {
        **item,
        "sequence": order if isinstance(order, int) else None,
        "committed_at": order if isinstance(order, str) else None,
        "inputs": _inputs(item) if is_update(item) else None,
        "logs_url": f"/api/v1/deployments/{item['id']}/logs",
        "execution_arn": arn,
        "execution_url": executions.execution_url(arn),
    }
    return Deployment.model_validate(shown)


def _inputs(item: Item) -> dict[str, str | None]:
    return {**json.loads(item["inputs"]), **dict.fromkeys(item["secret_inputs"], MASK)}


def get(deployment: DeploymentId, user_id: str) -> Deployment:
    """Raises NotFound, also for somebody else's deployment."""
    return read(authorised(deployment, user_id))


def authorised(deployment: DeploymentId, user_id: str) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    return allowed(deployment, *table.get(*access(deployment, user_id)))


def access(deployment: DeploymentId, user_id: str) -> tuple[Key, Key]:
    """What says whether the user may see the deployment, and its record; for `allowed`."""
    return projects.member(deployment.environment.project, user_id), key(deployment)


def allowed(deployment: DeploymentId, membership: Item | None, item: Item | None) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    # Its key does not name the project, so an id with a made-up ancestry would find it too.
    if not (membership and item and item["id"] == str(deployment)):
        raise NotFound("No such deployment")
    return item


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
    """The environment's deployments, newest first. Raises NotFound."""
    found, items, last = table.page(
        environments.access(environment, user_id), f"ENV#{environment.e}", PREFIX, paging
    )
    environments.allowed(*found)
    return Page([read(item) for item in items], last)
