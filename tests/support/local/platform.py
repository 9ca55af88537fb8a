"""Helpers for the tests of the embedded platform."""

import json
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, TypeVar

from local.platform import Platform

APP = Path(__file__).parents[2] / "local/app"
# One that another alarm can be about: then it cannot be deleted.
ALARM: dict[str, Any] = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "Namespace": "Test",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    },
}


# The role of what a test makes without a thought for rights; the fixture `platform` makes it.
EVERYTHING = "arn:aws:iam::000000000000:role/test"


@dataclass
class Reply:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Call = Callable[..., Reply]


def copy_of_app(folder: Path) -> Path:
    root = folder / "app"
    shutil.copytree(APP, root, ignore=shutil.ignore_patterns("__pycache__", ".slipway"))
    return root


def calling(url: str) -> Call:
    """A function that sends a request to `url` and returns whatever comes back, 5xx too.

    The path may also be a whole URL.
    """

    def where(path: str) -> str:
        return path if path.startswith("http") else url + path

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(where(path), data=body, method=method, headers=names)
        try:
            with direct.open(request, timeout=20) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    return call


T = TypeVar("T")


def eventually(ask: Callable[[], T | None], seconds: float = 10.0) -> T:
    """Call `ask` until its result is true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def role(
    platform: Platform, name: str, *statements: dict[str, Any], boundary: str | None = None
) -> str:
    """Make a role with these statements, which services and the owner may take on; its ARN."""
    iam = platform.client("iam")
    services = ["lambda.amazonaws.com", "states.amazonaws.com", "cloudformation.amazonaws.com"]
    principal = {"Service": services, "AWS": "arn:aws:iam::000000000000:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    more = {"PermissionsBoundary": boundary} if boundary else {}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust), **more)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
    return str(made["Role"]["Arn"])


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows the actions on the resource."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on} | more


def deny(*actions: str, on: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return allow(*actions, on=on, **more) | {"Effect": "Deny"}


def run(
    platform: Platform, states: dict[str, Any], given: Any = None, **fields: Any
) -> dict[str, Any]:
    """Execute JSONata `states`, beginning with the first, and describe how it ended."""
    arn = start(platform, states, given, **fields)
    client = platform.client("stepfunctions")

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = client.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else found

    return eventually(ended)


def start(
    platform: Platform,
    states: dict[str, Any],
    given: Any = None,
    roleArn: str = EVERYTHING,
    **fields: Any,
) -> str:
    """Start such an execution, of a state machine with the role; its ARN."""
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    client = platform.client("stepfunctions")
    machine = client.create_state_machine(
        name=f"test-{uuid.uuid4().hex}",
        definition=json.dumps(definition | fields),
        roleArn=roleArn,
    )
    arn: str = client.start_execution(
        stateMachineArn=machine["stateMachineArn"], input=json.dumps(given or {})
    )["executionArn"]
    return arn


class Made:
    """A stack that was asked for, once it is through with that."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        self.id, self.status = name, ""
        self.wait()

    def update(self, template: dict[str, Any], **more: Any) -> None:
        request = {"Capabilities": ["CAPABILITY_NAMED_IAM"], **more}
        body = json.dumps(template)
        self.client.update_stack(StackName=self.name, TemplateBody=body, **request)
        self.wait()

    def delete(self) -> None:
        self.client.delete_stack(StackName=self.id)
        self.wait()

    def failures(self) -> dict[str, str]:
        """Why resources could not be made, changed or deleted."""
        events = self.client.describe_stack_events(StackName=self.id)["StackEvents"]
        return {
            event["LogicalResourceId"]: event.get("ResourceStatusReason", "")
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
            and event["ResourceType"] != "AWS::CloudFormation::Stack"
        }

    def physical_ids(self) -> dict[str, str]:
        found = self.client.describe_stack_resources(StackName=self.name)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def wait(self) -> None:
        def ended() -> dict[str, Any] | None:
            [stack] = self.client.describe_stacks(StackName=self.id)["Stacks"]
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else dict(stack)

        stack = eventually(ended)
        self.id, self.status = stack["StackId"], stack["StackStatus"]


class Stacks:
    """Makes stacks of templates, and waits for them."""

    def __init__(self, platform: Platform) -> None:
        self.client = platform.client("cloudformation")

    def create(self, template: dict[str, Any], *, name: str | None = None, **more: Any) -> Made:
        name = name or f"test-{uuid.uuid4().hex}"
        request = {"Capabilities": ["CAPABILITY_NAMED_IAM"], **more}
        self.client.create_stack(StackName=name, TemplateBody=json.dumps(template), **request)
        return Made(self.client, name)
