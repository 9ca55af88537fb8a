"""Stacks that are deleted while something is in progress (patches/stack_deletions.py)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import EVERYTHING, eventually

QUEUE = {"Type": "AWS::SQS::Queue"}
HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
ENDLESS = {"Handle": {"Ref": "Handle"}, "Timeout": "600"}
SLOW = {
    "First": QUEUE,
    "Handle": HANDLE,
    "Signal": {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "First",
        "Properties": ENDLESS,
    },
    "After": {**QUEUE, "DependsOn": "Signal"},
}


class Stack:
    def __init__(self, platform: Platform) -> None:
        self.client = platform.client("cloudformation")
        self.name = f"test-{uuid.uuid4().hex}"
        self.id = self.name

    def create(self, resources: dict[str, Any]) -> None:
        body = json.dumps({"Resources": resources})
        self.id = self.client.create_stack(StackName=self.name, TemplateBody=body)["StackId"]

    def delete(self) -> None:
        self.client.delete_stack(StackName=self.name)

    @property
    def status(self) -> str:
        return str(self.client.describe_stacks(StackName=self.id)["Stacks"][0]["StackStatus"])

    def until(self, status: str) -> None:
        eventually(lambda: self.status == status)

    def events(self) -> list[tuple[str, str, str]]:
        """`(resource, status, reason)`, oldest first; the stack itself is ""."""
        found = self.client.describe_stack_events(StackName=self.id)["StackEvents"][::-1]
        return [
            (
                "" if each["LogicalResourceId"] == self.name else each["LogicalResourceId"],
                each["ResourceStatus"],
                each.get("ResourceStatusReason", ""),
            )
            for each in found
        ]

    def reaches(self, resource: str, status: str) -> None:
        eventually(lambda: (resource, status) in [each[:2] for each in self.events()])


@pytest.fixture
def stack(platform: Platform) -> Iterator[Stack]:
    yield Stack(platform)


def test_a_creation_ends_when_its_stack_is_deleted(platform: Platform, stack: Stack) -> None:
    stack.create(SLOW)
    stack.reaches("Signal", "CREATE_IN_PROGRESS")

    stack.delete()
    assert stack.status in ("DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    stack.until("DELETE_COMPLETE")

    told = stack.events()
    assert ("Signal", "CREATE_FAILED", "Resource creation cancelled") in told
    assert ("First", "DELETE_COMPLETE", "") in told
    assert "After" not in [name for name, *_ in told]
    assert not [state for name, state, _ in told if not name and "ROLLBACK" in state]
    queues = platform.client("sqs").list_queues(QueueNamePrefix=stack.name).get("QueueUrls", [])
    assert queues == []


def test_a_deletion_is_repeated_without_effect(stack: Stack) -> None:
    stack.create(SLOW)
    stack.reaches("Signal", "CREATE_IN_PROGRESS")

    for _ in range(3):
        stack.delete()
    stack.until("DELETE_COMPLETE")

    begun = [each for each in stack.events() if each[:2] == ("", "DELETE_IN_PROGRESS")]
    assert len(begun) == 1


def test_a_stack_is_not_deleted_during_an_update(stack: Stack) -> None:
    stack.create({"First": QUEUE})
    stack.until("CREATE_COMPLETE")
    body = json.dumps({"Resources": SLOW})
    stack.client.update_stack(StackName=stack.name, TemplateBody=body)
    stack.until("UPDATE_IN_PROGRESS")

    with pytest.raises(ClientError) as refused:
        stack.delete()

    said = f"Stack [{stack.id}] cannot be deleted while in status UPDATE_IN_PROGRESS"
    assert refused.value.response["Error"]["Message"] == said
    assert stack.status == "UPDATE_IN_PROGRESS"
    stack.client.signal_resource(
        StackName=stack.name, LogicalResourceId="Signal", UniqueId="1", Status="FAILURE"
    )
    eventually(lambda: not stack.status.endswith("_IN_PROGRESS"))
    stack.delete()
    stack.until("DELETE_COMPLETE")


def test_a_custom_resource_whose_creation_is_cancelled_is_asked_to_delete(
    platform: Platform, stack: Stack
) -> None:
    answers_deletions_only = (
        "import cfnresponse\n"
        "def handler(event, context):\n"
        "    if event['RequestType'] == 'Delete':\n"
        "        cfnresponse.send(event, context, cfnresponse.SUCCESS, {})\n"
    )
    maker = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": EVERYTHING,
            "Code": {"ZipFile": answers_deletions_only},
        },
    }
    token = {"Fn::GetAtt": ["Maker", "Arn"]}
    made = {"Type": "Custom::Thing", "Properties": {"ServiceToken": token}}
    stack.create({"Maker": maker, "Made": made})
    stack.reaches("Made", "CREATE_IN_PROGRESS")

    stack.delete()
    stack.until("DELETE_COMPLETE")

    told = stack.events()
    assert ("Made", "CREATE_FAILED", "Resource creation cancelled") in told
    assert ("Made", "DELETE_COMPLETE", "") in told
