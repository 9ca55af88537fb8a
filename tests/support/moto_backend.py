"""The table, the secret and the bucket of template.yaml, in moto and in this process."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.core.models import botocore_stubber
from moto.dynamodb import models as dynamodb_models
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends

from slipway.aws import dynamodb, secrets_manager
from slipway.settings import credentials
from tests.support import permissions
from tests.support.api.client import asking
from tests.support.lambda_environment import ACCOUNT, REGION
from tests.support.repository import template
from tests.support.tokens import Tokens

_tokens = Tokens()


class InProcess:
    """In the place of the connections to DynamoDB: moto, asked without a network."""

    _host = f"dynamodb.{REGION}.amazonaws.com"

    def send(self, operation: str, body: bytes) -> AWSPreparedRequest:
        permissions.check(asking.get(), operation, body)
        by = credentials()
        headers = dynamodb.signed(operation, body, self._host, REGION, by, datetime.now(UTC))
        return AWSPreparedRequest("POST", f"https://{self._host}/", headers, body, False)

    def receive(self, sent: AWSPreparedRequest, until: float) -> tuple[int, bytes]:
        operation = sent.headers["x-amz-target"].rpartition(".")[2]
        if known := _tokens.answered(operation, sent.body):
            return known
        answer = botocore_stubber.process_request(sent)
        assert answer
        status, _, body = answer
        if status == 200:
            _tokens.carried_out(operation, sent.body)
        return status, body if isinstance(body, bytes) else body.encode()


def _read_secret(body: bytes) -> tuple[int, bytes]:
    """In the place of the connection to Secrets Manager."""
    name = json.loads(body)["SecretId"]
    try:
        found = boto3.client("secretsmanager").get_secret_value(SecretId=name)
    except ClientError:
        return 400, b"{}"
    return 200, json.dumps({"SecretString": found["SecretString"]}).encode()


@contextmanager
def moto() -> Iterator[None]:
    # The session keeps what it has read of AWS's models: a second client costs 3 ms, not 100.
    with (
        mock_aws(config={"core": {"reset_boto3_session": False}}),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(dynamodb, "wire", InProcess)
        patch.setattr(secrets_manager, "send", _read_secret)
        patch.setattr(dynamodb_models, "copy", SimpleNamespace(deepcopy=_copied_unless_table))
        patch.setattr(DynamoDBBackend, "transact_write_items", _transact_write_items)
        yield


_moto_transact_write_items = DynamoDBBackend.transact_write_items


def _copied_unless_table(value: Any) -> Any:
    return value if isinstance(value, Table) else copy.deepcopy(value)


def _transact_write_items(backend: DynamoDBBackend, parts: list[dict[str, Any]]) -> None:
    """The transaction, which leaves the table as it was if it fails.

    moto copies the whole table before each transaction, which takes most of the time of a test with
    many records. This keeps only the items that the transaction names.
    """
    table = backend.get_table("slipway")
    stream = table.stream_shard
    assert stream
    names = (table.hash_key_attr, table.range_key_attr)
    written = [op.get("Key") or op["Item"] for part in parts for op in part.values()]
    keys = [tuple(DynamoType(each[name]) for name in names) for each in written]
    before = [copy.deepcopy(table.items.get(pk, {}).get(sk)) for pk, sk in keys]
    streamed = len(stream.items)
    try:
        _moto_transact_write_items(backend, parts)
    except Exception:
        for (pk, sk), item in zip(keys, before, strict=True):
            if item is not None:
                table.items[pk][sk] = item
            elif pk in table.items:
                table.items[pk].pop(sk, None)
        del stream.items[streamed:]
        raise


def empty() -> None:
    """The table, the secret and the bucket, as after the stack was made."""
    tables, secrets, buckets = copy.deepcopy(_made())
    BackendDict.reset()
    _tokens.forget()
    dynamodb_backends[ACCOUNT][REGION].tables = tables
    secretsmanager_backends[ACCOUNT][REGION].secrets = secrets
    s3_backends[ACCOUNT]["aws"].buckets = buckets
    s3_backends.bucket_accounts.update(dict.fromkeys(buckets, ("aws", ACCOUNT)))


@cache
def _made() -> tuple[Any, Any, Any]:
    """The backends' own, made once: it takes ten times as long as to copy them."""
    create_table()
    for name in ("console", "signing", "tokens"):
        boto3.client("secretsmanager").create_secret(Name=name, SecretString=name[0] * 64)
    boto3.client("s3").create_bucket(
        Bucket="templates", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return (
        dynamodb_backends[ACCOUNT][REGION].tables,
        secretsmanager_backends[ACCOUNT][REGION].secrets,
        s3_backends[ACCOUNT]["aws"].buckets,
    )


def create_table() -> None:
    properties: dict[str, Any] = template()["Resources"]["Table"]["Properties"]
    known = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    stream = {"StreamEnabled": True, **properties["StreamSpecification"]}
    wanted = {name: properties[name] for name in known if name in properties}
    ttl = properties["TimeToLiveSpecification"]
    dynamodb.together(
        ("CreateTable", {"TableName": "slipway", "StreamSpecification": stream, **wanted})
    )
    dynamodb.together(
        ("UpdateTimeToLive", {"TableName": "slipway", "TimeToLiveSpecification": ttl})
    )
