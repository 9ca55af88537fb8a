"""Executions are named after their subject, so that none is started twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from slipway.aws import executions
from slipway.settings import settings
from tests.support.lambda_environment import ACCOUNT, REGION

pytestmark = pytest.mark.usefixtures("aws")

ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:slipway-retire_environment:env_1"


@pytest.fixture
def step_functions(aws: None) -> Any:
    client = boto3.client("stepfunctions")
    for name in ("slipway-retire_environment", "slipway-expire_environment"):
        client.create_state_machine(
            name=name,
            definition=json.dumps({"StartAt": "x", "States": {"x": {"Type": "Succeed"}}}),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/x",
        )
    return client


def test_an_execution_is_known_before_it_starts(step_functions: Any) -> None:
    arn = executions.execution("retire_environment", "env_1").arn

    executions.start("retire_environment", "env_1", {"a": 1})

    found = step_functions.describe_execution(executionArn=arn)
    assert arn == found["executionArn"] == ARN
    assert json.loads(found["input"]) == {"a": 1}


def test_starting_again_changes_nothing(step_functions: Any) -> None:
    for _ in range(3):
        executions.start("retire_environment", "env_1", {"a": 1})
    executions.start("expire_environment", "env_1", {"a": 1})

    machine = settings().machines + "retire_environment"
    found = step_functions.list_executions(stateMachineArn=machine)["executions"]
    assert [execution["name"] for execution in found] == ["env_1"]


def test_an_execution_that_has_ended_is_not_started_again(step_functions: Any) -> None:
    executions.start("retire_environment", "env_1", {"a": 1})

    # Step Functions takes a repeat of what runs, but refuses a name that was used before.
    executions.start("retire_environment", "env_1", {"a": 2})

    found = step_functions.describe_execution(executionArn=ARN)
    assert json.loads(found["input"]) == {"a": 1}


def test_another_error_of_step_functions_is_not_hidden(aws: None) -> None:
    client = executions._client()

    with pytest.raises(client.exceptions.StateMachineDoesNotExist):
        executions.start("retire_environment", "env_1", {})


def test_an_execution_can_be_looked_at_in_the_console() -> None:
    url = executions.execution("retire_environment", "env_1").url

    assert url == (
        f"https://{REGION}.console.aws.amazon.com/states/home?region={REGION}"
        f"#/v2/executions/details/{ARN}"
    )


@pytest.mark.parametrize(
    ("partition", "console"),
    [
        ("aws", f"https://{REGION}.console.aws.amazon.com/states/"),
        ("aws-cn", f"https://{REGION}.console.amazonaws.cn/states/"),
        ("aws-us-gov", f"https://{REGION}.console.amazonaws-us-gov.com/states/"),
        ("aws-iso", None),
    ],
)
def test_each_partition_has_its_own_console(
    monkeypatch: pytest.MonkeyPatch, partition: str, console: str | None
) -> None:
    machines = settings().machines.replace("arn:aws:", f"arn:{partition}:")
    monkeypatch.setenv("MACHINES", machines)
    settings.cache_clear()

    url = executions.execution("retire_environment", "env_1").url

    assert url is None if console is None else str(url).startswith(console)


def test_the_embedded_platform_has_no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    settings.cache_clear()

    assert executions.execution("retire_environment", "env_1") == (ARN, None)


# --- what became of them --------------------------------------------------------------------


def test_the_outcome_of_an_execution_is_read(step_functions: Any) -> None:
    executions.start("retire_environment", "env_1", {})

    assert executions.outcome("retire_environment", "env_1") == "RUNNING"
    step_functions.stop_execution(executionArn=ARN)
    assert executions.outcome("retire_environment", "env_1") == "ABORTED"


def test_an_execution_that_was_never_started_has_no_outcome(step_functions: Any) -> None:
    assert executions.outcome("retire_environment", "env_1") is None
    assert executions.steps_of("retire_environment", "env_1") == []


def at(second: float) -> datetime:
    return datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC) + timedelta(seconds=second)


def test_the_history_of_an_execution_is_read_state_by_state(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, left = "stateEnteredEventDetails", "stateExitedEventDetails"
    pages: list[list[dict[str, Any]]] = [
        [
            {"type": "ExecutionStarted", "timestamp": at(0)},
            {"type": "TaskStateEntered", "timestamp": at(0), entered: {"name": "Ship"}},
            {"type": "TaskScheduled", "timestamp": at(0)},
            {
                "type": "TaskFailed",
                "timestamp": at(1),
                "taskFailedEventDetails": {"error": "DriverFault"},
            },
            {"type": "TaskScheduled", "timestamp": at(2)},
        ],
        [
            {"type": "TaskSucceeded", "timestamp": at(3)},
            {"type": "TaskStateExited", "timestamp": at(3), left: {"name": "Ship"}},
            {"type": "TaskStateEntered", "timestamp": at(3), entered: {"name": "Restore"}},
            {"type": "TaskScheduled", "timestamp": at(3)},
            # As recorded by LocalStack, test_timeouts.snapshot.json.
            {
                "type": "TaskTimedOut",
                "timestamp": at(4),
                "taskTimedOutEventDetails": {"error": "States.Timeout", "resource": "invoke"},
            },
            {"type": "TaskStateExited", "timestamp": at(4), left: {"name": "Restore"}},
            {"type": "SucceedStateEntered", "timestamp": at(4), entered: {"name": "Shipped"}},
            {"type": "ExecutionSucceeded", "timestamp": at(4)},
        ],
    ]
    asked: list[dict[str, Any]] = []

    def paginate(**request: Any) -> list[dict[str, Any]]:
        asked.append(request)
        return [{"events": page} for page in pages]

    monkeypatch.setattr(
        executions._client(), "get_paginator", lambda name: SimpleNamespace(paginate=paginate)
    )

    assert executions.steps_of("retire_environment", "env_1") == [
        {
            "step": "Ship",
            "entered_at": "2026-11-23T01:02:03.000Z",
            "left_at": "2026-11-23T01:02:06.000Z",
            "attempts": 2,
            "error": "DriverFault",
        },
        {
            "step": "Restore",
            "entered_at": "2026-11-23T01:02:06.000Z",
            "left_at": "2026-11-23T01:02:07.000Z",
            "attempts": 1,
            "error": "States.Timeout",
        },
        {"step": "Shipped", "entered_at": "2026-11-23T01:02:07.000Z", "attempts": 0},
    ]
    assert asked == [{"executionArn": ARN, "includeExecutionData": False}]
