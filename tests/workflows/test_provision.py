"""provision_environment: from a request to a running environment, or to a recorded failure."""

from __future__ import annotations

import pytest

from slipway.domain import failure
from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused
from slipway.store import environment_records
from tests.support.workflows import faults
from tests.support.workflows.emulator import KILLED, task_error
from tests.support.workflows.faults import Fault
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


PROVISION = "Provision > driver provision service"
RETIRE = "Retire > driver retire service"
REFUSED = faults.raises(DriverRefused("The quota is exhausted"))
STRAIGHT = [
    "Provision",
    "Is it up?",
    "Wait until it is up",
    "Provision",
    "Is it up?",
    "It is running",
]
TAKEN_BACK = [
    "Remove what was made",
    "Is it removed?",
    "Wait until it is down",
    "Remove what was made",
    "Is it removed?",
    "Record the failure",
]


def silent(state: str) -> str:
    return f"provision_environment/{state} > dynamodb UpdateItem"


def test_an_environment_comes_up(world: World) -> None:
    environment = world.environment()

    world.settle()

    record = world.look(environment)
    assert (record["status"], record["version"]) == ("running", 2)
    assert record["base_url"].startswith("https://preview-")
    assert "operation" not in record
    execution = world.execution("provision_environment", environment)
    assert (execution.status, execution.states) == ("SUCCEEDED", STRAIGHT)
    assert execution.transitions == 6


def test_the_driver_is_polled_until_it_is_done(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, faults.answers(Progress(done=False, wait_seconds=40)), times=3)

    world.settle()

    execution = world.execution("provision_environment", environment)
    assert execution.states.count("Provision") == 4
    assert world.look(environment)["status"] == "running"
    assert (
        world.schedule.now
        > environment_records.to_model(world.look(environment)).created_at.timestamp()
    )


def test_a_fault_of_the_driver_is_retried(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, faults.raises(DriverFault("Not now")), times=6)

    world.settle()

    execution = world.execution("provision_environment", environment)
    assert execution.failures == [("Provision", "DriverFault")] * 6
    # By then it is up: nobody waited for it in vain.
    assert execution.states[-1] == "It is running"
    assert world.look(environment)["status"] == "running"


def test_a_fault_that_stays_is_the_reason_of_the_failure(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, faults.raises(DriverFault("Not now")), times=7)

    world.settle()

    record = world.look(environment)
    assert record["status"] == "failed"
    assert record["failure"] == {
        "error": "DriverFault",
        "reason": "service: Not now",
        "step": "Provision",
    }
    execution = world.execution("provision_environment", environment)
    assert (execution.status, execution.error) == ("FAILED", "ProvisioningFailed")


def test_a_refusal_fails_at_once_and_resources_are_removed(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, REFUSED)

    world.settle()

    record = world.look(environment)
    assert record["status"] == "failed"
    assert record["failure"] == {
        "error": "DriverRefused",
        "reason": "service: The quota is exhausted",
        "step": "Provision",
    }
    assert "operation" not in record and "base_url" not in record
    execution = world.execution("provision_environment", environment)
    assert execution.states == ["Provision", *TAKEN_BACK, "It failed"]
    assert execution.failures == [("Provision", "DriverRefused")]
    assert (execution.status, execution.error) == ("FAILED", "ProvisioningFailed")
    assert [call.name for call in world.calls.made].count(RETIRE) == 2
    assert world.infrastructure.of(str(environment)) == record.get("resources", set()) == set()


@pytest.mark.parametrize(
    ("where", "fault", "error"),
    [
        ("* > lambda Provision", faults.throttled, "Lambda.TooManyRequestsException"),
        ("* > lambda Provision", faults.fails, "Lambda.ServiceException"),
        ("* > lambda Provision", faults.lost, "Lambda.SdkClientException"),
        *(
            ("* > lambda Provision", faults.raises(task_error(error, "")), error)
            for error in ("States.Timeout", *KILLED)
        ),
        ("Provision > dynamodb *", faults.fails, "StoreUnavailable"),
    ],
)
def test_a_temporary_error_is_retried(world: World, where: str, fault: Fault, error: str) -> None:
    environment = world.environment()
    world.when(where, fault, times=3)

    world.settle()

    execution = world.execution("provision_environment", environment)
    assert {failure for _, failure in execution.failures} == {error}
    assert execution.status == "SUCCEEDED"


def test_a_bug_in_a_step_is_a_failure_with_its_message(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, faults.raises(KeyError("colour")))

    world.settle()

    record = world.look(environment)
    assert record["failure"] == {"error": "KeyError", "reason": "'colour'", "step": "Provision"}


def test_an_error_of_another_class_is_reported_as_it_is(world: World) -> None:
    environment = world.environment()
    error = task_error("Runtime.ImportModuleError", "No module named 'slipway'")
    world.when("* > lambda Provision", faults.raises(error))

    world.settle()

    record = world.look(environment)
    assert record["failure"] == {
        "error": "Runtime.ImportModuleError",
        "reason": "No module named 'slipway'",
        "step": "Provision",
    }


def test_an_environment_that_never_comes_up_fails_and_is_removed(world: World) -> None:
    environment = world.environment()
    again = faults.answers(Progress(done=False, wait_seconds=200))
    world.when(PROVISION, again, times=None)

    world.settle()

    record = world.look(environment)
    assert record["failure"] == {
        "error": "DriverRefused",
        "reason": "service: The operation took longer than 1:00:00",
        "step": "Provision",
    }
    assert [call.name for call in world.calls.made].count(RETIRE) == 2


def test_a_driver_that_never_ends_is_reported_before_the_execution_times_out(
    world: World,
) -> None:
    environment = world.environment()
    again = faults.answers(Progress(done=False, wait_seconds=200))
    for verb in ("provision", "retire"):
        world.when(f"* > driver {verb} *", again, times=None)

    world.settle()

    assert world.look(environment)["failure"]["reason"] == (
        "database: The operation took longer than 1:00:00; "
        "and what was made could not be taken back: "
        "database: The operation took longer than 1:30:00"
    )
    assert world.execution("provision_environment", environment).status == "FAILED"


def test_resources_that_could_not_be_removed_are_reported(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, REFUSED)
    world.when("Retire > driver retire database", faults.raises(DriverRefused("Locked")))

    world.settle()

    shown = environment_records.to_model(world.look(environment)).failure
    assert shown and shown.remaining_resources == ["database"]
    assert world.infrastructure.of(str(environment)) == {"database"}
    assert world.events(environment)[-1]["reason"].endswith("(what remains: database)")
    assert world.look(environment)["failure"] == {
        "error": "DriverRefused",
        "reason": "service: The quota is exhausted; and what was made could not be taken back: "
        "database: Locked",
        "step": "Provision",
    }
    execution = world.execution("provision_environment", environment)
    assert execution.states[-3:] == [
        "Remove what was made",
        "Record the failure",
        "It failed",
    ]


def test_an_environment_that_cannot_be_recorded_is_removed(world: World) -> None:
    environment = world.environment()
    world.when(silent("It is running"), faults.fails, times=9)

    world.settle()

    record = world.look(environment)
    assert record["status"] == "failed"
    assert record["failure"]["error"] == "DynamoDB.InternalServerError"
    execution = world.execution("provision_environment", environment)
    assert execution.states[:6] == STRAIGHT
    assert execution.states[-2:] == ["Record the failure", "It failed"]


def test_an_environment_may_be_deleted_before_dispatch_has_heard_of_it(world: World) -> None:
    world.hold_the_stream()
    environment = world.environment()
    world.delete(environment)

    world.release_the_stream()
    world.settle()

    assert world.look(environment)["status"] == "destroyed"
    execution = world.execution("provision_environment", environment)
    assert (execution.status, execution.error) == ("FAILED", "StaleWrite")


def test_a_teardown_waits_until_provisioning_has_stopped(world: World) -> None:
    environment = world.environment()
    world.run_until(lambda: PROVISION in [call.name for call in world.calls.made])

    shown = world.delete(environment)
    world.run(1)

    assert shown == "tearing_down"
    assert world.executions_of("retire_environment", environment) == []
    world.settle()
    provisioning = world.execution("provision_environment", environment)
    assert provisioning.states[-3:] == ["Provision", "Release the environment", "It was taken over"]
    assert (provisioning.status, provisioning.error) == ("FAILED", "StaleWrite")
    assert world.execution("retire_environment", environment).status == "SUCCEEDED"
    assert world.look(environment)["status"] == "destroyed"


def test_deleting_at_the_last_moment_of_provisioning_wins(world: World) -> None:
    environment = world.environment()
    world.when(silent("It is running"), faults.preceded_by(lambda: world.delete(environment)))

    world.settle()

    execution = world.execution("provision_environment", environment)
    assert execution.states == [*STRAIGHT, "Release the environment", "It was taken over"]
    record = world.look(environment)
    assert (record["status"], "base_url" in record) == ("destroyed", False)


def test_deleting_during_the_removal_wins(world: World) -> None:
    environment = world.environment()
    world.when(PROVISION, REFUSED)
    world.when(silent("Record the failure"), faults.preceded_by(lambda: world.delete(environment)))

    world.settle()

    execution = world.execution("provision_environment", environment)
    assert execution.states[-3:] == [
        "Record the failure",
        "Release the environment",
        "It was taken over",
    ]
    record = world.look(environment)
    assert (record["status"], "failure" in record) == ("destroyed", False)


def test_an_environment_that_expires_during_provisioning_goes_afterwards(
    world: World,
) -> None:
    environment = world.environment(ttl_hours=1.2 / 3600)
    world.run_until(lambda: world.look(environment)["status"] == "expiring")

    assert world.execution("provision_environment", environment).status == "RUNNING"
    world.settle()

    assert world.execution("expire_environment", environment).status == "SUCCEEDED"
    assert world.execution("provision_environment", environment).error == "StaleWrite"
    assert world.look(environment)["status"] == "destroyed"


def test_a_failed_environment_cancels_its_waiting_deployments(world: World) -> None:
    environment = world.environment()
    waiting = [world.deploy(environment, f"v{n}") for n in range(3)]
    world.when(PROVISION, REFUSED)

    world.settle()

    for deployment in waiting:
        record = world.look(deployment)
        assert record["status"] == "canceled"
        assert record["failure"] == {
            "error": "EnvironmentGone",
            "reason": "The environment is failed",
        }
    assert world.items("QUEUE#") == []


@pytest.mark.parametrize("state", ["Record the failure", "Release the environment"])
def test_an_execution_that_cannot_record_its_end_fails(world: World, state: str) -> None:
    environment = world.environment()
    world.when(silent(state), faults.fails, times=9)
    if state == "Release the environment":
        world.when(silent("It is running"), faults.preceded_by(lambda: world.delete(environment)))
    else:
        world.when(PROVISION, REFUSED)

    world.settle()

    execution = world.execution("provision_environment", environment)
    assert execution.states[-2:] == [state, "It failed"]
    assert (execution.status, execution.error) == ("FAILED", "ProvisioningFailed")
    # Reconcile finds what the execution left behind by this.
    assert world.look(environment)["operation"] == "provision_environment"


@pytest.mark.parametrize("cause", faults.CAUSES, ids=range(len(faults.CAUSES)))
def test_provisioning_records_its_end_for_any_text_of_an_error(world: World, cause: str) -> None:
    reported = task_error("Lambda.Unknown", cause)
    world.when("* > lambda Provision", faults.raises(reported), times=7)
    world.when("* > lambda Retire", faults.raises(reported), times=7)

    environment = world.environment()
    world.settle()

    record = world.look(environment)
    assert record["status"] == "failed"
    reason = failure.reason_of(cause[:8000])
    again = reason if reason != failure.NO_REASON else "Lambda.Unknown"
    assert record["failure"] == {
        "error": "Lambda.Unknown",
        "reason": f"{reason}; and what was made could not be taken back: {again}",
        "step": "Provision",
    }
    [told] = [event for event in world.events(environment) if event["to"] == "failed"]
    assert told["reason"] == record["failure"]["reason"]
    assert environment_records.to_model(record).failure
