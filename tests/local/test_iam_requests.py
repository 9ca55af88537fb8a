"""The resource that a request is judged for is of the kind that AWS judges its action for
(local/iam_requests.py), by the Service Authorization Reference."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest

from local.iam_requests import Request, all_checks
from tests.support.authorization import takes

ACCOUNT = "000000000000"
STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/s/1"
STREAM = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t/stream/2026-01-01T00:00:00.000"
MACHINE = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m"
EXECUTION = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:m:e"
KEY = {"pk": {"S": "1"}}


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's own reading of requests, mended as in the emulator."""
    import importlib.util
    import sys

    import ministack.core

    from local.patches import iam_requests

    name = "ministack.core.iam_actions"
    spec = importlib.util.find_spec(name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    iam_requests.patch(module)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(ministack.core, "iam_actions", module, raising=False)


@pytest.mark.parametrize(
    ("service", "target", "members"),
    [
        ("dynamodb", "GetItem", {"TableName": "t", "Key": KEY}),
        ("dynamodb", "BatchGetItem", {"RequestItems": {"t": {}, "u": {}}}),
        ("dynamodb", "Query", {"TableName": "t"}),
        ("dynamodb", "Query", {"TableName": "t", "IndexName": "due"}),
        ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "t"}}]}),
        ("dynamodbstreams", "DescribeStream", {"StreamArn": STREAM}),
        ("dynamodbstreams", "ListStreams", {"TableName": "t"}),
        ("events", "EnableRule", {"Name": "r"}),
        ("events", "PutRule", {"Name": "r", "EventBusName": "b"}),
        ("events", "PutEvents", {"Entries": [{"Source": "s"}]}),
        ("logs", "DescribeLogGroups", {}),
        ("secretsmanager", "GetSecretValue", {"SecretId": "s"}),
        ("ssm", "PutParameter", {"Name": "/a/b"}),
        ("ssm", "GetParameters", {"Names": ["/a/b", "c:2"]}),
        ("ssm", "DeleteParameters", {"Names": ["/a/b"]}),
        ("ssm", "GetParametersByPath", {"Path": "/a/"}),
        ("states", "StartExecution", {"stateMachineArn": MACHINE}),
        ("states", "DescribeExecution", {"executionArn": EXECUTION}),
        ("states", "GetExecutionHistory", {"executionArn": EXECUTION}),
        ("sqs", "SendMessage", {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q"}),
    ],
)
def test_a_request_of_the_json_protocol(service: str, target: str, members: Any) -> None:
    headers = {"x-amz-target": f"Service.{target}"}

    found = all_checks(service, "POST", "/", headers, json.dumps(members).encode(), {})

    assert found
    assert [check for check in found if not takes(check.action, check.resource)] == []


@pytest.mark.parametrize(
    ("service", "action", "params"),
    [
        ("cloudformation", "CreateStack", {"StackName": "s", "RoleARN": "arn:aws:iam::0:role/r"}),
        ("cloudformation", "DescribeStacks", {"StackName": STACK}),
        ("cloudformation", "DeleteStack", {"StackName": "s"}),
        ("cloudformation", "DescribeChangeSet", {"StackName": "s", "ChangeSetName": "c"}),
        ("cloudformation", "ValidateTemplate", {"TemplateBody": "{}"}),
        ("cloudformation", "DescribeStackDriftDetectionStatus", {"StackDriftDetectionId": "1"}),
        ("iam", "CreateRole", {"RoleName": "r"}),
        ("iam", "PutRolePolicy", {"RoleName": "r"}),
        ("sns", "Publish", {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t"}),
        ("sns", "Unsubscribe", {"SubscriptionArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t:1"}),
    ],
)
def test_a_request_of_the_query_protocol(service: str, action: str, params: Any) -> None:
    given = {name: [value] for name, value in {"Action": action, **params}.items()}

    found = all_checks(service, "POST", "/", {}, b"", given)

    assert found
    assert [check for check in found if not takes(check.action, check.resource)] == []


ARN = urllib.parse.quote(f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f", safe="")


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/2015-03-31/functions/f/invocations", "InvokeFunction"),
        ("GET", "/2015-03-31/functions/f", "GetFunction"),
        ("GET", "/2019-09-30/functions/f/concurrency", "GetFunctionConcurrency"),
        ("PUT", "/2017-10-31/functions/f/concurrency", "PutFunctionConcurrency"),
        ("DELETE", "/2017-10-31/functions/f/concurrency", "DeleteFunctionConcurrency"),
        ("GET", "/2015-03-31/functions/f/aliases/live", "GetAlias"),
        ("PUT", "/2015-03-31/functions/f/aliases/live", "UpdateAlias"),
        ("POST", "/2015-03-31/functions/f/policy", "AddPermission"),
        ("GET", "/2021-10-31/functions/f/url", "GetFunctionUrlConfig"),
        ("GET", "/2015-03-31/event-source-mappings/1", "GetEventSourceMapping"),
        ("DELETE", "/2015-03-31/event-source-mappings/1", "DeleteEventSourceMapping"),
        ("POST", "/2015-03-31/event-source-mappings", "CreateEventSourceMapping"),
    ],
)
def test_a_request_to_lambda(method: str, path: str, action: str) -> None:
    body = json.dumps({"FunctionName": "f"}).encode()

    [check] = all_checks("lambda", method, path, {}, body, {})

    assert check.action == f"lambda:{action}"
    assert takes(check.action, check.resource), check


def test_mail_is_checked_for_the_identity_and_its_sender() -> None:
    body = json.dumps({"FromEmailAddress": "slipway@example.com"}).encode()

    [check] = all_checks("ses", "POST", "/v2/email/outbound-emails", {}, body, {})

    assert (check.action, check.context) == (
        "ses:SendEmail",
        {"ses:FromAddress": "slipway@example.com"},
    )
    assert check.resource == f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/slipway@example.com"
    assert takes(check.action, check.resource), check


def test_a_body_that_cannot_be_read_names_nothing() -> None:
    request = Request("ssm:GetParameter", "/", b"\xff{", {}, "us-east-1", ACCOUNT)

    assert (request.members, request.value("Name"), request.values("Names")) == ({}, "", [])
