"""What a request that names itself (`Idempotency-Key`) has done: a mark, written along with it.

The mark is a part of the transaction that carries the request out. So whoever is asked to carry
it out again, because the answer was lost on its way, finds that it was done, and to what. Requests
that do not name themselves leave none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from slipway.errors import IdempotencyKeyReused
from slipway.model import moments
from slipway.store import table
from slipway.store.table import Item, Key, Update

KEPT_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class _Request:
    mark: Key
    hash: str


_present: ContextVar[_Request | None] = ContextVar("request", default=None)


@contextmanager
def request(owner: str, key: str, content: str) -> Iterator[None]:
    """Within, the owner's request of this name is carried out."""
    mark = Key(f"IDEMPOTENCY#{owner}", f"DONE#{_hash(key)}")
    token = _present.set(_Request(mark, _hash(content)))
    try:
        yield
    finally:
        _present.reset(token)


def of(identity: str) -> list[Update]:
    """For the transaction that does something to what has this id: the mark, if the request
    names itself. If that was carried out before, the transaction loses on it."""
    present = _present.get()
    if present is None:
        return []
    now = moments.epoch(moments.now())
    fields = {"done_to": identity, "request": present.hash, "ttl": now + KEPT_SECONDS}
    expression, values = table.setting(fields)
    condition = "attribute_not_exists(pk) OR #ttl < :now"
    return [Update(present.mark, expression, {**values, "now": now}, condition)]


def write(change: Update, identity: str) -> Item:
    """As table.write; if the request names itself, a transaction with its mark, and a read."""
    mark = of(identity)
    if not mark:
        return table.write(change)
    table.transact(change, *mark)
    [item] = table.get(change.key)
    return item or {}


def found() -> str | None:
    """The id of what the present request was done to before; None if it was not carried out.

    Raises IdempotencyKeyReused if another request had its name.
    """
    present = _present.get()
    if present is None:
        return None
    [item] = table.get(present.mark)
    if item is None or item["ttl"] < moments.epoch(moments.now()):
        return None
    if item["request"] != present.hash:
        raise IdempotencyKeyReused()
    return str(item["done_to"])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
