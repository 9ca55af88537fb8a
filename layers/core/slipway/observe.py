"""What functions tell those who run Slipway: one structured line a request or a run."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger


@cache
def log() -> Logger:
    """The service and the level come from the stack (POWERTOOLS_SERVICE_NAME, …_LOG_LEVEL)."""
    return Logger(location=None)


def event(message: str, **fields: Any) -> None:
    log().info(message, extra=fields)
