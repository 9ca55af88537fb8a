"""Client request tokens of TransactWriteItems, which moto takes and forgets.

DynamoDB carries a transaction with the token of one that it carried out no second time, and
refuses the token with another request. See `writes` in tests/aws/fixtures.
"""

from __future__ import annotations

import json
from typing import Any

LONGEST = 36
Answer = tuple[int, bytes]


class Tokens:
    def __init__(self) -> None:
        self._done: dict[str, Any] = {}

    def forget(self) -> None:
        self._done.clear()

    def answered(self, operation: str, body: bytes) -> Answer | None:
        """The answer to a repeated transaction; None if DynamoDB must carry it out."""
        if operation != "TransactWriteItems":
            return None
        request = json.loads(body)
        token = request.get("ClientRequestToken")
        if token is not None and len(token) > LONGEST:
            return _refusal(
                "com.amazon.coral.validate#ValidationException",
                f"Value at 'clientRequestToken' must have length less than or equal to {LONGEST}",
            )
        if token not in self._done:
            return None
        if self._done[token] == request:
            return 200, b"{}"
        return _refusal(
            "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request.",
        )

    def carried_out(self, operation: str, body: bytes) -> None:
        if operation == "TransactWriteItems":
            request = json.loads(body)
            if "ClientRequestToken" in request:
                self._done[request["ClientRequestToken"]] = request


def _refusal(kind: str, message: str) -> Answer:
    return 400, json.dumps({"__type": kind, "message": message}).encode()
