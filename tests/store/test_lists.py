"""Every list: one round trip with who may see it, and nothing of it for anybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.domain.ids import EnvironmentId
from slipway.errors import NotFound
from slipway.store import deployments, environments, events, logs, projects, queue, table
from slipway.store.table import Delete
from tests.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

List = Callable[[str], Any]


@pytest.fixture
def lists(ann: str, running: EnvironmentId) -> dict[str, List]:
    made = world.deployment(running, ann)
    logs.write(made, "ship", "2026-11-23T01:02:03.456Z", "shipping")
    page = world.page()
    return {
        "environments": lambda user: environments.of(running.project, user, page),
        "deployments": lambda user: deployments.of(running, user, page),
        "logs": lambda user: logs.of_deployment(made, user, page),
        "events": lambda user: events.of(running, user, page),
        "timeline": lambda user: events.timeline(made, user),
        "queue": lambda user: queue.of(running, user),
    }


NAMES = ["environments", "deployments", "logs", "events", "timeline", "queue"]


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_one_round_trip(
    ann: str, lists: dict[str, List], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = between.counted(monkeypatch)

    lists[name](ann)

    assert len(made) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_not_there_for_anybody_else(
    ann: str, bob: str, lists: dict[str, List], name: str
) -> None:
    with pytest.raises(NotFound):
        lists[name](bob)


@pytest.mark.parametrize("name", NAMES)
def test_who_is_put_out_in_that_moment_sees_nothing(
    ann: str,
    running: EnvironmentId,
    lists: dict[str, List],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    member = projects.member(running.project, ann)
    # The page is read by then, and the membership is not.
    between.first(monkeypatch, "BatchGetItem", lambda: table.write(Delete(member)))

    with pytest.raises(NotFound):
        lists[name](ann)


def test_the_projects_of_a_user_are_one_round_trip(
    ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.project(ann)
    made = between.counted(monkeypatch)

    assert len(projects.of(ann, world.page())) == 1
    assert made == ["Query"]
