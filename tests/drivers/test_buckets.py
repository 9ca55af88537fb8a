"""Buckets that are emptied, with S3 as the embedded emulator has it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.platform import Platform
from slipway import aws
from slipway.domain import scope
from slipway.drivers import buckets
from slipway.drivers.buckets import Emptied

ENVIRONMENT = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"
STACK = f"slipway-env-{scope.stack_suffix(ENVIRONMENT)}"


@pytest.fixture
def s3(emulator: Platform, stacks: Any) -> Any:
    return emulator.client("s3")


@pytest.fixture(autouse=True)
def _metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No template says anything of these buckets; there is no stack."""
    call = aws.call

    def answers(service: str, method: str, **request: Any) -> Any:
        if method == "describe_stack_resource":
            return {"StackResourceDetail": {}}
        return call(service, method, **request)

    monkeypatch.setattr(aws, "call", answers)
    yield


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"{STACK}-data-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


def versioned(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def resource(bucket: str, status: str = "DELETE_FAILED") -> dict[str, Any]:
    return {
        "LogicalResourceId": "Data",
        "ResourceType": buckets.TYPE,
        "PhysicalResourceId": bucket,
        "ResourceStatus": status,
    }


def empty(bucket: str) -> Emptied:
    return buckets.empty("stack", resource(bucket))


def test_all_that_is_in_a_bucket_goes(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="before", Body=b"1")
    versioned(s3, bucket)
    for body in (b"1", b"2", b"3"):
        s3.put_object(Bucket=bucket, Key="a/b c+ü", Body=body)
    s3.delete_object(Bucket=bucket, Key="a/b c+ü")
    for _ in range(2):
        s3.create_multipart_upload(Bucket=bucket, Key="big")

    assert empty(bucket) == Emptied(whole=True, deleted=7)

    assert not s3.list_object_versions(Bucket=bucket).get("Versions")
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    s3.delete_bucket(Bucket=bucket)


def test_an_empty_bucket_is_left_as_it_is(bucket: str) -> None:
    assert empty(bucket) == Emptied(whole=True)


def test_a_missing_bucket_is_empty(s3: Any) -> None:
    assert empty("slipway-no-such-bucket") == Emptied(whole=True)


def test_a_step_ends_after_some_pages_and_the_next_one_continues(
    s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "PAGES", 1)
    for n in range(1005):
        s3.put_object(Bucket=bucket, Key=f"{n}", Body=b"")

    assert empty(bucket) == Emptied(whole=False, deleted=1000)
    assert empty(bucket).deleted == 5
    assert empty(bucket) == Emptied(whole=True)


def test_keys_that_xml_cannot_carry_are_deleted_one_by_one(bucket: str) -> None:
    """With DeleteObjects, a carriage return would name another object."""
    odd = [{"Key": f"a{each}b", "VersionId": "null"} for each in ("\r", "\x01", "\uffff")]
    plain = {"Key": "plain", "VersionId": "null"}
    asked: list[tuple[str, Any]] = []

    def answers(service: str, method: str, **request: Any) -> Any:
        asked.append((method, request))
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "call", answers)
        assert buckets._delete(bucket, [*odd, plain]) == []

    assert asked[0][1]["Delete"]["Objects"] == [plain]
    assert [(method, each["Key"]) for method, each in asked[1:]] == [
        ("delete_object", each["Key"]) for each in odd
    ]


@pytest.mark.parametrize(
    ("name", "status", "may"),
    [
        (f"{STACK}-data-1", "DELETE_FAILED", True),
        (f"{STACK[:25]}-data-1", "DELETE_FAILED", True),
        (f"{STACK}-data-1", "CREATE_COMPLETE", False),
        (f"{STACK}-data-1", "DELETE_SKIPPED", False),
        ("slipway-env-another0another0another0", "DELETE_FAILED", False),
        ("slipway-templates", "DELETE_FAILED", False),
        ("", "DELETE_FAILED", False),
    ],
)
def test_only_a_bucket_of_the_environment_that_could_not_be_deleted_may_be_emptied(
    on_lambda: pytest.MonkeyPatch, name: str, status: str, may: bool
) -> None:
    assert buckets.may_be_emptied(ENVIRONMENT, resource(name, status)) == may
    queue = {**resource(name, status), "ResourceType": "AWS::SQS::Queue"}
    assert not buckets.may_be_emptied(ENVIRONMENT, queue)
