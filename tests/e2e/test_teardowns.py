"""Environments that do not want to go, torn down by the whole platform with its real rights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.platform import Platform
from slipway.domain import scope
from tests.support.drivers import until
from tests.support.http_user import Person
from tests.support.maker import Maker, making

pytestmark = pytest.mark.xdist_group("e2e stacks")

WAIT = {
    "Type": "AWS::CloudFormation::WaitCondition",
    "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
}
HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
QUEUE = {"Type": "AWS::SQS::Queue"}
VERSION = {"Version": {"Type": "String", "Default": "none"}}


@pytest.fixture
def maker(platform: Platform, someone: Person) -> Iterator[Maker]:
    with making(platform, someone) as maker:
        yield maker


def template(resources: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Parameters": VERSION, "Resources": resources, **more})


def stack_of(environment: str) -> str:
    return f"slipway-env-{scope.stack_suffix(environment)}"


def bucket_of(platform: Platform, environment: str) -> str:
    detail = platform.client("cloudformation").describe_stack_resource(
        StackName=stack_of(environment), LogicalResourceId="Data"
    )
    return str(detail["StackResourceDetail"]["PhysicalResourceId"])


def delete(someone: Person, environment: str) -> None:
    asked = someone.ask("DELETE", f"/api/v1/environments/{environment}")
    assert asked.status == 202, asked.raw


def lines(someone: Person, environment: str) -> list[str]:
    found = someone.ask("GET", f"/api/v1/environments/{environment}/logs?limit=100").body
    return [line["message"] for line in found]


def test_a_bucket_with_versions_markers_and_uploads_is_emptied(
    maker: Maker, someone: Person, platform: Platform
) -> None:
    versioning = {"VersioningConfiguration": {"Status": "Enabled"}}
    data = {"Type": "AWS::S3::Bucket", "Properties": versioning}
    made = maker.running(template({"Data": data, "Queue": QUEUE}))
    s3, bucket = platform.client("s3"), bucket_of(platform, made["id"])
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="a/b", Body=body)
    s3.delete_object(Bucket=bucket, Key="a/b")
    s3.create_multipart_upload(Bucket=bucket, Key="big")

    delete(someone, made["id"])
    gone = someone.wait_for(made["id"], "destroyed", "teardown_failed")

    assert (gone["status"], gone["failure"]) == ("destroyed", None)
    assert gone["teardown_attempts"] == 1
    assert bucket not in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    told = lines(someone, made["id"])
    assert "The buckets are empty; the stack is deleted again" in told
    assert any(each.startswith("Data (AWS::S3::Bucket) DELETE_FAILED: ") for each in told)


def test_a_template_keeps_the_objects_of_a_bucket(
    maker: Maker, someone: Person, platform: Platform
) -> None:
    keeps = {"Slipway": {"KeepObjects": True}}
    data = {"Type": "AWS::S3::Bucket", "Metadata": keeps}
    made = maker.running(template({"Data": data, "Queue": QUEUE}))
    s3, bucket = platform.client("s3"), bucket_of(platform, made["id"])
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")

    delete(someone, made["id"])
    failed = someone.wait_for(made["id"], "teardown_failed")
    planned = until(lambda: someone.see(made["id"])["next_retry_at"])
    retry = f"/api/v1/environments/{made['id']}/teardown/retry"
    someone.ask("POST", retry, {"retain": ["Data"]})
    gone = someone.wait_for(made["id"], "destroyed")

    [remains] = failed["failure"]["remaining_resources"]
    assert remains.startswith(f"stack: Data (AWS::S3::Bucket, {bucket}): It is not empty, and its")
    assert planned > failed["updated_at"]
    assert gone["retained_resources"] == [f"Data (AWS::S3::Bucket, {bucket})"]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_bucket(Bucket=bucket)


def test_an_environment_that_never_comes_up_goes_at_once(
    maker: Maker, someone: Person, platform: Platform
) -> None:
    slow = {"First": QUEUE, "Handle": HANDLE, "Signal": {**WAIT, "DependsOn": "First"}}
    made = maker.make(template({**slow, "After": {**QUEUE, "DependsOn": "Signal"}}))
    events = "CREATE_IN_PROGRESS"
    cloud = platform.client("cloudformation")

    def waits() -> bool:
        try:
            found = cloud.describe_stack_events(StackName=stack_of(made["id"]))["StackEvents"]
        except cloud.exceptions.ClientError:
            return False
        told = {(each["LogicalResourceId"], each["ResourceStatus"]) for each in found}
        return ("Signal", events) in told

    until(waits)
    delete(someone, made["id"])

    gone = someone.wait_for(made["id"], "destroyed", "teardown_failed")
    assert (gone["status"], gone["failure"]) == ("destroyed", None)
    queues = platform.client("sqs").list_queues(QueueNamePrefix=stack_of(made["id"]))
    assert queues.get("QueueUrls", []) == []


def test_an_environment_goes_during_an_update_that_is_then_taken_back(
    maker: Maker, someone: Person, platform: Platform
) -> None:
    slow = {"Fn::Equals": [{"Ref": "Version"}, "slow"]}
    resources = {
        "First": QUEUE,
        "Handle": HANDLE,
        "Signal": {**WAIT, "Condition": "Slow"},
        "After": {**QUEUE, "Condition": "Slow", "DependsOn": "Signal"},
    }
    made = maker.running(template(resources, Conditions={"Slow": slow}))
    path = f"/api/v1/deployments/environments/{made['id']}"
    shipped = someone.ask("POST", path, {"version": "slow"}).body
    cloud, name = platform.client("cloudformation"), stack_of(made["id"])

    def status() -> str:
        return str(cloud.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    until(lambda: status() == "UPDATE_IN_PROGRESS")
    stack = someone.see(made["id"])["stack_id"]
    delete(someone, made["id"])
    someone.wait_for(shipped["id"], "canceled", "failed")
    machines = platform.client("stepfunctions")

    def has_looked() -> bool:
        try:
            arn = someone.see(made["id"])["execution_arn"]
            events = machines.get_execution_history(executionArn=arn)["events"]
        except machines.exceptions.ExecutionDoesNotExist:
            return False
        return "WaitStateEntered" in [each["type"] for each in events]

    until(has_looked)
    # The laptop's CloudFormation takes an update back when its resource in progress has ended.
    signal = {"LogicalResourceId": "Signal", "UniqueId": "1", "Status": "SUCCESS"}
    cloud.signal_resource(StackName=name, **signal)

    gone = someone.wait_for(made["id"], "destroyed", "teardown_failed")
    assert (gone["status"], gone["failure"]) == ("destroyed", None)
    told = [
        (each["ResourceStatus"], each.get("ResourceStatusReason"))
        for each in cloud.describe_stack_events(StackName=stack)["StackEvents"]
        if each["PhysicalResourceId"] == stack
    ]
    assert ("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated") in told
    assert told[0][0] == "DELETE_COMPLETE"


SILENT = """
import json, urllib.request
def handler(event, context):
    if event["RequestType"] == "Create":
        answer = {"Status": "SUCCESS", "PhysicalResourceId": "made-1"}
        answer |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        body = json.dumps(answer).encode()
        urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, method="PUT"))
"""


def test_a_custom_resource_that_does_not_answer_is_named_and_can_be_left(
    maker: Maker, someone: Person
) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "PermissionsBoundary": {"Ref": "PermissionsBoundary"},
            "AssumeRolePolicyDocument": trust,
        },
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": SILENT},
        },
    }
    properties = {"ServiceToken": {"Fn::GetAtt": ["Maker", "Arn"]}, "ServiceTimeout": "2"}
    made_by_us = {"Type": "Custom::Thing", "Properties": properties}
    body = template(
        {"Role": role, "Maker": function, "Made": made_by_us},
        Parameters={**VERSION, "PermissionsBoundary": {"Type": "String"}},
    )
    made = maker.running(body)

    delete(someone, made["id"])
    failed = someone.wait_for(made["id"], "teardown_failed")
    retry = f"/api/v1/environments/{made['id']}/teardown/retry"
    someone.ask("POST", retry, {"retain": ["Made"]})
    gone = someone.wait_for(made["id"], "destroyed")

    remains = failed["failure"]["remaining_resources"]
    assert remains[0].startswith("stack: Made (Custom::Thing, made-1): CloudFormation did not")
    assert gone["retained_resources"] == ["Made (Custom::Thing, made-1)"]


def test_an_export_in_use_is_named_and_frees_its_environment_later(
    maker: Maker, someone: Person
) -> None:
    outputs = {"Name": {"Value": "x", "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-x"}}}}
    exporter = maker.running(template({"Queue": QUEUE}, Outputs=outputs))
    imported = {"Fn::ImportValue": f"{stack_of(exporter['id'])}-x"}
    uses = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": imported}}
    importer = maker.running(template({"Topic": uses}), name="other")

    delete(someone, exporter["id"])
    failed = someone.wait_for(exporter["id"], "teardown_failed")
    delete(someone, importer["id"])
    someone.wait_for(importer["id"], "destroyed")
    someone.ask("POST", f"/api/v1/environments/{exporter['id']}/teardown/retry")

    assert "cannot be deleted as it is in use by" in failed["failure"]["reason"]
    someone.wait_for(exporter["id"], "destroyed")
