"""Executions that were never started, and those that are stopped, in both interpreters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.prove.sandbox import Sandbox
from slipway.aws import executions
from tests.support.aws_facts import facts
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("aws")


FACTS = facts("executions")


@pytest.fixture(params=["harness", "laptop"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Step Functions, asked through the client library."""
    if request.param == "laptop":
        sandbox: Sandbox = request.getfixturevalue("sandbox")
        yield sandbox.client("stepfunctions")
        return
    request.getfixturevalue("environ")
    with World():
        yield executions._client()


def test_an_execution_that_was_never_started_is_missing(client: Any) -> None:
    arn = "arn:aws:states:eu-central-1:123456789012:execution:slipway-none:none"

    for call in (client.describe_execution, client.get_execution_history):
        with pytest.raises(client.exceptions.ExecutionDoesNotExist) as raised:
            call(executionArn=arn)
        error = raised.value.response["Error"]
        assert error["Code"] == FACTS["missing"]["code"]
        assert arn in error["Message"]


def test_a_stopped_execution_is_aborted_and_catches_nothing(sandbox: Sandbox) -> None:
    machines = sandbox.client("stepfunctions")
    branch = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {
        "Both": {"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": True},
        "Caught": {"Type": "Succeed"},
    }
    arn = sandbox.start(sandbox.machine(states))

    machines.stop_execution(executionArn=arn)

    ended = sandbox.ended(arn)
    assert ended.status == FACTS["stopped"]["status"]
    assert ended.events[-1] == FACTS["stopped"]["last_event"]
    assert "SucceedStateEntered" not in ended.events


def test_a_known_name_is_taken_and_with_the_same_input_the_same_execution(sandbox: Sandbox) -> None:
    machines = sandbox.client("stepfunctions")
    machine = sandbox.machine({"Wait": {"Type": "Wait", "Seconds": 30, "End": True}})
    request = {"stateMachineArn": machine, "name": sandbox.next_name()}
    first = machines.start_execution(**request, input="{}")
    again = machines.start_execution(**request, input="{}")

    with pytest.raises(machines.exceptions.ExecutionAlreadyExists):
        machines.start_execution(**request, input='{"a": 1}')

    assert again["executionArn"] == first["executionArn"]
    assert again["startDate"] == first["startDate"]
    machines.stop_execution(executionArn=first["executionArn"])
