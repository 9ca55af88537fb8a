"""Families of refresh tokens: one for each session that a sign-in began.

A family has one valid refresh token at a time. The table keeps its digest, and that of a secret
which all tokens of the family share, so that one that was used before is told from a guess.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain import credentials, ids, timestamps
from slipway.domain.credentials import REFRESH_TOKEN, Credential
from slipway.settings import settings
from slipway.store import account_records, sessions
from slipway.store.table import Key, Put, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord, FamilyRecord

# A refresh token that is not used for so long is no longer valid.
IDLE_HOURS = 7 * 24
_SHARED = 32
# As long as a request to API Gateway can take.
_REPEAT_SECONDS = 30
# As long as the company's sign-in may take to answer.
_CLAIM_SECONDS = 20


class Repeat(NamedTuple):
    """A refresh that may be repeated: what it is recognised by, and the token that it gives."""

    digest: str
    fresh: Credential


def key(credential: Credential) -> Key:
    """The key of the credential's family."""
    return sessions.session_key(credential.user_id, credential.part)


def new(account: AccountRecord, ends_at: str | None = None) -> tuple[Put, Credential]:
    """The write of a new family of the account's current generation, and its first token.

    `ends_at` is when the session ends at the latest, if that is earlier than for others.
    """
    now = timestamps.now()
    ends = timestamps.hours_after(now, settings().session_hours)
    if ends_at is not None:
        ends = min(ends, datetime.fromisoformat(ends_at))
    first = Credential(
        REFRESH_TOKEN, account["id"], ids.new_part(), credentials.new_secret(2 * _SHARED)
    )
    record: FamilyRecord = {
        "id": first.part,
        "shared_digest": account_records.digest(first.secret[:_SHARED]),
        "token_digest": account_records.digest(first.secret),
        "generation": account.get("generation", 0),
        "created_at": timestamps.written(now),
        "expires_at": timestamps.written(_expiry(now, ends)),
        "ends_at": timestamps.written(ends),
        # Its access tokens live on a little, and its end must be known as long as they do.
        "ttl": timestamps.epoch(ends) + settings().token_minutes * 60 + 1,
    }
    # Its id is new, and the write may be repeated.
    return Put(key(first), record, condition=None), first


def is_of(family: FamilyRecord, credential: Credential) -> bool:
    """Whether the family has ever had this refresh token."""
    digest = account_records.digest(credential.secret[:_SHARED])
    return hmac.compare_digest(digest, family["shared_digest"])


def is_current(family: FamilyRecord, credential: Credential) -> bool:
    """Whether it is the family's valid refresh token, rather than one that was used."""
    digest = account_records.digest(credential.secret)
    return hmac.compare_digest(digest, family["token_digest"])


def is_over(family: FamilyRecord) -> bool:
    """Whether the family has ended, or its time is up."""
    now = timestamps.written(timestamps.now())
    return "ended_at" in family or family["expires_at"] <= now


def rotate(
    family: FamilyRecord,
    used: Credential,
    company: str | None = None,
    repeat: Repeat | None = None,
) -> tuple[Update, Credential]:
    """The write that replaces the valid refresh token, and the new one.

    `company` replaces what the family keeps of the company's sign-in. The write fails if another
    request has used the token, or if the family has ended. With `repeat` the refresh may be
    repeated.
    """
    now = timestamps.now()
    fresh = repeat.fresh if repeat else _next(used, credentials.new_secret(_SHARED))
    values: dict[str, Any] = {
        "used": account_records.digest(used.secret),
        "fresh": account_records.digest(fresh.secret),
        "expiry": timestamps.written(_expiry(now, datetime.fromisoformat(family["ends_at"]))),
    }
    if company is not None:
        values["company"] = company
    if repeat:
        values |= {"repeat": repeat.digest, "until": _later(now, _REPEAT_SECONDS)}
    write = Update(
        key(used),
        "SET token_digest = :fresh, expires_at = :expiry"
        + (", company = :company" if company else "")
        + (", repeat_digest = :repeat, repeat_until = :until" if repeat else "")
        + " REMOVE refreshing_until",
        values,
        "token_digest = :used AND attribute_not_exists(ended_at)",
    )
    return write, fresh


def repeatable(used: Credential, repeat_key: str, seed: str) -> Repeat:
    """A refresh that may be repeated. `seed` follows from both secrets; only auth can tell it."""
    fresh = _next(used, credentials.derived_secret(seed, _SHARED))
    return Repeat(account_records.digest(f"{used.secret} {repeat_key}"), fresh)


def is_repeated(family: FamilyRecord, repeat: Repeat) -> bool:
    """Whether this refresh was the family's last, a moment ago, and nobody has used its token."""
    now = timestamps.written(timestamps.now())
    return (
        hmac.compare_digest(family.get("repeat_digest", ""), repeat.digest)
        and family.get("repeat_until", "") > now
        and is_current(family, repeat.fresh)
    )


def claim(used: Credential) -> Update:
    """The write with which one of several refreshes of the same token goes ahead of the others.

    It fails if another one is under way, and if the token is no longer the valid one.
    """
    now = timestamps.now()
    return Update(
        key(used),
        "SET refreshing_until = :until",
        {
            "until": _later(now, _CLAIM_SECONDS),
            "now": timestamps.written(now),
            "used": account_records.digest(used.secret),
        },
        "token_digest = :used AND attribute_not_exists(ended_at) AND "
        "(attribute_not_exists(refreshing_until) OR refreshing_until < :now)",
    )


def _next(used: Credential, rest: str) -> Credential:
    return used._replace(secret=used.secret[:_SHARED] + rest)


def _later(now: datetime, seconds: int) -> str:
    return timestamps.written(now + timedelta(seconds=seconds))


def _expiry(now: datetime, ends: datetime) -> datetime:
    return min(ends, timestamps.hours_after(now, IDLE_HOURS))
