"""Check the calls of functions to DynamoDB in the tests against their roles in the template."""

from __future__ import annotations

import json
from functools import cache

from tests.support.repository import running
from tests.support.roles import ROLES, RULE, allowed

_VERBS = {"ConditionCheck": "ConditionCheckItem"}


class NotPermitted(BaseException):
    """Nothing in Slipway may take this for a fault to recover from."""


def check(function: str, operation: str, body: bytes) -> None:
    """Raises NotPermitted for what the function of this name may not do; others may do all."""
    roles = _roles(function)
    if not roles:
        return
    actions = {operation}
    if operation == "TransactWriteItems":
        items = json.loads(body)["TransactItems"]
        actions = {_VERBS.get(verb, f"{verb}Item") for item in items for verb in item}
    for action in actions:
        if not any(f"dynamodb:{action}" in _on_the_table(role) for role in roles):
            raise NotPermitted(f"{' and '.join(roles)} lack dynamodb:{action}")


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
