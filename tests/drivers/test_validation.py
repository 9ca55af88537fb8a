"""Why CloudFormation did not begin: told by a call that an older client library lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest

from slipway import aws
from slipway.drivers import stacks

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
STACK = {"StackId": "arn:stack", "StackStatus": "ROLLBACK_COMPLETE"}
FAILED = {
    "StackId": "arn:stack",
    "PhysicalResourceId": "arn:stack",
    "LogicalResourceId": "slipway-env-1",
    "ResourceType": "AWS::CloudFormation::Stack",
    "ResourceStatus": "CREATE_FAILED",
    "ResourceStatusReason": "Validation failed",
    "DetailedStatus": "VALIDATION_FAILED",
    "Timestamp": NOW,
}


class Old:
    """The client of a library that is older than DescribeEvents."""


class New(Old):
    """Tells what was not valid: now, and in an operation of yesterday."""

    def describe_events(self, StackName: str, Filters: Any) -> Any:
        assert (StackName, Filters) == ("arn:stack", {"FailedEvents": True})
        one = {
            "LogicalResourceId": "Jobs",
            "ResourceType": "AWS::SQS::Queue",
            "ValidationStatus": "FAILED",
        }
        yesterday = {**one, "Timestamp": NOW - timedelta(days=1), "ValidationStatusReason": "old"}
        passed = {**one, "Timestamp": NOW, "ValidationStatus": "SKIPPED"}
        failed = {**one, "Timestamp": NOW, "ValidationStatusReason": "The name is taken"}
        return {"OperationEvents": [yesterday, passed, failed]}


@pytest.mark.parametrize(
    "client,said",
    [
        (New(), "Jobs (AWS::SQS::Queue): The name is taken"),
        (Old(), "The stack is ROLLBACK_COMPLETE: Validation failed"),
    ],
)
def test_the_reason_is_reported_as_far_as_the_library_can(
    client: Old, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "client", lambda service: client)

    assert stacks.reason(STACK, [FAILED], NOW) == said


def test_the_call_exists_in_the_current_library() -> None:
    model = botocore.session.get_session().get_service_model("cloudformation")
    request = model.operation_model("DescribeEvents").input_shape.members
    answer = model.shape_for("OperationEvent").members

    assert {"StackName", "Filters"} <= set(request)
    assert "FailedEvents" in request["Filters"].members
    assert {"ValidationStatus", "ValidationStatusReason", "Timestamp"} <= set(answer)
