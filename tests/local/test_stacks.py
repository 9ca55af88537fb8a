"""What CloudFormation says of its stacks (patches/resource_reasons.py)."""

import json
import uuid
from typing import Any

import pytest

from local.platform import Platform
from tests.local.support import eventually


class Stack:
    """A stack of its own."""

    def __init__(self, platform: Platform) -> None:
        self.client = platform.client("cloudformation")
        self.name = f"test-{uuid.uuid4().hex}"

    def make(self, template: dict[str, Any], **parameters: str) -> None:
        self.client.create_stack(
            StackName=self.name, TemplateBody=json.dumps(template), Parameters=_listed(parameters)
        )
        assert self.ended() == "CREATE_COMPLETE"

    def ended(self) -> str:
        def status() -> str | None:
            [stack] = self.client.describe_stacks(StackName=self.name)["Stacks"]
            found: str = stack["StackStatus"]
            return None if found.endswith("_IN_PROGRESS") else found

        return eventually(status)


def _listed(parameters: dict[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]


@pytest.fixture
def stack(platform: Platform) -> Stack:
    return Stack(platform)


def test_the_list_of_resources_says_why_one_could_not_be_deleted(
    stack: Stack, platform: Platform
) -> None:
    alarm = {
        "Namespace": "Test",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    stack.make({"Resources": {"Bell": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}}})
    [healthy] = stack.client.list_stack_resources(StackName=stack.name)["StackResourceSummaries"]
    name = healthy["PhysicalResourceId"]
    watch = platform.client("cloudwatch")
    watch.put_composite_alarm(AlarmName=f"on-{name}", AlarmRule=f'ALARM("{name}")')

    stack.client.delete_stack(StackName=stack.name)

    assert stack.ended() == "DELETE_FAILED"
    [left] = stack.client.list_stack_resources(StackName=stack.name)["StackResourceSummaries"]
    [described] = stack.client.describe_stack_resources(StackName=stack.name)["StackResources"]
    assert "ResourceStatusReason" not in healthy
    assert left["ResourceStatus"] == "DELETE_FAILED"
    assert left["ResourceStatusReason"] == described["ResourceStatusReason"]
    assert left["ResourceStatusReason"].startswith(f"Cannot delete {name}")
    watch.delete_alarms(AlarmNames=[f"on-{name}"])
