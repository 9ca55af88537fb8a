"""Idempotency marks: requests with an `Idempotency-Key` are carried out once.

The mark is an item that holds the response. It is a part of the transaction that carries out the
request, so the two cannot disagree. When a client repeats a request, for example because the
response was lost, the mark makes the transaction fail and supplies the response. A request that
changes nothing writes the mark by itself. A refused request, or one without a key, writes none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeGuard

from slipway.domain import timestamps
from slipway.domain.fields import ResponseModel
from slipway.errors import IdempotencyKeyReused, Refused, Unauthenticated
from slipway.store import table
from slipway.store.table import (
    ConditionFailed,
    Item,
    Key,
    Transaction,
    TransactionFailed,
    Update,
)

KEPT_SECONDS = 24 * 60 * 60

Answer = dict[str, Any]


class Done(Exception):
    """The current request's key has a mark, of the same request or of another one."""

    def __init__(self, mark: Item) -> None:
        super().__init__()
        self.mark = mark


@dataclass
class _Request:
    key: Key
    fingerprint: str
    answer: Callable[[Any], Answer]
    marked: bool = False

    def mark(self, result: Any) -> Update:
        """The part of a transaction that writes the mark. It fails if there already is one."""
        now = timestamps.epoch(timestamps.now())
        fields = {
            "request": self.fingerprint,
            "answer": self.answer(result),
            "ttl": now + KEPT_SECONDS,
        }
        expression, values = table.setting(fields)
        condition = "attribute_not_exists(pk) OR #ttl < :now"
        return Update(self.key, expression, {**values, "now": now}, condition)

    def mark_unchanged(self, result: Any) -> None:
        """Write the mark of a request that changed nothing. Raises Done."""
        try:
            table.write(self.mark(result), aside=True)
        except ConditionFailed as failed:
            raise Done(failed.found) from None


_current: ContextVar[_Request | None] = ContextVar("request", default=None)


def run_once(
    owner: str,
    key: str,
    content: str,
    secret: str,
    carry_out: Callable[[], Any],
    answer: Callable[[Any], Answer],
) -> tuple[Answer, bool]:
    """Carry out a request, unless a request with the same owner and key was carried out before.

    `content` identifies the request: two requests with the same key must have the same content.
    The mark keeps its HMAC under `secret`, which nobody who reads the table knows.
    `answer` converts the result of `carry_out` into the response that the mark keeps.

    Returns the response, and whether it is an earlier one. Raises IdempotencyKeyReused, and what
    `carry_out` raises. One round trip more than without a key if nothing changes, otherwise none.
    """
    fingerprint = hmac.digest(secret.encode(), content.encode(), "sha256").hex()
    request = _Request(Key(f"IDEMPOTENCY#{owner}", f"DONE#{_hash(key)}"), fingerprint, answer)
    token = _current.set(request)
    try:
        result = carry_out()
        if not request.marked:
            request.mark_unchanged(result)
        return answer(result), False
    except Done as done:
        mark = done.mark
    except Unauthenticated:
        raise  # a session that has ended gets no earlier answer either
    except (Refused, ConditionFailed):
        # It may have been refused only because it was carried out before.
        [found] = table.get(request.key)
        if not _is_valid(found):
            raise
        mark = found
    finally:
        _current.reset(token)
    if mark["request"] != request.fingerprint:
        raise IdempotencyKeyReused()
    return mark["answer"], True


def commit(transaction: Transaction, result: ResponseModel) -> None:
    """Commit the transaction, together with the mark if the current request has a key.

    `result` is the response that the mark keeps. Raises Done if there already is a mark, whatever
    else failed; otherwise TransactionFailed, Busy. One round trip.
    """
    request = _current.get()
    if request is None:
        transaction.commit()
        return
    try:
        transaction.add("mark", request.mark(result)).commit()
    except TransactionFailed as failed:
        mark = failed.get("mark")
        if mark is not None:
            raise Done(mark) from None
        raise
    request.marked = True


def write(result: ResponseModel, change: Update) -> None:
    """Write one change, together with the mark if the current request has a key.

    `result` is the response that the mark keeps. Raises ConditionFailed, Busy, Done. One round
    trip.
    """
    if _current.get() is None:
        table.write(change)
    else:
        commit(Transaction().add("record", change), result)


def keys() -> list[Key]:
    """The key of the current request's mark, or nothing if the request has no key.

    A use case with costly work before its transaction reads the mark together with its other
    items, and passes it to `check_replayed`.
    """
    request = _current.get()
    return [request.key] if request else []


def check_replayed(mark: Item | None = None) -> None:
    """Raises Done if the mark shows that the request was carried out before."""
    if _is_valid(mark):
        raise Done(mark)


def _is_valid(mark: Item | None) -> TypeGuard[Item]:
    return mark is not None and mark["ttl"] >= timestamps.epoch(timestamps.now())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
