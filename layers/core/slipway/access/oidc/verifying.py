"""Verifying tokens of other issuers: signature, age, and no confusion of algorithms.

The algorithm must be one of those that the issuer's key is for. Algorithms with a secret are not
among them, and keys and URLs in the token's header are ignored.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from slipway.access.oidc import keys
from slipway.domain.claims import LONGEST_AGE_SECONDS, SKEW_SECONDS
from slipway.errors import WorkloadRefused

if TYPE_CHECKING:
    from slipway.domain.records import IssuerRecord

_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
_SHORTEST_RSA = 2048
# Of the modulus of 8192 bits and the exponent, in base64. Longer ones only take time.
_LONGEST_RSA = {"n": 1366, "e": 8}
_LONGEST_KID = 200


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims, of which nothing is known to be true. Raises WorkloadRefused."""
    import jwt

    try:
        decoded = jwt.api_jws.decode_complete(token, options={"verify_signature": False})
        claims = json.loads(decoded["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError, TypeError):
        raise WorkloadRefused("This is not a JSON Web Token.") from None
    header = decoded["header"]
    if not (isinstance(claims, dict) and isinstance(claims.get("iss"), str)):
        raise WorkloadRefused("The token has no issuer: it needs the claim iss.")
    return header, claims


def verify(token: str, header: dict[str, Any], issuer: str, record: IssuerRecord | None) -> None:
    """Raises WorkloadRefused unless the issuer has signed the token, and IssuerUnavailable.

    `header` is the token's. Its claims are not looked at.
    """
    import jwt

    kid, algorithm = header.get("kid"), header.get("alg")
    if not (isinstance(kid, str) and len(kid) <= _LONGEST_KID) or "crit" in header:
        raise WorkloadRefused()
    for key in keys.find(issuer, kid, record):
        if not isinstance(algorithm, str) or algorithm not in algorithms(key):
            continue
        try:
            public = jwt.PyJWK(key, algorithm).key
            if key["kty"] == "RSA" and public.key_size < _SHORTEST_RSA:
                continue
            jwt.api_jws.decode_complete(token, public, algorithms=[algorithm])
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        return
    # In the same words as without a trust: who has no valid token learns nothing of trusts.
    raise WorkloadRefused()


def algorithms(key: dict[str, Any]) -> set[str]:
    """The algorithms for which the issuer's key may be used; none if it is not for signing."""
    if key.get("use", "sig") != "sig":
        return set()
    kind, curve = key.get("kty"), key.get("crv", "")
    found: set[str] = set()
    if kind == "RSA" and all(len(key.get(name, "")) <= most for name, most in _LONGEST_RSA.items()):
        found = _RSA
    elif kind == "EC" and curve in _CURVES:
        found = {_CURVES[curve]}
    elif kind == "OKP" and curve == "Ed25519":
        found = {"EdDSA"}
    return {each for each in found if key.get("alg", each) == each}


def require_valid_now(claims: dict[str, Any]) -> None:
    """Raises WorkloadRefused unless the token's times allow its use now.

    A token needs iat and exp. It may be 12 hours old at most, even if it is valid for longer.
    """
    now = time.time()
    times = {name: claims[name] for name in ("iat", "exp", "nbf") if name in claims}
    if not ({"iat", "exp"} <= set(times) and all(map(_is_time, times.values()))):
        raise WorkloadRefused("The token needs the claims iat and exp, which are numbers.")
    if times["exp"] + SKEW_SECONDS <= now:
        raise WorkloadRefused("The token has expired. Ask its issuer for a new one.")
    if times["iat"] + LONGEST_AGE_SECONDS + SKEW_SECONDS <= now:
        raise WorkloadRefused("The token is older than 12 hours. Ask its issuer for a new one.")
    if max(times["iat"], times.get("nbf", 0)) - SKEW_SECONDS > now:
        raise WorkloadRefused("The token is not valid yet. Check the clock of its issuer.")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
