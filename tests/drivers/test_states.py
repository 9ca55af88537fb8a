"""The meaning of every state of a stack, including those that the emulator never reaches.

CloudFormation answers in the shapes that botocore's own model demands; a call that is not
expected, or one with parameters that the model does not know, fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.parsers import ResponseParserError
from botocore.stub import ANY, Stubber

from slipway import aws, drivers
from slipway.domain import scope, timestamps
from slipway.drivers import cloudformation, making_role, requests
from slipway.drivers.cloudformation import CloudFormation
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverFault, DriverRefused, RolledBack
from tests.support.drivers import Subject

SINCE = timestamps.now()


@pytest.fixture(autouse=True)
def _operations_begin_now() -> None:
    """In a whole run, a test begins long after its module was imported, and waiting has limits."""
    global SINCE
    SINCE = timestamps.now()


FAILED = "The following resource(s) failed"
UPDATE = ("UsePreviousTemplate", "Parameters", "Tags", "RoleARN", "Capabilities")
VERBS = ("provision", "ship", "restore", "retire")
every_verb = pytest.mark.parametrize("verb", VERBS)

BUSY = [
    "CREATE_IN_PROGRESS",
    "ROLLBACK_IN_PROGRESS",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "DELETE_IN_PROGRESS",
    "IMPORT_IN_PROGRESS",
    "IMPORT_ROLLBACK_IN_PROGRESS",
]
RUNS = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
RUNS += ["IMPORT_ROLLBACK_COMPLETE"]
BROKEN = ["CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "UPDATE_FAILED"]
BROKEN += ["UPDATE_ROLLBACK_FAILED", "IMPORT_ROLLBACK_FAILED", "DELETE_FAILED"]
BROKEN += ["REVIEW_IN_PROGRESS"]


class Recorded:
    """The driver's client, and what it is to be answered, call by call."""

    def __init__(self, stubber: Stubber, parameters: Stubber, subject: Subject) -> None:
        self.stubber, self.parameters, self.subject = stubber, parameters, subject
        self.name = stack_name(subject.id)
        self.role = making_role.arn(subject.id)
        self.arn = f"arn:aws:cloudformation:eu-central-1:123456789012:stack/{self.name}/1"

    def is_(self, status: str, **more: Any) -> None:
        stack = {"StackName": self.name, "StackId": self.arn, "CreationTime": SINCE}
        answer = {"Stacks": [{**stack, "StackStatus": status, **more}]}
        self.stubber.add_response("describe_stacks", answer, {"StackName": self.name})

    def is_not_there(self) -> None:
        message = f"Stack with id {self.name} does not exist"
        self.fails("describe_stacks", "ValidationError", message)

    def fails(self, method: str, code: str, message: str = "", status: int = 400) -> None:
        self.stubber.add_client_error(method, code, message, status)

    def does(self, method: str, **expected: Any) -> None:
        """It is asked to do this, as this operation and as nothing else."""
        answer = {"StackId": self.arn} if method in ("create_stack", "update_stack") else {}
        known = {"StackName": self.name, "ClientRequestToken": ANY, **expected}
        self.stubber.add_response(method, answer, known)

    def has_events(self, *events: tuple[str, str, str], token: str = "") -> None:
        """`(resource, status, reason)` each, oldest first; "" is the stack itself."""
        found = [
            {
                "StackId": self.arn,
                "EventId": f"{n}",
                "StackName": self.name,
                "LogicalResourceId": resource or self.name,
                "PhysicalResourceId": f"physical-{resource}" if resource else self.arn,
                "ResourceType": "AWS::SQS::Queue" if resource else "AWS::CloudFormation::Stack",
                "Timestamp": SINCE + timedelta(seconds=n),
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "ClientRequestToken": token,
            }
            for n, (resource, status, reason) in enumerate(events)
        ]
        answer = {"StackEvents": found[::-1]}
        self.stubber.add_response("describe_stack_events", answer, {"StackName": self.arn})

    def token(self, verb: str) -> str:
        return requests.token(self.subject.operation(verb, SINCE), verb)

    def ask(self, verb: str, **more: Any) -> Any:
        return self.subject.ask(verb, SINCE, version="v1", **more)


@pytest.fixture
def recorded(on_lambda: pytest.MonkeyPatch) -> Iterator[Recorded]:
    fields = {"parameters": ("Version", "Size"), "template_key": "templates/a/1.0/b"}
    subject = Subject(CloudFormation(), fields)
    # test_making_role.py has the calls to IAM.
    on_lambda.setattr(making_role, "ensure", lambda *_: 0)
    on_lambda.setattr(making_role, "delete", lambda *_: None)
    with Stubber(aws.client("cloudformation")) as stubber, Stubber(aws.client("ssm")) as store:
        yield Recorded(stubber, store, subject)
        stubber.assert_no_pending_responses()
        store.assert_no_pending_responses()


def test_every_state_of_a_stack_is_tested_here(recorded: Recorded) -> None:
    model = aws.client("cloudformation").meta.service_model
    states = set(model.shape_for("StackStatus").enum)

    assert states == {*BUSY, *RUNS, *BROKEN, "DELETE_COMPLETE"}


@every_verb
@pytest.mark.parametrize("status", BUSY)
def test_a_busy_stack_is_waited_for(recorded: Recorded, verb: str, status: str) -> None:
    recorded.is_(status)
    if verb == "restore" and status == "UPDATE_IN_PROGRESS":
        recorded.has_events(("", "UPDATE_IN_PROGRESS", "by hand"), token="Console-1")
    if verb == "retire" and status == "UPDATE_IN_PROGRESS":
        recorded.does("cancel_update_stack")
    if verb == "retire" and status in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"):
        recorded.has_events(("", status, ""), token="env-1-provision-1")
        recorded.does("delete_stack", RoleARN=recorded.role)

    assert not recorded.ask(verb).done


def test_an_update_that_ends_before_its_teardown_can_cancel_it_is_looked_at_again(
    recorded: Recorded,
) -> None:
    recorded.is_("UPDATE_IN_PROGRESS")
    recorded.fails("cancel_update_stack", "ValidationError", "It cannot be called from this state")
    recorded.is_("UPDATE_COMPLETE")

    assert not recorded.ask("retire").done


def test_a_creation_that_cannot_be_ended_is_waited_for(recorded: Recorded) -> None:
    recorded.is_("CREATE_IN_PROGRESS")
    recorded.has_events()
    said = "Stack [x] cannot be deleted while in status CREATE_IN_PROGRESS"
    recorded.fails("delete_stack", "ValidationError", said)
    recorded.is_("CREATE_IN_PROGRESS")

    assert not recorded.ask("retire").done


@pytest.mark.parametrize("told", [True, False])
def test_an_export_in_use_is_why_a_stack_is_as_it_was(recorded: Recorded, told: bool) -> None:
    """As in serverless/serverless, issue 2984: no event is a failure."""
    why = "Export a:QueueARN cannot be deleted as it is in use by b"
    recorded.is_("UPDATE_COMPLETE", StackStatusReason=why)
    begins, ends = ("", "DELETE_IN_PROGRESS", "User Initiated"), ("", "UPDATE_COMPLETE", why)
    recorded.has_events(*([begins, ends] if told else [begins]), token=recorded.token("retire"))

    with pytest.raises(DriverRefused, match=f"^The stack is UPDATE_COMPLETE again: {why}$"):
        recorded.ask("retire")


def test_a_deletion_whose_end_is_not_visible_yet_is_waited_for(recorded: Recorded) -> None:
    for status in ("UPDATE_COMPLETE", "DELETE_FAILED"):
        recorded.is_(status)
        recorded.has_events(("", "DELETE_IN_PROGRESS", ""), token=recorded.token("retire"))

        assert not recorded.ask("retire").done


def test_a_deletion_that_takes_too_long_says_what_it_waits_for(recorded: Recorded) -> None:
    recorded.is_("DELETE_IN_PROGRESS")
    summaries(recorded, ("Bucket", "DELETE_COMPLETE"), ("Made", "DELETE_IN_PROGRESS"))

    with pytest.raises(DriverRefused, match=r"after 1:30:00; it waits for Made \(") as refused:
        recorded.subject.ask("retire", SINCE - timedelta(minutes=91))
    assert list(refused.value.remains) == ["Made (AWS::S3::Bucket, Made): DELETE_IN_PROGRESS"]


def test_a_missing_stack_is_created(recorded: Recorded) -> None:
    recorded.is_not_there()
    recorded.does(
        "create_stack",
        TemplateURL="https://s3.eu-central-1.amazonaws.com/slipway-templates/templates/a/1.0/b",
        Parameters=[{"ParameterKey": "Version", "ParameterValue": "v1"}],
        Tags=ANY,
        RoleARN=recorded.role,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        OnFailure="ROLLBACK",
        TimeoutInMinutes=55,
    )

    assert not recorded.ask("provision").done


def test_a_role_that_cloudformation_does_not_know_yet_is_waited_for_and_not_for_ever(
    recorded: Recorded,
) -> None:
    answer = f"Role {recorded.role} is invalid or cannot be assumed"
    for verb, status in (("provision", None), ("retire", "CREATE_FAILED")):
        if status:
            recorded.is_(status)
            recorded.has_events()
        else:
            recorded.is_not_there()
        method = "create_stack" if verb == "provision" else "delete_stack"
        recorded.fails(method, "ValidationError", answer)

        assert not recorded.ask(verb).done

    recorded.is_not_there()
    recorded.fails("create_stack", "ValidationError", answer)
    recorded.is_not_there()
    with pytest.raises(DriverRefused, match="cannot be assumed"):
        recorded.subject.ask("provision", SINCE - timedelta(minutes=6))


def test_a_new_role_is_given_time_before_the_stack_is_created_or_deleted(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making_role, "ensure", lambda *_: 7)
    recorded.is_not_there()
    assert recorded.ask("provision").wait_seconds == 7

    recorded.is_("CREATE_COMPLETE")
    recorded.has_events()
    assert recorded.ask("retire").wait_seconds == 7


@pytest.mark.parametrize("status", RUNS)
def test_a_complete_stack_is_provisioned(recorded: Recorded, status: str) -> None:
    outputs = [
        {"OutputKey": "Url", "OutputValue": "https://a.example.com"},
        {"OutputKey": "Queue", "OutputValue": "q"},
    ]
    recorded.is_(status, Outputs=outputs)

    progress = recorded.ask("provision")

    assert (progress.done, progress.base_url) == (True, "https://a.example.com")
    assert progress.outputs == {"Url": "https://a.example.com", "Queue": "q"}


@pytest.mark.parametrize("status", BROKEN)
def test_a_failed_creation_says_why_the_first_resource_failed(
    recorded: Recorded, status: str
) -> None:
    recorded.is_(status, StackStatusReason=FAILED)
    recorded.has_events(
        ("", "CREATE_IN_PROGRESS", "User Initiated"),
        ("Other", "CREATE_FAILED", "Resource creation cancelled"),
        ("Queue", "CREATE_FAILED", "You have too many"),
        ("Topic", "CREATE_FAILED", "That as well"),
        ("", "ROLLBACK_IN_PROGRESS", FAILED),
        token=recorded.token("provision"),
    )

    with pytest.raises(DriverRefused, match=r"^Queue \(AWS::SQS::Queue\): You have too many$"):
        recorded.ask("provision")


def test_without_a_failed_resource_the_reason_of_the_stack_is_reported(recorded: Recorded) -> None:
    recorded.is_("ROLLBACK_COMPLETE")
    recorded.has_events(
        ("", "CREATE_IN_PROGRESS", "User Initiated"),
        ("", "ROLLBACK_IN_PROGRESS", "Stack creation time exceeded the specified timeout"),
        ("", "ROLLBACK_COMPLETE", ""),
        token=recorded.token("provision"),
    )

    with pytest.raises(DriverRefused, match="ROLLBACK_COMPLETE: Stack creation time exceeded"):
        recorded.ask("provision")


@pytest.mark.parametrize("verb", ["ship", "restore"])
@pytest.mark.parametrize("status", RUNS)
def test_a_complete_stack_takes_a_version(recorded: Recorded, verb: str, status: str) -> None:
    recorded.is_(status)
    recorded.has_events(("", status, ""), token="env-1-provision-1")
    recorded.does(
        "update_stack",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Version", "ParameterValue": "v1"},
            {"ParameterKey": "Size", "UsePreviousValue": True},
        ],
        Tags=ANY,
        RoleARN=recorded.role,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )

    assert not recorded.ask(verb).done


def test_parameters_that_no_deployment_set_have_their_defaults(recorded: Recorded) -> None:
    recorded.subject.fields |= {"parameters": ("Version", "Size"), "defaults": ("Version",)}
    made = dict.fromkeys(["TemplateURL", "Tags", "RoleARN", "Capabilities"], ANY)
    recorded.is_not_there()
    creation = {"OnFailure": "ROLLBACK", "TimeoutInMinutes": 55}
    recorded.does("create_stack", **made, **creation, Parameters=[])
    assert not recorded.subject.ask("provision", SINCE).done

    size = {"ParameterKey": "Size", "UsePreviousValue": True}
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.does("update_stack", **{**dict.fromkeys(UPDATE, ANY), "Parameters": [size]})
    assert not recorded.subject.ask("restore", SINCE).done


@pytest.mark.parametrize("verb", ["ship", "restore"])
def test_a_full_update_sends_the_template_and_all_parameters(recorded: Recorded, verb: str) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.subject.fields["parameters"] = ("Version", "Size", "Left", "PermissionsBoundary")
    recorded.subject.fields["inputs"] = {"Size": "2", "Gone": "x"}
    recorded.does(
        "update_stack",
        TemplateURL="https://s3.eu-central-1.amazonaws.com/slipway-templates/templates/a/1.0/b",
        Parameters=[
            {"ParameterKey": "Version", "ParameterValue": "v1"},
            {"ParameterKey": "Size", "ParameterValue": "2"},
            {
                "ParameterKey": "PermissionsBoundary",
                "ParameterValue": "arn:aws:iam::000000000000:policy/environments",
            },
        ],
        RoleARN=recorded.role,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=ANY,
    )

    assert not recorded.ask(verb, full_update=True).done


def test_a_full_update_names_the_configuration_and_sends_variables_in_place_of_inputs(
    recorded: Recorded,
) -> None:
    recorded.subject.fields |= {
        "parameters": ("ConfigurationPath", "Size", "Password"),
        "inputs": {"Size": "2"},
        "variables": {"Size": "3", "Password": "plain", "UNKNOWN": "x"},
        "configuration": 7,
    }
    operation = recorded.subject.operation("ship", SINCE, version="v1", full_update=True)

    sent = cloudformation.parameters(operation, {"Password": "hidden"})

    below = f"/slipway/configurations/{scope.of(recorded.subject.id)}/7/"
    assert {each["ParameterKey"]: each["ParameterValue"] for each in sent} == {
        "ConfigurationPath": below,
        "Size": "3",
        "Password": "hidden",
    }


def test_the_path_is_empty_before_the_first_configuration(recorded: Recorded) -> None:
    recorded.is_not_there()
    recorded.subject.fields |= {"parameters": ("ConfigurationPath",), "defaults": ()}
    recorded.does(
        "create_stack",
        **dict.fromkeys(["TemplateURL", "Tags", "RoleARN", "Capabilities"], ANY),
        OnFailure="ROLLBACK",
        TimeoutInMinutes=55,
        Parameters=[{"ParameterKey": "ConfigurationPath", "ParameterValue": ""}],
    )

    assert not recorded.ask("provision").done


@pytest.mark.parametrize("value", ["{{resolve:ssm:/other}}", "ends with {"])
def test_a_variable_that_cloudformation_would_resolve_is_not_sent(
    recorded: Recorded, value: str
) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.subject.fields |= {"parameters": ("Size",), "variables": {"Size": value}}

    with pytest.raises(DriverRefused, match="The value of Size"):
        recorded.ask("ship", full_update=True)


def test_a_missing_secret_is_reported(recorded: Recorded) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.subject.fields["secrets"] = {"Password": recorded.subject.id}
    name = f"/slipway/environments/{recorded.subject.id}/Password"
    answer = {"Parameters": [], "InvalidParameters": [name]}
    recorded.parameters.add_response("get_parameters", answer)

    with pytest.raises(DriverRefused, match="The secret inputs no longer exist: Password"):
        recorded.ask("ship", full_update=True)


@pytest.mark.parametrize("verb", ["ship", "restore"])
@pytest.mark.parametrize("status", sorted(set(BROKEN) - {"UPDATE_ROLLBACK_FAILED"}))
def test_a_broken_stack_takes_no_version(recorded: Recorded, verb: str, status: str) -> None:
    recorded.is_(status, StackStatusReason="Because")
    recorded.has_events(("", status, ""), token="env-1-provision-1")

    with pytest.raises(DriverRefused, match=f"^The stack is {status}: Because$"):
        recorded.ask(verb)


@pytest.mark.parametrize("verb", ["ship", "restore"])
def test_a_failed_rollback_is_continued(recorded: Recorded, verb: str) -> None:
    role = recorded.role
    recorded.is_("UPDATE_ROLLBACK_FAILED")
    recorded.has_events()
    recorded.has_events(("", "UPDATE_ROLLBACK_FAILED", ""), token="env-1-ship-1")
    recorded.does("continue_update_rollback", RoleARN=role)
    assert not recorded.ask(verb).done
    recorded.is_("UPDATE_ROLLBACK_IN_PROGRESS")
    assert not recorded.ask(verb).done

    recorded.is_("UPDATE_ROLLBACK_COMPLETE")
    recorded.has_events()
    recorded.does("update_stack", **dict.fromkeys(UPDATE, ANY))
    assert not recorded.ask(verb).done


def test_a_rollback_that_fails_again_says_why(recorded: Recorded) -> None:
    recorded.is_("UPDATE_ROLLBACK_FAILED")
    recorded.has_events()
    recorded.has_events(
        ("", "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated"),
        ("Queue", "UPDATE_FAILED", "It is gone"),
        ("", "UPDATE_ROLLBACK_FAILED", FAILED),
        token=recorded.token("continue"),
    )

    with pytest.raises(DriverRefused, match=r"^Queue \(AWS::SQS::Queue\): It is gone; the stack"):
        recorded.ask("restore")


@pytest.mark.parametrize("verb", ["ship", "restore"])
def test_a_rollback_whose_end_is_not_visible_yet_is_waited_for(
    recorded: Recorded, verb: str
) -> None:
    recorded.is_("UPDATE_ROLLBACK_FAILED")
    recorded.has_events()
    recorded.has_events(("", "UPDATE_ROLLBACK_COMPLETE", ""), token=recorded.token("continue"))

    assert not recorded.ask(verb).done


def test_a_stack_that_cloudformation_no_longer_knows_has_no_lines(recorded: Recorded) -> None:
    forgotten = f"Stack [{recorded.arn}] does not exist"
    recorded.fails("describe_stack_events", "ValidationError", forgotten)
    recorded.subject.fields["stack_id"] = recorded.arn

    assert recorded.subject.driver.lines(recorded.subject.operation("retire")) == []


def test_a_missing_right_to_read_events_is_reported(recorded: Recorded) -> None:
    recorded.fails("describe_stack_events", "AccessDenied", "is not authorized", 403)
    recorded.subject.fields["stack_id"] = recorded.arn

    with pytest.raises(DriverRefused, match="not authorized"):
        recorded.subject.driver.lines(recorded.subject.operation("retire"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", RolledBack),
        ("UPDATE_ROLLBACK_FAILED", DriverRefused),
        ("UPDATE_FAILED", DriverRefused),
    ],
)
def test_a_failed_update_says_whether_the_live_version_was_restored(
    recorded: Recorded, status: str, error: type[Exception]
) -> None:
    recorded.is_(status)
    recorded.has_events(
        ("", "UPDATE_IN_PROGRESS", "User Initiated"),
        ("Queue", "UPDATE_FAILED", "No such thing"),
        ("", "UPDATE_ROLLBACK_IN_PROGRESS", FAILED),
        ("", status, ""),
        token=recorded.token("ship"),
    )

    with pytest.raises(DriverRefused, match=r"^Queue \(AWS::SQS::Queue\): No such thing") as raised:
        recorded.ask("ship")
    assert type(raised.value) is error


def test_the_stack_id_is_returned_by_every_poll(recorded: Recorded) -> None:
    for verb, status in (("provision", "CREATE_IN_PROGRESS"), ("retire", "DELETE_IN_PROGRESS")):
        recorded.is_(status)
        assert recorded.ask(verb).stack_id == recorded.arn


def test_events_that_are_late_are_waited_for(recorded: Recorded) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events(("", "UPDATE_IN_PROGRESS", ""), token=recorded.token("ship"))

    assert not recorded.ask("ship").done


def test_an_update_without_changes_is_done(recorded: Recorded) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.fails("update_stack", "ValidationError", "No updates are to be performed.")

    assert recorded.ask("ship").done


@pytest.mark.parametrize("code", ["TokenAlreadyExistsException", "AlreadyExistsException"])
def test_an_operation_that_just_began_is_waited_for(recorded: Recorded, code: str) -> None:
    recorded.is_not_there()
    recorded.fails("create_stack", code)

    assert not recorded.ask("provision").done


def test_an_update_that_meets_another_waits_for_it(recorded: Recorded) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.fails("update_stack", "ValidationError", "Stack is in UPDATE_IN_PROGRESS state")
    recorded.is_("UPDATE_IN_PROGRESS")

    assert not recorded.ask("ship").done


def test_an_update_that_is_refused_is_refused(recorded: Recorded) -> None:
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()
    recorded.fails("update_stack", "ValidationError", "Parameter Size must be a number")
    recorded.is_("UPDATE_COMPLETE")

    with pytest.raises(DriverRefused, match="Parameter Size must be a number"):
        recorded.ask("ship")


def test_a_restore_cancels_the_rollouts_own_update(recorded: Recorded) -> None:
    recorded.is_("UPDATE_IN_PROGRESS")
    recorded.has_events(("", "UPDATE_IN_PROGRESS", ""), token="env-1-ship-123")
    recorded.does("cancel_update_stack")

    assert not recorded.ask("restore").done


def test_an_update_that_ends_as_it_is_canceled_is_looked_at_again(recorded: Recorded) -> None:
    recorded.is_("UPDATE_IN_PROGRESS")
    recorded.has_events(("", "UPDATE_IN_PROGRESS", ""), token="env-1-ship-123")
    recorded.fails("cancel_update_stack", "ValidationError", "It cannot be called from this state")
    recorded.is_("UPDATE_COMPLETE")

    assert not recorded.ask("restore").done


def test_a_stack_that_cloudformation_rolled_back_is_restored(recorded: Recorded) -> None:
    recorded.is_("UPDATE_ROLLBACK_COMPLETE")
    recorded.has_events(("", "UPDATE_ROLLBACK_COMPLETE", ""), token="env-1-ship-123")
    recorded.fails("update_stack", "ValidationError", "No updates are to be performed.")

    assert recorded.ask("restore").done


@pytest.mark.parametrize("status", [*RUNS, *BROKEN])
def test_a_stack_in_any_state_is_deleted(recorded: Recorded, status: str) -> None:
    recorded.is_(status)
    recorded.has_events(("", status, ""), token="another-attempt")
    recorded.does("delete_stack", RoleARN=recorded.role)

    assert not recorded.ask("retire").done


@pytest.mark.parametrize("deleted", [True, False])
def test_a_deleted_stack_is_retired(recorded: Recorded, deleted: bool) -> None:
    if deleted:
        recorded.is_("DELETE_COMPLETE")
    else:
        recorded.is_not_there()

    assert recorded.ask("retire").done


SAID = (
    'Resource handler returned message: "The vpc has dependencies (Service: Ec2, Status Code: 400, '
    'Request ID: 1)" (RequestToken: 2, HandlerErrorCode: InvalidRequest)'
)


def test_a_failed_deletion_is_reported_with_what_remains_and_why(recorded: Recorded) -> None:
    recorded.is_("DELETE_FAILED")
    recorded.has_events(
        ("", "DELETE_IN_PROGRESS", ""),
        ("Vpc", "DELETE_FAILED", SAID),
        ("", "DELETE_FAILED", FAILED),
        token=recorded.token("retire"),
    )
    summaries(
        recorded,
        ("Vpc", "DELETE_FAILED", SAID),
        ("Net", "CREATE_COMPLETE"),
        ("Queue", "DELETE_COMPLETE"),
        kind="AWS::EC2::VPC",
    )

    with pytest.raises(DriverRefused, match="The vpc has dependencies") as refused:
        recorded.ask("retire")
    assert list(refused.value.remains) == [
        "Vpc (AWS::EC2::VPC, Vpc): The vpc has dependencies",
        "Net (AWS::EC2::VPC, Net)",
    ]


def summaries(
    recorded: Recorded, *resources: tuple[str, ...], kind: str = "AWS::S3::Bucket"
) -> None:
    """`(logical id, status, reason)` each; the reason is optional."""
    summary = {"LastUpdatedTimestamp": SINCE, "ResourceType": kind}
    found = [
        {**summary, "LogicalResourceId": n, "PhysicalResourceId": n, "ResourceStatus": s}
        | ({"ResourceStatusReason": why[0]} if why else {})
        for n, s, *why in resources
    ]
    answer = {"StackResourceSummaries": found}
    recorded.stubber.add_response("list_stack_resources", answer, {"StackName": recorded.name})


def test_the_next_deletion_retains_the_named_resources(recorded: Recorded) -> None:
    recorded.subject.fields["retain"] = ("Data", "Gone", "Queue")
    recorded.is_("DELETE_FAILED")
    recorded.has_events(("", "DELETE_FAILED", ""), token="another-attempt")
    summaries(recorded, ("Data", "DELETE_FAILED"), ("Gone", "DELETE_COMPLETE"))
    role = recorded.role
    recorded.does("delete_stack", RoleARN=role, RetainResources=["Data"])

    assert not recorded.ask("retire").done


def test_a_stack_that_would_delete_a_named_resource_is_not_deleted(
    recorded: Recorded,
) -> None:
    recorded.subject.fields["retain"] = ("Data",)
    recorded.is_("UPDATE_COMPLETE")
    recorded.has_events()

    with pytest.raises(DriverRefused, match="the resources to retain would be deleted"):
        recorded.ask("retire")


@every_verb
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("Throttling", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("InternalFailure", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_a_throttled_call_is_a_temporary_fault(
    recorded: Recorded, verb: str, code: str, status: int
) -> None:
    recorded.fails("describe_stacks", code, "Rate exceeded", status)

    with pytest.raises(DriverFault, match="Rate exceeded"):
        recorded.ask(verb)


@every_verb
def test_an_answer_that_cannot_be_parsed_is_a_temporary_fault(
    recorded: Recorded, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def garbled(**request: Any) -> None:
        raise ResponseParserError("Unable to parse response, invalid XML: <secret/>")

    monkeypatch.setattr(aws, "client", lambda service: SimpleNamespace(describe_stacks=garbled))

    with pytest.raises(DriverFault, match=r"^the answer cannot be read$"):
        recorded.ask(verb)


@every_verb
def test_a_call_that_is_not_allowed_is_refused(recorded: Recorded, verb: str) -> None:
    recorded.fails("describe_stacks", "AccessDenied", "is not authorized", 403)

    with pytest.raises(DriverRefused, match="not authorized"):
        recorded.ask(verb)


def test_an_operation_that_never_ends_is_given_up_after_an_hour(recorded: Recorded) -> None:
    environment = {"id": recorded.subject.id, "name": "preview", "driver": "cloudformation"}
    event = {"execution": "x", "started_at": timestamps.written(SINCE - timedelta(minutes=61))}
    recorded.is_("UPDATE_IN_PROGRESS")

    with pytest.raises(DriverRefused, match=r"^The operation took longer than"):
        drivers.ask("ship", environment, event, version="v1")


@pytest.mark.parametrize(("passed", "wait"), [(0, 1), (8, 2), (60, 15), (120, 30), (3000, 30)])
def test_the_pauses_between_polls_grow(recorded: Recorded, passed: int, wait: int) -> None:
    recorded.is_("CREATE_IN_PROGRESS")

    since = timestamps.now() - timedelta(seconds=passed + 0.5)
    assert recorded.subject.ask("provision", since).wait_seconds == wait
