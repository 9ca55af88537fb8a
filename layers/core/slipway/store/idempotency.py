"""What a request that names itself (`Idempotency-Key`) has done: a mark, written along with it.

The mark is a part of the transaction that carries the request out, and holds the answer. So
whoever is asked to carry it out again, because the answer was lost on its way, finds that it was
done and what was answered. A request that changes nothing leaves its mark alone; one that is
refused, or does not name itself, leaves none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeGuard

from slipway.domain import timestamps
from slipway.domain.fields import ResponseModel
from slipway.errors import IdempotencyKeyReused, Refused
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
    """The present request was carried out before, or another one had its name."""

    def __init__(self, mark: Item) -> None:
        super().__init__()
        self.mark = mark


@dataclass
class _Request:
    key: Key
    hash: str
    answer: Callable[[Any], Answer]
    marked: bool = False

    def mark(self, result: Any) -> Update:
        """A part of a transaction, which loses on it if the request was carried out before."""
        now = timestamps.epoch(timestamps.now())
        fields = {"request": self.hash, "answer": self.answer(result), "ttl": now + KEPT_SECONDS}
        expression, values = table.setting(fields)
        condition = "attribute_not_exists(pk) OR #ttl < :now"
        return Update(self.key, expression, {**values, "now": now}, condition)

    def changes_nothing(self, result: Any) -> None:
        """Raises Done."""
        try:
            table.write(self.mark(result))
        except ConditionFailed as failed:
            raise Done(failed.found) from None


_present: ContextVar[_Request | None] = ContextVar("request", default=None)


def once(
    owner: str,
    key: str,
    content: str,
    carry_out: Callable[[], Any],
    answer: Callable[[Any], Answer],
) -> tuple[Answer, bool]:
    """The answer to the owner's request of this key, and whether it was carried out before.

    `content` is what must be the same whenever the key is; `answer` makes of a result what the
    mark keeps. As many round trips as without a key; one more for what changes nothing, and for
    what is refused. Raises IdempotencyKeyReused.
    """
    request = _Request(Key(f"IDEMPOTENCY#{owner}", f"DONE#{_hash(key)}"), _hash(content), answer)
    token = _present.set(request)
    try:
        result = carry_out()
        if not request.marked:
            request.changes_nothing(result)
        return answer(result), False
    except Done as done:
        mark = done.mark
    except (Refused, ConditionFailed):
        # Perhaps only because it was carried out before.
        [found] = table.get(request.key)
        if not _lasts(found):
            raise
        mark = found
    finally:
        _present.reset(token)
    if mark["request"] != request.hash:
        raise IdempotencyKeyReused()
    return mark["answer"], True


def commit(transaction: Transaction, result: ResponseModel) -> None:
    """Commit the transaction, with the request's mark if the request names itself.

    `result` is the answer, which the mark keeps, so it must be known before. Raises
    TransactionFailed, Busy; Done if the request was carried out before, whatever else failed.
    """
    request = _present.get()
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
    """Write one change, with the request's mark if the request names itself.

    `result` is as for `commit`. Raises ConditionFailed, Done.
    """
    if _present.get() is None:
        table.write(change)
    else:
        commit(Transaction().add("record", change), result)


def keys() -> list[Key]:
    """The mark's, for who reads it along before what costs more than a round trip; for `look`."""
    request = _present.get()
    return [request.key] if request else []


def look(mark: Item | None = None) -> None:
    """Raises Done."""
    if _lasts(mark):
        raise Done(mark)


def _lasts(mark: Item | None) -> TypeGuard[Item]:
    return mark is not None and mark["ttl"] >= timestamps.epoch(timestamps.now())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
