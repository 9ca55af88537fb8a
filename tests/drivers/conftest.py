"""CloudFormation as the embedded emulator has it, and environments for drivers to work on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.platform import Platform
from slipway import aws
from slipway.aws import redaction
from slipway.domain.masking import Masker
from slipway.drivers import cloudformation
from slipway.settings import settings
from tests.support.drivers import (
    BUCKET,
    KEY,
    MAKING_BOUNDARY,
    MAKING_POLICY,
    MAKING_ROLES,
    OTHER,
    OTHER_KEY,
    TEMPLATE,
    Subject,
)
from tests.support.lambda_environment import as_on_lambda
from tests.support.local.platform import allow, copy_of_app, policy


@pytest.fixture(autouse=True)
def without_secrets() -> Iterator[None]:
    """The tests here ask drivers directly. In Slipway, who asks them says what to mask."""
    with redaction.hiding("", lambda: Masker(())):
        yield


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    root: Path = copy_of_app(tmp_path_factory.mktemp("drivers"))
    with Platform(root) as running:
        iam = running.client("iam")
        for name in (MAKING_POLICY, MAKING_BOUNDARY):
            iam.create_policy(PolicyName=name.rpartition("/")[2], PolicyDocument=policy(allow("*")))
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(TEMPLATE).encode())
        s3.put_object(Bucket=BUCKET, Key=OTHER_KEY, Body=json.dumps(OTHER).encode())
        yield running


@pytest.fixture
def on_lambda() -> Iterator[pytest.MonkeyPatch]:
    with as_on_lambda(), pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "TEMPLATES_BUCKET": BUCKET,
            "MAKING_ROLES": MAKING_ROLES,
            "MAKING_POLICY": MAKING_POLICY,
            "MAKING_BOUNDARY": MAKING_BOUNDARY,
            "ENVIRONMENT_BOUNDARY": "arn:aws:iam::000000000000:policy/environments",
        }.items():
            patch.setenv(name, value)
        settings.cache_clear()
        aws.client.cache_clear()
        yield patch
        aws.client.cache_clear()


@pytest.fixture
def stacks(emulator: Platform, on_lambda: pytest.MonkeyPatch) -> Any:
    """A client of the emulator's CloudFormation, which the driver uses too."""
    on_lambda.setenv("AWS_ENDPOINT_URL", emulator.endpoint)
    on_lambda.setenv("AWS_REGION", "us-east-1")
    for name, value in emulator.owner.variables().items():
        on_lambda.setenv(name, value)
    on_lambda.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the first key that it has found
    on_lambda.setenv("NO_PROXY", "127.0.0.1")
    settings.cache_clear()
    assert os.environ["AWS_ENDPOINT_URL"] == emulator.endpoint
    return emulator.client("cloudformation")


@pytest.fixture
def simulated(environ: None) -> Subject:
    from slipway.drivers.simulated import Simulated

    return Subject(Simulated())


@pytest.fixture
def stack(stacks: Any) -> Subject:
    fields = {
        "template_key": KEY,
        "parameters": tuple(TEMPLATE["Parameters"]),
        "inputs": {"Zones": ["a", "b"], "Size": 3},
    }
    return Subject(cloudformation.CloudFormation(), fields)


@pytest.fixture(params=["simulated", "stack"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """One of each driver."""
    found: Subject = request.getfixturevalue(request.param)
    return found
