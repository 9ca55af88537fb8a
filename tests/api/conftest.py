"""People who call the API, and what the first of them has."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from slipway.access import auth
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store import user_records
from tests.api.client import Client
from tests.conftest import as_on_lambda, empty, moto
from tests.store import world

PASSWORD = "secret123"


@functools.cache
def password_hash() -> str:
    """argon2id is slow by design, so it is asked once."""
    return auth.hash_password(PASSWORD)


def signed_in(email: str) -> Client:
    """Somebody who registered before, with PASSWORD, and has a token."""
    user = user_records.add(email, password_hash())
    return Client(auth.mint(user.id).access_token, user.id)


@dataclass(frozen=True)
class Stage:
    """What ann has, for the modules that only send what is refused: it is there once for all
    their tests, for each of them asserts that it changed nothing."""

    ann: Client
    project: ProjectId
    environment: EnvironmentId
    deployment: DeploymentId


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with moto(), as_on_lambda():
        empty()
        ann = signed_in("ann@example.com")
        project = world.project(ann.principal)
        environment = world.environment(project, ann.principal)
        world.comes_up(environment)
        yield Stage(ann, project, environment, world.deployment(environment, ann.principal))


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
