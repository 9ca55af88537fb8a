"""Signature Version 4, for calls of AWS's JSON protocol without AWS's client library."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from slipway.settings import Credentials


class Protocol(NamedTuple):
    """How a service of AWS's JSON protocol names itself in a call's headers."""

    service: str
    target: str
    media: str


DYNAMODB = Protocol("dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0")
SECRETS_MANAGER = Protocol("secretsmanager", "secretsmanager", "application/x-amz-json-1.1")


def signed(
    operation: str,
    body: bytes,
    host: str,
    region: str,
    by: Credentials,
    at: datetime,
    to: Protocol = DYNAMODB,
) -> dict[str, str]:
    """The headers of a call, signed with Signature Version 4."""
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": to.media,
        "host": host,
        "x-amz-date": moment,
        "x-amz-target": f"{to.target}.{operation}",
    }
    if by.token:
        headers = {**headers, "x-amz-security-token": by.token}
    names = sorted(headers)
    lines = [f"{name}:{headers[name]}" for name in names]
    listed = ";".join(names)
    request = "\n".join(["POST", "/", "", *lines, "", listed, _sha256(body)])
    scope = f"{moment[:8]}/{region}/{to.service}/aws4_request"
    words = "\n".join(["AWS4-HMAC-SHA256", moment, scope, _sha256(request.encode())])
    signature = _hmac(_signing_key(by.secret, moment[:8], region, to.service), words).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={by.key_id}/{scope},"
        f" SignedHeaders={listed}, Signature={signature}"
    )
    return headers


@lru_cache(maxsize=2)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, service, "aws4_request"):
        key = _hmac(key, word)
    return key


def _hmac(key: bytes, words: str) -> bytes:
    return hmac.digest(key, words.encode(), "sha256")


def _sha256(what: bytes) -> str:
    return hashlib.sha256(what).hexdigest()
