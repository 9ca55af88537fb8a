"""A deployment's mode decides about those ahead of it: queue, supersede, cancel_running, reject."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.errors import OutdatedDeployment, QueueBusy
from slipway.store import deployment_records
from tests.support.workflows.world import Record, World

pytestmark = pytest.mark.xdist_group("workflows")


def statuses(world: World, queue: list[DeploymentId]) -> list[str]:
    return [world.look(each)["status"] for each in queue]


def busy(world: World, environment: EnvironmentId, waiting: int = 2) -> list[DeploymentId]:
    """One that runs and others that wait."""
    queue = [world.deploy(environment, f"v{n}") for n in range(waiting + 1)]
    world.run_until(lambda: world.look(queue[0])["status"] == "running")
    return queue


def test_supersede_replaces_the_waiting_deployments(world: World) -> None:
    environment = world.running()
    queue = busy(world, environment)

    newest = world.deploy(environment, "new", on_conflict="supersede")
    world.settle()

    assert statuses(world, [*queue, newest]) == [
        "succeeded",
        "superseded",
        "superseded",
        "succeeded",
    ]
    for each in queue[1:]:
        record = world.look(each)
        assert record["superseded_by"] == str(newest)
        assert record["failure"] == {"error": "Superseded", "reason": "new takes its place"}
    assert world.look(environment)["live_version"] == "new"
    assert world.items("QUEUE#") == []


def test_a_superseded_deployment_never_runs(world: World) -> None:
    environment = world.environment()
    queue = [world.deploy(environment, f"v{n}", on_conflict="supersede") for n in range(20)]

    world.settle()

    assert statuses(world, queue) == ["superseded"] * 19 + ["succeeded"]
    rollouts = [each for each in world.executions() if each.workflow == "roll_out_deployment"]
    assert [each.name for each in rollouts] == [str(queue[-1])]


def test_later_deployments_are_not_superseded(world: World) -> None:
    environment = world.running()
    busy(world, environment, waiting=0)

    newest = world.deploy(environment, "new", on_conflict="supersede")
    later = world.deploy(environment, "later")
    world.settle()

    assert statuses(world, [newest, later]) == ["succeeded", "succeeded"]
    assert world.look(environment)["live_version"] == "later"


def test_cancel_running_stops_the_running_deployment_and_replaces_the_others(world: World) -> None:
    environment = world.running()
    queue = busy(world, environment)

    newest = world.deploy(environment, "new", on_conflict="cancel_running")
    world.settle()

    assert statuses(world, [*queue, newest]) == [
        "canceled",
        "superseded",
        "superseded",
        "succeeded",
    ]
    assert world.execution("roll_out_deployment", queue[0]).error == "Canceled"
    assert world.look(environment)["live_version"] == "new"


def test_reject_is_accepted_only_if_the_queue_is_empty(world: World) -> None:
    environment = world.running()
    accepted = world.deploy(environment, "v1", on_conflict="reject")

    with pytest.raises(QueueBusy):
        world.deploy(environment, "v2", on_conflict="reject")
    world.settle()
    later = world.deploy(environment, "v3", on_conflict="reject")
    world.settle()

    assert statuses(world, [accepted, later]) == ["succeeded", "succeeded"]
    assert len(world.items("DEP#")) == 2


def test_the_mode_of_the_environment_is_the_default(world: World) -> None:
    environment = world.environment(on_conflict="supersede")

    first, second = world.deploy(environment, "v1"), world.deploy(environment, "v2")
    third = world.deploy(environment, "v3", on_conflict="queue")
    world.settle()

    assert statuses(world, [first, second, third]) == ["superseded", "succeeded", "succeeded"]


EIGHT = datetime(2026, 11, 23, 8, tzinfo=timezone(timedelta(hours=1)))
ORDERS: list[tuple[Record, Record]] = [
    ({"sequence": 2}, {"sequence": 1}),
    ({"committed_at": EIGHT}, {"committed_at": EIGHT - timedelta(minutes=30)}),
]


@pytest.mark.parametrize(("newer", "older"), ORDERS)
def test_a_version_older_than_one_live_or_ahead_is_refused(
    world: World, newer: Record, older: Record
) -> None:
    environment = world.running()
    first = world.deploy(environment, "new", **newer)

    with pytest.raises(OutdatedDeployment) as ahead:
        world.deploy(environment, "old", **older)
    world.settle()
    with pytest.raises(OutdatedDeployment) as live:
        world.deploy(environment, "old", **older)

    order = ahead.value.extra["newer_order"]
    told = {"newer": str(first), "newer_order": order}
    assert ahead.value.extra == {**told, "newer_version": None}
    assert live.value.extra == {**told, "newer_version": "new"}
    assert len(world.items("DEP#")) == 1


def test_a_deployment_that_becomes_outdated_in_the_queue_does_not_start(world: World) -> None:
    environment = world.environment()
    first = world.deploy(environment, "v9", sequence=9)
    behind = world.deploy(environment, "v3", sequence=3, allow_outdated=True)
    # As if it had been accepted in the moment before the other was.
    world.change(deployment_records.key(behind), "SET allow_outdated = :no", no=False)
    world.settle()

    assert statuses(world, [first, behind]) == ["succeeded", "superseded"]
    record = world.look(behind)
    assert record["failure"] == {"error": "OutdatedDeployment", "reason": "v9 is live and newer"}
    assert record["superseded_by"] == str(first)
    assert world.look(environment)["live_version"] == "v9"
    assert world.holder(environment) is None and world.items("QUEUE#") == []


def test_an_outdated_version_is_deployed_if_it_is_allowed(world: World) -> None:
    environment = world.running()
    world.deploy(environment, "v2", sequence=2)
    world.settle()

    back = world.deploy(environment, "v1", sequence=1, allow_outdated=True)
    world.settle()

    assert world.look(back)["status"] == "succeeded"
    assert world.look(environment)["live_version"] == "v1"


def test_without_an_order_no_version_is_outdated(world: World) -> None:
    environment = world.running()

    queue = [world.deploy(environment, "v2", sequence=2), world.deploy(environment, "any")]
    world.settle()

    assert statuses(world, queue) == ["succeeded", "succeeded"]
