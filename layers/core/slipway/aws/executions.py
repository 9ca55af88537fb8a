"""Executions of the state machines: names, links, start and outcome."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

from slipway.domain import timestamps
from slipway.settings import settings

# The console's host in each partition.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


class Execution(NamedTuple):
    """An execution's ARN, and its page in the AWS console; None outside AWS."""

    arn: str
    url: str | None


def execution(workflow: str, name: str) -> Execution:
    """An execution is named after its record's id, so its ARN is known before it starts."""
    now = settings()
    arn = f"{now.machines.replace(':stateMachine:', ':execution:')}{workflow}:{name}"
    host = _CONSOLES.get(arn.split(":")[1]) if now.on_aws else None
    if host is None:
        return Execution(arn, None)
    console = f"https://{now.region}.{host}/states/home?region={now.region}"
    return Execution(arn, f"{console}#/v2/executions/details/{arn}")


def start(workflow: str, name: str, carrying: dict[str, Any]) -> None:
    """Start the execution. No-op if it was started before.

    `carrying` must be the same whenever the name is, or Step Functions refuses the repetition.
    """
    client = _client()
    try:
        client.start_execution(
            stateMachineArn=settings().machines + workflow, name=name, input=json.dumps(carrying)
        )
    except client.exceptions.ExecutionAlreadyExists:
        return


def outcome(workflow: str, name: str) -> str | None:
    """RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED; None if it was never started."""
    client = _client()
    try:
        arn = execution(workflow, name).arn
        return str(client.describe_execution(executionArn=arn)["status"])
    except client.exceptions.ExecutionDoesNotExist:
        return None


def steps_of(workflow: str, name: str) -> list[dict[str, Any]]:
    """`{step, entered_at, left_at?, attempts, error?}` for each state that an execution entered.

    Empty if there is no such execution. Step Functions keeps the history for 90 days.
    """
    client = _client()
    steps: list[dict[str, Any]] = []
    try:
        for page in client.get_paginator("get_execution_history").paginate(
            executionArn=execution(workflow, name).arn, includeExecutionData=False
        ):
            for event in page["events"]:
                _tell(steps, event)
    except client.exceptions.ExecutionDoesNotExist:
        return []
    return steps


def _tell(steps: list[dict[str, Any]], event: dict[str, Any]) -> None:
    at = timestamps.written(event["timestamp"])
    entered = event.get("stateEnteredEventDetails")
    if entered:
        steps.append({"step": entered["name"], "entered_at": at, "attempts": 0})
    elif steps and "stateExitedEventDetails" in event:
        steps[-1]["left_at"] = at
    elif steps and event["type"] == "TaskScheduled":
        steps[-1]["attempts"] += 1
    elif steps and event["type"] in ("TaskFailed", "TaskTimedOut"):
        failed = event.get("taskFailedEventDetails") or event.get("taskTimedOutEventDetails", {})
        steps[-1]["error"] = failed.get("error")


@cache
def _client() -> Any:
    # Imported here, because the API only shows executions.
    import boto3

    return boto3.client("stepfunctions", region_name=settings().region)
