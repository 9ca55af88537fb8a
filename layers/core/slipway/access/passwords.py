"""Passwords: which ones may be chosen, and their hashes, with argon2id at OWASP's parameters."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Any

from slipway.errors import FieldError, Invalid
from slipway.errors.company import PasswordsOff
from slipway.settings import settings


def require_accepted() -> None:
    """Raises PasswordsOff if the stack accepts no passwords."""
    if not settings().password_sign_in:
        raise PasswordsOff()


def hash_new(password: str, pointer: str = "#/password") -> str:
    """The hash of a password that somebody chooses, for the field at `pointer`.

    Raises Invalid if it is one of the most common passwords, unless the stack accepts those.
    """
    require_uncommon(password, pointer)
    return hash_password(password)


def require_uncommon(password: str, pointer: str) -> None:
    """Raises Invalid if the password at `pointer` may not be chosen, PasswordsOff if none may."""
    require_accepted()
    if settings().reject_common_passwords and password.lower() in _common():
        detail = "is one of the most common passwords, which attackers try first. Choose another"
        raise Invalid([FieldError(pointer, detail)])


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
def _common() -> frozenset[str]:
    """The most common passwords, in lower case. Reading them takes a few milliseconds."""
    import gzip

    path = Path(__file__).with_name("common-passwords.txt.gz")
    return frozenset(gzip.decompress(path.read_bytes()).decode().split("\n"))


@cache
def _dummy_hash() -> str:
    """The hash to verify against if there is none."""
    return hash_password(secrets.token_urlsafe())
