"""Stacks that do not want to go, in a world's own time, and their buckets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from slipway import aws, drivers
from slipway.domain.ids import EnvironmentId
from slipway.drivers.simulated import Simulated
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverRefused
from tests.support.workflows.emulator import Emulator
from tests.support.workflows.stacks import HOUR, OfOneTemplate, Stack, Stacks
from tests.support.workflows.world import World

BUCKET = "AWS::S3::Bucket"
NOT_EMPTY = (
    'Resource handler returned message: "The bucket you tried to delete is not empty (Service: S3, '
    'Status Code: 409, Request ID: 1)" (RequestToken: 2, HandlerErrorCode: GeneralServiceException)'
)
PAGE = 1000


@dataclass
class Bucket:
    """`versions` are `(key, version)`. `locked` cannot be deleted; `denies` is why nothing can.
    `writer` is called after each deletion of objects."""

    versions: list[tuple[str, str]] = field(default_factory=list)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    locked: set[tuple[str, str]] = field(default_factory=set)
    denies: str | None = None
    writer: Callable[[Bucket], None] = lambda _: None
    deleted: int = 0
    calls: int = 0


@dataclass
class Resource:
    """`blocks` says why it cannot be deleted now, if so; its deletion `takes` so many seconds."""

    name: str
    kind: str = "AWS::SQS::Queue"
    blocks: Callable[[], str | None] = lambda: None
    takes: float = 0.7
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    physical_id: str = ""
    metadata: dict[str, Any] | None = None
    stays: bool = False  # by its DeletionPolicy


class NastyStacks(Stacks):
    """One stack, with `resources` and `buckets` by their names. Its creation takes `creating`
    seconds and ends in `created`, an update `updating`, a rollback of it `rolling_back`.

    `objects` is why a deletion is refused at once; `in_use` why CloudFormation gives it up.
    """

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self.resources: list[Resource] = []
        self.buckets: dict[str, Bucket] = {}
        self.creating, self.updating, self.rolling_back = 0.7, 0.7, 0.7
        self.created = "CREATE_COMPLETE"
        self.objects: str | None = None
        self.in_use: Callable[[], str | None] = lambda: None
        self.retained: list[str] = []
        self.nested: dict[str, list[Resource]] = {}

    def has(self, name: str, kind: str = "AWS::SQS::Queue", **more: Any) -> Resource:
        """Give the stack another resource."""
        resource = Resource(name, kind, **more)
        self.resources.append(resource)
        return resource

    def has_bucket(self, name: str, where: EnvironmentId, **more: Any) -> Bucket:
        """Give the stack a bucket, which CloudFormation deletes when it is empty."""
        bucket = Bucket(**more)
        physical = f"{stack_name(str(where))}-{name.lower()}-1"
        self.buckets[physical] = bucket
        self.has(
            name,
            BUCKET,
            physical_id=physical,
            blocks=lambda: NOT_EMPTY if bucket.versions else None,
        )
        return bucket

    # ── How operations go ───────────────────────────────────────────────────────────────────

    def lasts(self, status: str) -> float:
        if status == "DELETE_IN_PROGRESS":
            going = [each for each in self.resources if each.status != "DELETE_COMPLETE"]
            return max([0.7, *(each.takes for each in going)])
        return {
            "CREATE_IN_PROGRESS": self.creating,
            "UPDATE_IN_PROGRESS": self.updating,
            "UPDATE_ROLLBACK_IN_PROGRESS": self.rolling_back,
        }.get(status, 0.7)

    def ends(self, stack: Stack) -> str:
        if stack.status == "CREATE_IN_PROGRESS":
            return self.created
        if stack.status != "DELETE_IN_PROGRESS":
            return super().ends(stack)
        if self.in_use():
            return "UPDATE_COMPLETE"
        failed = [each for each in self.resources if not self._deleted(stack, each)]
        return "DELETE_FAILED" if failed else "DELETE_COMPLETE"

    def _deleted(self, stack: Stack, resource: Resource) -> bool:
        if resource.status == "DELETE_COMPLETE" or resource.name in stack.retain:
            self.retained += [resource.name] if resource.name in stack.retain else []
            return True
        resource.reason = resource.blocks()
        resource.status = "DELETE_FAILED" if resource.reason else "DELETE_COMPLETE"
        resource.status = "DELETE_SKIPPED" if resource.stays else resource.status
        event = {
            "StackId": stack.id,
            "PhysicalResourceId": resource.physical_id or resource.name,
            "LogicalResourceId": resource.name,
            "ResourceType": resource.kind,
            "ResourceStatus": resource.status,
            "Timestamp": datetime.fromtimestamp(stack.ends_at, UTC),
            "ClientRequestToken": stack.token,
        }
        stack.events.append(event | ({"ResourceStatusReason": resource.reason or ""}))
        return resource.status != "DELETE_FAILED"

    def describe_stacks(self, StackName: str) -> Any:
        answer = super().describe_stacks(StackName)
        why = self.in_use()
        if why and answer["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE":
            answer["Stacks"][0]["StackStatusReason"] = why
        return answer

    def delete_stack(
        self, StackName: str, ClientRequestToken: str, RetainResources: Any = (), **request: Any
    ) -> None:
        if self.objects:
            raise DriverRefused(self.objects)
        super().delete_stack(StackName, ClientRequestToken, RetainResources, **request)

    def list_stack_resources(self, StackName: str) -> Any:
        if StackName not in self.nested:
            self._known(StackName)
        found = [
            {
                "LogicalResourceId": each.name,
                "ResourceType": each.kind,
                "PhysicalResourceId": each.physical_id or each.name.lower(),
                "ResourceStatus": each.status,
            }
            | ({"ResourceStatusReason": each.reason} if each.reason else {})
            for each in self.nested.get(StackName, self.resources)
        ]
        return {"StackResourceSummaries": found}

    def describe_stack_resource(self, StackName: str, LogicalResourceId: str) -> Any:
        among = self.nested.get(StackName, self.resources)
        [resource] = [each for each in among if each.name == LogicalResourceId]
        metadata = {"Metadata": json.dumps(resource.metadata)} if resource.metadata else {}
        return {"StackResourceDetail": metadata}

    # ── S3 ──────────────────────────────────────────────────────────────────────────────────

    def _bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise DriverRefused("NoSuchBucket: The specified bucket does not exist")
        bucket = self.buckets[name]
        bucket.calls += 1
        if bucket.denies:
            raise DriverRefused(bucket.denies)
        return bucket

    def list_object_versions(
        self, Bucket: str, KeyMarker: str = "", VersionIdMarker: str = ""
    ) -> Any:
        found = sorted(self._bucket(Bucket).versions)
        after = [each for each in found if each > (KeyMarker, VersionIdMarker)]
        page = after[:PAGE]
        answer: dict[str, Any] = {
            "Versions": [{"Key": k, "VersionId": v} for k, v in page if not v.startswith("marker")],
            "DeleteMarkers": [
                {"Key": k, "VersionId": v} for k, v in page if v.startswith("marker")
            ],
            "IsTruncated": len(after) > PAGE,
        }
        if len(after) > PAGE:
            answer |= {"NextKeyMarker": page[-1][0], "NextVersionIdMarker": page[-1][1]}
        return answer

    def delete_objects(self, Bucket: str, Delete: Any) -> Any:
        bucket, objects = self._bucket(Bucket), Delete["Objects"]
        assert 0 < len(objects) <= PAGE
        wanted = {(each["Key"], each["VersionId"]) for each in objects}
        refused = wanted & bucket.locked
        gone = (wanted - refused) & set(bucket.versions)
        bucket.versions = [each for each in bucket.versions if each not in gone]
        bucket.deleted += len(gone)
        bucket.writer(bucket)
        said = "Access Denied because object protected by object lock."
        errors = [
            {"Key": key, "VersionId": version, "Code": "AccessDenied", "Message": said}
            for key, version in sorted(refused)
        ]
        return {"Errors": errors} if errors else {}

    def list_multipart_uploads(self, Bucket: str) -> Any:
        uploads = self._bucket(Bucket).uploads
        return {"Uploads": [{"Key": k, "UploadId": u} for k, u in uploads], "IsTruncated": False}

    def abort_multipart_upload(self, Bucket: str, Key: str, UploadId: str) -> None:
        self._bucket(Bucket).uploads.remove((Key, UploadId))


@contextmanager
def nasty_world() -> Iterator[tuple[World, NastyStacks]]:
    """A world whose environments are stacks of one resource or more."""
    with World() as world, pytest.MonkeyPatch.context() as patch:
        stacks = NastyStacks(world.emulator)
        place = SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://s3.example.com"))
        patch.setattr(aws, "client", lambda service: place)
        patch.setattr(Simulated, "resources", OfOneTemplate.resources)
        patch.setitem(drivers.DRIVERS, "simulated", OfOneTemplate)
        patch.setattr(aws, "call", stacks.call)
        patch.setattr(
            world.infrastructure,
            "of",
            lambda e: {"stack"} if stacks.find(stack_name(e)) else set(),
        )
        patch.setattr(world.infrastructure, "version_in", stacks.version_in)
        assert world.project
        yield world, stacks


__all__ = ["HOUR", "NOT_EMPTY", "Bucket", "NastyStacks", "Resource", "nasty_world"]
