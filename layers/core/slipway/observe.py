"""Structured logs for operators."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger


@cache
def log() -> Logger:
    """The logger. POWERTOOLS_SERVICE_NAME and POWERTOOLS_LOG_LEVEL configure it."""
    return Logger(location=None)


def event(message: str, **fields: Any) -> None:
    """Log an event at the level INFO, with fields of its own."""
    log().info(message, extra=fields)
