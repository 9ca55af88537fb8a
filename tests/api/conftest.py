"""Users who call the API, and the objects of the first one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store.wire import decode
from tests.support import lifetimes
from tests.support.api.client import Client
from tests.support.api.fixtures import hashed, mailbox, quick_argon2, root, stage
from tests.support.api.people import signed_in
from tests.support.store import world

__all__ = ["hashed", "mailbox", "quick_argon2", "root", "stage"]


@pytest.fixture(autouse=True)
def _kinds_are_known(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the API has written by the end of each test is in docs/retention.md."""
    yield
    if "aws" in request.fixturenames:
        assert set(lifetimes.faults(map(decode, world.everything()))) == set()


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
