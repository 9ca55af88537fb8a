"""The harness keeps its promises, and the emulator still has the private names that it patches."""

from __future__ import annotations

import json
import threading
import time
from importlib.metadata import version
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from local.patches import EMULATOR
from slipway.domain import timestamps
from slipway.errors import StoreUnavailable
from slipway.store import table
from slipway.store.table import ConditionFailed, Key, Put, Transaction
from tests.support.lambda_environment import MACHINES
from tests.support.workflows import emulator, faults
from tests.support.workflows.emulator import dynamodb, stepfunctions, task_error
from tests.support.workflows.schedule import EPOCH
from tests.support.workflows.world import World, create_machine

pytestmark = pytest.mark.xdist_group("workflows")


def execute(world: World, states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The emulator's record of an execution of JSONata `states`, beginning with the first."""
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    create_machine("slipway-trial", json.dumps(definition | fields))
    stepfunctions._start_execution({"stateMachineArn": f"{MACHINES}trial", "name": "it"})
    world.settle()
    [record] = stepfunctions._executions.values()
    return dict(record)


def failing_with(world: World, *errors: str) -> None:
    """A function `fn` that fails so, call by call, and then answers."""
    left = list(errors)

    def handler(event: Any, context: Any) -> Any:
        if left:
            raise task_error(left.pop(0), "because")
        return {"ok": True}

    world.emulator.functions["fn"] = ("fn", handler)


def invoking(**fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "fn", "Payload": {}},
        "TimeoutSeconds": 60,
        "End": True,
        **fields,
    }


def test_the_emulator_has_the_version_that_the_harness_patches() -> None:
    assert version("ministack") == EMULATOR


def test_every_patched_name_is_restored_afterwards(environ: None) -> None:
    modules = (stepfunctions, dynamodb, table, timestamps)
    before = [dict(vars(module)) for module in modules]

    with World():
        held = [vars(module) == was for module, was in zip(modules, before, strict=True)]

    after = [
        {name for name in was if vars(module)[name] is not was[name]}
        for module, was in zip(modules, before, strict=True)
    ]
    assert not any(held)
    assert after == [set()] * 4


def test_waiting_takes_no_real_time(world: World) -> None:
    began = time.perf_counter()

    record = execute(world, {"Wait": {"Type": "Wait", "Seconds": 250, "End": True}})
    world.run(30 * 24 * 3600)

    assert record["status"] == "SUCCEEDED"
    assert world.schedule.now > EPOCH + 30 * 24 * 3600
    assert time.perf_counter() - began < 5


def test_nothing_runs_after_the_world_is_closed(environ: None) -> None:
    before = threading.active_count()

    with World() as world:
        world.environment(ttl_hours=24)
        world.settle()
        during = threading.active_count()

    assert during == before + 1  # The execution that waits for the lease to end.
    assert threading.active_count() == before


def test_the_same_scenario_has_the_same_calls_and_the_same_end(environ: None) -> None:
    stories = []
    for _ in range(2):
        with World() as world:
            environment = world.environment(ttl_hours=1)
            world.when("Ship > driver ship", faults.fails, times=2)
            world.deploy(environment)
            world.run(4000)
            stories.append((world.calls.made, list(world.executions()), world.items("")))

    assert stories[0] == stories[1]


def test_an_error_is_retried_by_its_class_with_growing_waits(world: World) -> None:
    failing_with(world, *["DriverFault"] * 4)
    retry = {"ErrorEquals": ["DriverFault"], "IntervalSeconds": 10, "MaxDelaySeconds": 30}

    record = execute(world, {"Do": invoking(Retry=[retry | {"BackoffRate": 2, "MaxAttempts": 4}])})

    assert record["status"] == "SUCCEEDED"
    failed = [event for event in record["events"] if event["type"] == "TaskFailed"]
    assert len(failed) == 4
    assert 10 + 20 + 30 + 30 <= world.schedule.now - EPOCH < 95


def test_an_error_of_another_class_is_caught_and_not_retried(world: World) -> None:
    failing_with(world, "DriverRefused")
    retry = [{"ErrorEquals": ["DriverFault"]}]
    catch = [
        {"ErrorEquals": ["StaleWrite"], "Next": "Wrong"},
        {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"why": "{% $states.errorOutput.Error %}"},
            "Next": "Right",
        },
    ]
    wrong = {"Type": "Fail", "Error": "Wrong"}
    right = {"Type": "Fail", "Error": "{% $why %}"}

    record = execute(
        world, {"Do": invoking(Retry=retry, Catch=catch), "Wrong": wrong, "Right": right}
    )

    assert (record["status"], record["error"]) == ("FAILED", "DriverRefused")


def test_a_task_that_takes_too_long_on_the_simulated_clock_times_out(world: World) -> None:
    failing_with(world)
    world.when("* > lambda fn", faults.preceded_by(lambda: world.schedule.sleep(61)))

    record = execute(world, {"Do": invoking()})

    assert record["error"] == "States.Timeout"


def test_an_execution_that_takes_too_long_is_timed_out(world: World) -> None:
    waits = {"Wait": {"Type": "Wait", "Seconds": 200, "End": True}}

    record = execute(world, waits, TimeoutSeconds=100)

    assert (record["status"], record["error"]) == ("TIMED_OUT", "States.Timeout")


def test_an_execution_that_is_stopped_goes_no_further(world: World) -> None:
    environment = world.environment()
    provision = "Provision > driver provision service"
    world.run_until(lambda: provision in [call.name for call in world.calls.made])

    world.stop("provision_environment", environment)
    world.settle()

    execution = world.execution("provision_environment", environment)
    assert (execution.status, execution.states[-1]) == ("ABORTED", "Wait until it is up")
    assert world.look(environment)["status"] == "provisioning"


def test_the_client_library_retries_by_itself(world: World) -> None:
    world.when("test > dynamodb PutItem", faults.throttled, times=2)

    table.write(Put(Key("a", "b"), {"x": 1}))

    assert world.item(Key("a", "b")) == {"pk": "a", "sk": "b", "x": 1}
    assert len(world.calls.made) == 1


def test_a_call_whose_every_attempt_fails_is_the_stores_own_error(world: World) -> None:
    world.when("test > dynamodb PutItem", faults.fails, times=3)

    with pytest.raises(StoreUnavailable):
        table.write(Put(Key("a", "b"), {}))

    assert world.item(Key("a", "b")) is None


def test_a_lost_answer_makes_the_second_attempt_find_the_first(world: World) -> None:
    world.when("test > dynamodb PutItem", faults.lost)

    with pytest.raises(ConditionFailed):
        table.write(Put(Key("a", "b"), {}))

    assert world.item(Key("a", "b"))


def test_a_transaction_is_recognized_by_its_token(world: World) -> None:
    world.when("test > dynamodb TransactWriteItems", faults.lost)

    Transaction().put("record", Key("a", "b"), {}).commit()

    assert world.item(Key("a", "b"))


def test_a_fault_can_be_set_for_a_call_by_its_number(environ: None) -> None:
    with World() as world:
        world.deploy(world.environment())
        names = [call.name for call in world.calls.made]

    with World() as world:
        world.when(len(names) - 1, faults.raises(ReadTimeoutError(endpoint_url="x")), times=3)
        environment = world.environment()
        with pytest.raises(StoreUnavailable):
            world.deploy(environment)

    assert names[-1] == "test > dynamodb TransactWriteItems"


def test_a_fault_that_never_happened_is_reported() -> None:
    calls = faults.Calls()
    calls.when("Ship > driver ship", faults.fails)
    calls.when("*", faults.twice, times=None)

    assert calls.unused() == ["Ship > driver ship", "*"]


def test_ttl_deletes_expired_items_and_is_named_as_their_deleter(world: World) -> None:
    world.hold_the_stream()
    world.environment(ttl_hours=0.5, name="short")
    world.environment(ttl_hours=2, name="long")
    world.schedule.now += 3600

    assert world.sweep_ttl() == 1
    [*_, record] = dynamodb._stream_records["slipway"]
    assert record["eventName"] == "REMOVE"
    assert record["userIdentity"]["principalId"] == "dynamodb.amazonaws.com"
    assert [lease["sk"]["S"] for lease in world.items("LEASE")] == ["LEASE"]


def test_time_is_written_as_aws_writes_it(world: World) -> None:
    failing_with(world)

    record = execute(world, {"Say": invoking(Output="{% $states.context.State.EnteredTime %}")})

    assert record["startDate"] == "2026-11-23T09:00:00.000Z"
    assert json.loads(record["output"]) == "2026-11-23T09:00:00.150Z"


def test_every_call_knows_its_caller(world: World) -> None:
    world.running()

    assert {call.name for call in world.calls.made} == {
        "test > dynamodb BatchGetItem",
        "test > dynamodb Query",
        "test > dynamodb TransactWriteItems",
        "stream > lambda dispatch",
        "dispatch > dynamodb PutItem",
        "dispatch > dynamodb BatchGetItem",
        "dispatch > dynamodb Query",
        "dispatch > states StartExecution",
        "dispatch > dynamodb UpdateItem",
        "dispatch > events EnableRule",
        "provision_environment/Provision > lambda Provision",
        "Provision > dynamodb BatchGetItem",
        "Provision > dynamodb UpdateItem",
        "Provision > driver provision database",
        "Provision > driver provision service",
        "Provision > driver lines",
        "provision_environment/It is running > dynamodb UpdateItem",
    }
    assert emulator.actor.get() == "test"
