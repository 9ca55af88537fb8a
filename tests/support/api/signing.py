"""Tokens signed with the platform's key or another."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from typing import Any

import jwt

from slipway.access import signing
from slipway.domain import ids

MINE = signing._private_key("s" * 64)
KID = base64.urlsafe_b64encode(
    hashlib.sha256(MINE.public_key().public_bytes_raw()).digest()[:12]
).decode()


def claims(user_id: str, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": "slipway-dev",
        "aud": "slipway",
        "sub": user_id,
        "iat": now,
        "exp": now + 3600,
        "jti": secrets.token_urlsafe(12),
        "sid": ids.new_part(),
        "gen": 0,
        "fpk": secrets.token_urlsafe(18),
    }
    return {name: value for name, value in {**whole, **more}.items() if value is not None}


def signed(
    payload: dict[str, Any], key: Any = MINE, algorithm: str = "EdDSA", **header: Any
) -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": KID, **header})
