"""CloudFormation as far as plans meet it: stacks under review, and a change set in each."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from slipway import aws
from slipway.errors import DriverRefused
from tests.support.api.client import asking

JOBS = {"Action": "Add", "LogicalResourceId": "Jobs", "ResourceType": "AWS::SQS::Queue"}


class Review:
    """`made` are the stacks by name, each with its change set; `says` is how those made next end.

    `before` and `after` are what happens around the next call of a method.
    """

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.says: dict[str, Any] = {"Status": "CREATE_COMPLETE", "Changes": [change(JOBS)]}
        self.calls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}

    def instead(self, patch: pytest.MonkeyPatch) -> Review:
        patch.setattr(aws, "call", self.call)
        return self

    def call(self, service: str, method: str, **request: Any) -> Any:
        assert service == "cloudformation"
        self.calls.append(method)
        self._meanwhile(self.before.pop(method, _nothing))
        answer = getattr(self, method)(**request)
        self._meanwhile(self.after.pop(method, _nothing))
        return answer

    def _meanwhile(self, happens: Callable[[], None]) -> None:
        """The function does not make the call itself."""
        token = asking.set("")
        try:
            happens()
        finally:
            asking.reset(token)

    def describe_change_set(self, StackName: str, ChangeSetName: str) -> Any:
        if StackName not in self.made:
            raise DriverRefused(f"ChangeSetNotFound: ChangeSet [{ChangeSetName}] does not exist")
        return self.made[StackName]

    def create_change_set(self, StackName: str, Description: str, **request: Any) -> Any:
        self.requests.append({"StackName": StackName, **request})
        if StackName in self.made:
            raise DriverRefused("AlreadyExistsException: ChangeSet [plan] already exists")
        stack_id = f"arn:aws:cloudformation:::stack/{StackName}/{uuid.uuid4()}"
        self.made[StackName] = {"StackId": stack_id, "Description": Description, **self.says}
        return {"StackId": stack_id}

    def describe_stacks(self, StackName: str) -> Any:
        if StackName not in self.made:
            raise DriverRefused(f"ValidationError: Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackStatus": "REVIEW_IN_PROGRESS"}]}

    def delete_stack(self, StackName: str) -> None:
        of = {name: each["StackId"] for name, each in self.made.items()}
        for name, stack_id in of.items():
            if StackName in (name, stack_id):
                del self.made[name]


def change(resource: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Resource", "ResourceChange": resource}


def _nothing() -> None:
    pass
