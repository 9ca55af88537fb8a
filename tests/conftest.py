"""What the tests share: the table as template.yaml has it, in moto, and a caller for the handlers.

Fixtures that a test does not name cost it nothing: the model's tests start no AWS.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.core.models import botocore_stubber
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from xdist.scheduler import LoadScopeScheduling

from slipway.access import auth
from slipway.aws import dynamodb
from slipway.services import reconcile_schedule
from slipway.settings import credentials, settings
from slipway.store import template_records
from tests import permissions
from tests.api.client import asking
from tests.support.tokens import Tokens
from tests.template.repository import template

REGION = "eu-central-1"
ACCOUNT = "123456789012"
MACHINES = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:slipway-"


@contextmanager
def as_on_lambda() -> Iterator[None]:
    """What the template gives each function; nothing of the developer's own AWS settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name, value in {
            "TABLE": "slipway",
            "STAGE": "dev",
            "STACK": "slipway",
            "MACHINES": MACHINES,
            "MAX_TTL_HOURS": "720",
            "SIMULATED_SECONDS": "0",
            "SIMULATE_FAULTS": "true",
            "TOKEN_MINUTES": "60",
            "SIGNING_SECRET": "signing",
            "TEMPLATES_BUCKET": "templates",
            "ALLOWED_RESOURCE_TYPES": "AWS::SQS::*, AWS::Lambda::Function,AWS::Serverless::*",
            "POWERTOOLS_SERVICE_NAME": "slipway",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():
            patch.setenv(name, value)
        forget()
        yield
        forget()


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


@contextmanager
def moto() -> Iterator[None]:
    # The session keeps what it has read of AWS's models: a second client costs 3 ms, not 100.
    with (
        mock_aws(config={"core": {"reset_boto3_session": False}}),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(dynamodb, "wire", InProcess)
        yield


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
    boto3.client("secretsmanager").create_secret(Name="signing", SecretString="s" * 64)
    boto3.client("s3").create_bucket(
        Bucket="templates", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return (
        dynamodb_backends[ACCOUNT][REGION].tables,
        secretsmanager_backends[ACCOUNT][REGION].secrets,
        s3_backends[ACCOUNT]["aws"].buckets,
    )


@pytest.fixture
def environ() -> Iterator[None]:
    with as_on_lambda():
        yield


@pytest.fixture(scope="module")
def _moto() -> Iterator[None]:
    """Started once a module: it takes longer than to empty it."""
    with moto():
        yield


@pytest.fixture
def aws(_moto: None, environ: None) -> None:
    empty()


def forget() -> None:
    """What a function keeps between requests is kept between tests too, unless it is dropped."""
    settings.cache_clear()
    auth.forget_keys()
    reconcile_schedule.forget()
    template_records.made_from.cache_clear()


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


# They go the ways of other tests a hundred times: to watch them as well doubles their time.
UNWATCHED = (
    *("test_crashes.py", "test_stack_crashes.py", "test_races.py", "test_model.py"),
    *("test_clock.py", "test_same_stacks.py", "test_idempotency.py", "test_anything.py"),
    *("test_bad_bodies.py", "test_bad_queries.py", "test_bad_requests.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in UNWATCHED:
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """What is there by now stays: nobody has to look whether it is garbage, world after world."""
    gc.freeze()


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """On several cores the tests of one file stay together; those of the workflows, for the last of
    them looks at the ways that the others took; and the end-to-end tests, which need but one
    platform then, and wait while the other cores work: they begin. The long searches go where
    there is room: each test of theirs by itself."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.endswith(("_crashes.py", "test_races.py", "test_model.py")):
            return nodeid
        together = ("tests/aws/", "tests/e2e/", "tests/workflows/")
        return next((folder for folder in together if file.startswith(folder)), file)

    def _assign_work_unit(self, node: Any) -> None:
        if "tests/e2e/" in self.workqueue:
            self.workqueue.move_to_end("tests/e2e/", last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many crashes were looked at, of the tests that count them."""
    cases = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "cases"
    ]
    if cases:
        terminalreporter.write_line(f"{sum(cases)} crashes, each got over.")
