"""The rule that runs reconcile every few minutes: on or off, each as often as one likes."""

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
    # Imported here: most who ask whether to switch it need not.
    import boto3

    return boto3.client("events", region_name=settings().region)
