"""The environment of a Lambda function, as template.yaml sets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from slipway import aws
from slipway.access import api_tokens, signing, tokens
from slipway.aws import event_rule, executions, functions
from slipway.console import api as console_api
from slipway.console import session as console_session
from slipway.services import lists, reconcile_schedule
from slipway.settings import console_settings, lifetimes, limits, settings
from slipway.store import naming, rates, sessions, template_records
from tests.support import invoked

REGION = "eu-central-1"
ACCOUNT = "123456789012"
MACHINES = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:slipway-"
# Tests replace them, and may still do when they are to be cleared.
_CLIENTS = (aws.client, event_rule._client, executions._client)


@contextmanager
def as_on_lambda() -> Iterator[None]:
    """Set the variables that the template sets, and none of the developer's AWS settings."""
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
            "TOKEN_MINUTES": "15",
            "SESSION_HOURS": "720",
            "SIGNING_SECRET": "signing",
            "TOKEN_SECRET": "tokens",
            "CONSOLE_SECRET": "console",
            "COMPANY": "false",
            "REGISTRATION": "open",
            "MEMBERS_MAY_PUBLISH": "true",
            "REJECT_COMMON_PASSWORDS": "false",
            "LIMITS": "100,100,500,200,200,200,200,200,0",
            "TEMPLATES_BUCKET": "templates",
            "PLANS_FUNCTION": "plans",
            "ALLOWED_RESOURCE_TYPES": "AWS::SQS::*, AWS::Lambda::Function,AWS::Serverless::*",
            "ARTIFACT_BUCKETS": "payments-builds",
            "TRUSTED_ACCOUNTS": "111122223333",
            "CAPACITY_LIMITS": "memory=3008,reserved=10,provisioned=0,throughput=100",
            "POWERTOOLS_SERVICE_NAME": "slipway",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():
            patch.setenv(name, value)
        patch.setattr(functions, "invoke", invoked.invoke)
        forget()
        yield
        forget()


def forget() -> None:
    """Drop the caches that a function keeps between requests: tests must not share them."""
    # A client keeps the endpoint and the region of the test that was the first to use it.
    for client in _CLIENTS:
        client.cache_clear()
    settings.cache_clear()
    console_settings.cache_clear()
    console_api.forget()
    console_session.forget()
    tokens.forget()
    signing.forget()
    api_tokens.forget()
    sessions.forget()
    lists.forget()
    naming.forget()
    limits.cache_clear()
    lifetimes.cache_clear()
    rates.forget()
    reconcile_schedule.forget()
    template_records.version_of.cache_clear()
