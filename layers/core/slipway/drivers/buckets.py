"""Empties the buckets that keep a stack from being deleted.

Only a bucket that CloudFormation has tried to delete in vain is emptied: then the stack made it,
its template lets it go, and what is in the stack and writes into it is mostly gone. All versions,
delete markers and unfinished uploads are deleted, in steps of some seconds. A step needs to
remember nothing, because what it has deleted is no longer listed.

A template keeps the objects of a bucket with `Metadata: {Slipway: {KeepObjects: true}}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from slipway import aws
from slipway.aws import redaction
from slipway.domain import timestamps
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverRefused

TYPE = "AWS::S3::Bucket"
# A page of versions has at most 1,000, which is also what one DeleteObjects takes.
PAGES = 20
# The function of this step may take 25 seconds, and one call 14.
_SECONDS = timedelta(seconds=8)
_KEPT = (
    "It is not empty, and its template keeps its objects. Empty it, or retain it when you retry"
    " the teardown"
)
# XML cannot carry these, or only changed, so DeleteObjects would miss the object.
_NOT_IN_XML = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")


class Emptied(NamedTuple):
    """How far it is: `blocked` is why objects stay; not `whole` if the time is up before."""

    whole: bool
    deleted: int = 0
    blocked: str | None = None


def may_be_emptied(environment_id: str, resource: dict[str, Any]) -> bool:
    """Whether it is a bucket that could not be deleted and whose name is the environment's own.

    CloudFormation may shorten the stack's part of a generated name to 25 characters, which always
    include the environment's scope (slipway.domain.scope).
    """
    name = str(resource.get("PhysicalResourceId", ""))
    failed = resource["ResourceStatus"] == "DELETE_FAILED"
    return (
        resource["ResourceType"] == TYPE
        and failed
        and name.startswith(stack_name(environment_id)[:25])
    )


def empty(stack: str, resource: dict[str, Any]) -> Emptied:
    """Delete objects of the bucket for some seconds. Repeating it continues.

    `stack` is the name of the stack that has the bucket. Raises DriverFault.
    """
    bucket = str(resource["PhysicalResourceId"])
    if _keeps_objects(stack, resource["LogicalResourceId"]):
        is_empty = not any(_versions(bucket))
        return Emptied(True) if is_empty else Emptied(True, blocked=_KEPT)
    until = timestamps.now() + _SECONDS
    try:
        return _empty(bucket, until)
    except DriverRefused as error:
        if error.says("NoSuchBucket"):
            # Somebody deleted it by hand. CloudFormation takes that for a success.
            return Emptied(True)
        return Emptied(True, blocked=f"It cannot be emptied: {error}")


def _empty(bucket: str, until: datetime) -> Emptied:
    deleted, denied = 0, Denied()
    for pages, page in enumerate(_versions(bucket), 1):
        refused = _delete(bucket, page)
        deleted += len(page) - len(refused)
        denied.add(refused)
        if pages == PAGES or timestamps.now() > until:
            # A step that deletes nothing would be repeated for ever.
            return Emptied(not deleted, deleted, None if deleted else denied.told())
    for upload in _uploads(bucket):
        aws.call("s3", "abort_multipart_upload", Bucket=bucket, **upload)
        deleted += 1
        if timestamps.now() > until:
            return Emptied(False, deleted)
    return Emptied(True, deleted, denied.told())


class Denied:
    """The objects that S3 does not delete, and its first reason."""

    def __init__(self) -> None:
        self._count = 0
        self._why = ""

    def add(self, refused: Sequence[str]) -> None:
        self._count += len(refused)
        self._why = self._why or (refused[0] if refused else "")

    def told(self) -> str | None:
        if not self._count:
            return None
        return f"S3 refuses to delete {self._count} of its object versions: {self._why}"


def _versions(bucket: str) -> Iterator[list[dict[str, str]]]:
    """Pages of `{Key, VersionId}`: all versions and delete markers. No page is empty."""
    marker: dict[str, str] = {}
    while True:
        page = aws.call("s3", "list_object_versions", Bucket=bucket, **marker)
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]


def _delete(bucket: str, versions: Sequence[dict[str, str]]) -> list[str]:
    """Delete these, at most 1,000. Returns S3's reason for each one that stays."""
    together = [each for each in versions if not _NOT_IN_XML.search(each["Key"])]
    refused: list[str] = []
    if together:
        answer = aws.call(
            "s3", "delete_objects", Bucket=bucket, Delete={"Objects": together, "Quiet": True}
        )
        refused = [_why(each) for each in answer.get("Errors", ())]
    for each in versions:
        if each not in together:
            try:
                aws.call("s3", "delete_object", Bucket=bucket, **each)
            except DriverRefused as error:
                refused.append(str(error))
    return refused


def _why(error: dict[str, str]) -> str:
    message = redaction.explanation(error.get("Message", ""))
    return f"{error.get('Code', 'Unknown')}: {message}"


def _uploads(bucket: str) -> Iterator[dict[str, str]]:
    """`{Key, UploadId}` of each unfinished upload."""
    marker: dict[str, str] = {}
    while True:
        page = aws.call("s3", "list_multipart_uploads", Bucket=bucket, **marker)
        for each in page.get("Uploads", ()):
            yield {"Key": each["Key"], "UploadId": each["UploadId"]}
        if not page.get("IsTruncated"):
            return
        marker = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }


def _keeps_objects(stack: str, logical_id: str) -> bool:
    """Whether the template keeps the objects of this bucket."""
    detail = aws.call(
        "cloudformation", "describe_stack_resource", StackName=stack, LogicalResourceId=logical_id
    )["StackResourceDetail"]
    try:
        ours = json.loads(detail.get("Metadata") or "{}").get("Slipway", {})
        return str(ours.get("KeepObjects", "")).lower() == "true"
    except (ValueError, AttributeError):
        # Another shape is a mistake of the template's author, who meant to say something.
        return "KeepObjects" in str(detail.get("Metadata"))
