"""Check the calls of functions to DynamoDB in the tests against their roles in the template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.support.repository import running
from tests.support.roles import ROLES, RULE, allowed, may_reach

_VERBS = {"ConditionCheck": "ConditionCheckItem"}


class NotPermitted(BaseException):
    """Nothing in Slipway may take this for a fault to recover from."""


def check(function: str, operation: str, body: bytes) -> None:
    """Raises NotPermitted for what the function of this name may not do; others may do all."""
    roles = _roles(function)
    if not roles:
        return
    for action, pk in _asked(operation, json.loads(body)):
        if not any(f"dynamodb:{action}" in _on_the_table(role) for role in roles):
            raise NotPermitted(f"{' and '.join(roles)} lack dynamodb:{action}")
        if pk is not None and not any(may_reach(role, f"dynamodb:{action}", pk) for role in roles):
            raise NotPermitted(f"{' and '.join(roles)} are denied dynamodb:{action} on {pk}")


def _asked(operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """The actions, each with a leading key; None for a request that names it in an expression."""
    if operation == "TransactWriteItems":
        for item in request["TransactItems"]:
            [(verb, detail)] = item.items()
            yield _VERBS.get(verb, f"{verb}Item"), _pk(detail)
    elif operation == "BatchGetItem":
        for table in request["RequestItems"].values():
            yield from ((operation, key["pk"]["S"]) for key in table["Keys"])
    elif operation == "Query" and "IndexName" not in request:
        yield operation, request["ExpressionAttributeValues"][":pk"]["S"]
    else:
        yield operation, _pk(request)


def _pk(request: dict[str, Any]) -> str | None:
    key = request.get("Key") or request.get("Item")
    return str(key["pk"]["S"]) if key else None


def check_rule(function: str, service: str, operation: str) -> None:
    """Check a call to the rule that runs reconcile, like check."""
    roles = _roles(function)
    if service != "events" or not roles:
        return
    if not any((f"events:{operation}", RULE) in allowed(role) for role in roles):
        raise NotPermitted(f"{' and '.join(roles)} lack events:{operation}")


@cache
def _roles(function: str) -> list[str]:
    """Those of the functions that run the code of this name; the workflows' tests run each once."""
    return [role for name in running(function.lower()) if (role := f"{name}Role") in ROLES]


@cache
def _on_the_table(role: str) -> set[str]:
    return {action for action, on in allowed(role) if on == "Table"}
