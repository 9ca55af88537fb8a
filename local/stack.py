"""A package -> the running stack, through CreateStack and UpdateStack as on AWS."""

import json
import time
from typing import Any

from botocore.exceptions import ClientError

from local.package import BUCKET, Package

NAME = "slipway"
TEMPLATE = "template.json"
POLL = 0.05  # seconds


class StackFailed(Exception):
    """CloudFormation refused the template or rolled back. The message says why."""


class Stack:
    """One CloudFormation stack in the emulator."""

    def __init__(self, endpoint: str, s3: Any, cloudformation: Any) -> None:
        self.endpoint, self.s3, self.cloudformation = endpoint, s3, cloudformation
        self.exists = False
        self._stored: set[str] = set()

    def find(self) -> None:
        """Continue with the stack that exists, if it does, and its artifacts."""
        try:
            self._described()
        except ClientError:
            return
        self.exists = True
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = {each["Key"] for page in pages for each in page.get("Contents", [])}
        self._stored = keys - {TEMPLATE}

    def deploy(self, package: Package, parameters: dict[str, str]) -> dict[str, str]:
        """Create or update the stack and return its outputs.

        Raises StackFailed; the previous version then still runs.
        """
        self._store(package)
        request = {
            "StackName": NAME,
            "TemplateURL": f"{self.endpoint}/{BUCKET}/{TEMPLATE}",
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
        started = time.time()
        change = (
            self.cloudformation.update_stack if self.exists else self.cloudformation.create_stack
        )
        try:
            change(**request)
        except ClientError as error:
            reason = error.response["Error"].get("Message", str(error))
            if "No updates are to be performed" not in reason:
                raise StackFailed(reason) from error
            return self._outputs(self._described())
        outputs = self._wait(started)
        # Delete the old artifacts only now, because a rollback needs them.
        for key in self._stored - set(package.artifacts):
            self.s3.delete_object(Bucket=BUCKET, Key=key)
        self._stored &= set(package.artifacts)
        return outputs

    def _store(self, package: Package) -> None:
        if not self.exists:
            self.s3.create_bucket(Bucket=BUCKET)
        for key in set(package.artifacts) - self._stored:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=package.artifacts[key])
            self._stored.add(key)
        template = json.dumps(package.template, default=str).encode()
        self.s3.put_object(Bucket=BUCKET, Key=TEMPLATE, Body=template)

    def _described(self) -> dict[str, Any]:
        [stack] = self.cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        return dict(stack)

    def _outputs(self, stack: dict[str, Any]) -> dict[str, str]:
        return {out["OutputKey"]: out["OutputValue"] for out in stack.get("Outputs", [])}

    def _wait(self, started: float) -> dict[str, str]:
        while (stack := self._described())["StackStatus"].endswith("IN_PROGRESS"):
            time.sleep(POLL)
        status = stack["StackStatus"]
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise StackFailed(self._reasons(started) or stack.get("StackStatusReason", status))
        self.exists = True
        return self._outputs(stack)

    def _reasons(self, since: float) -> str:
        events = self.cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
        return "\n".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in reversed(events)
            if event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")
            and event["Timestamp"].timestamp() >= since - 1
        )
