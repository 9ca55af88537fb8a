"""Every list is one round trip that also checks access, and shows nothing without access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId
from slipway.errors import NotFound
from slipway.services import history, projects, queues
from slipway.store import (
    log_records,
    project_records,
    table,
)
from slipway.store.table import Delete
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

List = Callable[[Principal], Any]


@pytest.fixture
def lists(ann: Principal, running: EnvironmentId) -> dict[str, List]:
    made = world.deployment(running, ann)
    log_records.write(made, "ship", "2026-11-23T01:02:03.456Z", "shipping")
    page = world.page()
    return {
        "environments": lambda user: world.environments(running.project, user),
        "deployments": lambda user: world.deployments(running, user),
        "logs": lambda user: history.deployment_logs(made, user, page),
        "events": lambda user: history.events(running, user, page),
        "timeline": lambda user: history.timeline(made, user),
        "queue": lambda user: queues.list_(running, user),
    }


NAMES = ["environments", "deployments", "logs", "events", "timeline", "queue"]


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_one_round_trip(
    ann: Principal, lists: dict[str, List], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = between.counted(monkeypatch)

    lists[name](ann)

    assert len(made) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_not_found_by_another_user(
    ann: Principal, bob: Principal, lists: dict[str, List], name: str
) -> None:
    with pytest.raises(NotFound):
        lists[name](bob)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_who_is_removed_meanwhile_sees_nothing(
    ann: Principal,
    running: EnvironmentId,
    lists: dict[str, List],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    member = project_records.member(running.project, ann.user_id)
    # The page is read by then, and the membership is not.
    between.first(monkeypatch, "BatchGetItem", lambda: table.write(Delete(member)))

    with pytest.raises(NotFound):
        lists[name](ann)


def test_the_projects_of_a_user_are_one_round_trip(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.project(ann)
    made = between.counted(monkeypatch)

    assert len(projects.list_(ann, world.page())) == 1
    assert made == ["Query"]
