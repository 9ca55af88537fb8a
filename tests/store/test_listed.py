"""The index of lists: which records are in it, from their first write to their last."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import teardowns
from slipway.store import deployment_records, environment_records, table
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws")


def in_lists() -> dict[str, list[str]]:
    """The places of the records, by the list."""
    found: dict[str, list[str]] = {}
    for item in world.everything():
        if "listed" in item:
            found.setdefault(item["listed"]["S"], []).append(item["listed_at"]["S"])
    return found


def test_an_environment_and_its_deployments_are_in_their_projects_lists(
    ann: Principal, project: ProjectId, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)

    assert in_lists() == {
        f"LIVE#{project.p}": [running.e],
        f"DEPLOYMENTS#{project.p}": [made.d],
    }


@pytest.mark.parametrize("status", ["running", "failed", "expiring", "tearing_down"])
def test_whatever_is_not_destroyed_stays_in_the_list(
    project: ProjectId, running: EnvironmentId, status: Any
) -> None:
    world.becomes(running, status)

    assert in_lists() == {f"LIVE#{project.p}": [running.e]}


def test_what_is_forgotten_leaves_the_list_and_its_deployments_stay(
    ann: Principal, project: ProjectId, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    world.becomes(running, "teardown_failed")

    teardowns.forget(running, ann.asking("environments:force"), None)

    assert in_lists() == {f"DEPLOYMENTS#{project.p}": [made.d]}
    [gone, kept] = table.get(environment_records.key(running), deployment_records.key(made))
    assert "listed_at" not in gone
    assert kept["listed_at"] == made.d
