"""Only keys that were given out are accepted, and each function has its own (local/iam_keys.py)."""

import json
import uuid
from collections.abc import Iterator

import pytest

from local.iam_keys import Key
from local.platform import Platform
from tests.support.local.callers import acting, refusal
from tests.support.local.platform import Call, allow, calling, policy

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def nobody(platform: Platform) -> Key:
    """A session of a role without any right."""
    return acting(platform)


def test_a_key_that_was_never_given_out_is_refused(platform: Platform) -> None:
    for key in (Key("test", "test"), Key(ACCOUNT, "test"), Key("AKIAEXAMPLE", "x")):
        refused = refusal(platform, key, "dynamodb", "list_tables")
        assert refused["Error"]["Code"] == "UnrecognizedClientException"


def test_a_signature_by_another_secret_is_refused(platform: Platform, nobody: Key) -> None:
    forged = nobody._replace(secret="guessed")

    refused = refusal(platform, forged, "dynamodb", "list_tables")

    assert refused["Error"]["Code"] == "InvalidSignatureException"


def test_an_unsigned_request_is_refused(platform: Platform, call_aws: Call) -> None:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"private")

    assert call_aws(f"/{name}/k").status == 403
    assert call_aws("/2015-03-31/functions").status == 403
    assert call_aws("/", "POST", b"{}", x_amz_target="DynamoDB_20120810.ListTables").status == 400


def test_a_bucket_policy_may_open_its_objects_to_everybody(
    platform: Platform, call_aws: Call
) -> None:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"public")
    s3.delete_public_access_block(Bucket=name)
    opened = allow("s3:GetObject", on=f"arn:aws:s3:::{name}/*") | {"Principal": "*"}
    s3.put_bucket_policy(Bucket=name, Policy=policy(opened))

    assert call_aws(f"/{name}/k").body == b"public"
    assert call_aws(f"/{name}/k", "PUT", b"mine").status == 403


@pytest.fixture
def call_aws(platform: Platform) -> Iterator[Call]:
    yield calling(platform.endpoint)


def test_a_function_calls_with_its_own_roles_session(platform: Platform) -> None:
    """It may do what the fixture's template allows, and nothing else."""
    function = platform.outputs["TaskFunction"]
    configuration = platform.client("lambda").get_function_configuration(FunctionName=function)
    name = configuration["Role"].rpartition("/")[2]
    ask = {"call": ["dynamodb", "list_tables"]}

    answer = platform.client("lambda").invoke(FunctionName=function, Payload=json.dumps(ask))
    failure = json.loads(answer["Payload"].read())

    assert failure["errorType"] == "ClientError"
    assert (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{configuration['FunctionName']} "
        in (failure["errorMessage"])
    )
    assert "dynamodb:ListTables on resource: *" in failure["errorMessage"]


def test_a_function_is_not_given_the_owners_key(platform: Platform, call: Call) -> None:
    environ = call("/things").json["environ"]

    assert environ["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environ["AWS_SESSION_TOKEN"]
    assert not {platform.owner.id, platform.owner.secret} & set(environ.values())
