"""Both interpreters of state machines say what Step Functions said."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.prove.sandbox import Ended, Sandbox
from tests.support.aws_facts import facts
from tests.support.machines import Laptop, Machines

pytestmark = pytest.mark.xdist_group("aws")


CAUGHT = {
    "ErrorEquals": ["States.ALL"],
    "Output": "{% $states.errorOutput %}",
    "Next": "It was caught",
}
END = {"It was caught": {"Type": "Succeed"}}


def invoking(machines: Machines, event: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A task that sends the event to the function, and ends with what a Catch knows of it."""
    return {
        "Do": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": machines.function, "Payload": event},
            "Catch": [CAUGHT],
            "End": True,
            **fields,
        },
        **END,
    }


def asking(resource: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The same with a call of DynamoDB."""
    task = {"Type": "Task", "Resource": resource, "Arguments": arguments, "TimeoutSeconds": 15}
    return {"Do": {**task, "Catch": [CAUGHT], "End": True}, **END}


def caught(ended: Ended) -> dict[str, Any]:
    assert ended.status == "SUCCEEDED", ended
    assert set(ended.output) == set(facts("caught")["errorOutput"]), ended
    found: dict[str, Any] = ended.output
    return found


def test_a_functions_exception_is_caught_by_its_class(machines: Machines) -> None:
    event = {"do": "raise", "saying": "so"}
    by_class = {"Catch": [{**CAUGHT, "ErrorEquals": ["CustomError"]}]}

    error = caught(machines.run(invoking(machines, event, **by_class)))

    assert error["Error"] == "CustomError"
    cause = json.loads(error["Cause"])
    # The harness has no requests, so none has an id.
    assert set(facts("function_errors")["raised"]["cause_keys"]) - set(cause) <= {"requestId"}
    assert (cause["errorType"], cause["errorMessage"]) == ("CustomError", "so")


def test_a_function_that_is_not_there_is_an_error_of_lambda(sandbox: Sandbox) -> None:
    arguments = {"FunctionName": f"{sandbox.name}-none", "Payload": {}}
    states = asking("arn:aws:states:::lambda:invoke", arguments)

    error = caught(sandbox.run(states))

    fact = facts("function_errors")["missing"]
    assert error["Error"] == fact["error"]
    assert all(words in error["Cause"] for words in fact["cause"])


def test_a_task_that_takes_too_long_has_no_cause(machines: Machines) -> None:
    event = {"do": "wait", "seconds": 2.5}

    error = caught(machines.run(invoking(machines, event, TimeoutSeconds=1)))

    fact = facts("function_errors")["timed_out"]
    assert error == {"Error": fact["error"], "Cause": fact["cause"]}


@pytest.mark.parametrize(
    "kind, resource",
    [
        ("optimized", "arn:aws:states:::dynamodb:putItem"),
        ("sdk", "arn:aws:states:::aws-sdk:dynamodb:putItem"),
    ],
)
def test_dynamodbs_errors_keep_their_names(machines: Machines, kind: str, resource: str) -> None:
    item = {"pk": {"S": "a"}, "sk": {"S": "a"}}
    missing = {"TableName": "slipway-prove-none", "Item": item}
    invalid = {"TableName": machines.table, "Item": item, "ConditionExpression": "nonsense ("}

    first = caught(machines.run(asking(resource, missing)))
    second = caught(machines.run(asking(resource, invalid)))

    fact = facts("task_errors")[kind]
    assert first["Error"] == fact["missing_table"]
    assert second["Error"] == fact["invalid"]
    for words in fact["cause_ends"]:
        assert words in first["Cause"]
        assert words in second["Cause"]


def test_a_condition_that_does_not_hold_has_the_name_that_workflows_catch(
    machines: Machines,
) -> None:
    key = {"pk": {"S": "nobody"}, "sk": {"S": "nobody"}}
    arguments = {"TableName": machines.table, "Key": key, "UpdateExpression": "SET a = :one"}
    arguments |= {
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }

    plain = caught(machines.run(asking("arn:aws:states:::dynamodb:updateItem", arguments)))
    transaction = {"TransactItems": [{"Update": arguments}]}
    resource = "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems"
    together = caught(machines.run(asking(resource, transaction)))

    assert plain["Error"] == "DynamoDB.ConditionalCheckFailedException"
    assert together["Error"] == "DynamoDb.TransactionCanceledException"
    assert "[ConditionalCheckFailed]" in together["Cause"]


def test_too_large_a_result_is_caught_by_its_name(sandbox: Sandbox) -> None:
    fact = facts("data_limit")
    machines = Laptop(sandbox)
    event = {"do": "return", "bytes": fact["bytes"] + 1}
    by_name = {"Catch": [{**CAUGHT, "ErrorEquals": [fact["error"]]}]}

    error = caught(machines.run(invoking(machines, event, **by_name)))

    assert error == {"Error": fact["error"], "Cause": fact["cause"]}


def waits(**until: Any) -> dict[str, Any]:
    return {"Wait": {"Type": "Wait", **until, "End": True}}


@pytest.mark.parametrize("fraction", facts("waits")["timestamps"]["taken"])
def test_a_wait_takes_a_timestamp_with_an_offset(machines: Machines, fraction: str) -> None:
    given = {"at": "2020-01-01T00:00:00" + fraction}

    ended = machines.run(waits(Timestamp="{% $states.input.at %}"), given)

    assert ended.status == "SUCCEEDED"


@pytest.mark.parametrize("fraction", facts("waits")["timestamps"]["refused"])
def test_a_wait_refuses_a_timestamp_without_an_offset(machines: Machines, fraction: str) -> None:
    given = {"at": "2020-01-01T00:00:00" + fraction}

    ended = machines.run(waits(Timestamp="{% $states.input.at %}"), given)

    # With JSONPath it is States.Runtime; JSONata's own name was not recorded.
    assert ended.status == "FAILED"


@pytest.mark.parametrize("seconds", facts("waits")["seconds"]["taken"])
def test_a_wait_takes_whole_seconds(machines: Machines, seconds: int) -> None:
    ended = machines.run(waits(Seconds="{% $states.input.s %}"), {"s": seconds})

    assert ended.status == "SUCCEEDED"


@pytest.mark.parametrize("seconds", facts("waits")["seconds"]["refused"])
def test_a_wait_refuses_other_seconds(machines: Machines, seconds: float) -> None:
    ended = machines.run(waits(Seconds="{% $states.input.s %}"), {"s": seconds})

    assert ended.status == "FAILED"


def test_a_wait_of_decades_fails(machines: Machines) -> None:
    days = facts("waits")["days"]["refused"]
    at = datetime.now(UTC) + timedelta(days=days + 1)

    ended = machines.run(waits(Timestamp=at.strftime("%Y-%m-%dT%H:%M:%SZ")))

    assert ended.status == "FAILED"


def test_a_catch_assigns_the_error_and_its_cause(machines: Machines) -> None:
    assign = {"why": "{% $states.errorOutput %}", "step": "{% $states.context.State.Name %}"}
    catch = {"ErrorEquals": ["States.ALL"], "Assign": assign, "Next": "Say"}
    states = {"Do": invoking(machines, {"do": "raise"}, Catch=[catch])["Do"]}
    said = "{% {'why': $why, 'step': $step} %}"
    states |= {"Say": {"Type": "Pass", "Output": said, "End": True}}

    ended = machines.run(states)

    assert ended.output["step"] == "Do"
    assert set(ended.output["why"]) == set(facts("caught")["errorOutput"])
    assert isinstance(ended.output["why"]["Cause"], str)


def test_an_expression_that_is_undefined_fails_the_execution(machines: Machines) -> None:
    expression = "$states.input.nothing"
    states = {"Say": {"Type": "Pass", "Output": {"x": f"{{% {expression} %}}"}, "End": True}}

    ended = machines.run(states, {})

    assert (ended.status, ended.error) == ("FAILED", facts("caught")["undefined"]["error"])


def test_the_context_object_says_who_runs_and_since_when(machines: Machines) -> None:
    states = {"Say": {"Type": "Pass", "Output": "{% $states.context %}", "End": True}}

    ended = machines.run(states, {"given": "this"})

    # The emulator has no role and no redrive; Slipway asks for neither.
    for part, keys in facts("context_object").items():
        assert set(keys) - {"RedriveCount", "RoleArn"} <= set(ended.output[part]), part
    assert ended.output["Execution"]["Input"] == {"given": "this"}
    assert ended.output["State"]["Name"] == "Say"


def test_moments_of_the_context_object_are_written_as_the_store_writes_them(
    machines: Machines,
) -> None:
    states = {"Say": {"Type": "Pass", "Output": "{% $states.context %}", "End": True}}

    context = machines.run(states).output

    written = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(written, context["State"]["EnteredTime"])
    assert re.fullmatch(written, context["Execution"]["StartTime"])


def test_a_task_that_is_tried_again_is_entered_once(machines: Machines) -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}
    states = invoking(machines, {"do": "raise"}, Retry=[retry])

    ended = machines.run(states)

    fact = facts("retries")
    assert ended.events.count("TaskStateEntered") == fact["TaskStateEntered"]
    assert ended.events.count("TaskStateExited") == fact["TaskStateExited"]
    assert ended.events.count("TaskScheduled") == ended.events.count("TaskFailed") == 3


def test_every_attempt_of_a_task_has_the_moment_at_which_its_state_was_entered(
    machines: Machines,
) -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}
    event = {"do": "raise", "saying": "{% $states.context.State.EnteredTime %}"}

    ended = machines.run(invoking(machines, event, Retry=[retry]))

    first, second = ended.failures
    assert json.loads(first)["errorMessage"] == json.loads(second)["errorMessage"]


def test_the_result_of_a_task_is_where_the_workflows_look_for_it(machines: Machines) -> None:
    fact = facts("task_results")
    key = {"pk": {"S": "result"}, "sk": {"S": "result"}}
    where = {"TableName": machines.table, "Key": key}
    change = {
        "UpdateExpression": "SET a = :a",
        "ExpressionAttributeValues": {":a": {"S": "1"}},
        "ReturnValues": "ALL_NEW",
    }
    whole = {"Output": "{% $states.result %}"}

    found = {
        "invoke": machines.run(invoking(machines, {"given": 1}, **whole)),
        "updateItem": machines.run(reading(machines, "updateItem", {**where, **change})),
        "getItem": machines.run(reading(machines, "getItem", {**where, "ConsistentRead": True})),
    }

    item = {**key, "a": {"S": "1"}}
    assert found["invoke"].output[fact["invoke"]] == {"given": 1}
    assert found["updateItem"].output[fact["updateItem"]] == item
    assert found["getItem"].output[fact["getItem"]] == item


def reading(machines: Machines, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A call of DynamoDB that ends with its result."""
    states = asking(f"arn:aws:states:::dynamodb:{action}", arguments)
    return {**states, "Do": {**states["Do"], "Output": "{% $states.result %}"}}


def test_objects_are_merged(machines: Machines) -> None:
    fact = facts("jsonata_merge")
    states = {"Merge": {"Type": "Pass", "Output": fact["expression"], "End": True}}

    ended = machines.run(states, fact["input"])

    assert ended.output == fact["output"]


def test_an_execution_that_takes_too_long_is_timed_out(machines: Machines) -> None:
    ended = machines.run(waits(Seconds=100), TimeoutSeconds=1)

    assert ended.status == facts("executions")["timed_out"]
