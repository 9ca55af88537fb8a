"""State machines (patches/execution_*.py, retry_delays.py, succeed_output.py).

The last part holds on to what the emulator does right by itself and Slipway's workflows rely on.
"""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.patches.retry_delays import delay
from local.platform import Platform
from tests.support.local.platform import eventually, run, start

LAMBDA = "arn:aws:states:::lambda:invoke"


def task(platform: Platform, payload: Any, **more: Any) -> dict[str, Any]:
    """A Task state that invokes the fixture's function."""
    arguments = {"FunctionName": platform.outputs["TaskFunction"], "Payload": payload}
    state = {"Type": "Task", "Resource": LAMBDA, "Arguments": arguments, "TimeoutSeconds": 5}
    return state | ({} if "Next" in more else {"End": True}) | more


def ok(**fields: Any) -> dict[str, Any]:
    return {"Type": "Succeed", **fields}


def seconds(execution: dict[str, Any]) -> float:
    return float((execution["stopDate"] - execution["startDate"]).total_seconds())


def test_an_execution_starts_at_once(platform: Platform) -> None:
    assert seconds(run(platform, {"Done": ok()})) < 0.14


def test_an_execution_ends_at_its_timeout(platform: Platform) -> None:
    waiting = {"Wait": {"Type": "Wait", "Seconds": 60, "Next": "Done"}, "Done": ok()}

    ended = run(platform, waiting, TimeoutSeconds=1)

    # LocalStack's recording stepfunctions/v2 timeouts/test_timeouts, test_global_timeout.
    assert ended["status"] == "TIMED_OUT"
    assert {"error", "cause", "output"}.isdisjoint(ended)
    assert 0.9 < seconds(ended) < 2


def test_an_execution_is_not_timed_out_after_it_ended(platform: Platform) -> None:
    ended = run(platform, {"Done": ok()}, TimeoutSeconds=1)
    time.sleep(1.2)

    client = platform.client("stepfunctions")
    assert client.describe_execution(executionArn=ended["executionArn"])["status"] == "SUCCEEDED"


def test_a_stopped_execution_stays_stopped(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    arn = start(platform, {"Fail late": task(platform, {"sleep": 0.4, "fail": "Faulty"})})
    time.sleep(0.2)

    client.stop_execution(executionArn=arn)

    time.sleep(0.6)
    assert client.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_the_same_name_and_input_is_the_same_execution_while_it_runs(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    arn = start(platform, {"Wait": {"Type": "Wait", "Seconds": 30, "End": True}})
    machine = client.describe_execution(executionArn=arn)["stateMachineArn"]
    again = {"stateMachineArn": machine, "name": arn.rsplit(":", 1)[1]}

    assert client.start_execution(**again, input="{}")["executionArn"] == arn
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(**again, input='{"other": 1}')
    client.stop_execution(executionArn=arn)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(**again, input="{}")


def test_a_retry_waits_no_longer_than_it_may(platform: Platform) -> None:
    retry = {"ErrorEquals": ["Faulty"], "IntervalSeconds": 30, "MaxAttempts": 2}
    capped = retry | {"MaxDelaySeconds": 1, "JitterStrategy": "FULL"}

    ended = run(platform, {"Try": task(platform, {"fail": "Faulty"}, Retry=[capped])})

    assert (ended["status"], ended["error"]) == ("FAILED", "Faulty")
    assert seconds(ended) < 3


def test_the_delays_of_a_retry() -> None:
    retrier = {"IntervalSeconds": 2, "BackoffRate": 3, "MaxDelaySeconds": 10}

    assert [delay(retrier, n) for n in range(4)] == [2, 6, 10, 10]
    assert all(0 <= delay(retrier | {"JitterStrategy": "FULL"}, 1) <= 6 for _ in range(50))


def test_a_succeed_states_output_is_the_executions(platform: Platform) -> None:
    ended = run(platform, {"Done": ok(Output={"sum": "{% $states.input.a + 1 %}"})}, {"a": 1})

    assert json.loads(ended["output"]) == {"sum": 2}


def test_catch_is_by_the_class_of_the_error(platform: Platform) -> None:
    catch = [
        {"ErrorEquals": ["Faulty"], "Next": "Wrong"},
        {
            "ErrorEquals": ["Refused"],
            "Assign": {"why": "{% $states.errorOutput %}"},
            "Next": "Right",
        },
    ]
    states = {
        "Try": task(platform, {"fail": "Refused"}, Catch=catch, Next="Wrong"),
        "Right": ok(Output="{% $parse($why.Cause).errorMessage %}"),
        "Wrong": {"Type": "Fail"},
    }

    ended = run(platform, states)

    assert (ended["status"], ended["output"]) == ("SUCCEEDED", '"no"')


def test_the_packaged_state_machine_runs(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=platform.outputs["Greet"], input='{"name": "Ada"}')
    arn = arn["executionArn"]

    ended = eventually(
        lambda: (
            (found := client.describe_execution(executionArn=arn))["status"] != "RUNNING" and found
        )
    )

    assert ended["output"] == '"Ada"'


# These need no patch.


def test_wait_until_a_fraction_of_a_second(platform: Platform) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2.25)
    wait = {"Type": "Wait", "Timestamp": "{% $states.input.at %}", "End": True}

    ended = run(platform, {"Wait": wait}, {"at": f"{until:%FT%T}.250Z"})

    assert timedelta(0) <= ended["stopDate"] - until < timedelta(seconds=0.5)


def test_the_context_object_and_variables(platform: Platform) -> None:
    assign = {
        "entered": "{% $states.context.State.EnteredTime %}",
        "started": "{% $states.context.Execution.StartTime %}",
        "name": "{% $states.context.Execution.Name %}",
        "given": "{% $states.context.Execution.Input.a %}",
    }
    output = {name: f"{{% ${name} %}}" for name in assign}
    states = {
        "Set": {"Type": "Pass", "Assign": assign, "Next": "Get"},
        "Get": {"Type": "Pass", "Output": output, "End": True},
    }

    ended = run(platform, states, {"a": 1})

    found = json.loads(ended["output"])
    assert found["given"] == 1
    assert found["name"] == ended["name"]
    for stamp in (found["entered"], found["started"]):
        assert abs(datetime.fromisoformat(stamp) - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_task_ends_at_its_timeout(platform: Platform) -> None:
    slow = task(platform, {"rawPath": "/things/slow", "queryStringParameters": {"seconds": "2.5"}})
    slow["Arguments"]["FunctionName"] = platform.outputs["EchoFunction"]

    ended = run(platform, {"Slow": slow | {"TimeoutSeconds": 1}})

    assert ended["error"] == "States.Timeout"
    assert 0.9 < seconds(ended) < 2


@pytest.mark.parametrize(
    ("resource", "error"),
    [
        ("dynamodb:updateItem", "DynamoDB.ConditionalCheckFailedException"),
        ("aws-sdk:dynamodb:updateItem", "DynamoDb.ConditionalCheckFailedException"),
        ("aws-sdk:dynamodb:transactWriteItems", "DynamoDb.TransactionCanceledException"),
    ],
)
def test_a_lost_condition_has_the_name_it_has_on_aws(
    platform: Platform, resource: str, error: str
) -> None:
    update = {
        "TableName": platform.outputs["TableName"],
        "Key": {"pk": {"S": "nobody"}, "sk": {"S": uuid.uuid4().hex}},
        "UpdateExpression": "SET a = :a",
        "ExpressionAttributeValues": {":a": {"N": "1"}},
        "ConditionExpression": "attribute_exists(pk)",
    }
    many = {"TransactItems": [{"Update": update}]}
    arguments = many if "transact" in resource else update
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments}

    ended = run(platform, {"Update": state | {"End": True}})

    assert ended["error"] == error


def test_a_transaction_and_a_read_in_a_workflow(platform: Platform) -> None:
    key = {"pk": {"S": uuid.uuid4().hex}, "sk": {"S": "x"}}
    table = platform.outputs["TableName"]
    put = {"Put": {"TableName": table, "Item": key | {"at": {"S": "{% $states.input.at %}"}}}}
    states = {
        "Write": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems",
            "Arguments": {"TransactItems": [put]},
            "Next": "Read",
        },
        "Read": {
            "Type": "Task",
            "Resource": "arn:aws:states:::dynamodb:getItem",
            "Arguments": {"TableName": table, "Key": key, "ConsistentRead": True},
            "Output": "{% $states.result.Item.at.S %}",
            "End": True,
        },
    }

    assert run(platform, states, {"at": "now"})["output"] == '"now"'


# These are refused by AWS (patches/sdk_parameters.py, canceled_tokens.py).


def storing(platform: Platform, value: dict[str, Any], resource: str) -> dict[str, Any]:
    """A Task state that stores the value; it catches all that can be caught."""
    key = {"pk": {"S": uuid.uuid4().hex}, "sk": {"S": "x"}}
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": {"TableName": platform.outputs["TableName"], "Item": key | {"it": value}},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("NULL", True), ("BOOL", True), ("SS", ["a"]), ("NS", ["1"]), ("BS", ["YQ=="])],
)
@pytest.mark.parametrize("nested", [False, True])
def test_an_sdk_integration_refuses_dynamodbs_own_names_past_every_catch(
    platform: Platform, name: str, value: Any, nested: bool
) -> None:
    given = {"M": {"a": {"L": [{name: value}]}}} if nested else {name: value}
    state = storing(platform, given, "aws-sdk:dynamodb:putItem")

    ended = run(platform, {"Put": state, "Caught": ok()})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert f'The field "{name}" is not supported by Step Functions' in ended["cause"]


@pytest.mark.parametrize(
    ("sdk", "value", "stored"),
    [
        ("Nul", True, "NULL"),
        ("Bool", True, "BOOL"),
        ("Ss", ["a"], "SS"),
        ("Ns", ["1"], "NS"),
        ("S", "a", "S"),
        ("N", "1", "N"),
    ],
)
def test_an_sdk_integration_takes_the_names_of_the_sdk(
    platform: Platform, sdk: str, value: Any, stored: str
) -> None:
    put = storing(platform, {sdk: value}, "aws-sdk:dynamodb:putItem")

    ended = run(platform, {"Put": put, "Caught": {"Type": "Fail"}})

    assert ended["status"] == "SUCCEEDED"
    key = {name: put["Arguments"]["Item"][name] for name in ("pk", "sk")}
    table = put["Arguments"]["TableName"]
    found = platform.client("dynamodb").get_item(TableName=table, Key=key)
    assert found["Item"]["it"] == {stored: value}


def test_an_sdk_integration_refuses_an_unknown_parameter(platform: Platform) -> None:
    state = storing(platform, {"S": "a"}, "aws-sdk:dynamodb:putItem")
    state["Arguments"]["tableName"] = state["Arguments"].pop("TableName")

    ended = run(platform, {"Put": state, "Caught": ok()})

    assert ended["error"] == "States.Runtime"
    assert 'The field "tableName" is not supported' in ended["cause"]


@pytest.mark.parametrize("value", [{"NULL": True}, {"BOOL": False}, {"SS": ["a"]}])
def test_the_optimized_integration_takes_dynamodbs_own_names(
    platform: Platform, value: dict[str, Any]
) -> None:
    state = storing(platform, value, "dynamodb:putItem")

    assert run(platform, {"Put": state, "Caught": {"Type": "Fail"}})["status"] == "SUCCEEDED"


def test_arguments_over_the_limit_are_refused_past_every_catch(platform: Platform) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    state = task(platform, {"echo": "x" * 262_145}, Catch=catch)

    ended = run(platform, {"Call": state, "Caught": ok()})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.parametrize("canceled", [True, False])
def test_another_request_with_a_token_that_was_used_is_refused(
    platform: Platform, canceled: bool
) -> None:
    client = platform.client("dynamodb")
    key = {"pk": {"S": uuid.uuid4().hex}, "sk": {"S": "x"}}
    token = uuid.uuid4().hex

    def update(at: str) -> None:
        change = {
            "TableName": platform.outputs["TableName"],
            "Key": key,
            "UpdateExpression": "SET a = :at",
            "ExpressionAttributeValues": {":at": {"S": at}},
            "ConditionExpression": f"attribute_{'exists' if canceled else 'not_exists'}(pk)",
        }
        client.transact_write_items(TransactItems=[{"Update": change}], ClientRequestToken=token)

    if canceled:
        # The same again is judged again.
        for _ in range(2):
            with pytest.raises(ClientError, match="TransactionCanceledException"):
                update("once")
    else:
        update("once")
        update("once")
    with pytest.raises(ClientError, match="IdempotentParameterMismatchException"):
        update("later")
