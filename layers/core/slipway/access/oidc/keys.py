"""The public keys of issuers, from the table or from the issuer itself.

Keys are read again after a quarter of an hour, and at once for a key id that is not known, but not
more often than store/issuer_records.py allows. If the issuer does not answer, the keys that were
read last are used for a day.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from slipway.access.oidc import documents
from slipway.access.oidc.documents import Unreadable
from slipway.errors import IssuerUnavailable
from slipway.store import issuer_records

if TYPE_CHECKING:
    from slipway.domain.records import IssuerRecord

FRESH_SECONDS = 15 * 60
KEPT_SECONDS = 24 * 3600
ANSWER_SECONDS = 5.0
_MOST_KEYS = 50
# What verifying needs. Private parts, which nobody should publish, are not kept.
_PARTS = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")


def find(issuer: str, kid: str, record: IssuerRecord | None) -> list[dict[str, Any]]:
    """The issuer's keys with this id (RFC 7517), which are one or none.

    `record` is the one at `issuer_records.key`. No round trip while the keys are fresh, otherwise
    two, and two requests to the issuer. Raises IssuerUnavailable.
    """
    kept = issuer_records.keys_in(record, KEPT_SECONDS)
    usable = _with_id(kept, kid)
    if usable and issuer_records.keys_in(record, FRESH_SECONDS):
        return usable
    if not issuer_records.may_read(issuer, record, is_cold=not kept):
        if not kept:
            raise IssuerUnavailable(1)
        return usable
    try:
        keys = read(issuer)
    except Unreadable as error:
        if usable:
            return usable
        raise IssuerUnavailable(
            issuer_records.WINDOW_SECONDS,
            f"The keys of the token's issuer cannot be read: {error}. Try again after Retry-After.",
        ) from None
    issuer_records.save(issuer, keys)
    return _with_id(keys, kid)


def _with_id(keys: list[dict[str, Any]], kid: str) -> list[dict[str, Any]]:
    return [key for key in keys if key["kid"] == kid]


def read(issuer: str) -> list[dict[str, Any]]:
    """The keys that the issuer publishes now. Raises Unreadable."""
    until = time.monotonic() + ANSWER_SECONDS
    base = issuer.rstrip("/")
    configuration = documents.read(f"{base}/.well-known/openid-configuration", until)
    if configuration.get("issuer") != issuer:
        raise Unreadable("its configuration names another issuer")
    url = configuration.get("jwks_uri")
    if not isinstance(url, str):
        raise Unreadable("its configuration has no jwks_uri")
    listed = documents.read(url, until).get("keys")
    if not isinstance(listed, list):
        raise Unreadable("its key set has no keys")
    keys = [
        {name: key[name] for name in _PARTS if isinstance(key.get(name), str)}
        for key in listed[:_MOST_KEYS]
        if isinstance(key, dict) and isinstance(key.get("kid"), str)
    ]
    if not keys:
        raise Unreadable("its key set has no keys with an id")
    return keys
