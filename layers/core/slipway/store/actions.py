"""The writes and queries that slipway.store.table sends, and their form as DynamoDB's requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from slipway.settings import settings
from slipway.store.wire import encode

Fields = dict[str, Any]
"""Attributes to write. An attribute whose value is None is removed, or omitted from a new item."""


class Key(NamedTuple):
    """The partition key and the sort key of an item."""

    pk: str
    sk: str

    def wire(self) -> dict[str, dict[str, str]]:
        """The key in DynamoDB's JSON, the form in which state machines receive keys."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


class Put(NamedTuple):
    """Write a whole item, by default only if there is none."""

    key: Key
    item: Mapping[str, Any]
    condition: str | None = "attribute_not_exists(pk)"


class Update(NamedTuple):
    """Change an item, by default only if it exists.

    `change` is an UpdateExpression. `:name` stands for `values["name"]`, and `#name` for the
    attribute `name`.
    """

    key: Key
    change: str
    values: Mapping[str, Any]
    condition: str = "attribute_exists(pk)"


class Delete(NamedTuple):
    """Delete an item. Its condition is written as an Update's."""

    key: Key
    condition: str | None = None
    values: Mapping[str, Any] | None = None


class Check(NamedTuple):
    """Let the transaction fail unless the condition holds."""

    key: Key
    condition: str = "attribute_exists(pk)"
    values: Mapping[str, Any] | None = None


Action = Put | Update | Delete | Check

VERBS = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}


def setting(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """An UpdateExpression that writes the fields, and its values.

    Fields that are None are removed.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    absent = [f"#{name}" for name, value in fields.items() if value is None]
    sets = ", ".join(f"#{name} = :{name}" for name in present)
    parts = [f"SET {sets}" if sets else "", f"REMOVE {', '.join(absent)}" if absent else ""]
    return " ".join(part for part in parts if part), present


class Query(NamedTuple):
    """A page of the items whose sort key begins with `prefix`, after the sort key `after`.

    `between` are the first and the last sort key to return, instead of the prefix.
    """

    pk: str
    prefix: str
    limit: int
    after: str | None = None
    newest_first: bool = False
    between: tuple[str, str] | None = None


def write_request(action: Action) -> dict[str, Any]:
    """The request that DynamoDB takes for the action."""
    request: dict[str, Any] = {
        "TableName": settings().table,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    names: dict[str, str] = {}
    values: Mapping[str, Any] = {}
    if isinstance(action, Put):
        keys = {"pk": action.key.pk, "sk": action.key.sk}
        request["Item"] = encode({**action.item, **keys})
        words = action.condition or ""
    else:
        request["Key"] = action.key.wire()
        words = action.condition or ""
        values = action.values or {}
    if action.condition:
        request["ConditionExpression"] = action.condition
    if isinstance(action, Update):
        request["UpdateExpression"] = action.change
        words += " " + action.change
    names = {word: word[1:] for word in _words(words) if word.startswith("#")}
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = encode({f":{k}": v for k, v in values.items()})
    return request


def _words(expression: str) -> list[str]:
    """The words of an expression; each element of a path is one."""
    return re.findall(r"[#:]?\w+", expression)


def query_request(query: Query) -> dict[str, Any]:
    """The request that DynamoDB takes for the query."""
    request: dict[str, Any] = {
        "TableName": settings().table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":pk": {"S": query.pk}, ":prefix": {"S": query.prefix}},
        "ConsistentRead": True,
        "ScanIndexForward": not query.newest_first,
        "Limit": query.limit,
    }
    if query.between is not None:
        first, last = query.between
        request["KeyConditionExpression"] = "pk = :pk AND sk BETWEEN :first AND :last"
        request["ExpressionAttributeValues"] = {
            ":pk": {"S": query.pk},
            ":first": {"S": first},
            ":last": {"S": last},
        }
    if query.after is not None:
        request["ExclusiveStartKey"] = Key(query.pk, query.after).wire()
    return request
