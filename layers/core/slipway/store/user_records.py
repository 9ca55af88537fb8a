"""User records: users, their e-mail addresses, and counts of failed sign-ins."""

from __future__ import annotations

import time

from slipway.domain import ids, timestamps
from slipway.domain.user import User
from slipway.errors import EmailTaken, TooManyAttempts, Unauthenticated
from slipway.store import idempotency, table
from slipway.store.table import Key, Transaction, TransactionFailed, Update

_WINDOW_SECONDS = 900
_MOST_FAILURES = {"account": 10, "address": 100}


def _email(email: str) -> Key:
    return Key(f"EMAIL#{email}", "EMAIL")


def _account(user_id: str) -> Key:
    return Key(f"ACCOUNT#{user_id}", "ACCOUNT")


def _attempts(kind: str, subject: str) -> Key:
    """The key of the subject's failures in the current window.

    Windows are fixed, so that one ADD counts a failure.
    """
    window = int(time.time()) // _WINDOW_SECONDS
    return Key(f"ATTEMPTS#{kind}#{subject}#{window}", "ATTEMPTS")


def get(user_id: str) -> User:
    """The user; one round trip. Raises Unauthenticated if the token's user no longer exists."""
    [item] = table.get(_account(user_id))
    if item is None:
        raise Unauthenticated("The token's user no longer exists. Sign in as another user.")
    return User(**item)


def for_sign_in(email: str, address: str) -> tuple[str, str] | None:
    """The user's id and password hash, None if no user has this e-mail; one round trip.

    `address` is the caller's IP address. Raises TooManyAttempts if too many sign-ins of the account
    or from the address have failed in the current window.
    """
    kinds = list(_MOST_FAILURES)
    found, *counts = table.get(
        _email(email), _attempts("account", email), _attempts("address", address)
    )
    for kind, count in zip(kinds, counts, strict=True):
        if count and count["failures"] >= _MOST_FAILURES[kind]:
            raise TooManyAttempts(_WINDOW_SECONDS - int(time.time()) % _WINDOW_SECONDS)
    return (found["user_id"], found["password_hash"]) if found else None


def count_failure(email: str, address: str) -> None:
    """Count a failed sign-in for the e-mail and the IP address. Two round trips."""
    ttl = int(time.time()) + 2 * _WINDOW_SECONDS
    for key in (_attempts("account", email), _attempts("address", address)):
        table.write(
            Update(
                key,
                "ADD failures :one SET #ttl = :ttl",
                {"one": 1, "ttl": ttl},
                condition="",
            )
        )


def add(email: str, password_hash: str) -> User:
    """Add a user. Raises EmailTaken. One round trip."""
    user = {
        "id": ids.new_user_id(),
        "email": email,
        "created_at": timestamps.written(timestamps.now()),
    }
    shown = User.model_validate(user)
    transaction = (
        Transaction()
        .put("email", _email(email), {"user_id": user["id"], "password_hash": password_hash})
        .put("account", _account(user["id"]), user)
    )
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed:
        raise EmailTaken() from None
    return shown
