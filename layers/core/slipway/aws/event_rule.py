"""The rule that runs reconcile every few minutes. Enabling and disabling are idempotent."""

from __future__ import annotations

from functools import cache
from typing import Any

from slipway.settings import settings


def on() -> None:
    _client().enable_rule(Name=rule())


def off() -> None:
    _client().disable_rule(Name=rule())


def rule() -> str:
    return f"{settings().stack}-reconcile"


@cache
def _client() -> Any:
    # Imported here, because most calls find the rule as it should be.
    import boto3

    return boto3.client("events", region_name=settings().region)
