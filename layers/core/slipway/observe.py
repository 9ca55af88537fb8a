"""Structured logs for operators: one line for each request or run."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger


@cache
def log() -> Logger:
    """The logger. Service and level come from POWERTOOLS_SERVICE_NAME and …_LOG_LEVEL."""
    return Logger(location=None)


def event(message: str, **fields: Any) -> None:
    log().info(message, extra=fields)
