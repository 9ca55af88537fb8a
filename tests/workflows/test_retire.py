"""retire_environment: nothing is left behind, or the record says what prevents it."""

from __future__ import annotations

import pytest

from slipway.domain import failure
from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused
from slipway.store import environment_records
from tests.support.workflows import faults
from tests.support.workflows.emulator import task_error
from tests.support.workflows.faults import Fault
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


RETIRE = "Retire > driver retire service"
GONE = "retire_environment/It is gone > dynamodb TransactWriteItems"
BEGIN = "retire_environment/Begin > dynamodb UpdateItem"
SAYS = "retire_environment/Record the failure > dynamodb UpdateItem"
STRAIGHT = [
    "Begin",
    "Retire",
    "Is it down?",
    "Wait until it is down",
    "Retire",
    "Is it down?",
    "It is gone",
]


def test_an_environment_goes_and_frees_its_name(world: World) -> None:
    environment = world.running(ttl_hours=1)

    shown = world.delete(environment)
    world.settle()

    record = world.look(environment)
    assert (shown, record["status"]) == ("tearing_down", "destroyed")
    assert record["destroyed_at"] == record["updated_at"]
    assert world.items("LEASE") == [] and world.items("NAME#preview") == []
    assert world.look(world.project)["environments"] == 0
    execution = world.execution("retire_environment", environment)
    assert (execution.status, execution.states) == ("SUCCEEDED", STRAIGHT)
    assert world.look(world.environment(name="preview"))["name"] == "preview"


def test_deleting_again_changes_nothing(world: World) -> None:
    environment = world.running()
    world.delete(environment)
    world.run(0.5)

    again = world.delete(environment)
    world.settle()
    at_last = world.delete(environment)
    world.settle()

    assert (again, at_last) == ("tearing_down", "destroyed")
    assert world.execution("retire_environment", environment).status == "SUCCEEDED"


def test_a_fault_of_the_driver_is_retried(world: World) -> None:
    environment = world.running()
    world.when(RETIRE, faults.raises(DriverFault("Not now")), times=4)
    world.delete(environment)

    world.settle()

    execution = world.execution("retire_environment", environment)
    assert execution.failures == [("Retire", "DriverFault")] * 4
    assert world.look(environment)["status"] == "destroyed"


def test_a_step_whose_process_is_killed_is_repeated(world: World) -> None:
    environment = world.running()
    world.when(RETIRE, faults.dies, times=3)
    world.delete(environment)

    world.settle()

    execution = world.execution("retire_environment", environment)
    assert execution.failures == [("Retire", "Lambda.Unknown")] * 3
    assert world.look(environment)["status"] == "destroyed"


@pytest.mark.parametrize(
    ("fault", "times", "failure"),
    [
        (
            faults.raises(DriverRefused("It is protected")),
            1,
            {"error": "DriverRefused", "reason": "service: It is protected"},
        ),
        (
            faults.raises(DriverFault("Not now")),
            7,
            {"error": "DriverFault", "reason": "service: Not now"},
        ),
        (
            faults.answers(Progress(done=False, wait_seconds=200)),
            None,
            {"error": "DriverRefused", "reason": "service: The operation took longer than 1:30:00"},
        ),
    ],
)
def test_the_failure_says_what_prevents_the_teardown(
    world: World, fault: Fault, times: int | None, failure: dict[str, str]
) -> None:
    environment = world.running(ttl_hours=24)
    world.when(RETIRE, fault, times=times)
    world.delete(environment)

    world.settle()

    record = world.look(environment)
    assert record["status"] == "teardown_failed"
    assert record["failure"] == {**failure, "step": "Retire"}
    execution = world.execution("retire_environment", environment)
    assert execution.states[-3:] == ["Retire", "Record the failure", "It failed"]
    assert (execution.status, execution.error) == ("FAILED", "TeardownFailed")
    # It still counts: it has its name, its lease and its place in the project.
    assert world.look(world.project)["environments"] == 1
    assert len(world.items("LEASE")) == len(world.items("NAME#preview")) == 1


def test_a_table_that_does_not_answer_is_a_failed_teardown(world: World) -> None:
    environment = world.running()
    world.when(GONE, faults.throttled, times=9)
    world.delete(environment)

    world.settle()

    record = world.look(environment)
    assert record["status"] == "teardown_failed"
    assert record["failure"]["error"] == "DynamoDb.ProvisionedThroughputExceededException"
    execution = world.execution("retire_environment", environment)
    assert execution.states[-3:] == ["It is gone", "Record the failure", "It failed"]


def test_a_teardown_that_cannot_begin_is_recorded_as_failed(world: World) -> None:
    environment = world.running()
    world.when(BEGIN, faults.fails, times=9)
    world.delete(environment)

    world.settle()

    assert world.look(environment)["status"] == "teardown_failed"
    execution = world.execution("retire_environment", environment)
    assert execution.states == ["Begin", "Record the failure", "It failed"]


def test_a_teardown_that_cannot_record_its_failure_fails(world: World) -> None:
    environment = world.running()
    world.when(RETIRE, faults.raises(DriverRefused("It is protected")))
    world.when(SAYS, faults.fails, times=9)
    world.delete(environment)

    world.settle()

    execution = world.execution("retire_environment", environment)
    assert execution.states[-2:] == ["Record the failure", "It failed"]
    assert execution.status == "FAILED"


def test_an_environment_that_is_not_going_is_left_alone(world: World) -> None:
    environment = world.running()
    world.delete(environment)
    # An operator takes the decision back before the execution looks.
    key = environment_records.key(environment)
    world.when(
        BEGIN,
        faults.preceded_by(lambda: world.change(key, "SET #status = :to", to="running")),
    )

    world.settle()

    assert world.look(environment)["status"] == "running"
    execution = world.execution("retire_environment", environment)
    assert execution.states == ["Begin", "It was taken over"]
    assert (execution.status, execution.error) == ("FAILED", "StaleWrite")


def test_a_teardown_whose_record_is_gone_fails(world: World) -> None:
    environment = world.running()
    world.delete(environment)
    world.when(
        "Retire > dynamodb BatchGetItem", faults.preceded_by(lambda: world.erase(environment))
    )

    world.settle()

    execution = world.execution("retire_environment", environment)
    assert execution.failures[0] == ("Retire", "StaleWrite")
    assert execution.status == "FAILED"
    assert not world.exists(environment)


@pytest.mark.parametrize("cause", faults.CAUSES, ids=range(len(faults.CAUSES)))
def test_a_teardown_records_its_end_for_any_text_of_an_error(world: World, cause: str) -> None:
    environment = world.running()
    world.when("* > lambda Retire", faults.raises(task_error("Lambda.Unknown", cause)), times=7)

    world.delete(environment)
    world.run(300)

    [told] = [each for each in world.events(environment) if each["action"] == "teardown_failed"]
    assert told["reason"].startswith(failure.reason_of(cause[:8000]))
