"""The condition key `dynamodb:LeadingKeys` of a request: the partition keys that it names.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
A request without one, such as a Scan, does not have the condition key. Statements in PartiQL are
not read, so they do not have it here either; no role of Slipway may send any.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

KEY = "dynamodb:LeadingKeys"
Members = Mapping[str, Any]


def context(values: Iterator[Any]) -> dict[str, list[str]]:
    """The condition key with these values; nothing if there are none."""
    found = sorted({text for value in values if (text := _text(value)) is not None})
    return {KEY: found} if found else {}


def of_item(request: Members, table: str) -> Iterator[Any]:
    """Those of a request for one item, of a part of a transaction, and of a query."""
    name = partition_key(table, request.get("IndexName"))
    for place in ("Key", "Item"):
        yield _member(request.get(place), name)
    yield from _queried(request, name)


def of_batch(request: Any, table: str) -> Iterator[Any]:
    """Those of a batch's requests for a table, which are a list if the batch writes."""
    name = partition_key(table)
    keys = request.get("Keys") if isinstance(request, dict) else None
    for key in keys if isinstance(keys, list) else []:
        yield _member(key, name)
    for each in request if isinstance(request, list) else []:
        for verb, place in (("PutRequest", "Item"), ("DeleteRequest", "Key")):
            yield _member(_member(_member(each, verb), place), name)


def partition_key(table: str, index: Any = None) -> str:
    """The name of the attribute, for a table's name or ARN; empty if there is no such table."""
    from ministack.services import dynamodb

    found = dynamodb._tables.get(table.rpartition("/")[2]) or {}
    if not isinstance(index, str):
        return str(found.get("pk_name") or "")
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        for each in found.get(kind) or []:
            if each["IndexName"] == index:
                schema = {part["KeyType"]: part["AttributeName"] for part in each["KeySchema"]}
                return str(schema["HASH"])
    return ""


def _queried(request: Members, name: str) -> Iterator[Any]:
    legacy = _member(_member(request.get("KeyConditions"), name), "AttributeValueList")
    yield from legacy if isinstance(legacy, list) else []
    expression = request.get("KeyConditionExpression")
    if not isinstance(expression, str):
        return
    names = request.get("ExpressionAttributeNames")
    values = request.get("ExpressionAttributeValues")
    for left, right in re.findall(r"([#:\w.-]+)\s*=\s*([#:\w.-]+)", expression):
        for attribute, value in ((left, right), (right, left)):
            if (_member(names, attribute) or attribute) == name:
                yield _member(values, value)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    """The value of an attribute as a policy sees it."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    [(kind, content)] = value.items()
    return str(content) if kind in ("S", "N", "B") else None


def members(body: bytes) -> dict[str, Any]:
    """The members of a JSON body."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
