"""Passwords: their hashes, with argon2id at OWASP's parameters."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any


def hash_password(password: str) -> str:
    """The argon2id hash, with its salt and parameters. Takes tens of milliseconds of CPU time."""
    return str(_argon2().hash(password))


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether the hash is that of the password; takes as long as `hash_password`.

    Without a hash it is False, after the same work.
    """
    matches = _argon2().verify(password, password_hash or _dummy_hash())
    return bool(matches) and password_hash is not None


def _argon2() -> Any:
    from passlib.hash import argon2

    # OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
    return argon2.using(type="ID", memory_cost=19_456, time_cost=2, parallelism=1)


@cache
def _dummy_hash() -> str:
    """The hash to verify against if there is none."""
    return hash_password(secrets.token_urlsafe())
