"""The public keys that verify tokens; whoever verifies reads them once and keeps them."""

from __future__ import annotations

import time

from slipway.store import table
from slipway.store.table import Item, Key, Put, Update

_PK = "KEYS"
_PREFIX = "KEY#"


def every() -> list[Item]:
    """`{kid, x, retired_at?}` of each key that tokens may still be signed with.

    `x` is the key as in RFC 8037. One round trip: rotation leaves two or three of them.
    """
    items, _ = table.query(_PK, _PREFIX, limit=100)
    now = time.time()
    return [item for item in items if item.get("ttl", now + 1) > now]


def publish(kid: str, x: str, *, others_until: int) -> None:
    """Make a new key known, and let the others lapse at `others_until` (epoch seconds).

    Repeating it changes nothing; a secret that is set back has its key again. One round trip if
    the key is known already.
    """
    known, _ = table.query(_PK, _PREFIX, limit=100)
    if not any(item["kid"] == kid and item.get("ttl") is None for item in known):
        # The kid is a hash of the key, so whoever else writes it writes the same.
        table.write(Put(Key(_PK, _PREFIX + kid), {"kid": kid, "x": x}, condition=None))
    for item in known:
        if item["kid"] != kid and item.get("ttl") is None:
            retire = Update(Key(_PK, item["sk"]), "SET #ttl = :until", {"until": others_until})
            table.write(retire)
