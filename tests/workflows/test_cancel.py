"""A deployment can be canceled in every state before its end, and the environment is as before."""

from __future__ import annotations

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.drivers.base import Progress
from slipway.errors import DeploymentFinished, DriverFault, DriverRefused
from tests.support.workflows import faults
from tests.support.workflows.world import USER, World

pytestmark = pytest.mark.xdist_group("workflows")


RESTORE = "Restore > driver restore"
BEGIN = "roll_out_deployment/Begin > dynamodb UpdateItem"
LIVE = "roll_out_deployment/It is live > dynamodb TransactWriteItems"
SAYS = "roll_out_deployment/Record the outcome > dynamodb TransactWriteItems"
CANCELED = {"error": "Canceled", "reason": f"{USER} canceled it"}
NOT_PUT_BACK = "what was there before could not be put back"
BACK = [
    "Restore",
    "Is it restored?",
    "Wait until it is restored",
    "Restore",
    "Is it restored?",
    "Record the outcome",
    "How did it end?",
    "It was canceled",
]


def live(world: World) -> EnvironmentId:
    """An environment with v1 in it."""
    environment = world.running()
    world.deploy(environment, "v1")
    world.settle()
    return environment


def shipping(world: World, environment: EnvironmentId) -> DeploymentId:
    deployment = world.deploy(environment, "v2")
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    return deployment


def test_a_canceled_deployment_leaves_the_queue_at_once(world: World) -> None:
    environment = world.running()
    first, second, third = (world.deploy(environment, f"v{n}") for n in range(3))
    world.run_until(lambda: world.look(first)["status"] == "running")

    shown = world.cancel(second)
    with pytest.raises(DeploymentFinished) as again:
        world.cancel(second)
    world.settle()

    assert (shown, again.value.extra["deployment_status"]) == ("canceled", "canceled")
    assert world.look(second)["failure"] == CANCELED
    assert world.executions_of("roll_out_deployment", second) == []
    assert world.logs(second)[-1] == ("cancel", f"Canceled: {USER} canceled it")
    assert [world.look(each)["status"] for each in (first, third)] == ["succeeded"] * 2
    assert world.look(third)["token"] == 2


def test_a_restore_whose_process_is_killed_is_repeated(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    world.when(RESTORE, faults.dies, times=3)

    world.cancel(deployment)
    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.failures[1:] == [("Restore", "Lambda.Unknown")] * 3
    assert world.look(deployment)["failure"] == {**CANCELED, "step": "Ship"}
    assert world.look(environment)["live_version"] == "v1"


def test_a_running_deployment_is_restored_to_the_previous_version(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    waiting = world.deploy(environment, "v3")

    shown, again = world.cancel(deployment), world.cancel(deployment)
    world.settle()

    record = world.look(deployment)
    assert (shown, again) == ("running", "running")
    assert record["status"] == "canceled"
    assert record["failure"] == {**CANCELED, "step": "Ship"}
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [
        "Begin",
        "Ship",
        "Is it in place?",
        "Wait until it is in place",
        "Ship",
        *BACK,
    ]
    assert (execution.status, execution.error) == ("FAILED", "Canceled")
    assert [message for step, message in world.logs(deployment) if step == "restore"] == [
        f"Canceled: {USER} canceled it; going back to v1"
    ] * 2
    assert world.logs(deployment)[-1] == ("cancel", f"Canceled: {USER} canceled it")
    assert world.look(waiting)["status"] == "succeeded"
    assert world.holder(environment) is None


def test_canceling_the_first_deployment_leaves_no_version(world: World) -> None:
    environment = world.running()
    deployment = shipping(world, environment)

    world.cancel(deployment)
    world.settle()

    assert "live_version" not in world.look(environment)
    line = f"Canceled: {USER} canceled it; taking it away again"
    assert ("restore", line) in world.logs(deployment)


def test_a_deployment_with_the_lock_that_has_not_begun_is_canceled(world: World) -> None:
    environment = live(world)
    deployment = world.deploy(environment, "v2")
    world.when(BEGIN, faults.preceded_by(lambda: world.cancel(deployment)))

    world.settle()

    assert world.look(deployment)["status"] == "canceled"
    assert world.execution("roll_out_deployment", deployment).states == ["Begin", "Ship", *BACK]


def test_a_deployment_without_an_execution_is_canceled_when_it_starts(world: World) -> None:
    environment = world.running()
    world.when("dispatch > states StartExecution", faults.followed_by(world.hold_the_stream))
    deployment = world.deploy(environment)
    world.run(1)

    shown = world.cancel(deployment)
    world.release_the_stream()
    world.settle()

    assert shown == "running"
    assert world.look(deployment)["status"] == "canceled"


def test_a_cancellation_at_the_last_write_loses_to_success(world: World) -> None:
    environment = live(world)
    deployment = world.deploy(environment, "v2")
    world.when(LIVE, faults.preceded_by(lambda: world.cancel(deployment)))

    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    assert world.look(environment)["live_version"] == "v2"
    with pytest.raises(DeploymentFinished):
        world.cancel(deployment)


def test_a_cancellation_takes_effect_when_the_driver_is_polled_next(world: World) -> None:
    environment = world.running()
    world.when("Ship > driver ship", faults.answers(Progress(done=False, wait_seconds=5)))
    deployment = shipping(world, environment)

    world.cancel(deployment)
    world.run(12)

    assert world.look(deployment)["status"] == "canceled"


def test_a_fault_during_a_restore_is_retried(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    world.when(RESTORE, faults.raises(DriverFault("Not now")), times=4)

    world.cancel(deployment)
    world.settle()

    assert world.look(deployment)["status"] == "canceled"


def test_a_deployment_that_cannot_be_restored_fails_with_the_reason(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    waiting = world.deploy(environment, "v3")
    world.when(RESTORE, faults.raises(DriverRefused("No way back")))

    world.cancel(deployment)
    world.settle()

    record = world.look(deployment)
    assert record["status"] == "failed"
    assert record["failure"] == {
        "error": "Canceled",
        "reason": f"{USER} canceled it; and {NOT_PUT_BACK}: No way back",
        "step": "Ship",
    }
    doubted = [each for each in world.events(environment) if each["action"] == "live_in_doubt"]
    assert [each["actor"] for each in doubted] == [str(deployment)]
    assert world.look(environment)["live_version"] == "v3"
    assert "live_in_doubt" not in world.look(environment)
    assert world.look(waiting)["status"] == "succeeded"


def test_a_restore_that_takes_an_hour_fails_the_deployment(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    again = faults.answers(Progress(done=False, wait_seconds=200))
    world.when(RESTORE, again, times=None)

    world.cancel(deployment)
    world.settle()

    assert world.look(deployment)["status"] == "failed"
    assert world.look(deployment)["failure"]["reason"] == (
        f"{USER} canceled it; and {NOT_PUT_BACK}: The operation took longer than 1:00:00"
    )
    assert world.look(environment)["live_in_doubt"] == str(deployment)


def test_deleting_the_environment_during_a_restore_ends_the_deployment(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    world.when(RESTORE, faults.followed_by(lambda: world.delete(environment)))

    world.cancel(deployment)
    world.settle()

    assert world.look(deployment)["status"] == "canceled"
    assert world.execution("roll_out_deployment", deployment).error == "StaleWrite"
    assert world.look(environment)["status"] == "destroyed"


def test_a_cancellation_that_cannot_be_recorded_is_repaired_by_reconcile(world: World) -> None:
    environment = live(world)
    deployment = shipping(world, environment)
    waiting = world.deploy(environment, "v3")
    world.when(SAYS, faults.fails, times=6)

    world.cancel(deployment)
    world.settle()
    lost = world.look(deployment)["status"]
    world.recover(2)

    assert lost == "running"
    assert world.look(deployment)["failure"]["error"] == "ExecutionLost"
    assert world.look(waiting)["status"] == "succeeded"
    assert world.execution("roll_out_deployment", deployment).states[-1] == "It failed"


def test_the_history_names_who_canceled(world: World) -> None:
    environment = world.running()
    running, waiting = world.deploy(environment, "v1"), world.deploy(environment, "v2")
    world.run_until(lambda: world.look(running)["status"] == "running")

    world.cancel(waiting)
    world.cancel(running)
    world.settle()

    ended = [event for event in world.events(environment) if event["to"] == "canceled"]
    assert [(event["subject"], event["actor"]) for event in ended] == [
        (str(waiting), USER),
        (str(running), USER),
    ]
