"""The public keys that verify tokens. Verifiers read them once and cache them for minutes."""

from __future__ import annotations

import time

from slipway.store import table
from slipway.store.table import Item, Key, Put, Update

_PK = "KEYS"
_PREFIX = "KEY#"


def list_() -> list[Item]:
    """`{kid, x, ttl?}` of each key that has not lapsed.

    `x` is the key as in RFC 8037; `ttl` (epoch seconds) is set on keys that have been replaced. One
    round trip: rotation leaves two or three keys.
    """
    items, _ = table.query(_PK, _PREFIX, limit=100)
    now = time.time()
    return [item for item in items if item.get("ttl", now + 1) > now]


def publish(kid: str, x: str, *, others_until: int) -> None:
    """Publish a key, and let the others lapse at `others_until` (epoch seconds).

    `x` is the key as in RFC 8037. Repeating it changes nothing. A secret that is restored after
    rotation publishes its key again. One round trip, and one for each item that it writes.
    """
    known, _ = table.query(_PK, _PREFIX, limit=100)
    if not any(item["kid"] == kid and item.get("ttl") is None for item in known):
        # The kid is a hash of the key, so concurrent writers write the same item.
        table.write(Put(Key(_PK, _PREFIX + kid), {"kid": kid, "x": x}, condition=None), aside=True)
    for item in known:
        if item["kid"] != kid and item.get("ttl") is None:
            retire = Update(Key(_PK, item["sk"]), "SET #ttl = :until", {"until": others_until})
            table.write(retire, aside=True)
