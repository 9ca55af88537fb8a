"""DynamoDB where the tests trust it: moto, the harness of the workflows, the laptop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from deploy.prove.sandbox import Sandbox
from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError
from slipway.settings import settings


@dataclass
class Refused(Exception):
    """DynamoDB said no; `answer` is all that it said."""

    code: str
    message: str
    answer: dict[str, Any]


class Table(Protocol):
    @property
    def name(self) -> str: ...

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Raises Refused."""
        ...


class OfTheStore:
    """The table of the store's tests, through the store's own transport."""

    @property
    def name(self) -> str:
        return settings().table

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            [answer] = dynamodb.together((operation, request))
        except DynamoDBError as error:
            message = error.answer.get("message") or error.answer.get("Message") or ""
            raise Refused(error.code, message, error.answer) from error
        return answer


class OfTheSandbox:
    """A table of the platform, through the client library."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.name = sandbox.table
        self._client = sandbox.client("dynamodb")

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**request)
        except ClientError as error:
            told = error.response["Error"]
            raise Refused(told["Code"], told.get("Message", ""), dict(error.response)) from error
        return answer
