"""Users who call the API, and the objects of the first one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from tests.support.api.client import Client
from tests.support.api.people import Stage, signed_in
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto
from tests.support.store import world


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with moto(), as_on_lambda():
        empty()
        ann = signed_in("ann@example.com")
        project = world.project(ann.principal)
        environment = world.environment(project, ann.principal)
        world.comes_up(environment)
        deployment = world.deployment(environment, ann.principal)
        trust = {"preset": "github", "claims": {"repository_id": "456789"}, "scopes": ["read"]}
        made = ann.post(f"/api/v1/projects/{project}/trusts", trust).json["id"]
        yield Stage(ann, project, environment, deployment, made)


@pytest.fixture
def nobody(aws: None) -> Client:
    return Client()


@pytest.fixture
def ann(aws: None) -> Client:
    return signed_in("ann@example.com")


@pytest.fixture
def bob(aws: None) -> Client:
    return signed_in("bob@example.com")


@pytest.fixture
def project(ann: Client) -> ProjectId:
    return world.project(ann.principal)


@pytest.fixture
def environment(ann: Client, project: ProjectId) -> EnvironmentId:
    """An environment that runs."""
    made = world.environment(project, ann.principal)
    world.comes_up(made)
    return made


@pytest.fixture
def deployment(ann: Client, environment: EnvironmentId) -> DeploymentId:
    return world.deployment(environment, ann.principal, "sha-1234567")
