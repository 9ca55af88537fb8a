"""Tasks, branches and nested executions (patches/task_*.py, parallel_branches.py,
nested_executions.py, execution_clock.py, execution_inputs.py).

The recordings named here are LocalStack's, stepfunctions/v2.
"""

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import eventually, run, start

LAMBDA = "arn:aws:states:::lambda:invoke"
SQS = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
START = "arn:aws:states:::states:startExecution"
CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
CAUGHT = {"Type": "Succeed"}
WAIT = {"Type": "Wait", "Seconds": 30, "End": True}


def task(platform: Platform, resource: str, payload: Any, **more: Any) -> dict[str, Any]:
    arguments = {"FunctionName": platform.outputs["TaskFunction"], "Payload": payload}
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True} | more


def seconds(execution: dict[str, Any]) -> float:
    return float((execution["stopDate"] - execution["startDate"]).total_seconds())


def history(platform: Platform, execution: dict[str, Any]) -> list[dict[str, Any]]:
    client = platform.client("stepfunctions")
    found = client.get_execution_history(executionArn=execution["executionArn"])
    return list(found["events"])


@pytest.fixture
def queue(platform: Platform) -> str:
    return str(platform.client("sqs").create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"])


def waiting(queue: str, **more: Any) -> dict[str, Any]:
    """A task that sends its token to the queue, and waits for it."""
    arguments = {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"}
    return {"Type": "Task", "Resource": SQS, "Arguments": arguments, "End": True} | more


def token(platform: Platform, queue: str) -> str:
    def receive() -> str | None:
        found = platform.client("sqs").receive_message(QueueUrl=queue).get("Messages", [])
        return found[0]["Body"] if found else None

    return eventually(receive)


def ended(platform: Platform, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = platform.client("stepfunctions").describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else dict(found)

    return eventually(look)


def test_a_task_without_a_heartbeat_times_out(platform: Platform, queue: str) -> None:
    # timeouts/test_heartbeats, test_heartbeat_timeout: States.Timeout, and no cause.
    execution = run(platform, {"Wait": waiting(queue, HeartbeatSeconds=1, TimeoutSeconds=60)})

    assert (execution["status"], execution["error"]) == ("FAILED", "States.Timeout")
    assert "cause" not in execution
    assert 0.9 < seconds(execution) < 3
    events = history(platform, execution)
    [timed_out] = [each for each in events if each["type"] == "TaskTimedOut"]
    assert timed_out["taskTimedOutEventDetails"]["error"] == "States.Timeout"
    assert events[-1]["executionFailedEventDetails"] == {"error": "States.Timeout"}


def test_heartbeats_keep_a_task_alive(platform: Platform, queue: str) -> None:
    client = platform.client("stepfunctions")
    arn = start(platform, {"Wait": waiting(queue, HeartbeatSeconds=1)})
    given = token(platform, queue)

    for _ in range(4):
        time.sleep(0.5)
        client.send_task_heartbeat(taskToken=given)
    client.send_task_success(taskToken=given, output='"done"')

    execution = ended(platform, arn)
    assert (execution["status"], execution["output"]) == ("SUCCEEDED", '"done"')
    with pytest.raises(ClientError, match="TaskDoesNotExist"):
        client.send_task_success(taskToken=given, output="{}")


@pytest.mark.parametrize(
    "name", ["States.HeartbeatTimeout", "States.Timeout", "States.ALL", "States.TaskFailed"]
)
def test_a_missed_heartbeat_can_be_caught(platform: Platform, queue: str, name: str) -> None:
    catch = [{"ErrorEquals": [name], "Next": "Caught"}]
    wait = waiting(queue, HeartbeatSeconds=1, Catch=catch)

    execution = run(platform, {"Wait": wait, "Caught": CAUGHT})

    # States.TaskFailed matches any error but States.Timeout (developer guide, "Error names").
    if name == "States.TaskFailed":
        assert execution["error"] == "States.Timeout"
    else:
        assert json.loads(execution["output"]) == {"Error": "States.Timeout", "Cause": ""}


def test_a_task_waits_for_its_token_until_its_timeout(platform: Platform, queue: str) -> None:
    # callback/test_callback, test_sqs_wait_for_task_token_timeout.
    states = {"Wait": waiting(queue, TimeoutSeconds="{% $states.input.most %}")}

    execution = run(platform, states, {"most": 1})

    assert execution["error"] == "States.Timeout"
    assert 0.9 < seconds(execution) < 3


def test_a_function_that_raises_fails_the_task_that_waits_for_it(platform: Platform) -> None:
    payload = {"fail": "Refused", "token": "{% $states.context.Task.Token %}"}
    raising = task(platform, f"{LAMBDA}.waitForTaskToken", payload, TimeoutSeconds=60)

    execution = run(platform, {"Raise": raising})

    assert (execution["status"], execution["error"]) == ("FAILED", "Refused")
    assert json.loads(execution["cause"])["errorMessage"] == "no"
    assert seconds(execution) < 3


def test_a_stopped_execution_no_longer_waits_for_its_token(platform: Platform, queue: str) -> None:
    client = platform.client("stepfunctions")
    arn = start(platform, {"Wait": waiting(queue)})
    given = token(platform, queue)

    client.stop_execution(executionArn=arn)

    def is_forgotten() -> bool:
        try:
            client.send_task_heartbeat(taskToken=given)
        except ClientError:
            return True
        return False

    eventually(is_forgotten)


def branch(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: state}}


def test_the_first_branch_to_fail_fails_its_parallel_state(platform: Platform, queue: str) -> None:
    slow = {
        "StartAt": "Slow",
        "States": {
            "Slow": {"Type": "Wait", "Seconds": 2, "Next": "Send"},
            "Send": waiting(queue, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Never"}]),
            "Never": {"Type": "Succeed"},
        },
    }
    soon = {
        "StartAt": "Soon",
        "States": {
            "Soon": {"Type": "Wait", "Seconds": 1, "Next": "Fail"},
            "Fail": {"Type": "Fail", "Error": "Broken", "Cause": "{% 'after ' & '1 s' %}"},
        },
    }
    both = {"Type": "Parallel", "Branches": [slow, soon], "End": True}

    execution = run(platform, {"Both": both})

    assert (execution["error"], execution["cause"]) == ("Broken", "after 1 s")
    assert 0.9 < seconds(execution) < 1.8
    time.sleep(1.5)
    assert "Messages" not in platform.client("sqs").receive_message(QueueUrl=queue)


def test_a_parallel_state_gives_its_branches_arguments_and_takes_their_results(
    platform: Platform,
) -> None:
    name = "{% $states.context.State.Name & $states.input.of %}"
    both = {
        "Type": "Parallel",
        "Arguments": {"of": "{% $states.input.what %}"},
        "Branches": [
            branch(each, {"Type": "Pass", "Output": name, "End": True}) for each in ("A", "B")
        ],
        "Output": "{% $join($states.result, ', ') %}",
        "Assign": {"count": "{% $count($states.result) %}"},
        "Next": "Done",
    }
    done = {"Type": "Pass", "Output": "{% [$states.input, $count] %}", "End": True}

    execution = run(platform, {"Both": both, "Done": done}, {"what": " of it"})

    assert json.loads(execution["output"]) == ["A of it, B of it", 2]


def test_a_parallel_state_catches_what_a_branch_raises(platform: Platform) -> None:
    branches = [branch("Fail", {"Type": "Fail", "Error": "Broken"}), branch("Wait", WAIT)]
    both = {"Type": "Parallel", "Branches": branches, "Catch": CATCH_ALL, "End": True}

    execution = run(platform, {"Both": both, "Caught": CAUGHT})

    assert json.loads(execution["output"])["Error"] == "Broken"
    assert seconds(execution) < 2


def test_the_first_item_to_fail_fails_its_map_state(platform: Platform) -> None:
    # timeouts/test_timeouts, test_service_lambda_map_timeout: the others are aborted.
    states = {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "Fail"}],
            "Default": "Wait",
        },
        "Fail": {"Type": "Fail", "Error": "Broken"},
        "Wait": WAIT,
    }
    each = {
        "Type": "Map",
        "Items": "{% $states.input.items %}",
        "ItemProcessor": {"StartAt": "Which", "States": states},
        "End": True,
    }

    execution = run(platform, {"Each": each}, {"items": [1, 2, 3]})

    assert execution["error"] == "Broken"
    assert seconds(execution) < 2


def test_a_map_state_goes_through_its_items_in_order(platform: Platform) -> None:
    total = "{% $states.input.n + $states.input.i %}"
    each = {
        "Type": "Map",
        "Items": "{% $states.input.items %}",
        "MaxConcurrency": 2,
        "ItemSelector": {
            "n": "{% $states.context.Map.Item.Value %}",
            "i": "{% $states.context.Map.Item.Index %}",
        },
        "ItemProcessor": branch("Add", {"Type": "Pass", "Output": total, "End": True}),
        "End": True,
    }

    execution = run(platform, {"Each": each}, {"items": [10, 20, 30, 40, 50]})

    assert json.loads(execution["output"]) == [10, 21, 32, 43, 54]


def test_a_stopped_execution_stops_its_branches(platform: Platform, queue: str) -> None:
    late = {
        "StartAt": "Wait",
        "States": {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "Send"}, "Send": waiting(queue)},
    }
    arn = start(platform, {"Both": {"Type": "Parallel", "Branches": [late], "End": True}})
    time.sleep(0.3)

    platform.client("stepfunctions").stop_execution(executionArn=arn)

    time.sleep(1.2)
    assert ended(platform, arn)["status"] == "ABORTED"
    assert "Messages" not in platform.client("sqs").receive_message(QueueUrl=queue)


def nested(platform: Platform, state: dict[str, Any], how: str, **more: Any) -> dict[str, Any]:
    """A task that executes the state in a state machine of its own."""
    machine = platform.client("stepfunctions").create_state_machine(
        name=f"test-{uuid.uuid4().hex}",
        definition=json.dumps({"QueryLanguage": "JSONata", **branch("Inner", state)}),
        roleArn="arn:aws:iam::000000000000:role/test",
    )
    arguments = {"StateMachineArn": machine["stateMachineArn"], "Input": {"a": 1}}
    return {"Type": "Task", "Resource": START + how, "Arguments": arguments, "End": True} | more


def test_an_execution_waits_for_another_and_goes_on(platform: Platform) -> None:
    inner = nested(platform, {"Type": "Wait", "Seconds": 1, "End": True}, ".sync:2")
    inner = inner | {"Output": "{% $states.result.Output %}", "Next": "Wait"}
    del inner["End"]
    states = {"Run": inner, "Wait": {"Type": "Wait", "Seconds": 1, "End": True}}

    execution = run(platform, states)

    assert (execution["status"], execution["output"]) == ("SUCCEEDED", '{"a": 1}')
    assert 1.9 < seconds(execution) < 4


def test_the_failure_of_an_execution_is_the_cause_of_the_one_that_waits(
    platform: Platform,
) -> None:
    # callback/test_callback, test_start_execution_sync_delegate_failure.
    fails = {"Type": "Fail", "Error": "SomeFailure", "Cause": "why"}

    execution = run(platform, {"Run": nested(platform, fails, ".sync")})

    assert execution["error"] == "States.TaskFailed"
    cause = json.loads(execution["cause"])
    told = {name: cause[name] for name in ("Error", "Cause", "Status", "Input", "InputDetails")}
    assert told == {
        "Error": "SomeFailure",
        "Cause": "why",
        "Status": "FAILED",
        "Input": '{"a": 1}',
        "InputDetails": {"Included": True},
    }
    assert isinstance(cause["StartDate"], int)


def test_an_execution_that_another_waits_for_stops_with_it(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    inner = nested(platform, WAIT, ".sync")
    arn = start(platform, {"Run": inner})
    machine = inner["Arguments"]["StateMachineArn"]
    listed = eventually(lambda: client.list_executions(stateMachineArn=machine)["executions"])

    client.stop_execution(executionArn=arn)

    assert ended(platform, listed[0]["executionArn"])["status"] == "ABORTED"


def test_an_execution_that_no_other_waits_for_goes_on(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    inner = nested(platform, {"Type": "Wait", "Seconds": 1, "End": True}, "", Next="Wait")
    del inner["End"]
    arn = start(platform, {"Run": inner, "Wait": WAIT})
    machine = inner["Arguments"]["StateMachineArn"]
    [listed] = eventually(lambda: client.list_executions(stateMachineArn=machine)["executions"])

    client.stop_execution(executionArn=arn)

    assert ended(platform, listed["executionArn"])["status"] == "SUCCEEDED"


def test_an_execution_of_a_state_machine_that_is_not_there(platform: Platform) -> None:
    # error_handling/test_task_service_sfn, test_start_execution_no_such_arn.
    gone = nested(platform, {"Type": "Succeed"}, "")
    gone["Arguments"]["StateMachineArn"] += "-gone"

    execution = run(platform, {"Run": gone})

    assert execution["error"] == "StepFunctions.StateMachineDoesNotExistException"
    assert "(Service: AWSStepFunctions; Status Code: 400; Error Code:" in execution["cause"]


def test_a_result_that_is_too_large_ends_the_execution(platform: Platform) -> None:
    # error_handling/test_states_errors; by its name alone can it be caught.
    large = {"text": "ä" * 140_000}
    send = task(platform, LAMBDA, large, Catch=CATCH_ALL)

    execution = run(platform, {"Send": send, "Caught": CAUGHT})
    named = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"}]
    caught = run(platform, {"Send": send | {"Catch": named}, "Caught": CAUGHT})

    assert (execution["error"], execution["cause"]) == (
        "States.DataLimitExceeded",
        "The state/task 'lambda' returned a result with a size exceeding the maximum number of "
        "bytes service limit.",
    )
    assert caught["status"] == "SUCCEEDED"


def test_an_output_that_is_too_large_ends_the_execution(platform: Platform) -> None:
    # error_handling/test_states_errors, test_start_large_input.
    double = {"Type": "Pass", "Output": "{% $states.input.a & $states.input.a %}", "End": True}

    execution = run(platform, {"State_1": double}, {"a": "x" * 140_000})

    assert execution["error"] == "States.DataLimitExceeded"
    assert execution["cause"].startswith("The state/task 'State_1' returned a result with a size")


def test_a_fail_state_may_compute_its_error_and_cause(platform: Platform) -> None:
    # base/test_base, test_state_fail_path.
    fails = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'c' & 1 %}"}

    execution = run(platform, {"Fail": fails}, {"e": "Odd"})

    assert (execution["error"], execution["cause"]) == ("Odd", "c1")
    assert "output" not in execution


def test_an_input_that_is_not_json_is_refused(platform: Platform) -> None:
    # test_sfn_api, test_invalid_start_execution_input.
    client = platform.client("stepfunctions")

    with pytest.raises(ClientError) as refused:
        client.start_execution(stateMachineArn=platform.outputs["Greet"], input="not some json")

    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidExecutionInput"
    assert error["Message"].startswith("Invalid State Machine Execution Input: '")
