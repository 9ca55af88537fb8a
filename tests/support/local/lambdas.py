"""Functions and stacks that single tests make on the embedded platform."""

import contextlib
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import eventually

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def zipped(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        for name, text in files.items():
            content.writestr(name, text)
    return archive.getvalue()


class Function:
    """A function of this code, made through Lambda's API."""

    def __init__(self, platform: Platform, files: dict[str, str], **properties: Any) -> None:
        self.client = platform.client("lambda")
        self.name = f"test-{uuid.uuid4().hex}"
        roles = platform.client("iam")
        with contextlib.suppress(roles.exceptions.EntityAlreadyExistsException):
            roles.create_role(RoleName="test", AssumeRolePolicyDocument=json.dumps(TRUST))
        made = self.client.create_function(
            FunctionName=self.name,
            Role="arn:aws:iam::000000000000:role/test",
            Code={"ZipFile": zipped(files)},
            **{"Runtime": "python3.13", "Handler": "app.handler", "Timeout": 10} | properties,
        )
        self.arn: str = made["FunctionArn"]

    def change(self, files: dict[str, str]) -> None:
        self.client.update_function_code(FunctionName=self.name, ZipFile=zipped(files))

    def publish(self) -> str:
        version: str = self.client.publish_version(FunctionName=self.name)["Version"]
        return version

    def invoke(self, event: Any = None, **request: Any) -> tuple[str | None, Any]:
        """(FunctionError, payload)."""
        answer = self.client.invoke(FunctionName=self.name, Payload=json.dumps(event), **request)
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())


@contextlib.contextmanager
def function(platform: Platform, files: dict[str, str], **properties: Any) -> Iterator[Function]:
    """Such a function, removed in the end."""
    made = Function(platform, files, **properties)
    try:
        yield made
    finally:
        made.client.delete_function(FunctionName=made.name)


@contextlib.contextmanager
def refused(code: str, message: str) -> Iterator[None]:
    """AWS's error of this code and message, and no other outcome."""
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        assert (said["Code"], said["Message"]) == (code, message)
    else:
        raise AssertionError(f"not refused: {message}")


class Stack:
    """A stack that a test makes from a template, in JSON or as text."""

    def __init__(self, platform: Platform) -> None:
        self.client = platform.client("cloudformation")
        self.name = f"test-{uuid.uuid4().hex[:12]}"

    def make(self, template: dict[str, Any] | str) -> str:
        """Create it; the status that it ends in."""
        body = template if isinstance(template, str) else json.dumps(template)
        capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        self.client.create_stack(StackName=self.name, TemplateBody=body, Capabilities=capabilities)
        return self.ended()

    def change(self, template: dict[str, Any]) -> str:
        self.client.update_stack(
            StackName=self.name,
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return self.ended()

    def ended(self, seconds: float = 20) -> str:
        def status() -> str | None:
            [stack] = self.client.describe_stacks(StackName=self.name)["Stacks"]
            found: str = stack["StackStatus"]
            return None if found.endswith("_IN_PROGRESS") else found

        return eventually(status, seconds)

    @property
    def outputs(self) -> dict[str, str]:
        [stack] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def reason(self, logical_id: str) -> str:
        """Why this resource failed."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        for event in events:
            if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith(
                "_FAILED"
            ):
                reason: str = event.get("ResourceStatusReason", "")
                return reason
        raise AssertionError(f"{logical_id} did not fail")
