"""Change sets of the laptop answer as AWS's, and Slipway reads both alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.prove.sandbox import Sandbox
from slipway.drivers import previews
from tests.support.aws_facts import facts

pytestmark = pytest.mark.xdist_group("aws")


FACTS = facts("change_sets")
ONE = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "one"}}}
TWO = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "two"}}}


class Looked:
    """Change sets of one stack, made and described."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.cloud = sandbox.client("cloudformation")
        self.stack = sandbox.next_name()

    def at(self, name: str, resources: dict[str, Any], kind: str) -> dict[str, Any]:
        where = {"StackName": self.stack, "ChangeSetName": name}
        body = json.dumps({"Resources": resources})
        self.cloud.create_change_set(**where, ChangeSetType=kind, TemplateBody=body)

        def ask() -> Any:
            found = self.cloud.describe_change_set(**where)
            return found["Status"] in ("CREATE_COMPLETE", "FAILED") and found

        found: dict[str, Any] = self.sandbox.until(name, ask)
        return found


@pytest.fixture
def looked(sandbox: Sandbox) -> Iterator[Looked]:
    looking = Looked(sandbox)
    yield looking
    looking.cloud.delete_stack(StackName=looking.stack)


@pytest.fixture
def stacked(looked: Looked) -> Looked:
    """The same with a stack that exists."""
    body = json.dumps({"Resources": ONE})
    looked.cloud.create_stack(StackName=looked.stack, TemplateBody=body)
    assert looked.sandbox.settled(looked.stack) == "CREATE_COMPLETE"
    return looked


def test_a_change_set_that_creates_a_stack_leaves_it_under_review(looked: Looked) -> None:
    found = looked.at("first", ONE, "CREATE")

    assert FACTS["ready"].items() <= found.items()
    [change] = found["Changes"]
    assert FACTS["added"].items() <= change["ResourceChange"].items()
    [stack] = looked.cloud.describe_stacks(StackName=looked.stack)["Stacks"]
    assert stack["StackStatus"] == FACTS["review"]["StackStatus"]
    told = previews.shown(found)
    assert (told["status"], told["changes"][0]["action"]) == ("ready", "add")


def test_a_stack_under_review_takes_another_one_and_is_deleted_like_any(looked: Looked) -> None:
    looked.at("first", ONE, "CREATE")
    again = looked.at("second", TWO, "CREATE")

    looked.cloud.delete_stack(StackName=again["StackId"])

    looked.sandbox.until("deletion", lambda: looked.sandbox.stack_status(looked.stack) is None)


def test_a_change_set_without_changes_fails_with_a_reason(stacked: Looked) -> None:
    found = stacked.at("nothing", ONE, "UPDATE")

    assert FACTS["without_changes"].items() <= found.items()
    assert previews.shown(found) == {"status": "ready", "changes": []}


def test_a_change_set_names_the_property_that_changes(stacked: Looked) -> None:
    found = stacked.at("other", TWO, "UPDATE")

    [change] = [each["ResourceChange"] for each in found["Changes"]]
    assert (change["Action"], change["Replacement"], change["Scope"]) == (
        "Modify",
        "False",
        ["Properties"],
    )
    assert [each["Target"]["Name"] for each in change["Details"]] == ["DisplayName"]


def code_and_message(raised: pytest.ExceptionInfo[ClientError]) -> dict[str, str]:
    error = raised.value.response["Error"]
    return {"code": error["Code"], "message": error["Message"]}


def test_an_unknown_change_set_is_not_found(stacked: Looked) -> None:
    with pytest.raises(ClientError) as raised:
        stacked.cloud.describe_change_set(StackName=stacked.stack, ChangeSetName="none")

    fact = FACTS["missing"]
    assert code_and_message(raised) == {
        "code": fact["code"],
        "message": fact["message"].format(name="none"),
    }
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == fact["status"]


def test_no_change_set_creates_an_existing_stack(stacked: Looked) -> None:
    with pytest.raises(ClientError) as raised:
        stacked.cloud.create_change_set(
            StackName=stacked.stack,
            ChangeSetName="again",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps({"Resources": TWO}),
        )

    fact = FACTS["of_a_stack_that_exists"]
    words = fact["message"].format(name=stacked.stack, change_set="again")
    assert code_and_message(raised) == {"code": fact["code"], "message": words}


def test_a_name_is_taken_once(stacked: Looked) -> None:
    stacked.at("twin", TWO, "UPDATE")

    with pytest.raises(ClientError) as raised:
        stacked.at("twin", TWO, "UPDATE")

    assert raised.value.response["Error"]["Code"] == "AlreadyExistsException"


def test_the_list_says_when_each_was_made(stacked: Looked) -> None:
    stacked.at("listed", TWO, "UPDATE")

    [summary] = stacked.cloud.list_change_sets(StackName=stacked.stack)["Summaries"]

    assert {"ChangeSetName", "CreationTime", "Status"} <= set(summary) & set(FACTS["summary"])
