"""Two users, and a project of the first one."""

from __future__ import annotations

import pytest

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId, ProjectId
from tests.support.store import world


@pytest.fixture
def ann(aws: None) -> Principal:
    return world.user()


@pytest.fixture
def bob(aws: None) -> Principal:
    return world.user("bob@example.com")


@pytest.fixture
def project(ann: Principal) -> ProjectId:
    return world.project(ann)


@pytest.fixture
def running(ann: Principal, project: ProjectId) -> EnvironmentId:
    """An environment of the project that runs."""
    environment = world.environment(project, ann, "running")
    world.comes_up(environment)
    return environment
