"""roll_out_deployment: a version goes live, or its deployment says why not; the lock goes on."""

from __future__ import annotations

import pytest

from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused
from slipway.store import deployments, queue
from tests.workflows import faults
from tests.workflows.emulator import task_error
from tests.workflows.faults import Fault
from tests.workflows.world import World

SHIP = "Ship > driver ship"
BEGIN = "roll_out_deployment/Begin > dynamodb UpdateItem"
LIVE = "roll_out_deployment/It is live > dynamodb TransactWriteItems"
SAYS = "roll_out_deployment/Say that it failed > dynamodb TransactWriteItems"
REFUSED = faults.raises(DriverRefused("No such image"))
STRAIGHT = [
    "Begin",
    "Ship",
    "Is it in place?",
    "Let it settle",
    "Ship",
    "Is it in place?",
    "It is live",
]
GONE = {"error": "EnvironmentGone", "reason": "The environment is tearing_down"}


def test_a_version_goes_live(world: World) -> None:
    environment = world.running()

    deployment = world.deploy(environment, "sha-1234567")
    world.settle()

    record = world.look(deployment)
    assert (record["status"], record["token"]) == ("succeeded", 1)
    assert record["created_at"] < record["started_at"] < record["finished_at"]
    live = world.look(environment)
    assert (live["live_version"], live["live_deployment_id"]) == ("sha-1234567", str(deployment))
    assert world.holder(environment) is None
    execution = world.execution("roll_out_deployment", deployment)
    assert (execution.status, execution.states) == ("SUCCEEDED", STRAIGHT)
    assert execution.transitions <= 8


def test_the_log_tells_the_rollout_in_order(world: World) -> None:
    environment = world.running()

    deployment = world.deploy(environment, "v1")
    world.settle()

    assert world.logs(deployment) == [
        ("ship", "Shipping v1 into preview; next look in 2 s"),
        ("ship", "v1 is in preview"),
        ("succeed", "v1 is live"),
    ]


def test_the_log_ends_with_the_reason_of_a_failure(world: World) -> None:
    environment = world.running()
    world.when(SHIP, REFUSED, skip=1)

    deployment = world.deploy(environment, "v1")
    world.settle()

    assert world.logs(deployment) == [
        ("ship", "Shipping v1 into preview; next look in 2 s"),
        ("fail", "DriverRefused: No such image"),
    ]


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("* > lambda Ship", faults.lost),
        ("* > lambda Ship", faults.twice),
        ("Ship > dynamodb PutItem", faults.lost),
        ("Ship > dynamodb PutItem", faults.twice),
        (LIVE, faults.lost),
        (LIVE, faults.twice),
    ],
)
def test_a_step_that_is_done_twice_says_nothing_twice(
    world: World, where: str, fault: Fault
) -> None:
    environment = world.running()
    world.when(where, fault)

    deployment = world.deploy(environment, "v1")
    world.settle()

    assert world.logs(deployment) == [
        ("ship", "Shipping v1 into preview; next look in 2 s"),
        ("ship", "v1 is in preview"),
        ("succeed", "v1 is live"),
    ]
    assert world.look(deployment)["status"] == "succeeded"


@pytest.mark.parametrize("where", ["* > driver ship", "Ship > dynamodb PutItem"])
def test_a_step_whose_process_is_killed_is_done_again_and_says_nothing_twice(
    world: World, where: str
) -> None:
    environment = world.running()
    world.when(where, faults.dies, times=3)

    deployment = world.deploy(environment)
    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.failures == [("Ship", "Lambda.Unknown")] * 3
    assert world.look(deployment)["status"] == "succeeded"
    lines = world.logs(deployment)
    assert lines[-1] == ("succeed", "v1 is live")
    assert len(set(lines)) == len(lines)


def test_a_fault_of_the_driver_is_tried_again(world: World) -> None:
    environment = world.running()
    world.when(SHIP, faults.raises(DriverFault("Not now")), times=3)

    deployment = world.deploy(environment)
    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.failures == [("Ship", "DriverFault")] * 3
    assert world.look(deployment)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("fault", "times", "failure"),
    [
        (REFUSED, 1, {"error": "DriverRefused", "reason": "No such image"}),
        (
            faults.raises(DriverFault("Not now")),
            7,
            {"error": "DriverFault", "reason": "Not now"},
        ),
        (
            faults.answers(Progress(done=False, wait_seconds=200)),
            None,
            {"error": "DriverRefused", "reason": "It has taken longer than 1:00:00"},
        ),
        (
            faults.raises(task_error("States.Timeout", "")),
            7,
            {"error": "States.Timeout", "reason": ""},
        ),
    ],
)
def test_a_rollout_that_fails_says_why_and_changes_nothing_that_is_live(
    world: World, fault: Fault, times: int | None, failure: dict[str, str]
) -> None:
    environment = world.running()
    world.deploy(environment, "v1")
    world.settle()
    world.when("* > lambda Ship" if failure["error"] == "States.Timeout" else SHIP, fault, times)

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert record["status"] == "failed"
    assert record["failure"] == {**failure, "step": "Ship"}
    assert world.look(environment)["live_version"] == "v1"
    assert world.holder(environment) is None
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states[-2:] == ["Say that it failed", "It failed"]
    assert (execution.status, execution.error) == ("FAILED", "RolloutFailed")


def test_a_rollout_that_cannot_even_begin_fails_and_gives_the_lock_on(world: World) -> None:
    environment = world.running()
    world.when(BEGIN, faults.fails, times=9)

    first, second = world.deploy(environment, "v1"), world.deploy(environment, "v2")
    world.settle()

    assert world.look(first)["failure"]["error"] == "DynamoDB.InternalServerError"
    assert world.look(second)["status"] == "succeeded"
    execution = world.execution("roll_out_deployment", first)
    assert execution.states == ["Begin", "Say that it failed", "It failed"]


def test_a_version_that_cannot_be_written_down_as_live_has_failed(world: World) -> None:
    environment = world.running()
    world.when(LIVE, faults.throttled, times=6)

    deployment = world.deploy(environment)
    world.settle()

    assert world.look(deployment)["status"] == "failed"
    assert "live_version" not in world.look(environment)
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [*STRAIGHT, "Say that it failed", "It failed"]


def test_a_rollout_that_cannot_say_that_it_failed_is_seen_as_failed(world: World) -> None:
    environment = world.running()
    world.when(SHIP, REFUSED)
    world.when(SAYS, faults.fails, times=6)

    deployment = world.deploy(environment)
    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states[-2:] == ["Say that it failed", "It failed"]
    assert execution.status == "FAILED"
    # Whoever looks for what was left behind finds it by this.
    assert world.look(deployment)["status"] == "running"
    assert world.holder(environment) == str(deployment)


def test_deleting_the_environment_cancels_its_rollout(world: World) -> None:
    environment = world.running()
    deployment, waiting = world.deploy(environment, "v1"), world.deploy(environment, "v2")
    world.run_until(lambda: world.look(deployment)["status"] == "running")

    world.delete(environment)
    world.settle()

    for each in (deployment, waiting):
        record = world.look(each)
        assert (record["status"], record["failure"]) == ("canceled", GONE)
    assert world.holder(environment) is None
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states[-2:] == ["Ship", "It was overtaken"]
    assert (execution.status, execution.error) == ("FAILED", "Overtaken")
    assert world.executions_of("roll_out_deployment", waiting) == []
    assert world.look(environment)["status"] == "destroyed"


def test_deleting_before_the_rollout_begins_overtakes_it(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment)

    def delete_in_time() -> None:
        world.delete(environment)
        world.schedule.sleep(5)

    world.when(BEGIN, faults.preceded_by(delete_in_time))

    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == ["Begin", "It was overtaken"]
    assert (execution.status, execution.error) == ("FAILED", "Overtaken")
    assert world.look(deployment)["status"] == "canceled"


def test_deleting_at_the_last_moment_of_a_rollout_wins(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment)
    world.when(LIVE, faults.preceded_by(lambda: world.delete(environment)))

    world.settle()

    record = world.look(deployment)
    assert (record["status"], record["failure"]) == ("canceled", GONE)
    assert "live_version" not in world.look(environment)
    assert world.look(environment)["status"] == "destroyed"
    assert world.execution("roll_out_deployment", deployment).status == "FAILED"
    assert ("succeed", "v1 is live") not in world.logs(deployment)


def test_deleting_right_after_a_rollout_leaves_it_succeeded(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment)
    world.when(LIVE, faults.followed_by(lambda: world.delete(environment)))

    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    assert world.look(environment)["status"] == "destroyed"


def test_an_execution_without_the_lock_can_do_no_harm(world: World) -> None:
    environment = world.running()
    zombie = world.deploy(environment, "v1")
    world.run_until(lambda: world.look(zombie)["status"] == "running")

    # An operator takes the lock away and gives it to another.
    world.change(queue.lock(environment), "REMOVE holder")
    world.change(deployments.key(zombie), "SET #token = :other", other=0)
    later = world.deploy(environment, "v2")
    world.settle()

    assert world.execution("roll_out_deployment", zombie).error == "Overtaken"
    assert world.look(environment)["live_version"] == "v2"
    assert world.look(later)["token"] == 2


def test_a_rollout_that_nobody_told_of_the_end_looks_and_sees_it(world: World) -> None:
    """Dispatch is behind, and cancels it only when the last write was refused again and again."""
    environment = world.running()
    deployment = world.deploy(environment)

    def delete_unnoticed() -> None:
        world.delete(environment)
        world.when("* > lambda dispatch", faults.preceded_by(lambda: world.schedule.sleep(60)))

    world.when(LIVE, faults.preceded_by(delete_unnoticed))

    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [*STRAIGHT, "Ship", "It was overtaken"]
    record = world.look(deployment)
    assert (record["status"], record["failure"]) == ("canceled", GONE)
    assert world.holder(environment) is None
    assert world.look(environment)["status"] == "destroyed"


def test_a_last_write_that_meets_others_again_and_again_is_written_at_last(world: World) -> None:
    environment = world.running()
    met = task_error("DynamoDb.TransactionCanceledException", "[None, None, TransactionConflict]")
    world.when(LIVE, faults.raises(met), times=7)

    deployment = world.deploy(environment)
    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [*STRAIGHT, "Ship", "Is it in place?", "It is live"]
