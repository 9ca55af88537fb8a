"""Credentials as text: tokens of the API (`slw_…`) and refresh tokens of sessions (`slr_…`).

    slw_<user><token><secret>_<checksum>        slr_<user><session><secret>_<checksum>

The user's and the token's part are those of their ids, so the text alone names the items that
prove it. The checksum is the CRC-32 of everything before its underscore, as six digits of base62:
secret scanners recognise a token without asking anyone, and a token with a typing error is refused
without a call. `PATTERN` matches all of them and nothing else of Slipway's.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import secrets
from typing import NamedTuple

API_TOKEN, REFRESH_TOKEN = "slw", "slr"
# Each of a secret's letters is one of 62, which is 5.95 bits.
_SECRET_LENGTHS = {API_TOKEN: 32, REFRESH_TOKEN: 64}
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PATTERN = r"(?:slw_[0-9a-z]{40}[0-9A-Za-z]{32}|slr_[0-9a-z]{40}[0-9A-Za-z]{64})_[0-9A-Za-z]{6}"
_PARTS = re.compile(
    r"(slw|slr)_([0-9a-hjkmnp-tv-z]{20})([0-9a-hjkmnp-tv-z]{20})([0-9A-Za-z]+)_([0-9A-Za-z]{6})"
)
_SECRET = re.compile(r"(sl[wr]_[0-9a-z]{40})[0-9A-Za-z]+(?:_[0-9A-Za-z]{0,6})?")
_MASK = "****"


class Credential(NamedTuple):
    """The parts of a credential: its user, its own part of an id, and its secret."""

    kind: str
    user_id: str
    part: str
    secret: str

    @property
    def text(self) -> str:
        """The credential as its owner keeps it."""
        body = f"{self.kind}_{self.user_id.removeprefix('usr_')}{self.part}{self.secret}"
        return f"{body}_{checksum(body)}"


def new_secret(length: int = 32) -> str:
    """A random text in base62; 32 letters have 190 bits."""
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def derived_secret(seed: str, length: int) -> str:
    """A text in base62 that follows from the seed, a secret that nobody can guess."""
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest(), "big")
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(_BASE62))
        letters.append(_BASE62[digit])
    return "".join(letters)


def parse(text: str, kind: str) -> Credential | None:
    """The credential that the text is, None if it is none of this kind or its checksum is wrong.

    Nothing is looked up: only what the credential names can tell whether it is valid.
    """
    found = _PARTS.fullmatch(text)
    if not found or found[1] != kind or len(found[4]) != _SECRET_LENGTHS[kind]:
        return None
    if checksum(text[:-7]) != found[5]:
        return None
    return Credential(kind, f"usr_{found[2]}", found[3], found[4])


def checksum(text: str) -> str:
    """The CRC-32 of the text as six digits of base62."""
    number, digits = binascii.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def without_secrets(text: str) -> str:
    """The text with a mask in the place of each credential's secret, whole or cut off.

    The rest names the credential, so that it can be revoked, and proves nothing.
    """
    if "slw_" not in text and "slr_" not in text:
        return text
    return _SECRET.sub(rf"\1{_MASK}", text)
