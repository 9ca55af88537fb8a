"""Refusals of AWS for a task's request that the emulator lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# DynamoDB's own names, which the optimized integration takes as they are.
_KINDS = {"S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"}
_PLACES = (("ExpressionAttributeNames", "#"), ("ExpressionAttributeValues", ":"))


def check(resource: str, arguments: Any) -> None:
    """Raises AssertionError for a request to DynamoDB that it would refuse.

    The emulator's patch sdk_parameters refuses parameters that an SDK integration does not know.
    """
    if ":dynamodb:" not in resource:
        return
    items = arguments.get("TransactItems", [{"it": arguments}])
    for action in (action for item in items for action in item.values()):
        text = " ".join(value for key, value in action.items() if key.endswith("Expression"))
        for place, sign in _PLACES:
            assert set(re.findall(rf"{sign}\w+", text)) == set(action.get(place, {})), action
        for value in _values(action):
            assert len(value) == 1, f"{value} is not one value"
            if "aws-sdk" not in resource:
                assert set(value) <= _KINDS, f"DynamoDB has no kind {set(value) - _KINDS}"
    token = arguments.get("ClientRequestToken", "it")
    assert 1 <= len(token) <= 36, f"{token} is no ClientRequestToken"
    assert json.loads(json.dumps(arguments)) == arguments


def _values(action: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place in ("Key", "Item", "ExpressionAttributeValues"):
        for value in action.get(place, {}).values():
            yield from _nested(value)


def _nested(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield value
    for kind, inner in value.items():
        if kind in ("M", "L"):
            for each in inner.values() if kind == "M" else inner:
                yield from _nested(each)
