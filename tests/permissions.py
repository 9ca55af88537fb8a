"""What functions ask of DynamoDB while the tests run, held against their roles in the template."""

from __future__ import annotations

import json
from functools import cache

from tests.template.test_permissions import ROLES, RULE, allowed

_VERBS = {"ConditionCheck": "ConditionCheckItem"}


class NotPermitted(BaseException):
    """Nothing in Slipway may take this for a fault to recover from."""


def check(function: str, operation: str, body: bytes) -> None:
    """Raises NotPermitted for what the function of this name may not do; others may do all."""
    role = f"{function[:1].upper()}{function[1:]}FunctionRole"
    if role not in ROLES:
        return
    actions = {operation}
    if operation == "TransactWriteItems":
        items = json.loads(body)["TransactItems"]
        actions = {_VERBS.get(verb, f"{verb}Item") for item in items for verb in item}
    for action in actions:
        if f"dynamodb:{action}" not in _on_the_table(role):
            raise NotPermitted(f"{role} lacks dynamodb:{action}")


def check_rule(function: str, service: str, operation: str) -> None:
    """As check, for what is asked of the rule that runs reconcile."""
    role = f"{function[:1].upper()}{function[1:]}FunctionRole"
    if service != "events" or role not in ROLES:
        return
    if (f"events:{operation}", RULE) not in allowed(role):
        raise NotPermitted(f"{role} lacks events:{operation}")


@cache
def _on_the_table(role: str) -> set[str]:
    return {action for action, on in allowed(role) if on == "Table"}
