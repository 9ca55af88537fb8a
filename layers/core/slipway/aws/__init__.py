"""Calls through AWS's client library, for code that creates and inspects environments.

The library is loaded at the first call, not at import.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from slipway.aws import redaction
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

# The parameter store accepts a few writes a second, and one request can have twenty of them.
# A function may be slow (its Timeout in template.yaml), and a caller should not wait for it twice.
_TRIES = {"ssm": 4, "lambda": 1}
_READ_SECONDS = {"lambda": 21}
# Texts that callers look for in a refusal (DriverRefused.says).
_PHRASES = (
    "AlreadyExistsException",
    "ChangeSetNotFound",
    "No updates are to be performed",
    "already in progress",
    "does not exist",
    "ResourceNotFoundException",
)
_PERHAPS_LATER = {"RequestLimitExceeded", "TooManyRequestsException", "RequestTimeout"}


def call(service: str, method: str, **request: Any) -> Any:
    """Raises DriverFault for a failure that may pass, otherwise DriverRefused.

    Answers of CloudFormation and all errors come without secrets (slipway.aws.redaction).
    """
    from botocore.exceptions import ClientError

    try:
        answer = getattr(client(service), method)(**request)
    except ClientError as error:
        raise _translated(error, service) from error
    except unanswered() as error:
        redaction.error(error)
        raise DriverFault(without_answer(error)) from error
    return redaction.answer(answer) if service == "cloudformation" else answer


def unanswered() -> tuple[type[Exception], ...]:
    """The exceptions that the library raises for a missing or unparseable answer."""
    from botocore.exceptions import BotoCoreError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ResponseParserError


def without_answer(error: Exception) -> str:
    """The same as text. Unparseable responses are not echoed."""
    from botocore.exceptions import BotoCoreError

    return str(error) if isinstance(error, BotoCoreError) else "the answer cannot be read"


def knows(service: str, method: str) -> bool:
    """Whether the client library has this operation. Lambda's runtime may bring an older one."""
    return hasattr(client(service), method)


def pages(service: str, method: str, **request: Any) -> Iterator[Any]:
    """The pages of an answer, read only as far as they are consumed."""
    while True:
        page = call(service, method, **request)
        yield page
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def _translated(error: Any, service: str) -> DriverFault | DriverRefused:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    said = f"{code}: {message}"
    of_environments = service == "cloudformation"
    text = f"{code}: {redaction.explanation(message, of_environments=of_environments)}"
    # Its traceback may be logged.
    redaction.error(error)
    perhaps_later = "Throttl" in code or code in _PERHAPS_LATER or status >= 500 or status == 429
    if perhaps_later:
        return DriverFault(text)
    refused = DriverRefused(text)
    refused.phrases = frozenset(each for each in _PHRASES if each in said)
    return refused


@cache
def client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    tries = {"mode": "standard", "total_max_attempts": _TRIES.get(service, 2)}
    config = Config(connect_timeout=2, read_timeout=_READ_SECONDS.get(service, 6), retries=tries)
    return boto3.client(service, region_name=settings().region, config=config)
