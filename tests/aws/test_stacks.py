"""The laptop's CloudFormation answers as AWS's, in the words that Slipway reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from botocore.validate import validate_parameters

from deploy.prove.sandbox import Sandbox
from slipway.drivers import stacks as stacks_of_slipway
from slipway.errors import DriverRefused
from tests.support.aws_facts import facts
from tests.support.local.platform import ALARM
from tests.support.workflows.stacks import Stacks
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("aws")


FREE = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
Parameters = list[dict[str, str]]


def template(resources: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Resources": resources, **more})


def topic(name: str) -> dict[str, Any]:
    return {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}}


@pytest.fixture
def stack(sandbox: Sandbox) -> Iterator[str]:
    """The name of a stack that there may be; whatever is made of that name is deleted."""
    name = sandbox.next_name()
    yield name
    sandbox.settled(name)
    sandbox.client("cloudformation").delete_stack(StackName=name)


def made(sandbox: Sandbox, stack: str, resources: dict[str, Any] = FREE, **more: Any) -> str:
    """Its id."""
    body = template(resources)
    answer = sandbox.client("cloudformation").create_stack(
        StackName=stack, TemplateBody=body, **more
    )
    assert sandbox.settled(stack) == "CREATE_COMPLETE"
    return str(answer["StackId"])


def deleted(sandbox: Sandbox, stack: str) -> None:
    sandbox.client("cloudformation").delete_stack(StackName=stack)
    sandbox.until("deletion", lambda: sandbox.stack_status(stack) is None)


def refused(call: Callable[..., Any], **request: Any) -> dict[str, str]:
    """CloudFormation's message for a refused request, from the recorded facts."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    error = raised.value.response["Error"]
    return {"code": error["Code"], "message": error["Message"]}


def expected(fixture: str, fact_name: str, /, **words: str) -> dict[str, str]:
    fact = facts(fixture)[fact_name]
    return {"code": fact["code"], "message": fact["message"].format(**words)}


def test_a_missing_stack_is_reported_in_the_words_of_each_call(sandbox: Sandbox) -> None:
    cloud, name = sandbox.client("cloudformation"), sandbox.next_name()

    assert refused(cloud.describe_stacks, StackName=name) == expected(
        "stacks", "missing", name=name
    )
    assert refused(cloud.describe_stack_events, StackName=name) == expected(
        "stacks", "missing_events", name=name
    )
    assert refused(cloud.describe_change_set, StackName=name, ChangeSetName="none") == expected(
        "change_sets", "missing_stack", name=name
    )
    for listing in (cloud.list_stack_resources, cloud.describe_stack_resource_drifts):
        assert "does not exist" in refused(listing, StackName=name)["message"]


def test_an_existing_stack_is_not_created_again(sandbox: Sandbox, stack: str) -> None:
    made(sandbox, stack)

    told = refused(
        sandbox.client("cloudformation").create_stack, StackName=stack, TemplateBody=template(FREE)
    )

    assert told == expected("stacks", "exists", name=stack)


def test_a_stack_without_changes_is_not_updated(sandbox: Sandbox, stack: str) -> None:
    made(sandbox, stack)

    told = refused(
        sandbox.client("cloudformation").update_stack, StackName=stack, TemplateBody=template(FREE)
    )

    assert told == expected("stacks", "no_changes")


def test_a_deleted_stack_is_found_only_by_its_id(sandbox: Sandbox, stack: str) -> None:
    cloud, identity = sandbox.client("cloudformation"), made(sandbox, stack)
    deleted(sandbox, stack)

    assert refused(cloud.describe_stacks, StackName=stack) == expected(
        "stacks", "missing", name=stack
    )
    [found] = cloud.describe_stacks(StackName=identity)["Stacks"]
    assert found["StackStatus"] == facts("stacks")["deleted_by_id"]
    events = cloud.describe_stack_events(StackName=identity)["StackEvents"]
    assert (events[0]["ResourceStatus"], events[0]["PhysicalResourceId"]) == (
        "DELETE_COMPLETE",
        identity,
    )
    assert "does not exist" in refused(cloud.describe_stack_events, StackName=stack)["message"]


def test_to_delete_what_is_not_there_changes_nothing(sandbox: Sandbox) -> None:
    answer = sandbox.client("cloudformation").delete_stack(StackName=sandbox.next_name())

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_events_come_newest_first_and_bear_the_token_of_their_operation(
    sandbox: Sandbox, stack: str
) -> None:
    cloud = sandbox.client("cloudformation")
    identity = made(sandbox, stack, topic("one"), ClientRequestToken="first-1")
    cloud.update_stack(
        StackName=stack, TemplateBody=template(topic("two")), ClientRequestToken="second-1"
    )
    assert sandbox.settled(stack) == "UPDATE_COMPLETE"

    events = cloud.describe_stack_events(StackName=identity)["StackEvents"]

    told = [
        (each["ResourceStatus"], each["ClientRequestToken"])
        for each in events
        if each["PhysicalResourceId"] == each["StackId"]
    ]
    assert told[0] == ("UPDATE_COMPLETE", "second-1")
    assert ("UPDATE_IN_PROGRESS", "second-1") in told
    assert told[-1] == ("CREATE_IN_PROGRESS", "first-1")
    assert ("CREATE_COMPLETE", "first-1") in told
    assert [each["Timestamp"] for each in events] == sorted(
        (each["Timestamp"] for each in events), reverse=True
    )


def test_a_stack_that_was_never_updated_has_no_update_time(sandbox: Sandbox, stack: str) -> None:
    made(sandbox, stack)

    [found] = sandbox.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]

    assert "LastUpdatedTime" not in found
    assert found["DriftInformation"] == {"StackDriftStatus": "NOT_CHECKED"}


@pytest.fixture
def stuck(sandbox: Sandbox, stack: str) -> Iterator[str]:
    """The id of a stack with an alarm that cannot be deleted, for another one is about it."""
    cloudwatch, identity = sandbox.client("cloudwatch"), made(sandbox, stack, {"Alarm": ALARM})
    resources = sandbox.client("cloudformation").list_stack_resources(StackName=stack)
    alarm = resources["StackResourceSummaries"][0]["PhysicalResourceId"]
    about = {"AlarmName": sandbox.next_name(), "AlarmRule": f'ALARM("{alarm}")'}
    cloudwatch.put_composite_alarm(**about)
    yield identity
    cloudwatch.delete_alarms(AlarmNames=[about["AlarmName"]])


def test_a_failed_deletion_succeeds_with_retained_resources(
    sandbox: Sandbox, stack: str, stuck: str
) -> None:
    cloud, fact = sandbox.client("cloudformation"), facts("deletions")
    cloud.delete_stack(StackName=stack)
    assert sandbox.settled(stack) == fact["stack"]
    [found] = cloud.describe_stacks(StackName=stack)["Stacks"]
    events = cloud.describe_stack_events(StackName=stack)["StackEvents"]
    assert found["StackStatusReason"].strip() == fact["reason"].format(logical_id="Alarm").strip()
    assert [(each["LogicalResourceId"], each["ResourceStatus"]) for each in events[:2]] == [
        (stack, "DELETE_FAILED"),
        ("Alarm", "DELETE_FAILED"),
    ]

    cloud.delete_stack(StackName=stack, RetainResources=["Alarm"])

    sandbox.until("deletion", lambda: sandbox.stack_status(stack) is None)
    events = cloud.describe_stack_events(StackName=stuck)["StackEvents"]
    assert events[0]["ResourceStatus"] == "DELETE_COMPLETE"
    assert ("Alarm", "DELETE_SKIPPED") in [
        (each["LogicalResourceId"], each["ResourceStatus"]) for each in events
    ]


def test_nothing_is_retained_of_one_whose_deletion_did_not_fail(
    sandbox: Sandbox, stack: str
) -> None:
    made(sandbox, stack)

    told = refused(
        sandbox.client("cloudformation").delete_stack, StackName=stack, RetainResources=["Handle"]
    )

    assert told["code"] == "ValidationError"


def test_only_an_update_in_progress_can_be_canceled(sandbox: Sandbox, stack: str) -> None:
    made(sandbox, stack)

    told = refused(sandbox.client("cloudformation").cancel_update_stack, StackName=stack)

    assert told["code"] == "ValidationError"


def test_only_a_rollback_that_failed_can_be_continued(sandbox: Sandbox, stack: str) -> None:
    made(sandbox, stack)

    told = refused(sandbox.client("cloudformation").continue_update_rollback, StackName=stack)

    assert told["code"] == "ValidationError"


def test_a_name_has_letters_digits_and_hyphens(sandbox: Sandbox) -> None:
    told = refused(
        sandbox.client("cloudformation").create_stack,
        StackName="*@da591fa3_$",
        TemplateBody=template(FREE),
    )

    assert told["code"] == "ValidationError"
    assert facts("stacks")["name_pattern"] in told["message"]


def test_a_change_by_hand_is_a_difference_with_its_path(sandbox: Sandbox, stack: str) -> None:
    cloud, sns, fact = sandbox.client("cloudformation"), sandbox.client("sns"), facts("drift")
    made(sandbox, stack, topic("one"))
    arn = cloud.list_stack_resources(StackName=stack)["StackResourceSummaries"][0][
        "PhysicalResourceId"
    ]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="other")
    identity = cloud.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]

    def ask() -> Any:
        told = cloud.describe_stack_drift_detection_status(StackDriftDetectionId=identity)
        return told["DetectionStatus"] != "DETECTION_IN_PROGRESS" and told

    assert sandbox.until("drift", ask)["StackDriftStatus"] == "DRIFTED"
    [drift] = cloud.describe_stack_resource_drifts(StackName=stack)["StackResourceDrifts"]
    assert drift["StackResourceDriftStatus"] == fact["status"]
    [difference] = drift["PropertyDifferences"]
    assert set(difference) == set(fact["difference"])
    assert difference["DifferenceType"] == fact["DifferenceType"]
    assert difference["PropertyPath"].startswith("/")


@pytest.mark.parametrize(
    "body, words",
    [
        ('{"Resources": ', "Template format error: "),
        ("Resources: [", "Template format error: "),
        ("{}", facts("templates")["no_resources"]),
    ],
)
def test_a_template_is_refused_as_a_validation_error(
    sandbox: Sandbox, body: str, words: str
) -> None:
    told = refused(sandbox.client("cloudformation").validate_template, TemplateBody=body)

    assert told["code"] == facts("templates")["code"]
    assert told["message"].startswith(words)


def test_a_malformed_number_is_refused_before_anything_is_made(
    sandbox: Sandbox, stack: str
) -> None:
    body = template(FREE, Parameters={"Value": {"Type": "Number"}})
    given = [{"ParameterKey": "Value", "ParameterValue": "word"}]

    told = refused(
        sandbox.client("cloudformation").create_stack,
        StackName=stack,
        TemplateBody=body,
        Parameters=given,
    )

    assert told["message"] == facts("templates")["number"].format(name="Value")
    assert sandbox.stack_status(stack) is None


def test_a_parameter_without_echo_is_masked_and_kept_by_an_update(
    sandbox: Sandbox, stack: str
) -> None:
    cloud, ssm = sandbox.client("cloudformation"), sandbox.client("ssm")
    properties = {"Type": "String", "Value": {"Ref": "Password"}}
    resources = {"Secret": {"Type": "AWS::SSM::Parameter", "Properties": properties}}
    declared = {"Parameters": {"Password": {"Type": "String", "NoEcho": True}}}
    given = [{"ParameterKey": "Password", "ParameterValue": "hidden"}]
    cloud.create_stack(
        StackName=stack, TemplateBody=template(resources, **declared), Parameters=given
    )
    assert sandbox.settled(stack) == "CREATE_COMPLETE"
    kept = [{"ParameterKey": "Password", "UsePreviousValue": True}]
    more = template({**resources, **topic("one")}, **declared)
    cloud.update_stack(StackName=stack, TemplateBody=more, Parameters=kept)
    assert sandbox.settled(stack) == "UPDATE_COMPLETE"

    [found] = cloud.describe_stacks(StackName=stack)["Stacks"]

    assert [each["ParameterValue"] for each in found["Parameters"]] == [facts("no_echo")["shown"]]
    resource = cloud.describe_stack_resource(StackName=stack, LogicalResourceId="Secret")
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "hidden"


# ── What the tests of the workflows have in CloudFormation's place ───────────────────────────


@pytest.fixture
def stacks(environ: None) -> Iterator[Stacks]:
    with World() as world:
        yield Stacks(world.emulator)


def says(stacks: Stacks, method: str, **request: Any) -> str:
    with pytest.raises(DriverRefused) as raised:
        stacks.call("cloudformation", method, **request)
    return str(raised.value)


def test_the_stand_in_misses_and_keeps_stacks_in_the_same_words(stacks: Stacks) -> None:
    given = [{"ParameterKey": "Version", "ParameterValue": "1"}]
    stacks.call("iam", "create_role", RoleName="making", Tags=[])
    stacks.call("iam", "attach_role_policy", RoleName="making", PolicyArn="policy")
    request = {
        "ClientRequestToken": "t",
        "Parameters": given,
        "TemplateURL": "url",
        "RoleARN": "making",
    }
    missing = expected("stacks", "missing", name="one")
    assert says(stacks, "describe_stacks", StackName="one") == ": ".join(missing.values())

    stacks.call("cloudformation", "create_stack", StackName="one", **request)

    exists, same = facts("stacks")["exists"]["code"], expected("stacks", "no_changes")
    assert says(stacks, "create_stack", StackName="one", **request).startswith(exists)
    stacks.emulator.schedule.now += 60
    assert says(
        stacks, "update_stack", StackName="one", **{**request, "ClientRequestToken": "u"}
    ) == ": ".join(same.values())


# ── What no laptop says ──────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("environ")
def test_validation_events_are_requested_as_the_model_requires(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = datetime.now(UTC)
    failed = {"Timestamp": began, "ValidationStatus": "FAILED", "ValidationStatusReason": "no!"}
    passed = {"Timestamp": began, "ValidationStatus": "SKIPPED"}
    named = {"LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic"}
    model = Session().get_service_model("cloudformation").operation_model("DescribeEvents")

    def pages(service: str, method: str, **request: Any) -> list[dict[str, Any]]:
        assert (service, method) == ("cloudformation", "describe_events")
        validate_parameters(request, model.input_shape)
        return [{"OperationEvents": [{**named, **passed}, {**named, **failed}]}]

    monkeypatch.setattr("slipway.aws.pages", pages)
    stack = {"StackId": "arn:1", "StackStatus": "ROLLBACK_COMPLETE"}
    of_the_stack = {"PhysicalResourceId": "arn:1", "StackId": "arn:1", "ResourceStatus": "X"}
    event = {**of_the_stack, "DetailedStatus": "VALIDATION_FAILED", "Timestamp": began}

    told = stacks_of_slipway.reason(stack, [event], began)

    assert told == "Topic (AWS::SNS::Topic): no!"
    members = set(model.output_shape.members["OperationEvents"].member.members)
    assert {*named, *failed} <= members
