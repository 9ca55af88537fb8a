"""A small world in the table, and what the workflows do to it at their ends."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from slipway.access.principal import Principal
from slipway.domain import ids, records, timestamps
from slipway.domain.deployment import Deployment, NewDeployment
from slipway.domain.deployment_lists import DeploymentListing
from slipway.domain.environment import Environment, Status
from slipway.domain.environment_lists import EnvironmentListing
from slipway.domain.environment_requests import NewEnvironment
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.project import NewProject, ProjectChange
from slipway.domain.template import Use, Version
from slipway.domain.template_lists import UseListing
from slipway.services import environments as environments_
from slipway.services import lists, projects, rollout_queue, rollouts, template_uses, updates
from slipway.store import (
    deployment_records,
    environment_records,
    lifetimes,
    project_records,
    queue_records,
    quota_records,
    table,
    template_records,
    user_records,
)
from slipway.store.table import Put, Transaction, Update
from tests.support.lambda_environment import ACCOUNT, REGION


def user(email: str = "ann@example.com") -> Principal:
    return Principal(user_records.add(email, "a hash").id, "environments:create")


def wanted(name: str = "preview", **fields: Any) -> NewEnvironment:
    return NewEnvironment.model_validate({"name": name, "type": "ephemeral"} | fields)


def page(**fields: Any) -> Paging:
    return Paging.model_validate(fields)


def environments(of: ProjectId, principal: Principal, **fields: Any) -> Page[Environment]:
    """A page of the project's list."""
    return lists.environments_in(of, principal, EnvironmentListing.model_validate(fields))


def deployments(of: EnvironmentId, principal: Principal, **fields: Any) -> Page[Deployment]:
    """A page of the environment's list."""
    return lists.deployments_into(of, principal, DeploymentListing.model_validate(fields))


def uses(of: str, principal: Principal, **fields: Any) -> Page[Use]:
    """A page of the template's environments."""
    return template_uses.uses(of, principal, UseListing.model_validate(fields))


def to_change(**fields: Any) -> ProjectChange:
    return ProjectChange.model_validate(fields)


def project(principal: Principal, name: str = "payments", **fields: Any) -> ProjectId:
    new = NewProject.model_validate({"name": name, **fields})
    return ids.parse_project(projects.create(new, principal).id)


def environment(
    of: ProjectId, principal: Principal, name: str = "preview", **fields: Any
) -> EnvironmentId:
    return ids.parse_environment(environments_.create(of, wanted(name, **fields), principal).id)


def deployment(of: EnvironmentId, principal: Principal, version: str = "v1") -> DeploymentId:
    return ids.parse_deployment(
        rollout_queue.enqueue(of, NewDeployment(version=version), principal).id
    )


def becomes(this: EnvironmentId, status: Status, **fields: Any) -> None:
    """The last write of a workflow: it removes the operation, increments the version, and records a
    change with `actor`, `action` and `reason`, by default of a workflow that set this status."""
    fields.setdefault("updated_at", timestamps.written(timestamps.now()))
    actor, action = fields.pop("actor", "a workflow"), fields.pop("action", status)
    why = records.change(action, actor, fields["updated_at"], fields.pop("reason", None))
    values = {"to": status, "one": 1, "change": why, **fields}
    more = "".join(f", {name} = :{name}" for name in fields)
    change = f"SET #status = :to, change = :change, version = version + :one{more} REMOVE operation"
    table.write(Update(environment_records.key(this), change, values))


def comes_up(this: EnvironmentId) -> None:
    becomes(this, "running", base_url="https://preview.example.com")


def is_of_a_template(this: EnvironmentId) -> None:
    """As if it had been made from version 1.0 of `web`, which is published and takes a size."""
    at = timestamps.written(timestamps.now())
    record = {
        "template": "web",
        "version": "1.0",
        "state": "published",
        "key": "templates/web/1.0/0",
        "media": "application/yaml",
        "sha256": "0" * 64,
        "bytes": 100,
        "parameters": [
            {"name": "Size", "type": "String", "default": "small"},
            {"name": "Version", "type": "String", "default": "none"},
        ],
        "outputs": [],
        "resources": {"AWS::SQS::Queue": 1},
        "transforms": False,
        "checked_under": template_records.allowances().digest,
        "created_by": "usr_1",
        "created_at": at,
        "updated_at": at,
    }
    made_of = {
        "driver": "cloudformation",
        "template": "web@1.0",
        "template_key": "templates/web/1.0/0",
        "parameters": ["Size", "Version"],
        "defaults": ["Version"],
        "inputs": "{}",
        "secret_inputs": [],
    }
    why = records.change("updated", "a test", at, "web@1.0 is in place")
    change, values = table.setting({**made_of, "change": why, "updated_at": at})
    table.write(Put(template_records.version_key("web", Version(1, 0)), record))
    grown = f"{change}, version = version + :one"
    table.write(Update(environment_records.key(this), grown, {**values, "one": 1}))


def is_destroyed(this: EnvironmentId) -> None:
    """The last state of retire_environment."""
    item = environment_records.find(this)
    assert item
    at = timestamps.written(timestamps.now())
    becomes(this, "destroyed", destroyed_at=at)
    change = "SET #ttl = :ttl REMOVE listed, listed_at"
    table.write(Update(environment_records.key(this), change, {"ttl": lifetimes.ended(at)}))
    external_id = item.get("external_id") or item["id"]
    transaction = (
        Transaction()
        .delete("name", project_records.environment_name(this.project, item["name"]))
        .delete("external_id", project_records.external_id(this.project, external_id))
        .delete("lease", environment_records.lease(this))
        .update(
            "project", project_records.key(this.project), "ADD environments :less", {"less": -1}
        )
    )
    for part, action in quota_records.freed(quota_records.ENVIRONMENT, item).items():
        transaction.add(part, action)
    transaction.commit()


def begins(this: DeploymentId) -> None:
    """The first state of roll_out_deployment."""
    at = timestamps.written(timestamps.now())
    why = records.change("deployment_running", str(this), at)
    change = "SET #status = :running, change = :why, started_at = :at"
    values = {"running": "running", "at": at, "why": why}
    table.write(Update(deployment_records.key(this), change, values))


def succeeds(this: DeploymentId) -> None:
    """The last state of roll_out_deployment: told, and the lock let go, in one."""
    at = timestamps.written(timestamps.now())
    why = records.change("deployment_succeeded", str(this), at)
    change = "SET #status = :done, change = :why, finished_at = :at"
    values = {"done": "succeeded", "at": at, "why": why}
    item = deployment_records.find(this)
    assert item
    transaction = (
        Transaction()
        .update("record", deployment_records.key(this), change, values)
        .update("lock", queue_records.lock(this.environment), "REMOVE holder", {})
    )
    for part, action in quota_records.freed(quota_records.DEPLOYMENT, item).items():
        transaction.add(part, action)
    transaction.commit()


def goes_live(this: DeploymentId) -> None:
    """Its whole rollout, as the step Ship and the state machine write it."""
    given = rollouts.acquire_next(this.environment)
    assert given
    assert given["id"] == str(this)
    begins(this)
    environment = environment_records.find(this.environment)
    assert environment
    becomes_ = updates.replaced_fields(given) if "becomes" in given else {}
    if "inputs" in given:
        becomes_ = updates.updated_fields(given, environment)
    fields = {f"live_{name}": given.get(name) for name in environment_records.LIVE_FIELDS}
    fields |= {"live_deployment_id": str(this), **becomes_}
    fields["live_history"] = deployment_records.live_history(given, environment)
    snapshot = deployment_records.snapshot(records.changed(environment, fields))
    fields["version"] = environment["version"] + 1
    table.write(Update(environment_records.key(this.environment), *table.setting(fields)))
    kept = {"snapshot": snapshot}
    table.write(Update(deployment_records.key(this), "SET #snapshot = :snapshot", kept))
    succeeds(this)


def as_now() -> Callable[[], None]:
    """Return a function that restores the table as it is now."""
    backend = dynamodb_backends[ACCOUNT][REGION]
    kept = copy.deepcopy(backend.tables)

    def again() -> None:
        backend.tables = copy.deepcopy(kept)

    return again


def everything() -> list[dict[str, Any]]:
    """All that the table holds, from moto itself: a scan over the wire takes ten times as long."""
    held = dynamodb_backends[ACCOUNT][REGION].tables["slipway"].all_items()
    found = [_as_sent(item.to_json()["Attributes"]) for item in held]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def _as_sent(item: dict[str, Any]) -> dict[str, Any]:
    """The item with its bytes as they are sent: moto holds those themselves."""
    for value in item.values():
        if isinstance(value.get("B"), bytes):
            value["B"] = base64.b64encode(value["B"]).decode()
    return item


def stream() -> list[dict[str, Any]]:
    """The records of the table's stream, oldest first."""
    shard = dynamodb_backends[ACCOUNT][REGION].tables["slipway"].stream_shard
    assert shard
    return [record.to_json() for record in shard.items]
