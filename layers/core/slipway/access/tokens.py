"""Tokens: who sends a request, from its `Authorization` header.

Functions verify tokens with public keys from the table, which they cache for minutes. An unknown
key id is looked up immediately, so keys rotate without signing anyone out. Whether the session of
a valid token has ended meanwhile, the first round trip of the request tells (store/sessions.py).
"""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING, Any

from slipway.errors import TokenExpired, TokenInvalid, TokenMissing
from slipway.settings import settings
from slipway.store import verification_keys
from slipway.store.sessions import Session, UserSession

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from slipway.store.workload_sessions import WorkloadSession

AUDIENCE = "slipway"
ALGORITHM = "EdDSA"
WORKLOAD = "workload"
KEEP_KEYS_SECONDS = 300
_MOST_VERIFIED = 500
_CLAIMS = ["iss", "aud", "sub", "iat", "exp", "jti", "sid", "gen", "fpk"]
_KID = re.compile(r"[A-Za-z0-9_-]{16}")

_known: dict[str, Ed25519PublicKey] = {}
_read_at: list[float] = [0.0]
# The sessions of the tokens that these keys have verified.
_verified: dict[str, UserSession | WorkloadSession] = {}


def issuer() -> str:
    """The issuer that this platform's tokens name."""
    return f"slipway-{settings().stage}"


def authenticate(authorization: str | None) -> Session:
    """The session of an `Authorization` header, which may have ended.

    Raises TokenMissing, TokenExpired, TokenInvalid. One round trip if the keys have to be read,
    otherwise none. A token's signature is verified once while the keys are cached.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if not token or scheme.lower() != "bearer":
        raise TokenMissing()
    if token.startswith("slw_"):
        # Imported here, because a person's request does not need it.
        from slipway.access import api_tokens

        return api_tokens.authenticate(token)
    now = time.time()
    session = _verified.get(token)
    if session and now < session.ends and now - _read_at[0] <= KEEP_KEYS_SECONDS:
        return session
    return _verify(token)


def _verify(token: str) -> UserSession | WorkloadSession:
    """The token's session. Raises TokenExpired, TokenInvalid."""
    import jwt

    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = _public_key(kid) if isinstance(kid, str) and _KID.fullmatch(kid) else None
        if key is None:
            raise TokenInvalid()
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=issuer(),
            options={"require": _CLAIMS},
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired() from None
    except (jwt.InvalidTokenError, ValueError):
        raise TokenInvalid() from None
    if len(_verified) >= _MOST_VERIFIED:
        _verified.clear()
    session = _session(claims)
    _verified[token] = session
    return session


def _session(claims: dict[str, Any]) -> UserSession | WorkloadSession:
    if claims.get("kind") == WORKLOAD:
        # Imported here, because most requests are those of people.
        from slipway.domain.ids import parse_trust
        from slipway.store.workload_sessions import WorkloadSession

        trust = parse_trust(claims["sub"])
        return WorkloadSession(trust, claims["name"], float(claims["exp"]), claims["fpk"])
    return UserSession(
        claims["sub"], claims["sid"], claims["gen"], float(claims["exp"]), claims["fpk"]
    )


def _public_key(kid: str) -> Ed25519PublicKey | None:
    if kid not in _known or time.time() - _read_at[0] > KEEP_KEYS_SECONDS:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        fresh = {
            item["kid"]: Ed25519PublicKey.from_public_bytes(_unb64(item["x"]))
            for item in verification_keys.list_()
        }
        _known.clear()
        _known.update(fresh)
        _verified.clear()
        _read_at[0] = time.time()
    return _known.get(kid)


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def forget() -> None:
    """Clear the caches, as a new process would start; for tests."""
    _known.clear()
    _verified.clear()
