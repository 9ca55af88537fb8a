"""roll_out_deployment: a version goes live or its deployment says why not; the lock passes on."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from slipway.domain import failure, timestamps
from slipway.domain.ids import EnvironmentId
from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused, OutdatedDeployment, StackGone
from slipway.store import deployment_records, queue_records
from tests.support.repository import ROOT, load_function
from tests.support.workflows import faults
from tests.support.workflows.emulator import stepfunctions, task_error
from tests.support.workflows.faults import Fault
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


SHIP = "Ship > driver ship"
BEGIN = "roll_out_deployment/Begin > dynamodb UpdateItem"
LIVE = "roll_out_deployment/It is live > dynamodb TransactWriteItems"
SAYS = "roll_out_deployment/Record the outcome > dynamodb TransactWriteItems"
DOUBTS = "roll_out_deployment/Record that the live version is in doubt > dynamodb UpdateItem"
RESTORE = "Restore > driver restore"
REFUSED = faults.raises(DriverRefused("No such image"))
STRAIGHT = [
    "Begin",
    "Ship",
    "Is it in place?",
    "Wait until it is in place",
    "Ship",
    "Is it in place?",
    "It is live",
]
SAID = ["Is it restored?", "Record the outcome", "How did it end?"]
GONE = {"error": "EnvironmentGone", "reason": "The environment is tearing_down"}


def with_v1(world: World) -> EnvironmentId:
    """An environment in which v1 is live."""
    environment = world.running()
    world.deploy(environment, "v1")
    world.settle()
    assert world.look(environment)["live_version"] == "v1"
    return environment


def test_a_version_goes_live(world: World) -> None:
    environment = world.running()

    deployment = world.deploy(environment, "sha-1234567")
    world.settle()

    record = world.look(deployment)
    assert (record["status"], record["token"]) == ("succeeded", 1)
    assert record["created_at"] < record["started_at"] < record["finished_at"]
    live = world.look(environment)
    assert (live["live_version"], live["live_deployment_id"]) == ("sha-1234567", str(deployment))
    assert (live["live_since"], live["live_by"]) == (record["finished_at"], record["made_by"])
    assert live["live_history"] == [{"id": str(deployment), "version": "sha-1234567"}]
    assert world.holder(environment) is None
    execution = world.execution("roll_out_deployment", deployment)
    assert (execution.status, execution.states) == ("SUCCEEDED", STRAIGHT)
    assert execution.transitions <= 8


def test_the_log_has_the_steps_of_the_rollout_in_order(world: World) -> None:
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
        *[("restore", "DriverRefused: No such image; taking it away again")] * 2,
        ("fail", "DriverRefused: No such image"),
    ]


def test_the_log_ends_with_the_version_that_is_live_again(world: World) -> None:
    environment = with_v1(world)
    world.when(SHIP, REFUSED, skip=1)

    deployment = world.deploy(environment, "v2")
    world.settle()

    assert world.logs(deployment) == [
        ("ship", "Shipping v2 into preview; next look in 2 s"),
        *[("restore", "DriverRefused: No such image; going back to v1")] * 2,
        ("roll_back", "DriverRefused: No such image; v1 is live again"),
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
def test_a_repeated_step_writes_no_line_twice(world: World, where: str, fault: Fault) -> None:
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
def test_a_step_whose_process_is_killed_is_repeated_without_duplicate_lines(
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


def test_a_fault_of_the_driver_is_retried(world: World) -> None:
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
            {"error": "DriverRefused", "reason": "The operation took longer than 1:00:00"},
        ),
        (
            faults.raises(task_error("States.Timeout", "")),
            7,
            {"error": "States.Timeout", "reason": "no reason was given"},
        ),
    ],
)
@pytest.mark.parametrize("live", ["v1", None])
def test_a_failed_rollout_says_why_and_is_rolled_back(
    world: World, fault: Fault, times: int | None, failure: dict[str, str], live: str | None
) -> None:
    environment = with_v1(world) if live else world.running()
    # The deployment fails after it has begun to change the environment.
    world.when("* > lambda Ship" if failure["error"] == "States.Timeout" else SHIP, fault, times, 1)

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert record["status"] == ("rolled_back" if live else "failed")
    assert record["failure"] == {**failure, "step": "Ship"}
    assert world.look(environment).get("live_version") == live
    assert world.infrastructure.versions[str(environment)] == live
    assert world.holder(environment) is None
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states[-5:] == [
        "Restore",
        *SAID,
        "It was rolled back" if live else "It failed",
    ]
    error = "RolledBack" if live else "RolloutFailed"
    assert (execution.status, execution.error) == ("FAILED", error)


@pytest.mark.parametrize("step", ["Ship", "Restore"])
def test_an_environment_whose_stack_was_deleted_by_hand_ends(world: World, step: str) -> None:
    environment = with_v1(world)
    gone = faults.raises(StackGone("The stack is gone"))
    if step == "Restore":
        world.when(SHIP, REFUSED)
    world.when(SHIP if step == "Ship" else RESTORE, gone)

    first, second = world.deploy(environment, "v2"), world.deploy(environment, "v3")
    world.settle()

    record = world.look(first)
    assert record["status"] == "failed"
    reason = "The stack is gone"
    if step == "Restore":
        reason = f"No such image; and there was nothing to go back to: {reason}"
    assert record["failure"] == {"error": "StackGone", "reason": reason, "step": step}
    ended = world.look(environment)
    assert (ended["status"], "live_in_doubt" in ended) == ("destroyed", False)
    assert world.look(second)["failure"] == GONE
    execution = world.execution("roll_out_deployment", first)
    assert execution.states[-3:] == ["Record the outcome", "How did it end?", "It failed"]


def test_a_rollout_that_cannot_begin_fails_and_passes_the_lock_on(world: World) -> None:
    environment = world.running()
    world.when(BEGIN, faults.fails, times=9)

    first, second = world.deploy(environment, "v1"), world.deploy(environment, "v2")
    world.settle()

    assert world.look(first)["failure"]["error"] == "DynamoDB.InternalServerError"
    assert world.look(second)["status"] == "succeeded"
    assert (world.look(first)["status"], world.look(first)["failure"]["step"]) == (
        "failed",
        "Begin",
    )
    execution = world.execution("roll_out_deployment", first)
    assert execution.states == ["Begin", "Record the outcome", "How did it end?", "It failed"]


@pytest.mark.parametrize("live", ["v1", None])
def test_a_version_that_cannot_be_recorded_as_live_is_rolled_back(
    world: World, live: str | None
) -> None:
    environment = with_v1(world) if live else world.running()
    world.when(LIVE, faults.throttled, times=6)

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert record["status"] == ("rolled_back" if live else "failed")
    assert record["failure"]["step"] == "It is live"
    assert world.look(environment).get("live_version") == live
    assert world.infrastructure.versions[str(environment)] == live
    execution = world.execution("roll_out_deployment", deployment)
    end = "It was rolled back" if live else "It failed"
    assert execution.states == [*STRAIGHT, "Restore", *SAID, end]


def test_a_version_that_was_recorded_as_live_is_not_rolled_back(world: World) -> None:
    """Its last write has happened, but nobody ever hears of it."""
    environment = with_v1(world)
    world.when(LIVE, faults.lost, times=6)

    deployment = world.deploy(environment, "v2")
    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    assert world.look(environment)["live_version"] == "v2"
    assert world.infrastructure.versions[str(environment)] == "v2"
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [*STRAIGHT, "Restore", "It was taken over"]


def test_a_fault_during_a_rollback_is_retried(world: World) -> None:
    environment = with_v1(world)
    world.when(SHIP, REFUSED, skip=1)
    world.when(RESTORE, faults.raises(DriverFault("Not now")), times=6)

    deployment = world.deploy(environment, "v2")
    world.settle()

    assert world.look(deployment)["status"] == "rolled_back"
    assert world.infrastructure.versions[str(environment)] == "v1"


@pytest.mark.parametrize(
    ("fault", "times", "reason"),
    [
        (faults.raises(DriverRefused("No way back")), 1, "No way back"),
        (faults.raises(DriverFault("Not now")), 7, "Not now"),
        (
            faults.answers(Progress(done=False, wait_seconds=200)),
            None,
            "The operation took longer than 1:00:00",
        ),
    ],
)
@pytest.mark.parametrize("live", ["v1", None])
def test_a_rollout_that_cannot_be_rolled_back_fails_with_both_reasons(
    world: World, fault: Fault, times: int | None, reason: str, live: str | None
) -> None:
    environment = with_v1(world) if live else world.running()
    world.when(SHIP, REFUSED, skip=1)
    world.when(RESTORE, fault, times)

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert record["status"] == "failed"
    assert record["failure"] == {
        "error": "DriverRefused",
        "step": "Ship",
        "reason": f"No such image; and what was there before could not be put back: {reason}",
    }
    seen = world.look(environment)
    assert (seen.get("live_version"), seen["live_in_doubt"]) == (live, str(deployment))
    assert world.infrastructure.versions[str(environment)] == "v2"
    assert world.holder(environment) is None
    [doubt] = [each for each in world.events(environment) if each["action"] == "live_in_doubt"]
    assert (doubt["actor"], doubt["reason"]) == (
        str(deployment),
        f"{deployment} could not be taken back",
    )
    assert world.execution("roll_out_deployment", deployment).states[-4:] == [
        "Record that the live version is in doubt",
        "Record the outcome",
        "How did it end?",
        "It failed",
    ]


def in_doubt(world: World) -> EnvironmentId:
    """v1 is said to be live, and half of v2 is there."""
    environment = with_v1(world)
    world.when(SHIP, REFUSED, skip=1)
    world.when(RESTORE, faults.raises(DriverRefused("No way back")))
    world.deploy(environment, "v2")
    world.settle()
    assert world.look(environment)["live_in_doubt"]
    return environment


def test_a_version_that_goes_live_clears_live_in_doubt(world: World) -> None:
    environment = in_doubt(world)

    world.deploy(environment, "v3")
    world.settle()

    seen = world.look(environment)
    assert (seen["live_version"], seen.get("live_in_doubt")) == ("v3", None)
    assert [event["action"] for event in world.events(environment)].count("restored") == 0


def test_a_rollback_clears_live_in_doubt(world: World) -> None:
    environment = in_doubt(world)
    world.when(SHIP, REFUSED, skip=1)

    deployment = world.deploy(environment, "v3")
    world.settle()

    seen = world.look(environment)
    assert world.look(deployment)["status"] == "rolled_back"
    assert (seen["live_version"], seen.get("live_in_doubt")) == ("v1", None)
    assert world.infrastructure.versions[str(environment)] == "v1"
    [restored] = [each for each in world.events(environment) if each["action"] == "restored"]
    assert (restored["actor"], restored["reason"]) == (str(deployment), "v1 is live again")


@pytest.mark.parametrize(("fault", "times"), [(faults.lost, 1), (faults.twice, 1)])
def test_live_in_doubt_is_recorded_once(world: World, fault: Fault, times: int) -> None:
    environment = with_v1(world)
    world.when(SHIP, REFUSED, skip=1)
    world.when(RESTORE, faults.raises(DriverRefused("No way back")))
    world.when(DOUBTS, fault, times)

    deployment = world.deploy(environment, "v2")
    world.settle()

    assert world.look(environment)["live_in_doubt"] == str(deployment)
    assert [event["action"] for event in world.events(environment)].count("live_in_doubt") == 1
    assert world.look(deployment)["status"] == "failed"


def test_deleting_the_environment_during_a_rollback_ends_the_deployment(world: World) -> None:
    environment = with_v1(world)
    world.when(SHIP, REFUSED, skip=1)
    world.when(RESTORE, faults.followed_by(lambda: world.delete(environment)))

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert (record["status"], record["failure"]) == ("canceled", GONE)
    assert world.execution("roll_out_deployment", deployment).error == "StaleWrite"
    assert world.look(environment)["status"] == "destroyed"
    assert world.infrastructure.harmed == []


def test_canceling_during_a_rollback_changes_nothing(world: World) -> None:
    environment = with_v1(world)
    deployment = world.deploy(environment, "v2")
    world.when(SHIP, REFUSED, skip=1)
    world.when(RESTORE, faults.preceded_by(lambda: world.cancel(deployment)))

    world.settle()

    record = world.look(deployment)
    assert (record["status"], record["failure"]["reason"]) == ("rolled_back", "No such image")


def test_the_next_deployment_begins_after_the_rollback(world: World) -> None:
    environment = with_v1(world)
    world.when(SHIP, REFUSED, skip=1)

    failed, waiting = world.deploy(environment, "v2"), world.deploy(environment, "v3")
    world.settle()

    assert [world.look(each)["status"] for each in (failed, waiting)] == [
        "rolled_back",
        "succeeded",
    ]
    assert world.look(failed)["finished_at"] < world.look(waiting)["started_at"]
    assert world.infrastructure.versions[str(environment)] == "v3"


def test_a_restore_begun_by_an_older_release_continues(world: World) -> None:
    """Its execution began with a definition that does not pass the failure."""
    environment = with_v1(world)
    deployment = world.deploy(environment, "v2")
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    event = {
        "deployment_id": str(deployment),
        "execution": str(deployment),
        "started_at": timestamps.written(timestamps.now()),
        "token": 2,
        "entered_at": timestamps.written(timestamps.now()),
    }

    answer = load_function(ROOT / "functions/steps/restore").handler(event, None)

    assert (answer["done"], answer["live"]) == (False, "v1")
    assert ("restore", "Canceled; going back to v1") in world.logs(deployment)


def test_a_rollout_that_cannot_record_its_failure_fails(world: World) -> None:
    environment = world.running()
    world.when(SHIP, REFUSED)
    world.when(SAYS, faults.fails, times=6)

    deployment = world.deploy(environment)
    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states[-2:] == ["Record the outcome", "It failed"]
    assert execution.status == "FAILED"
    # Reconcile finds what the execution left behind by these two.
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
    assert execution.states[-2:] == ["Ship", "It was taken over"]
    assert (execution.status, execution.error) == ("FAILED", "StaleWrite")
    assert world.executions_of("roll_out_deployment", waiting) == []
    assert world.look(environment)["status"] == "destroyed"


def test_deleting_before_the_rollout_begins_prevents_it(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment)

    def delete_in_time() -> None:
        world.delete(environment)
        world.schedule.sleep(5)

    world.when(BEGIN, faults.preceded_by(delete_in_time))

    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == ["Begin", "It was taken over"]
    assert (execution.status, execution.error) == ("FAILED", "StaleWrite")
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
    world.change(queue_records.lock(environment), "REMOVE holder")
    world.change(deployment_records.key(zombie), "SET #token = :other", other=0)
    later = world.deploy(environment, "v2")
    world.settle()

    assert world.execution("roll_out_deployment", zombie).error == "StaleWrite"
    assert world.look(environment)["live_version"] == "v2"
    assert world.look(later)["token"] == 2


def test_a_rollout_detects_the_end_of_its_environment_by_itself(world: World) -> None:
    """Dispatch is behind, and cancels it only when the last write was refused again and again."""
    environment = world.running()
    deployment = world.deploy(environment)

    def delete_unnoticed() -> None:
        world.delete(environment)
        world.when("* > lambda dispatch", faults.preceded_by(lambda: world.schedule.sleep(60)))

    world.when(LIVE, faults.preceded_by(delete_unnoticed))

    world.settle()

    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [*STRAIGHT, "Ship", "It was taken over"]
    record = world.look(deployment)
    assert (record["status"], record["failure"]) == ("canceled", GONE)
    assert world.holder(environment) is None
    assert world.look(environment)["status"] == "destroyed"


MET = task_error("DynamoDb.TransactionCanceledException", "[None, None, TransactionConflict]")


def test_a_last_write_that_conflicts_many_times_succeeds_at_last(world: World) -> None:
    environment = world.running()
    world.when(LIVE, faults.raises(MET), times=7)

    deployment = world.deploy(environment)
    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states == [*STRAIGHT, "Ship", "Is it in place?", "It is live"]


def test_a_last_write_that_always_conflicts_is_rolled_back(world: World) -> None:
    environment = with_v1(world)
    world.when(LIVE, faults.raises(MET), times=None)

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert record["status"] == "rolled_back"
    reason = "[None, None, TransactionConflict]"
    assert record["failure"] == {
        "error": "DynamoDb.TransactionCanceledException",
        "reason": reason,
        "step": "It is live",
    }
    assert world.look(environment)["live_version"] == "v1"
    execution = world.execution("roll_out_deployment", deployment)
    assert execution.states.count("It is live") == 20


def test_fields_that_a_version_does_not_set_are_removed(world: World) -> None:
    environment = world.running()
    world.deploy(environment, "v1", artifact="s3://builds/v1.zip", sequence=1)
    world.settle()
    with_all = world.look(environment)

    world.deploy(environment, "v2")
    world.settle()

    assert (with_all["live_artifact"], with_all["live_order"]) == ("s3://builds/v1.zip", 1)
    assert world.look(environment)["live_version"] == "v2"
    assert "live_artifact" not in world.look(environment)


def test_a_version_without_a_number_leaves_the_last_number_as_the_measure(world: World) -> None:
    environment = world.running()
    for fields in ({"sequence": 10}, {}, {"sequence": 12}, {}):
        world.deploy(environment, "v1", **fields)
        world.settle()

    assert world.look(environment)["live_order"] == 12
    with pytest.raises(OutdatedDeployment):
        world.deploy(environment, "v2", sequence=11)
    world.deploy(environment, "v3", sequence=7, allow_outdated=True)
    world.settle()
    assert world.look(environment)["live_order"] == 7
    world.deploy(environment, "v4", sequence=8)
    world.settle()
    assert world.look(environment)["live_version"] == "v4"


def test_retries_of_a_write_share_a_token_and_another_visit_has_a_new_one(
    world: World,
) -> None:
    environment = world.running()
    deployment = world.deploy(environment)
    sent: list[dict[str, Any]] = []
    invoke = stepfunctions._invoke_aws_sdk_integration

    def note(resource: str, arguments: dict[str, Any]) -> Any:
        sent.append(arguments)
        if len(sent) <= 6:
            # A condition that does not hold cancels it.
            [action, *_] = arguments["TransactItems"]
            action["Update"]["ConditionExpression"] += " AND attribute_exists(nothing)"
        return invoke(resource, arguments)

    with mock.patch.object(stepfunctions, "_invoke_aws_sdk_integration", note):
        world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    tokens = [arguments["ClientRequestToken"] for arguments in sent]
    assert [tokens.index(token) for token in tokens] == [0] * 6 + [6]
    assert all(len(token) == 36 for token in tokens)


@pytest.mark.parametrize("cause", faults.CAUSES, ids=range(len(faults.CAUSES)))
def test_a_rollout_records_its_end_for_any_text_of_an_error(world: World, cause: str) -> None:
    """The worst are as long as Step Functions keeps them, and are written four times."""
    environment = with_v1(world)
    reported = task_error("Lambda.Unknown", cause)
    world.when("* > lambda Ship", faults.raises(reported), times=7)
    world.when("* > lambda Restore", faults.raises(reported), times=7)

    deployment = world.deploy(environment, "v2")
    world.settle()

    record = world.look(deployment)
    assert record["status"] == "failed"
    reason = failure.reason_of(cause[:8000])
    again = reason if reason != failure.NO_REASON else "Lambda.Unknown"
    assert record["failure"] == {
        "error": "Lambda.Unknown",
        "reason": f"{reason}; and what was there before could not be put back: {again}",
        "step": "Ship",
    }
    assert world.logs(deployment)[-1] == ("fail", failure.summary(record["failure"]))
    [told] = [e for e in world.events(environment) if e["action"] == "deployment_failed"]
    assert told["reason"] == record["failure"]["reason"]
    shown = deployment_records.to_model(record).failure
    assert shown and shown.reason == record["failure"]["reason"]
    assert world.holder(environment) is None
