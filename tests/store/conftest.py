"""Two users, and a project of the first."""

from __future__ import annotations

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from tests.store import world


@pytest.fixture
def ann(aws: None) -> str:
    return world.user()


@pytest.fixture
def bob(aws: None) -> str:
    return world.user("bob@example.com")


@pytest.fixture
def project(ann: str) -> ProjectId:
    return world.project(ann)


@pytest.fixture
def running(ann: str, project: ProjectId) -> EnvironmentId:
    """An environment of the project that runs."""
    environment = world.environment(project, ann, "running")
    world.comes_up(environment)
    return environment
