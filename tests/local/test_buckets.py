"""Buckets that are not empty (patches/full_buckets.py).

S3's list of error codes has BucketNotEmpty, 409; its API reference says of DeleteBucket that all
objects, versions and delete markers have to be deleted first. CloudFormation deletes buckets that
are empty, says the reference of AWS::S3::Bucket.
"""

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import Stacks

TEMPLATE: dict[str, Any] = {
    "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, "Queue": {"Type": "AWS::SQS::Queue"}}
}


@pytest.fixture
def s3(platform: Platform) -> Any:
    return platform.client("s3")


def refusal(s3: Any, bucket: str) -> tuple[str, str, int]:
    """How S3 refuses to delete the bucket."""
    with pytest.raises(ClientError) as refused:
        s3.delete_bucket(Bucket=bucket)
    error = refused.value.response
    status = error["ResponseMetadata"]["HTTPStatusCode"]
    return error["Error"]["Code"], error["Error"]["Message"], status


def test_s3_deletes_a_bucket_only_when_it_is_empty(s3: Any) -> None:
    bucket = f"full-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")

    message = "The bucket you tried to delete is not empty"
    assert refusal(s3, bucket) == ("BucketNotEmpty", message, 409)

    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_bucket(Bucket=bucket)


def test_versions_and_delete_markers_keep_a_bucket(s3: Any) -> None:
    bucket = f"full-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    versioned = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioned)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="a")

    code, message, _ = refusal(s3, bucket)

    assert code == "BucketNotEmpty"
    assert message.endswith("is not empty. You must delete all versions in the bucket.")
    found = s3.list_object_versions(Bucket=bucket)
    for each in found["Versions"] + found["DeleteMarkers"]:
        s3.delete_object(Bucket=bucket, Key="a", VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def test_a_stack_is_deleted_only_when_its_buckets_are_empty(platform: Platform, s3: Any) -> None:
    stack = Stacks(platform).create(TEMPLATE)
    bucket = stack.physical_ids()["Bucket"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")

    stack.delete()

    assert stack.status == "DELETE_FAILED"
    reason = stack.failures()["Bucket"]
    assert "The bucket you tried to delete is not empty (Service: S3, Status Code: 409" in reason
    assert list(stack.physical_ids()) == ["Bucket"]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="a")
    stack.delete()
    assert stack.status == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="Not Found"):
        s3.head_bucket(Bucket=bucket)


def test_a_bucket_that_is_not_empty_may_be_left_behind(platform: Platform, s3: Any) -> None:
    stack = Stacks(platform).create(TEMPLATE)
    bucket = stack.physical_ids()["Bucket"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    stack.delete()

    stack.client.delete_stack(StackName=stack.name, RetainResources=["Bucket"])
    stack.wait()

    assert stack.status == "DELETE_COMPLETE"
    s3.head_bucket(Bucket=bucket)


def test_an_update_that_drops_a_full_bucket_leaves_it(platform: Platform, s3: Any) -> None:
    stack = Stacks(platform).create(TEMPLATE)
    bucket = stack.physical_ids()["Bucket"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")

    stack.update({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})

    assert stack.status == "UPDATE_COMPLETE"
    assert "is not empty" in stack.failures()["Bucket"]
    s3.head_bucket(Bucket=bucket)
