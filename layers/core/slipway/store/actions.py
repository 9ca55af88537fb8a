"""The writes and queries that slipway.store.table sends, and their form as DynamoDB's requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from slipway.settings import settings
from slipway.store import lifetimes
from slipway.store.wire import decode, encode

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
    """Write a whole item, by default only if there is none. Its condition is written as an
    Update's."""

    key: Key
    item: Mapping[str, Any]
    condition: str | None = "attribute_not_exists(pk)"
    values: Mapping[str, Any] | None = None


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


def merged(
    update: Update, fields: Fields, condition: str = "", values: Mapping[str, Any] | None = None
) -> Update:
    """The update, which also writes the fields, on a further condition with its values.

    A transaction writes an item once, so what two parts of it write is merged. A name of `values`
    must not stand for another value in the update. Raises ValueError if it does.
    """
    change, written = setting(fields)
    return both(update, Update(update.key, change, {**written, **(values or {})}, condition))


def both(one: Update, other: Update) -> Update:
    """One update for two of the same item, on the conditions of both.

    Raises ValueError if they have different values of one name, or different items.
    """
    if one.key != other.key:
        raise ValueError("The updates are of different items")
    if any(one.values.get(name, value) != value for name, value in other.values.items()):
        raise ValueError("The updates have different values of one name")
    conditions = [each.condition for each in (one, other) if each.condition]
    if len(conditions) > 1:
        # DynamoDB refuses redundant parentheses.
        conditions = [f"({each})" for each in conditions]
    values = {**one.values, **other.values}
    return Update(one.key, _joined(one.change, other.change), values, " AND ".join(conditions))


def adding(update: Update, added: Mapping[str, Any]) -> Update:
    """The update, which also adds to attributes: members to a set, a number to a number."""
    change = "ADD " + ", ".join(f"{name} :{name}" for name in added)
    return update._replace(change=_joined(update.change, change), values={**update.values, **added})


_CLAUSES = re.compile(r"\b(SET|REMOVE|ADD|DELETE) ")


def _joined(*changes: str) -> str:
    """One expression for several: DynamoDB takes each clause once."""
    found: dict[str, list[str]] = {}
    for change in changes:
        _, *parts = _CLAUSES.split(change)
        for clause, text in zip(parts[::2], parts[1::2], strict=True):
            found.setdefault(clause, []).append(text.strip())
    return " ".join(f"{clause} {', '.join(texts)}" for clause, texts in found.items())


class Filter(NamedTuple):
    """A condition on the items that a query reads, written as an Update's.

    `names` are the attributes that stand for names which no expression can contain.
    """

    condition: str
    values: Mapping[str, Any]
    names: Mapping[str, str]


class Query(NamedTuple):
    """A page of the items whose sort key begins with `prefix`, after the sort key `after`.

    `limit` is how many items are read at most, and `shown` how many are returned, by default all.
    `between` are the first and the last sort key to return, instead of the prefix. `by_index` is an
    index to query, which is eventually consistent, by its keys `<index>` and `<index>_at`. `where`
    and `keep` leave items out: DynamoDB before it sends them, and we once they are read.
    """

    pk: str
    prefix: str
    limit: int
    after: str | None = None
    newest_first: bool = False
    between: tuple[str, str] | None = None
    shown: int | None = None
    by_index: str | None = None
    where: Filter | None = None
    keep: Callable[[Any], bool] | None = None


def write_request(action: Action) -> dict[str, Any]:
    """The request that DynamoDB takes for the action."""
    request: dict[str, Any] = {
        "TableName": settings().table,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    names: dict[str, str] = {}
    values = action.values or {}
    words = action.condition or ""
    if isinstance(action, Put):
        keys = {"pk": action.key.pk, "sk": action.key.sk}
        request["Item"] = encode({**action.item, **keys})
    else:
        request["Key"] = action.key.wire()
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
    names: dict[str, str] = {}
    if query.by_index is not None:
        del request["ConsistentRead"]
        request["IndexName"] = query.by_index
        request["KeyConditionExpression"] = "#pk = :pk AND #sk BETWEEN :first AND :last"
        names = {"#pk": query.by_index, "#sk": f"{query.by_index}_at"}
    if query.where is not None:
        request["FilterExpression"] = query.where.condition
        words = _words(query.where.condition)
        names |= {word: word[1:] for word in words if word.startswith("#")}
        names |= dict(query.where.names)
        request["ExpressionAttributeValues"] |= encode(
            {f":{name}": value for name, value in query.where.values.items()}
        )
    if names:
        request["ExpressionAttributeNames"] = names
    return request


def page_of(query: Query, answer: Mapping[str, Any]) -> tuple[list[Any], str | None]:
    """The items of the answer that the query shows, and the sort key after which the next page
    begins, None at the end. Items whose `ttl` is over are left out. No more items are decoded than
    are needed to know that."""
    items: list[Any] = []
    for raw in answer["Items"]:
        item = decode(raw)
        if lifetimes.is_over(item) or (query.keep is not None and not query.keep(item)):
            continue
        if len(items) == query.shown:
            return items, items[-1]["sk"]
        items.append(item)
    last = answer.get("LastEvaluatedKey")
    return items, last and last["sk"]["S"]
