"""Issuer records: the public keys of the issuers that trusts name, as they were last read.

The table keeps them for all processes, so an issuer is asked a few times an hour, however many
requests come. Each attempt is counted before it is made, in the current minute: one, or ten if no
key of the issuer is known, so that the first jobs of a day need not wait for each other. An issuer
that has never answered also counts in a budget of the whole platform.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from slipway.store import table
from slipway.store.table import ConditionFailed, Key, Update

if TYPE_CHECKING:
    from slipway.domain.records import IssuerRecord

WINDOW_SECONDS = 60
READS_OF_KNOWN = 1
READS_OF_COLD = 10
READS_OF_UNPROVEN = 60
_KEPT_SECONDS = 30 * 86_400


def key(issuer: str) -> Key:
    """The key of the issuer's record."""
    return Key(f"ISSUER#{hashlib.sha256(issuer.encode()).hexdigest()}", "ISSUER")


def keys_in(record: IssuerRecord | None, oldest_seconds: int) -> list[dict[str, Any]]:
    """The keys (RFC 7517) in the record; none if they were read longer ago."""
    if not record or record["read_at"] < time.time() - oldest_seconds:
        return []
    found: list[dict[str, Any]] = json.loads(record["keys"])
    return found


def may_read(issuer: str, record: IssuerRecord | None, *, is_cold: bool) -> bool:
    """Count an attempt to read the issuer's keys. Returns whether it may be made. One round trip.

    `record` is the issuer's, `is_cold` whether it has no key that could be used meanwhile.
    """
    now = time.time()
    if not is_cold and record and record["read_at"] > now - WINDOW_SECONDS:
        return False
    writes = [_count(key(issuer).pk, now, READS_OF_COLD if is_cold else READS_OF_KNOWN)]
    if not record:
        writes.append(_count("ISSUER#UNPROVEN", now, READS_OF_UNPROVEN))
    try:
        table.write_at_once(writes)
    except ConditionFailed:
        return False
    return True


def _count(pk: str, now: float, most: int) -> Update:
    """The write that counts an attempt in this minute. Fails if as many as allowed were made."""
    return Update(
        Key(pk, f"READS#{int(now) // WINDOW_SECONDS}"),
        "SET #ttl = :ttl ADD attempts :one",
        {"one": 1, "most": most, "ttl": int(now) + 2 * WINDOW_SECONDS},
        "attribute_not_exists(attempts) OR attempts < :most",
    )


def save(issuer: str, keys: list[dict[str, Any]]) -> None:
    """Keep the keys that the issuer has answered with; one round trip."""
    now = int(time.time())
    change, values = table.setting(
        {"issuer": issuer, "keys": json.dumps(keys), "read_at": now, "ttl": now + _KEPT_SECONDS}
    )
    table.write(Update(key(issuer), change, values, condition=""))
