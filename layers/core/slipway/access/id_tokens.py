"""ID tokens: what the provider of the company's sign-in says about somebody, signed with its keys.

OpenID Connect Core 1.0, 3.1.3.7. The algorithm follows from the key, never from the token alone:
a key set has public keys only, so neither `none` nor a MAC under a public key is accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from slipway.errors.company import SignInInvalid

# By the type of key (RFC 7518, 6.1; RFC 8037), and the curve of those that have one.
_ALGORITHMS: Mapping[tuple[Any, Any], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_HASHES = {"256": "sha256", "384": "sha384", "512": "sha512", "EdDSA": "sha512"}
_LEEWAY_SECONDS = 60
_KEEP_SECONDS = 3600
# An unknown key id is looked up, but not for every token that anyone makes up.
_AGAIN_SECONDS = 10
_SHORTEST_RSA_BITS = 2048

Keys = Callable[[], tuple[str, Mapping[str, Any]]]
"""Reads the issuer and its key set (RFC 7517)."""


class Expected(NamedTuple):
    """What an ID token must say. `nonce` is None for one that was refreshed.

    `access_token` is the one that it came with, for `at_hash`.
    """

    issuer: str
    client_id: str
    nonce: str | None
    access_token: str


_known: dict[str, tuple[float, dict[str, Any]]] = {}


def verified(token: str, expected: Expected, read_keys: Keys) -> dict[str, Any]:
    """The claims of an ID token. One call to the provider if its keys are not known.

    Raises SignInInvalid, and what `read_keys` raises.
    """
    import jwt

    try:
        header = jwt.get_unverified_header(token)
        key = _key(header, expected.issuer, read_keys)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "sub", "exp", "iat"]},
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise _invalid(type(error).__name__) from None
    _check(claims, expected, key.algorithm_name)
    return claims


def _check(claims: Mapping[str, Any], expected: Expected, algorithm: str) -> None:
    """Raises SignInInvalid unless the claims, whose signature is valid, are what is expected."""
    audiences = claims["aud"]
    azp = claims.get("azp")
    if isinstance(audiences, list) and len(audiences) > 1 and azp is None:
        raise _invalid("it is for several clients and names none that it was issued to")
    if azp is not None and azp != expected.client_id:
        raise _invalid("it was issued to another client")
    if not 1 <= len(claims["sub"]) <= 255:
        raise _invalid("its subject has no length that one can have")
    if expected.nonce is not None:
        nonce = claims.get("nonce")
        sent = nonce.encode() if isinstance(nonce, str) else b""
        if not hmac.compare_digest(sent, expected.nonce.encode()):
            raise _invalid("its nonce is another one")
    at_hash = claims.get("at_hash")
    if at_hash is not None and at_hash != _half_hash(expected.access_token, algorithm):
        raise _invalid("it belongs to another access token")


def _half_hash(text: str, algorithm: str) -> str:
    digest = hashlib.new(_HASHES[algorithm if algorithm == "EdDSA" else algorithm[2:]])
    digest.update(text.encode())
    half = digest.digest()[: digest.digest_size // 2]
    return base64.urlsafe_b64encode(half).decode().rstrip("=")


def _key(header: Mapping[str, Any], issuer: str, read_keys: Keys) -> Any:
    """The key (jwt.PyJWK) that the token is signed with. Raises SignInInvalid, ValueError."""
    import jwt

    kid, algorithm = header.get("kid"), header.get("alg")
    at, keys = _known.get(issuer, (0.0, {}))
    age = time.time() - at
    candidates = _candidates(keys, kid, algorithm)
    if age > _KEEP_SECONDS or (not candidates and age > _AGAIN_SECONDS):
        named, found = read_keys()
        assert named == issuer
        keys = dict(found)
        _known[issuer] = (time.time(), keys)
        candidates = _candidates(keys, kid, algorithm)
    if len(candidates) != 1:
        raise _invalid("the provider has no key, or several, that it could be signed with")
    key = jwt.PyJWK.from_dict(candidates[0], algorithm=algorithm)
    if candidates[0]["kty"] == "RSA" and key.key.key_size < _SHORTEST_RSA_BITS:
        raise _invalid("its key is too short")
    return key


def _candidates(keys: Mapping[str, Any], kid: Any, algorithm: Any) -> list[dict[str, Any]]:
    """The keys of the set that can have signed a token with this key id and algorithm."""
    listed = keys.get("keys")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [
        each
        for each in found
        if algorithm in _ALGORITHMS.get((each.get("kty"), each.get("crv")), ())
        and each.get("use", "sig") == "sig"
        and each.get("alg", algorithm) == algorithm
        and (kid is None or each.get("kid") == kid)
    ]


def _invalid(why: str) -> SignInInvalid:
    return SignInInvalid(f"The provider's ID token is not valid: {why}. Begin again.")


def forget() -> None:
    """Clear the cache, as a new process would start; for tests."""
    _known.clear()
