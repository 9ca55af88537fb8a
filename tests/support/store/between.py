"""Control the order of two callers of the table, and which answers are lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError

OPERATIONS = [
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
]

Request = dict[str, Any]
Real = Callable[[str, Request], Any]


def _replace_answers(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, Request, Real], Any]
) -> Callable[[], None]:
    """From now on every call is answered so; what it returns ends that."""
    real = dynamodb.together

    def one(operation: str, request: Request) -> Any:
        return real((operation, request))[0]

    def together(*calls: tuple[str, Request], aside: Any = None) -> list[Any]:
        """What is sent along may fail, and does."""
        answers = [answer(operation, request, one) for operation, request in calls]
        return [*answers, {}] if aside else answers

    monkeypatch.setattr(dynamodb, "together", together)
    return lambda: monkeypatch.setattr(dynamodb, "together", real)


def first(monkeypatch: pytest.MonkeyPatch, operation: str, action: Callable[[], object]) -> None:
    """The next call of `operation` finds that `action` was there before it."""
    assert operation in OPERATIONS

    def answer(called: str, request: Request, real: Real) -> Any:
        if called == operation:
            end()
            action()
        return real(called, request)

    end = _replace_answers(monkeypatch, answer)


def fails(monkeypatch: pytest.MonkeyPatch, operation: str, *errors: Exception) -> list[Any]:
    """The next calls of `operation` raise these; returns the requests as they come in."""
    assert operation in OPERATIONS
    left = list(errors)
    requests: list[Any] = []

    def answer(called: str, request: Request, real: Real) -> Any:
        if called == operation:
            requests.append(request)
            if left:
                raise left.pop(0)
        return real(called, request)

    _replace_answers(monkeypatch, answer)
    return requests


def answers(monkeypatch: pytest.MonkeyPatch, operation: str, *given: Any) -> list[Any]:
    """The next calls of `operation` are answered so; returns the requests as they come in."""
    assert operation in OPERATIONS
    left = list(given)
    requests: list[Any] = []

    def answer(called: str, request: Request, real: Real) -> Any:
        if called != operation:
            return real(called, request)
        requests.append(request)
        return left.pop(0)

    _replace_answers(monkeypatch, answer)
    return requests


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The round trips from now on; calls that are made at once are one, `Query + BatchGetItem`."""
    real = dynamodb.together
    made: list[str] = []

    def together(*calls: tuple[str, Request], **aside: Any) -> Any:
        beside = [call[0] for call in aside.values()]
        made.append(" + ".join([*(operation for operation, _ in calls), *beside]))
        return real(*calls, **aside)

    monkeypatch.setattr(dynamodb, "together", together)
    return made


def at_once(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> list[object]:
    """Return what each action returns or raises if all begin at the same time.

    Each call to the table is one after another, as DynamoDB's are; moto's would not be.
    """
    turn = threading.Lock()

    def answer(operation: str, request: Request, real: Real) -> Any:
        with turn:
            return real(operation, request)

    _replace_answers(monkeypatch, answer)
    return side_by_side(*actions)


def side_by_side(*actions: Callable[[], object]) -> list[object]:
    """Return what each action returns or raises, each in a thread of its own."""
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


def apart(
    monkeypatch: pytest.MonkeyPatch, order: Sequence[str], happens: Sequence[Callable[[], object]]
) -> None:
    """The next reads that are made at once are made one by one in this order: `Query`, or the
    beginning of an item's sort key; the rest is read last. Before each of them something happens,
    and before the transaction that follows.
    """
    real = dynamodb.together

    def together(*calls: tuple[str, Request]) -> list[Any]:
        pieces: dict[str, tuple[str, Request]] = {}
        queries: list[str] = []
        for operation, request in calls:
            if operation == "Query":
                pk = request["ExpressionAttributeValues"][":pk"]["S"]
                # The slots of quotas are read last.
                queries.append(f"Query {pk}" if pk.startswith("QUOTA#") else "Query")
                pieces[queries[-1]] = operation, request
                continue
            [(name, wanted)] = request["RequestItems"].items()
            for key in wanted["Keys"]:
                alone = {name: {**wanted, "Keys": [key]}}
                pieces[key["sk"]["S"].partition("#")[0]] = operation, {"RequestItems": alone}
        monkeypatch.setattr(dynamodb, "together", real)
        answers = {}
        for word, action in zip(order, happens, strict=False):
            action()
            [answers[word]] = real(pieces.pop(word))
        for word, call in pieces.items():
            [answers[word]] = real(call)
        first(monkeypatch, "TransactWriteItems", happens[len(order)])
        pages = [answers.pop(word) for word in queries]
        found = [item for each in answers.values() for item in each["Responses"]["slipway"]]
        return [*pages, {"Responses": {"slipway": found}}]

    monkeypatch.setattr(dynamodb, "together", together)


def short_pages(monkeypatch: pytest.MonkeyPatch, most: int = 2) -> None:
    """Every page has two items at the most, whatever is asked for."""

    def answer(operation: str, request: Request, real: Real) -> Any:
        if operation == "Query":
            request = {**request, "Limit": min(request.get("Limit", most), most)}
        return real(operation, request)

    _replace_answers(monkeypatch, answer)


def error(code: str, status: int = 400, **more: Any) -> DynamoDBError:
    """As DynamoDB refuses."""
    return DynamoDBError(code, {"message": "stubbed", **more}, status)


def canceled(*codes: str) -> DynamoDBError:
    """A transaction that was canceled, with a reason an action."""
    return error("TransactionCanceledException", CancellationReasons=[{"Code": c} for c in codes])


def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made, in seconds."""
    pauses: list[float] = []
    monkeypatch.setattr("slipway.store.table.time.sleep", pauses.append)
    return pauses
