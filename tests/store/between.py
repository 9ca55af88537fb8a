"""What happens between two callers of the table: who comes first, and what does not come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.store import table

OPERATIONS = [
    "batch_get_item",
    "query",
    "put_item",
    "update_item",
    "delete_item",
    "transact_write_items",
]


def first(monkeypatch: pytest.MonkeyPatch, operation: str, action: Callable[[], object]) -> None:
    """The next call of `operation` finds that `action` was there before it."""
    client = table._client()
    real = getattr(client, operation)

    def second(**request: Any) -> Any:
        monkeypatch.setattr(client, operation, real)
        action()
        return real(**request)

    monkeypatch.setattr(client, operation, second)


def fails(monkeypatch: pytest.MonkeyPatch, operation: str, *errors: Exception) -> list[Any]:
    """The next calls of `operation` raise these; returns the requests as they come in."""
    client = table._client()
    real = getattr(client, operation)
    left = list(errors)
    requests: list[Any] = []

    def call(**request: Any) -> Any:
        requests.append(request)
        if left:
            raise left.pop(0)
        return real(**request)

    monkeypatch.setattr(client, operation, call)
    return requests


def answers(monkeypatch: pytest.MonkeyPatch, operation: str, *given: Any) -> list[Any]:
    """The next calls of `operation` are answered so; returns the requests as they come in."""
    left = list(given)
    requests: list[Any] = []

    def call(**request: Any) -> Any:
        requests.append(request)
        return left.pop(0)

    monkeypatch.setattr(table._client(), operation, call)
    return requests


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The round trips from now on."""
    client = table._client()
    made: list[str] = []

    def counting(operation: str, real: Any) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            made.append(operation)
            return real(**request)

        return call

    for operation in OPERATIONS:
        monkeypatch.setattr(client, operation, counting(operation, getattr(client, operation)))
    return made


def at_once(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> list[object]:
    """What each action returns, or raises, if all begin at the same time.

    Each call to the table is one after another, as DynamoDB's are; moto's would not be.
    """
    client = table._client()
    turn = threading.Lock()

    def in_turn(real: Any) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            with turn:
                return real(**request)

        return call

    for operation in OPERATIONS:
        monkeypatch.setattr(client, operation, in_turn(getattr(client, operation)))
    results: list[object] = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(number: int, action: Callable[[], object]) -> None:
        start.wait()
        try:
            results[number] = action()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page has two items at the most, whatever is asked for."""
    real = table.query

    def query(*of: Any, limit: int, **more: Any) -> Any:
        return real(*of, limit=min(limit, 2), **more)

    monkeypatch.setattr(table, "query", query)


def error(code: str, **more: Any) -> ClientError:
    """As botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": "stubbed"}, **more}, "Stubbed")


def canceled(*codes: str) -> ClientError:
    """A transaction that was canceled, with a reason an action."""
    return error("TransactionCanceledException", CancellationReasons=[{"Code": c} for c in codes])


def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made, in seconds."""
    pauses: list[float] = []
    monkeypatch.setattr("slipway.store.table.time.sleep", pauses.append)
    return pauses
