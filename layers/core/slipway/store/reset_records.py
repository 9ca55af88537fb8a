"""Reset records: one-time links that set a new password, under the hash of their secret."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from slipway.domain import timestamps
from slipway.store import account_records
from slipway.store.table import Key, Put

if TYPE_CHECKING:
    from slipway.domain.account_records import ResetRecord

HOURS = 1


def key(secret: str) -> Key:
    """The key of the link with this secret."""
    return Key(f"RESET#{account_records.digest(secret)}", "RESET")


def new(email: str, entry: Any, hours: float = HOURS) -> tuple[Put, ResetRecord, str]:
    """The write of a new link, its record and its secret.

    `entry` is the item that leads from the e-mail address to its account. Without one, the record
    is of no account, and nobody can use it.
    """
    secret = account_records.new_secret()
    ends = timestamps.hours_after(timestamps.now(), hours)
    record: ResetRecord = {
        "email": email,
        "expires_at": timestamps.written(ends),
        "ttl": timestamps.epoch(ends),
    }
    if entry:
        record |= {"user_id": entry["user_id"], "of_entry": of(entry)}
    return Put(key(secret), record, condition=None), record, secret


def of(entry: Any) -> str:
    """A link's fingerprint of the password, whose change makes the link invalid."""
    return hashlib.sha256((entry.get("password_hash") or "").encode()).hexdigest()
