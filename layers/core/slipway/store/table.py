"""The one table, and the one seam to the client library.

| pattern                                        | pk            | sk                        |
| ---------------------------------------------- | ------------- | ------------------------- |
| sign in by e-mail (unique)                     | EMAIL#<email> | EMAIL                     |
| failed sign-ins of an account or an address    | ATTEMPTS#<of> | ATTEMPTS                  |
| a user                                         | USER#<u>      | USER                      |
| a user's projects, newest first, with role     | USER#<u>      | PROJECT#<p>               |
| project names, unique for their owner          | USER#<u>      | NAME#<normalised>         |
| a project                                      | PROJECT#<p>   | PROJECT                   |
| who may use it                                 | PROJECT#<p>   | MEMBER#<u>                |
| its environments, newest first                 | PROJECT#<p>   | ENV#<e>                   |
| environment names, unique while they live      | PROJECT#<p>   | NAME#<normalised>         |
| callers' names for them, unique likewise        | PROJECT#<p>   | EXTERNAL#<external id>    |
| an environment's lease (what TTL deletes)      | ENV#<e>       | LEASE                     |
| who may roll out in it: holder, fencing token  | ENV#<e>       | LOCK                      |
| the deployments that wait, in order            | ENV#<e>       | QUEUE#<d>                 |
| its deployments, newest first                  | ENV#<e>       | DEP#<d>                   |
| what happened to it and in it, newest first    | ENV#<e>       | EVENT#<at>#<id>           |
| a rollout's steps, when it has ended           | DEP#<d>       | TIMELINE                  |
| a rollout's log lines, oldest first            | DEP#<d>       | LOG#<ts>#<step>#<n>       |
| the public keys that verify tokens             | KEYS          | KEY#<kid>                 |
| answers to requests that name themselves       | IDEMPOTENCY#… | ANSWER#<hash of the key>  |

The index `due` (due / due_at, keys only) holds what has a deadline, see store/due.py.

Every change is conditional on what it expects to find. What the client library raises is
translated here and nowhere else:

    ConditionalCheckFailed          Lost, with the item as it was
    TransactionCanceled             Lost, with one reason an action; Busy after retries
                                    if all that failed was a conflict with another transaction
    throttling, time-outs, 5xx      StoreUnavailable
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import Busy, SlipwayError, StoreUnavailable
from slipway.settings import settings

Item = dict[str, Any]

_CONFLICT_TRIES = 8


@dataclass(frozen=True)
class Key:
    pk: str
    sk: str

    def wire(self) -> dict[str, dict[str, str]]:
        """As DynamoDB's JSON has it; state machines are handed their keys so."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


@dataclass(frozen=True)
class Put:
    """Write a whole item, by default only where there is none."""

    key: Key
    item: Item
    condition: str | None = "attribute_not_exists(pk)"


@dataclass(frozen=True)
class Update:
    """`change` is an UpdateExpression; words that begin with `#` or `:` are filled in from
    `values`, a `#name` by its own name."""

    key: Key
    change: str
    values: Mapping[str, Any]
    condition: str = "attribute_exists(pk)"


@dataclass(frozen=True)
class Delete:
    key: Key
    condition: str | None = None
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Check:
    key: Key
    condition: str = "attribute_exists(pk)"
    values: Mapping[str, Any] | None = None


Action = Put | Update | Delete | Check

_VERBS = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}


def setting(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """An UpdateExpression that sets what has a value and removes what has none."""
    present = {name: value for name, value in fields.items() if value is not None}
    absent = [f"#{name}" for name, value in fields.items() if value is None]
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in present)
    return expression + (f" REMOVE {', '.join(absent)}" if absent else ""), present


class Lost(SlipwayError):
    """A condition did not hold.

    `reasons` has one entry an action, in the order given: None where the action's condition
    held, else the item as it was (empty if there was none).
    """

    code = "lost"
    title = "A condition did not hold"

    def __init__(self, reasons: Sequence[Item | None]) -> None:
        super().__init__()
        self.reasons = reasons


def get(*keys: Key) -> list[Item | None]:
    """The items at the keys, None where there is none; strongly consistent, one round trip."""
    if not keys:
        return []
    wanted = [key.wire() for key in keys]
    request: dict[str, Any] = {settings().table: {"Keys": wanted, "ConsistentRead": True}}
    found: dict[tuple[str, str], Item] = {}
    for _ in range(5):
        answer = _call("batch_get_item", RequestItems=request)
        for raw in answer["Responses"].get(settings().table, []):
            item = decode(raw)
            found[item["pk"], item["sk"]] = item
        request = answer.get("UnprocessedKeys") or {}
        if not request:
            return [found.get((key.pk, key.sk)) for key in keys]
    raise StoreUnavailable("The table is throttled")


def query(
    pk: str, prefix: str, *, limit: int, after: str | None = None, newest_first: bool = False
) -> tuple[list[Item], str | None]:
    """One page of the items whose sort key begins with `prefix`, strongly consistent.

    Returns the items and the sort key to go on after, None at the end. One round trip.
    """
    request: dict[str, Any] = {
        "TableName": settings().table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":pk": {"S": pk}, ":prefix": {"S": prefix}},
        "ConsistentRead": True,
        "ScanIndexForward": not newest_first,
        "Limit": limit,
    }
    if after is not None:
        request["ExclusiveStartKey"] = Key(pk, after).wire()
    answer = _call("query", **request)
    last = answer.get("LastEvaluatedKey")
    return [decode(raw) for raw in answer["Items"]], last and last["sk"]["S"]


def query_index(index: str, value: str, until: str) -> Iterator[Key]:
    """The keys of what a sparse index holds under `<index> = value`, up to `<index>_at`.

    Eventually consistent, as indexes are: read each again before acting on it.
    """
    request: dict[str, Any] = {
        "TableName": settings().table,
        "IndexName": index,
        "KeyConditionExpression": "#value = :value AND #at <= :until",
        "ExpressionAttributeNames": {"#value": index, "#at": f"{index}_at"},
        "ExpressionAttributeValues": {":value": {"S": value}, ":until": {"S": until}},
    }
    while True:
        answer = _call("query", **request)
        for raw in answer["Items"]:
            yield Key(raw["pk"]["S"], raw["sk"]["S"])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def write(action: Put | Update | Delete) -> Item:
    """One conditional write; the item as it is afterwards (for an Update), one round trip.

    Raises Lost with one reason.
    """
    request = _request(action)
    if isinstance(action, Put):
        _call("put_item", **request)
        return action.item
    if isinstance(action, Delete):
        _call("delete_item", **request)
        return {}
    return decode(_call("update_item", ReturnValues="ALL_NEW", **request)["Attributes"])


def transact(*actions: Action) -> None:
    """All of the actions or none, one round trip; more only while others write the same items.

    Raises Lost with a reason an action, Busy if the others do not let go.
    """
    request = [{_VERBS[type(action)]: _request(action)} for action in actions]
    _call("transact_write_items", TransactItems=request)


def _request(action: Action) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TableName": settings().table,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    names: dict[str, str] = {}
    values: Mapping[str, Any] = {}
    if isinstance(action, Put):
        keys = {"pk": action.key.pk, "sk": action.key.sk}
        request["Item"] = _encode({**action.item, **keys})
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
        request["ExpressionAttributeValues"] = _encode({f":{k}": v for k, v in values.items()})
    return request


def _words(expression: str) -> list[str]:
    return expression.replace(",", " ").replace("(", " ").replace(")", " ").split()


@cache
def _client() -> Any:
    """The one client, made on first use."""
    # Below the gateway's 30 s, so that a caller hears from us before it hears from the gateway.
    config = Config(
        connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 3}
    )
    return boto3.client("dynamodb", region_name=settings().region, config=config)


def _call(operation: str, **request: Any) -> Any:
    for attempt in range(_CONFLICT_TRIES):
        try:
            return getattr(_client(), operation)(**request)
        except ClientError as error:
            refused = _translated(error)
            if not isinstance(refused, Busy):
                raise refused from error
            time.sleep(random.uniform(0, min(0.4, 0.02 * 2**attempt)))
        except BotoCoreError as error:
            raise StoreUnavailable(str(error)) from error
    raise Busy(1)


_OURS = {"ValidationException", "AccessDeniedException", "ResourceNotFoundException"}


def _translated(error: ClientError) -> Exception:
    unchanged: Exception = error
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return Lost([decode(error.response.get("Item") or {})])
    if code == "TransactionConflictException":
        return Busy(1)
    if code == "TransactionCanceledException":
        reasons = error.response.get("CancellationReasons") or []
        codes = {reason.get("Code") for reason in reasons}
        if "ConditionalCheckFailed" in codes:
            return Lost(
                [
                    decode(reason.get("Item") or {})
                    if reason.get("Code") == "ConditionalCheckFailed"
                    else None
                    for reason in reasons
                ]
            )
        if "TransactionConflict" in codes:
            return Busy(1)
        if "ValidationError" in codes:
            return unchanged
        return StoreUnavailable(str(error))
    # A request that could never work is a bug and must be seen as one.
    return unchanged if code in _OURS else StoreUnavailable(str(error))


_serializer = TypeSerializer()


class _Deserializer(TypeDeserializer):  # type: ignore[misc]
    def _deserialize_n(self, value: str) -> int | float:
        return int(value) if value.lstrip("-").isdigit() else float(value)


_deserializer = _Deserializer()


def wire(value: Any) -> dict[str, Any]:
    """One value as DynamoDB's JSON has it, for a state machine to write."""
    encoded: dict[str, Any] = _serializer.serialize(_exact(value))
    return encoded


def _encode(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _serializer.serialize(_exact(value))
        for name, value in item.items()
        if value is not None
    }


def _exact(value: Any) -> Any:
    """Numbers as the table takes them; what is None in a map is left out."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items() if each is not None}
    return value


def decode(raw: Mapping[str, Any]) -> Item:
    """An item out of DynamoDB's JSON, as the stream has it too."""
    return {name: _deserializer.deserialize(value) for name, value in raw.items()}
