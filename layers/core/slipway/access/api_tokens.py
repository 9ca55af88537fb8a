"""Tokens of the API (`slw_…`): which token a text is, and the hash that the table has of it.

The hash is keyed with a secret of the platform that the table does not have. A text that cannot be
a token is refused without a call; whether a token is valid, the first round trip of the request
tells (slipway.store.sessions).
"""

from __future__ import annotations

import hmac
import time

from slipway.aws import secrets_manager
from slipway.domain import credentials
from slipway.domain.credentials import API_TOKEN, Credential
from slipway.domain.ids import TokenId
from slipway.errors import TokenInvalid
from slipway.settings import settings
from slipway.store.sessions import TokenSession

# A secret that is rotated takes effect within minutes.
KEEP_SECRET_SECONDS = 300
_FINGERPRINTS = b"slipway request fingerprints 1"

_secret: list[tuple[bytes, float]] = []


def authenticate(text: str) -> TokenSession:
    """The session of a token, which may be revoked. Raises TokenInvalid, StoreUnavailable.

    No round trip while the platform's secret is cached.
    """
    token = credentials.parse(text, API_TOKEN)
    if token is None:
        raise TokenInvalid()
    # Its owner may know it: it protects only the owner's requests.
    fingerprint_key = hmac.digest(token.secret.encode(), _FINGERPRINTS, "sha256").hex()[:36]
    return TokenSession(id_of(token), keyed_hash(token), fingerprint_key)


def id_of(token: Credential) -> TokenId:
    """The id of the token."""
    return TokenId(token.user_id.removeprefix("usr_"), token.part)


def keyed_hash(token: Credential) -> str:
    """The form in which the table has the token. Raises StoreUnavailable."""
    return hmac.digest(key(), token.text.encode(), "sha256").hex()


def key() -> bytes:
    """The platform's secret. Raises StoreUnavailable."""
    now = time.time()
    if not _secret or now - _secret[0][1] > KEEP_SECRET_SECONDS:
        _secret[:] = [(secrets_manager.read(settings().token_secret).encode(), now)]
    return _secret[0][0]


def forget() -> None:
    """Clear the cache, as a new process would start; for tests."""
    _secret.clear()
