"""DynamoDB's conflicts, which moto does not have: two transactions on one item at one time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError


class Conflicts:
    """While it is entered, a transaction takes some time, and is canceled if it would write or
    check an item that another one in flight writes or checks.

    `on` counts the conflicts by the beginning of the item's partition key.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self._patch, self._seconds = monkeypatch, seconds
        self._turn, self._marking = threading.Lock(), threading.Lock()
        self._in_flight: set[str] = set()
        self.on: Counter[str] = Counter()

    def __enter__(self) -> Conflicts:
        self._real = dynamodb.together
        self._patch.setattr(dynamodb, "together", self._together)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.setattr(dynamodb, "together", self._real)

    def _together(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        if calls[0][0] != "TransactWriteItems":
            with self._turn:
                return self._real(*calls)
        wanted = [_key(item) for item in calls[0][1]["TransactItems"]]
        with self._marking:
            reasons = [
                "TransactionConflict" if key in self._in_flight else "None" for key in wanted
            ]
            if "TransactionConflict" in reasons:
                self.on.update({key.partition("#")[0] for key in wanted if key in self._in_flight})
                answer = {"CancellationReasons": [{"Code": each} for each in reasons]}
                raise DynamoDBError("TransactionCanceledException", answer)
            self._in_flight.update(wanted)
        time.sleep(self._seconds)
        # moto's own time is none of DynamoDB's.
        with self._marking:
            self._in_flight.difference_update(wanted)
        with self._turn:
            return self._real(*calls)


def _key(item: dict[str, Any]) -> str:
    [action] = item.values()
    key = action.get("Key") or {name: action["Item"][name] for name in ("pk", "sk")}
    return f"{key['pk']['S']} {key['sk']['S']}"
