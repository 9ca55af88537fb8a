"""Authentication: passwords, and the tokens that identify callers.

Passwords are hashed with argon2id at OWASP's parameters. Tokens are JWTs signed with Ed25519. Only
the auth function can read the signing secret, from which it derives the private key, so only it can
mint tokens. The other functions verify tokens with public keys from the table, which they cache for
minutes. An unknown key id is looked up immediately, so keys rotate without signing anyone out.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from slipway.access.principal import Principal
from slipway.errors import (
    StoreUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    WrongCredentials,
)
from slipway.settings import settings
from slipway.store import verification_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    from slipway.domain.user import Keys, SignIn, Token

_AUDIENCE = "slipway"
_ALGORITHM = "EdDSA"
_KEEP_KEYS_SECONDS = 300
_MOST_VERIFIED = 500
_CLAIMS = ["iss", "aud", "sub", "iat", "exp", "jti"]
_KID = re.compile(r"[A-Za-z0-9_-]{16}")


# --- passwords ------------------------------------------------------------------------------


def hash_password(password: str) -> str:
    """The argon2id hash, with its salt and parameters. Takes tens of milliseconds of CPU time."""
    return str(_argon2().hash(password))


def sign_in(wanted: SignIn, address: str) -> str:
    """The id of the user with this e-mail and password.

    `address` is the caller's IP address. Raises TooManyAttempts, and WrongCredentials, after the
    same work whether or not the account exists. One round trip, three if the sign-in fails.
    """
    from slipway.store import user_records

    email = wanted.email
    found = user_records.for_sign_in(email, address)
    user_id, password_hash = found or ("", _dummy_hash())
    if not _argon2().verify(wanted.password, password_hash) or not user_id:
        user_records.count_failure(email, address)
        raise WrongCredentials()
    return user_id


def _argon2() -> Any:
    from passlib.hash import argon2

    # OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
    return argon2.using(type="ID", memory_cost=19_456, time_cost=2, parallelism=1)


@cache
def _dummy_hash() -> str:
    """The hash to verify against if the account does not exist."""
    return hash_password(secrets.token_urlsafe())


# --- minting --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _SigningKey:
    kid: str
    private: Ed25519PrivateKey
    read_at: float


_signing: list[_SigningKey] = []


def mint(user_id: str) -> Token:
    """A token for the user. Only the auth function may read the signing secret that this needs.

    Raises StoreUnavailable if the secret cannot be read. No round trip while the key is cached.
    """
    import jwt

    from slipway.domain.user import Token

    key = _signing_key()
    seconds = settings().token_minutes * 60
    now = int(time.time())
    claims = {
        "iss": _issuer(),
        "aud": _AUDIENCE,
        "sub": user_id,
        "iat": now,
        "exp": now + seconds,
        "jti": secrets.token_urlsafe(12),
    }
    signed = jwt.encode(claims, key.private, algorithm=_ALGORITHM, headers={"kid": key.kid})
    return Token(access_token=signed, expires_in=seconds)


def jwks() -> Keys:
    """The public keys that verify tokens. Raises StoreUnavailable. One round trip."""
    from slipway.domain.user import Key, Keys

    _signing_key()
    return Keys(keys=[Key(kid=item["kid"], x=item["x"]) for item in verification_keys.list_()])


def _signing_key() -> _SigningKey:
    """The key to sign with, which is published before it is used.

    The secret is read every few minutes, so that a rotated one takes effect.
    """
    now = time.time()
    if _signing and now - _signing[0].read_at < _KEEP_KEYS_SECONDS:
        return _signing[0]
    private = _derived(_secret())
    raw = private.public_key().public_bytes_raw()
    kid = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()[:12]).decode()
    # Another process may sign with the previous key until its cache expires.
    lapse = int(now) + settings().token_minutes * 60 + 2 * _KEEP_KEYS_SECONDS
    verification_keys.publish(kid, _b64(raw), others_until=lapse)
    _signing[:] = [_SigningKey(kid, private, now)]
    return _signing[0]


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


def _derived(secret: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    hkdf = HKDF(SHA256(), length=32, salt=None, info=b"slipway token signing key 1")
    return Ed25519PrivateKey.from_private_bytes(hkdf.derive(secret.encode()))


def _issuer() -> str:
    return f"slipway-{settings().stage}"


# --- verifying ------------------------------------------------------------------------------

_known: dict[str, Ed25519PublicKey] = {}
_read_at: list[float] = [0.0]
# The tokens that these keys have verified: the expiry and the user id of each.
_verified: dict[str, tuple[float, str]] = {}


def authenticate(authorization: str | None) -> Principal:
    """The principal of an `Authorization` header.

    Raises TokenMissing, TokenExpired, TokenInvalid. One round trip if the keys have to be read,
    otherwise none. A token's signature is verified once while the keys are cached.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if not token or scheme.lower() != "bearer":
        raise TokenMissing()
    now = time.time()
    ends, user_id = _verified.get(token, (0.0, ""))
    if now < ends and now - _read_at[0] <= _KEEP_KEYS_SECONDS:
        return Principal(user_id)
    return Principal(_verify(token))


def _verify(token: str) -> str:
    """The id of the token's user. Raises TokenExpired, TokenInvalid."""
    import jwt

    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = _public_key(kid) if isinstance(kid, str) and _KID.fullmatch(kid) else None
        if key is None:
            raise TokenInvalid()
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            issuer=_issuer(),
            options={"require": _CLAIMS},
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired() from None
    except (jwt.InvalidTokenError, ValueError):
        raise TokenInvalid() from None
    if len(_verified) >= _MOST_VERIFIED:
        _verified.clear()
    _verified[token] = (float(claims["exp"]), claims["sub"])
    return str(claims["sub"])


def _public_key(kid: str) -> Ed25519PublicKey | None:
    if kid not in _known or time.time() - _read_at[0] > _KEEP_KEYS_SECONDS:
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


def forget_keys() -> None:
    """Clear the caches, as a new process would start; for tests."""
    _signing.clear()
    _known.clear()
    _verified.clear()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
