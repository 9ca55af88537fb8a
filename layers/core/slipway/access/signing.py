"""Signing: the keys that only the auth function has, all derived from the signing secret.

Tokens are JWTs signed with Ed25519. The other functions verify them with the public keys in the
table (slipway.access.tokens).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.access.tokens import ALGORITHM, AUDIENCE, KEEP_KEYS_SECONDS, WORKLOAD, issuer
from slipway.domain import ids
from slipway.errors import StoreUnavailable
from slipway.settings import settings
from slipway.store import verification_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from slipway.domain.user import Keys, Token

_SIGNING = "slipway token signing key 1"
_FINGERPRINTS = "slipway request fingerprints 1"
_SEALS = "slipway seals 1"
_NONCE_BYTES = 12


@dataclass(frozen=True)
class _SigningKeys:
    kid: str
    private: Ed25519PrivateKey
    fingerprints: bytes
    seals: bytes
    read_at: float


_keys: list[_SigningKeys] = []


def mint(user_id: str, generation: int = 0, session_id: str | None = None) -> Token:
    """An access token for the user, in this session; by default in one of its own.

    `generation` is that of the account's sessions: the token is valid until the account has
    another one. Only the auth function may read the signing secret that this needs. Raises
    StoreUnavailable if it cannot be read. No round trip while the keys are cached.
    """
    import jwt

    from slipway.domain.user import Token

    keys = _signing_keys()
    seconds = settings().token_minutes * 60
    now = int(time.time())
    claims = {
        "iss": issuer(),
        "aud": AUDIENCE,
        "sub": user_id,
        "iat": now,
        "exp": now + seconds,
        "jti": secrets.token_urlsafe(12),
        "sid": session_id or ids.new_part(),
        "gen": generation,
        "fpk": _b64(_mac(keys.fingerprints, user_id)),
    }
    signed = jwt.encode(claims, keys.private, algorithm=ALGORITHM, headers={"kid": keys.kid})
    return Token(access_token=signed, expires_in=seconds)


def mint_for_workload(trust_id: str, subject: str, seconds: int) -> str:
    """An access token that is valid for so many seconds while the trust exists.

    `subject` is the workload's name for people to read. Raises StoreUnavailable. No round trip
    while the keys are cached.
    """
    import jwt

    keys = _signing_keys()
    now, id_ = int(time.time()), secrets.token_urlsafe(12)
    claims = {
        "iss": issuer(),
        "aud": AUDIENCE,
        "sub": trust_id,
        "kind": WORKLOAD,
        "name": subject,
        "iat": now,
        "exp": now + seconds,
        "jti": id_,
        "sid": id_,
        "gen": 0,
        "fpk": _b64(_mac(keys.fingerprints, trust_id)),
    }
    return jwt.encode(claims, keys.private, algorithm=ALGORITHM, headers={"kid": keys.kid})


def jwks() -> Keys:
    """The public keys that verify tokens. Raises StoreUnavailable. One round trip."""
    from slipway.domain.user import Key, Keys

    _signing_keys()
    return Keys(keys=[Key(kid=item["kid"], x=item["x"]) for item in verification_keys.list_()])


def keyed_hash(purpose: str, text: str) -> str:
    """A hash that nobody can compute who has no signing secret: to recognise, not to reveal.

    Raises StoreUnavailable. No round trip while the keys are cached.
    """
    return _b64(_mac(_signing_keys().fingerprints, f"{purpose} {text}"))


def sealed(text: str, purpose: str) -> str:
    """The text, encrypted and authenticated (AES-256-GCM), for `opened` with the same purpose.

    Raises StoreUnavailable. No round trip while the keys are cached.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    cipher = AESGCM(_signing_keys().seals).encrypt(nonce, text.encode(), purpose.encode())
    return _b64(nonce + cipher)


def opened(seal: str, purpose: str) -> str | None:
    """The text that was sealed for this purpose, None if it was not, or with another secret.

    Raises StoreUnavailable. No round trip while the keys are cached.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.b64decode(seal + "=" * (-len(seal) % 4), b"-_", validate=True)
        nonce, cipher = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        return AESGCM(_signing_keys().seals).decrypt(nonce, cipher, purpose.encode()).decode()
    except (InvalidTag, ValueError):
        return None


def _signing_keys() -> _SigningKeys:
    """The keys; the one that signs is published before it is used.

    The secret is read every few minutes, so that a rotated one takes effect.
    """
    now = time.time()
    if _keys and now - _keys[0].read_at < KEEP_KEYS_SECONDS:
        return _keys[0]
    secret = _secret()
    private = _private_key(secret)
    raw = private.public_key().public_bytes_raw()
    kid = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()[:12]).decode()
    # Another process may sign with the previous key until its cache expires.
    lapse = int(now) + settings().token_minutes * 60 + 2 * KEEP_KEYS_SECONDS
    verification_keys.publish(kid, _b64(raw), others_until=lapse)
    fingerprints, seals = _derived(secret, _FINGERPRINTS), _derived(secret, _SEALS)
    _keys[:] = [_SigningKeys(kid, private, fingerprints, seals, now)]
    return _keys[0]


def _secret() -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client("secretsmanager", region_name=settings().region)
    try:
        found = client.get_secret_value(SecretId=settings().signing_secret)
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(
            "The signing key cannot be read. Try again after Retry-After."
        ) from error
    return str(found["SecretString"])


def _private_key(secret: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(_derived(secret, _SIGNING))


def _derived(secret: str, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    hkdf = HKDF(SHA256(), length=32, salt=None, info=purpose.encode())
    return hkdf.derive(secret.encode())


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")[:18]


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forget() -> None:
    """Clear the cache, as a new process would start; for tests."""
    _keys.clear()
