"""CloudFormation's descriptions of stacks (patches/change_sets.py, resource_reasons.py)."""

import json
import uuid
from typing import Any

import pytest

from local.platform import Platform
from tests.support.local.platform import ALARM, eventually

CONDITIONAL: dict[str, Any] = {
    "Parameters": {
        "Wanted": {"Type": "String", "Default": "no"},
        "Title": {"Type": "String", "Default": "one"},
    },
    "Conditions": {
        "IsWanted": {"Fn::Equals": [{"Ref": "Wanted"}, "yes"]},
        "IsNot": {"Fn::Not": [{"Condition": "IsWanted"}]},
    },
    "Resources": {
        "Always": {"Type": "AWS::SQS::Queue"},
        "Sometimes": {
            "Type": "AWS::SNS::Topic",
            "Condition": "IsWanted",
            # A topic of another name is another topic.
            "Properties": {"TopicName": {"Fn::Sub": "${AWS::StackName}-${Title}"}},
        },
        "Otherwise": {"Type": "AWS::SQS::Queue", "Condition": "IsNot"},
    },
}


class Stack:
    """A stack of the template above, and what would change in it."""

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

    def plan(self, kind: str, **parameters: str) -> dict[str, Any]:
        self.client.create_change_set(
            StackName=self.name,
            ChangeSetName="plan",
            ChangeSetType=kind,
            TemplateBody=json.dumps(CONDITIONAL),
            Parameters=_listed(parameters),
        )
        found: dict[str, Any] = self.client.describe_change_set(
            StackName=self.name, ChangeSetName="plan"
        )
        return found

    def changes(self, kind: str, **parameters: str) -> dict[str, tuple[str, str | None]]:
        """By the resource's name what would be done, and whether it would be replaced."""
        found = [each["ResourceChange"] for each in self.plan(kind, **parameters)["Changes"]]
        return {
            each["LogicalResourceId"]: (each["Action"], each.get("Replacement")) for each in found
        }


def _listed(parameters: dict[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]


@pytest.fixture
def stack(platform: Platform) -> Stack:
    return Stack(platform)


@pytest.mark.parametrize(
    ("wanted", "made"), [("no", {"Always", "Otherwise"}), ("yes", {"Always", "Sometimes"})]
)
def test_a_creation_adds_what_its_conditions_ask_for(
    stack: Stack, wanted: str, made: set[str]
) -> None:
    changes = stack.changes("CREATE", Wanted=wanted)

    assert changes == {name: ("Add", None) for name in made}
    stack.client.execute_change_set(StackName=stack.name, ChangeSetName="plan")
    assert stack.ended() == "CREATE_COMPLETE"
    found = stack.client.list_stack_resources(StackName=stack.name)["StackResourceSummaries"]
    assert {each["LogicalResourceId"] for each in found} == made


def test_a_resource_whose_condition_becomes_true_is_added(stack: Stack) -> None:
    stack.make(CONDITIONAL)

    changes = stack.changes("UPDATE", Wanted="yes")

    assert changes == {"Sometimes": ("Add", None), "Otherwise": ("Remove", None)}


def test_a_resource_whose_condition_becomes_false_is_removed(stack: Stack) -> None:
    stack.make(CONDITIONAL, Wanted="yes")

    changes = stack.changes("UPDATE", Wanted="no")

    assert changes == {"Sometimes": ("Remove", None), "Otherwise": ("Add", None)}


def test_a_resource_that_was_not_made_is_not_changed(stack: Stack) -> None:
    stack.make(CONDITIONAL)

    plan = stack.plan("UPDATE", Title="two")

    assert (plan["Status"], plan["Changes"]) == ("FAILED", [])
    assert "didn't contain changes" in plan["StatusReason"]


def test_a_resource_whose_condition_stays_true_is_changed(stack: Stack) -> None:
    stack.make(CONDITIONAL, Wanted="yes")

    changes = stack.changes("UPDATE", Wanted="yes", Title="two")

    assert changes == {"Sometimes": ("Modify", "True")}


def test_the_list_of_resources_says_why_one_could_not_be_deleted(
    stack: Stack, platform: Platform
) -> None:
    stack.make({"Resources": {"Bell": ALARM}})
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
