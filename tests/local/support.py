"""What the tests of the embedded platform share."""

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

APP = Path(__file__).parent / "app"
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
    """A function that sends a request to `url` and returns whatever comes back, 5xx too."""

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url + path, data=body, method=method, headers=names)
        try:
            with direct.open(request, timeout=20) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    return call


T = TypeVar("T")


def eventually(ask: Callable[[], T | None], seconds: float = 10.0) -> T:
    """What `ask` returns once it is something."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


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


def start(platform: Platform, states: dict[str, Any], given: Any = None, **fields: Any) -> str:
    """Start such an execution; its ARN."""
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    client = platform.client("stepfunctions")
    machine = client.create_state_machine(
        name=f"test-{uuid.uuid4().hex}",
        definition=json.dumps(definition | fields),
        roleArn="arn:aws:iam::000000000000:role/test",
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
        self.client.update_stack(StackName=self.name, TemplateBody=json.dumps(template), **more)
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
