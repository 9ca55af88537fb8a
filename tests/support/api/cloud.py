"""The services beside the table that a request meets: S3, the parameter store, CloudFormation. Each
call of theirs can crash, and whatever was done by then is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from slipway import aws
from slipway.aws import functions
from slipway.errors import DriverFault, DriverRefused
from tests.support import invoked
from tests.support.store.review import Review
from tests.support.workflows.emulator import acting
from tests.support.workflows.faults import Died
from tests.support.workflows.world import World


class Cloud:
    """`secrets` are those of the parameter store, by name; `review` has the stacks of plans."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.bodies: dict[str, tuple[bytes, str]] = {}
        self.secrets: dict[str, str] = {}
        self.looks = 0
        self.review = Review()
        patch.setattr(aws, "call", self.call)
        patch.setattr(aws, "client", lambda service: self)
        patch.setattr(functions, "invoke", self.invoke)
        self.meta = SimpleNamespace(endpoint_url="https://s3.example.com")

    def call(self, service: str, method: str, **request: Any) -> Any:
        perform: Callable[[], Any] = lambda: getattr(self, f"_{method}")(**request)  # noqa: E731
        return self.world.emulator.call(
            f"{service} {method}", perform, lambda trouble: DriverFault(trouble)
        )

    def invoke(self, name: str, payload: Mapping[str, Any]) -> Any:
        """Invoke a function, which has calls of its own, and whose process can die of them."""

        def perform() -> Any:
            try:
                with acting(name):
                    return invoked.invoke(name, payload)
            except Died:
                raise DriverFault("A function that was invoked failed") from None

        return self.world.emulator.call(f"lambda {name}", perform, lambda word: DriverFault(word))

    def put_object(self, **request: Any) -> None:
        self.call("s3", "put_object", **request)

    def get_object(self, **request: Any) -> Any:
        return self.call("s3", "get_object", **request)

    def validate_template(self, **request: Any) -> None:
        self.call("cloudformation", "validate_template", **request)

    def _put_object(self, Key: str, Body: bytes, ContentType: str, **more: Any) -> None:
        self.bodies[Key] = (Body, ContentType)

    def _get_object(self, Key: str, **more: Any) -> Any:
        return {"Body": SimpleNamespace(read=lambda: self.bodies[Key][0])}

    def _validate_template(self, TemplateURL: str) -> None:
        assert TemplateURL.rpartition("templates/templates/")[2]

    def _put_parameter(self, Name: str, Value: str, **more: Any) -> None:
        self.secrets[Name] = Value

    def _delete_parameters(self, Names: list[str]) -> None:
        for name in Names:
            self.secrets.pop(name, None)

    def _list_stack_resources(self, StackName: str) -> Any:
        return {"StackResourceSummaries": []}

    def _detect_stack_drift(self, StackName: str) -> Any:
        if self.looks:
            raise DriverRefused(
                f"ValidationError: Drift detection is already in progress for {StackName}"
            )
        self.looks += 1
        return {"StackDriftDetectionId": "look-1"}

    def _describe_change_set(self, **request: Any) -> Any:
        return self.review.describe_change_set(**request)

    def _create_change_set(self, **request: Any) -> Any:
        return self.review.create_change_set(**request)

    def _list_change_sets(self, StackName: str) -> Any:
        return {"Summaries": []}

    def _delete_stack(self, StackName: str) -> None:
        self.review.delete_stack(StackName)

    def _describe_stacks(self, StackName: str) -> Any:
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}

    def _describe_stack_drift_detection_status(self, StackDriftDetectionId: str) -> Any:
        return {"DetectionStatus": "DETECTION_IN_PROGRESS", "Timestamp": datetime.now(UTC)}

    def _describe_stack_resource_drifts(self, StackName: str) -> Any:
        return {"StackResourceDrifts": []}
