"""Each environment has one lock: one holder at a time, in order, with a new token each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slipway.access.principal import Principal
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import StaleWrite
from slipway.services import deployments, rollout_queue, rollouts, teardowns
from slipway.store import deployment_records, queue_records, table
from tests.support.store import between, world
from tests.support.store.records import waiting_in

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord

pytestmark = pytest.mark.usefixtures("aws")


def lock(environment: EnvironmentId) -> dict[str, Any]:
    [found] = table.get(queue_records.lock(environment))
    return found or {}


def given_to(item: DeploymentRecord | None) -> str | None:
    return item["id"] if item else None


# --- to whom the lock goes ------------------------------------------------------------------


def test_the_first_in_the_queue_gets_the_lock(ann: Principal, running: EnvironmentId) -> None:
    first, second = world.deployment(running, ann), world.deployment(running, ann)

    item = rollouts.acquire_next(running)

    assert item
    assert (item["id"], item["token"], item["status"]) == (str(first), 1, "pending")
    assert lock(running)["holder"] == str(first)
    assert waiting_in(running) == [str(second)]


def test_acquiring_again_returns_the_holder(ann: Principal, running: EnvironmentId) -> None:
    first = world.deployment(running, ann)
    world.deployment(running, ann)
    rollouts.acquire_next(running)
    before = world.everything()

    assert given_to(rollouts.acquire_next(running)) == str(first)
    assert world.everything() == before


def test_an_empty_queue_has_no_holder(running: EnvironmentId) -> None:
    assert rollouts.acquire_next(running) is None
    assert lock(running) == {}


def test_the_end_of_a_deployment_passes_the_lock_on(ann: Principal, running: EnvironmentId) -> None:
    waiting = [world.deployment(running, ann) for _ in range(4)]
    tokens = []

    for expected in waiting:
        item = rollouts.acquire_next(running)
        assert given_to(item) == str(expected)
        tokens.append(item and item["token"])
        world.begins(expected)
        world.succeeds(expected)

    assert tokens == [1, 2, 3, 4]
    assert rollouts.acquire_next(running) is None


def test_acquiring_many_times_at_once_gives_the_lock_once(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.deployment(running, ann), world.deployment(running, ann)

    results = between.at_once(
        monkeypatch, *[lambda: rollouts.acquire_next(running) for _ in range(6)]
    )

    assert {result["id"] for result in results if isinstance(result, dict)} == {str(first)}
    assert lock(running)["token"] == 1
    assert waiting_in(running) == [str(second)]


def test_a_second_simultaneous_acquire_gives_nothing(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.deployment(running, ann)
    between.first(monkeypatch, "TransactWriteItems", lambda: rollouts.acquire_next(running))

    assert rollouts.acquire_next(running) is None
    assert lock(running)["holder"] == str(first)


def test_a_token_is_never_given_twice(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (world.deployment(running, ann) for _ in range(3))
    rollouts.acquire_next(running)
    world.succeeds(first)

    def a_whole_rollout() -> None:
        rollouts.acquire_next(running)
        world.succeeds(second)

    between.first(monkeypatch, "TransactWriteItems", a_whole_rollout)

    assert rollouts.acquire_next(running) is None
    item = rollouts.acquire_next(running)
    assert item
    assert (item["id"], item["token"]) == (str(third), 3)


@pytest.mark.parametrize("status", ["provisioning", "failed", "expiring", "tearing_down"])
def test_the_lock_is_given_only_while_the_environment_runs(
    ann: Principal, project: ProjectId, status: Any
) -> None:
    environment = world.environment(project, ann)
    waiting = world.deployment(environment, ann)
    world.becomes(environment, status)

    assert rollouts.acquire_next(environment) is None
    assert waiting_in(environment) == [str(waiting)]


def test_a_deployment_that_waited_for_the_environment_gets_the_lock_when_it_runs(
    ann: Principal, project: ProjectId
) -> None:
    environment = world.environment(project, ann)
    waiting = world.deployment(environment, ann)
    world.comes_up(environment)

    assert given_to(rollouts.acquire_next(environment)) == str(waiting)


def test_a_deployment_that_is_canceled_meanwhile_does_not_get_the_lock(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deployment(running, ann)
    between.first(
        monkeypatch, "TransactWriteItems", lambda: rollout_queue.cancel_all(running, "gone")
    )

    assert rollouts.acquire_next(running) is None
    assert "holder" not in lock(running)


# --- who may write --------------------------------------------------------------------------


def test_the_holder_of_the_token_may_write(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)

    item, environment = deployment_records.held_by(made, 1)

    assert (item["id"], environment["id"]) == (str(made), str(running))


def test_a_deployment_that_has_lost_the_lock_may_not_write(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)

    for before_it_begins in (1, 2):
        with pytest.raises(StaleWrite):
            deployment_records.held_by(made, before_it_begins)
    world.begins(made)
    for token in (0, 2):
        with pytest.raises(StaleWrite):
            deployment_records.held_by(made, token)
    teardowns.begin(running, ann, None)
    with pytest.raises(StaleWrite, match="no longer running"):
        deployment_records.held_by(made, 1)
    with pytest.raises(StaleWrite):
        deployment_records.held_by(DeploymentId(*running, "0" * 20), 1)


# --- when the environment goes --------------------------------------------------------------


def test_all_deployments_end_with_their_environment(ann: Principal, running: EnvironmentId) -> None:
    made = [world.deployment(running, ann) for _ in range(3)]
    rollouts.acquire_next(running)
    world.begins(made[0])

    rollout_queue.cancel_all(running, "The environment is tearing_down")

    for deployment in made:
        shown = deployments.get(deployment, ann)
        assert (shown.status, shown.failure and shown.failure.error) == (
            "canceled",
            "EnvironmentGone",
        )
        assert shown.failure and shown.failure.reason == "The environment is tearing_down"
        assert shown.finished_at
    assert waiting_in(running) == []
    assert "holder" not in lock(running)


def test_canceling_all_again_changes_nothing(ann: Principal, running: EnvironmentId) -> None:
    for _ in range(2):
        world.deployment(running, ann)
    rollouts.acquire_next(running)
    rollout_queue.cancel_all(running, "gone")
    before = world.everything()

    rollout_queue.cancel_all(running, "gone again")

    assert world.everything() == before


def test_a_finished_deployment_keeps_its_status(ann: Principal, running: EnvironmentId) -> None:
    done = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(done)
    world.succeeds(done)

    rollout_queue.cancel_all(running, "gone")

    assert deployments.get(done, ann).status == "succeeded"


def test_a_rollout_that_succeeds_meanwhile_stays_succeeded(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    between.first(monkeypatch, "TransactWriteItems", lambda: world.succeeds(made))

    rollout_queue.cancel_all(running, "gone")

    assert deployments.get(made, ann).status == "succeeded"


def test_a_deployment_that_gets_the_lock_meanwhile_is_canceled_by_the_next_try(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)
    between.first(monkeypatch, "TransactWriteItems", lambda: rollouts.acquire_next(running))

    rollout_queue.cancel_all(running, "gone")
    rollout_queue.cancel_all(running, "gone")

    assert deployments.get(made, ann).status == "canceled"
    assert "holder" not in lock(running)


def test_a_long_queue_is_canceled_to_its_end(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [world.deployment(running, ann) for _ in range(5)]
    between.short_pages(monkeypatch)

    rollout_queue.cancel_all(running, "gone")

    assert [deployments.get(each, ann).status for each in made] == ["canceled"] * 5
    assert waiting_in(running) == []
