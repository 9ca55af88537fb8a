"""Registered users who call the API, and the objects that they own."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from slipway.access import passwords, signing
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store import project_records, table, user_records
from slipway.store.table import Put
from tests.support.api.client import Client
from tests.support.store import world

PASSWORD = "secret123"


@functools.cache
def password_hash() -> str:
    """argon2id is slow by design, so it is asked once."""
    return passwords.hash_password(PASSWORD)


def signed_in(email: str) -> Client:
    """A user who registered with PASSWORD and has a token."""
    user = user_records.add(email, password_hash())
    return Client(signing.mint(user.id).access_token, user.id)


@dataclass(frozen=True)
class Stage:
    """Ann's objects, for modules whose requests are all refused. They are made once for all tests,
    because each test asserts that it changed nothing."""

    ann: Client
    project: ProjectId
    environment: EnvironmentId
    deployment: DeploymentId
    trust: str = "trs_01kaq3h5x0c2m9f7r4tz_01kaq3q6d8t5w2n9h4cx"


def new_stage() -> Stage:
    """Ann with a project, a trust, a running environment and a deployment, in the table."""
    ann = signed_in("ann@example.com")
    project = world.project(ann.principal)
    environment = world.environment(project, ann.principal)
    world.comes_up(environment)
    deployment = world.deployment(environment, ann.principal)
    trust = {"preset": "github", "claims": {"repository_id": "456789"}, "scopes": ["read"]}
    made = ann.post(f"/api/v1/projects/{project}/trusts", trust).json["id"]
    return Stage(ann, project, environment, deployment, made)


def joins(
    project: ProjectId,
    client: Client,
    role: str,
    overrides: dict[str, str] | None = None,
) -> Client:
    """The user is a member of the project with this role from now on."""
    fields = {"user_id": client.user_id, "email": "x@example.com", "role": role}
    item = {**fields, "overrides": overrides, "version": 1}
    table.write(Put(project_records.member(project, client.user_id), item, condition=None))
    return client
