"""Previews of updates: on real stacks of the emulator, and in recorded shapes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from slipway import aws
from slipway.domain import timestamps
from slipway.domain.update import ChangeSet
from slipway.drivers import previews
from slipway.drivers.cloudformation import CloudFormation
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverFault
from tests.support.drivers import OTHER, OTHER_KEY, Subject

PENDING = {"status": "pending", "reason": None}


def look(subject: Subject, secrets: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """As people are shown it."""
    found = previews.look(subject.operation("preview", **more), secrets or {})
    assert ChangeSet.model_validate(found).model_dump(exclude_unset=True) == found
    return found


def names(stacks: Any, of: Subject) -> list[str]:
    found = stacks.list_change_sets(StackName=stack_name(of.id))["Summaries"]
    return [each["ChangeSetName"] for each in found]


# --- on the emulator --------------------------------------------------------------------------


def test_a_preview_shows_what_would_change_and_changes_nothing(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stack.go("ship", version="v1")
    events = stacks.describe_stack_events(StackName=stack_name(stack.id))["StackEvents"]

    stack.fields |= {"template_key": OTHER_KEY, "parameters": tuple(OTHER["Parameters"])}
    stack.fields["inputs"] = {"Size": 4}
    found = look(stack, {"Password": "hunter33"}, version="v1")

    assert found["status"] == "ready"
    changes = {each["logical_id"]: each["action"] for each in found["changes"]}
    assert changes["Queue"] == "add"
    assert changes["Topic"] == changes["Handle"] == "remove"
    assert changes["Secret"] == "modify"
    [secret] = [each for each in found["changes"] if each["logical_id"] == "Secret"]
    assert (secret["type"], secret["properties"]) == ("AWS::SSM::Parameter", ["Value"])
    again = stacks.describe_stack_events(StackName=stack_name(stack.id))["StackEvents"]
    assert again == events
    assert "hunter33" not in str(found)


def test_a_repeated_preview_is_reused_and_old_ones_are_deleted(
    stack: Subject, stacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.go("provision")
    stacks.create_change_set(
        StackName=stack_name(stack.id),
        ChangeSetName="somebody-elses",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": name, "UsePreviousValue": True} for name in stack.fields["parameters"]
        ],
    )

    seen = []
    for size, stays in ((4, 10), (4, 10), (5, 10), (6, 0)):
        monkeypatch.setattr(previews, "_STAYS", timedelta(minutes=stays))
        stack.fields["inputs"] = {"Size": size}
        look(stack)
        seen.append(sorted(names(stacks, stack)))

    assert seen[0] == seen[1]
    assert [len(each) for each in seen] == [2, 2, 3, 2]
    assert set(seen[1]) < set(seen[2])
    assert not set(seen[2]) & set(seen[3]) - {"somebody-elses"}
    assert all(each[-1] == "somebody-elses" for each in seen)


def test_a_changed_stack_gets_a_new_preview(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    look(stack, version="v1")
    before = names(stacks, stack)

    stack.go("ship", version="v1")

    assert look(stack, version="v1")["changes"] == []
    assert names(stacks, stack) != before


def test_an_update_without_changes_has_an_empty_preview(stack: Subject, emulator: Any) -> None:
    name = f"/slipway/environments/{stack.id}/Password"
    emulator.client("ssm").put_parameter(Name=name, Value="hunter22", Type="SecureString")
    stack.fields["secrets"] = {"Password": stack.id}
    stack.go("provision")

    assert look(stack) == {"status": "ready", "changes": []}


def test_an_environment_without_a_stack_has_nothing_to_change(stack: Subject) -> None:
    assert look(stack) == {"status": "failed", "reason": "There is no stack to change"}


# --- in the shapes of botocore's model --------------------------------------------------------


class Recorded:
    def __init__(self, stubber: Stubber, subject: Subject) -> None:
        self.stubber, self.subject = stubber, subject
        self.name = {"StackName": stack_name(subject.id)}
        self.one = {**self.name, "ChangeSetName": ANY}

    def is_(self, status: str) -> None:
        stack = {**self.name, "CreationTime": timestamps.now(), "StackStatus": status}
        self.stubber.add_response("describe_stacks", {"Stacks": [stack]}, self.name)

    def fails(self, method: str, code: str, message: str = "") -> None:
        self.stubber.add_client_error(method, code, message)

    def is_new(self) -> None:
        self.is_("UPDATE_COMPLETE")
        self.fails("describe_change_set", "ChangeSetNotFound")
        self.stubber.add_response("list_change_sets", {"Summaries": []}, self.name)

    def finds(self, status: str, after: str = "", **more: Any) -> None:
        asked = {**self.one, "NextToken": after} if after else self.one
        self.stubber.add_response("describe_change_set", {"Status": status, **more}, asked)


@pytest.fixture
def recorded(on_lambda: pytest.MonkeyPatch) -> Iterator[Recorded]:
    fields = {
        "parameters": ("Version", "Size", "Left", "Password", "Key"),
        "template_key": "templates/a/1.0/b",
        "inputs": {"Size": "2"},
        "secrets": {"Password": "kept"},
    }
    with Stubber(aws.client("cloudformation")) as stubber:
        yield Recorded(stubber, Subject(CloudFormation(), fields))
        stubber.assert_no_pending_responses()


def test_a_preview_uses_no_role_and_keeps_secrets(recorded: Recorded) -> None:
    recorded.is_new()
    recorded.stubber.add_response(
        "create_change_set",
        {},
        {
            **recorded.one,
            "ChangeSetType": "UPDATE",
            "Description": ANY,
            "TemplateURL": "https://s3.eu-central-1.amazonaws.com/slipway-templates/templates/a/1.0/b",
            "Parameters": [
                {"ParameterKey": "Version", "ParameterValue": "v1"},
                {"ParameterKey": "Size", "ParameterValue": "2"},
                {"ParameterKey": "Password", "UsePreviousValue": True},
                {"ParameterKey": "Key", "ParameterValue": "new"},
            ],
            "Tags": ANY,
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        },
    )
    recorded.finds("CREATE_PENDING")

    assert look(recorded.subject, {"Key": "new"}, version="v1") == PENDING


@pytest.mark.parametrize(
    "status", ["CREATE_PENDING", "CREATE_IN_PROGRESS", "DELETE_PENDING", "DELETE_IN_PROGRESS"]
)
def test_a_preview_that_has_not_ended_is_pending(recorded: Recorded, status: str) -> None:
    recorded.is_("CREATE_COMPLETE")
    recorded.finds(status)

    assert look(recorded.subject) == PENDING


def test_simultaneous_requests_share_one_preview(recorded: Recorded) -> None:
    recorded.is_new()
    recorded.fails("create_change_set", "AlreadyExistsException")
    recorded.finds("CREATE_IN_PROGRESS")

    assert look(recorded.subject) == PENDING


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS"])
def test_a_stack_that_is_busy_is_waited_for(recorded: Recorded, status: str) -> None:
    recorded.is_(status)

    assert look(recorded.subject) == {"status": "pending", "reason": f"The stack is {status}"}


def test_every_change_of_every_page_is_shown(recorded: Recorded) -> None:
    def change(action: str, name: str, **more: Any) -> dict[str, Any]:
        resource = {"Action": action, "LogicalResourceId": name, "ResourceType": "AWS::SQS::Queue"}
        return {"Type": "Resource", "ResourceChange": {**resource, **more}}

    details: list[dict[str, Any]] = [
        {"Target": {"Attribute": "Properties", "Name": "QueueName"}, "Evaluation": "Static"},
        {"Target": {"Attribute": "Properties", "Name": "QueueName"}, "Evaluation": "Dynamic"},
        {"Target": {"Attribute": "Tags"}},
    ]
    recorded.is_("UPDATE_COMPLETE")
    recorded.finds("CREATE_COMPLETE", Changes=[change("Add", "New")], NextToken="2")
    recorded.finds(
        "CREATE_COMPLETE",
        after="2",
        Changes=[
            change(
                "Modify",
                "Jobs",
                PhysicalResourceId="q",
                Replacement="True",
                Scope=["Properties", "Tags"],
                Details=details,
            ),
            change("Dynamic", "Perhaps", Replacement="Conditional"),
            change("Remove", "Old", PhysicalResourceId="o"),
            {"Type": "Resource", "HookInvocationCount": 1},
        ],
    )

    found = look(recorded.subject)["changes"]

    assert [(each["action"], each["logical_id"], each["replacement"]) for each in found] == [
        ("add", "New", None),
        ("modify", "Jobs", "always"),
        ("dynamic", "Perhaps", "conditional"),
        ("remove", "Old", None),
    ]
    assert found[1]["properties"] == ["QueueName"]
    assert (found[1]["scope"], found[1]["physical_id"]) == (["Properties", "Tags"], "q")


def test_every_action_and_replacement_of_cloudformation_has_a_word(recorded: Recorded) -> None:
    model = aws.client("cloudformation").meta.service_model
    for action in model.shape_for("ChangeAction").enum:
        for replacement in model.shape_for("Replacement").enum:
            recorded.is_("UPDATE_COMPLETE")
            known = {"Action": action, "LogicalResourceId": "A", "ResourceType": "B"}
            change = {"ResourceChange": {**known, "Replacement": replacement}}
            recorded.finds("CREATE_COMPLETE", Changes=[change])

            [found] = look(recorded.subject)["changes"]

            told = {"Add": "add", "Modify": "modify", "Remove": "remove", "Import": "import"}
            assert found["action"] == told.get(action, "dynamic")
            assert found["replacement"] in ("always", "never", "conditional")


@pytest.mark.parametrize(
    "why", ["The submitted information didn't contain changes.", "No updates are to be performed."]
)
def test_nothing_to_change_is_an_empty_list(recorded: Recorded, why: str) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.finds("FAILED", StatusReason=why)

    assert look(recorded.subject) == {"status": "ready", "changes": []}


def test_a_failed_preview_says_why_and_may_be_repeated(recorded: Recorded) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.finds("FAILED", StatusReason="Transform failed")
    recorded.stubber.add_response("delete_change_set", {}, recorded.one)

    assert look(recorded.subject) == {"status": "failed", "reason": "Transform failed"}


def test_a_preview_that_cannot_be_made_says_why(recorded: Recorded) -> None:
    recorded.is_new()
    recorded.fails("create_change_set", "ValidationError", "it is UPDATE_ROLLBACK_FAILED")

    found = look(recorded.subject)

    assert found["status"] == "failed"
    assert "UPDATE_ROLLBACK_FAILED" in found["reason"]


def test_an_old_preview_that_cannot_be_deleted_does_not_prevent_a_new_one(
    recorded: Recorded,
) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.fails("describe_change_set", "ChangeSetNotFound")
    created = timestamps.now() - timedelta(hours=1)
    old = {"ChangeSetName": "slipway-preview-1", "CreationTime": created}
    recorded.stubber.add_response("list_change_sets", {"Summaries": [old]}, recorded.name)
    why = "Cannot delete ChangeSet in status CREATE_IN_PROGRESS"
    recorded.fails("delete_change_set", "InvalidChangeSetStatus", why)
    recorded.stubber.add_response("create_change_set", {})
    recorded.finds("CREATE_PENDING")

    assert look(recorded.subject) == PENDING


@pytest.mark.parametrize("method", ["describe_stacks", "describe_change_set"])
def test_a_throttled_call_is_a_temporary_fault(recorded: Recorded, method: str) -> None:
    if method != "describe_stacks":
        recorded.is_("UPDATE_COMPLETE")
    recorded.fails(method, "Throttling", "Rate exceeded")

    with pytest.raises(DriverFault, match="Rate exceeded"):
        look(recorded.subject)
