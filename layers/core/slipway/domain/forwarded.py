"""The address of the person for whom the console calls the API, signed by the console.

    X-Slipway-Client: 1796547883 203.0.113.7 <MAC>

Throttles and the audit would see the console's own address otherwise: one for everybody. The key is
the platform's, so nobody else can make up an address.
"""

from __future__ import annotations

import base64
import hmac
import re

HEADER = "x-slipway-client"
_PURPOSE = b"slipway addresses of callers 1"
_FRESH_SECONDS = 60
_FORM = re.compile(r"([0-9]{1,12}) ([0-9A-Fa-f.:]{2,45}) ([A-Za-z0-9_-]{43})")


def signed(secret: bytes, address: str, method: str, now: float) -> str:
    """The header for a request by this method on behalf of this address."""
    at = f"{int(now)} {address}"
    return f"{at} {_mac(secret, at, method)}"


def address_of(secret: bytes, header: str, method: str, now: float) -> str | None:
    """The address in the header; None if it is too old, for another method, or not signed."""
    found = _FORM.fullmatch(header)
    if not found or abs(now - int(found[1])) > _FRESH_SECONDS:
        return None
    mac = _mac(secret, f"{found[1]} {found[2]}", method)
    return found[2] if hmac.compare_digest(mac, found[3]) else None


def _mac(secret: bytes, at: str, method: str) -> str:
    key = hmac.digest(secret, _PURPOSE, "sha256")
    raw = hmac.digest(key, f"{at} {method}".encode(), "sha256")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
