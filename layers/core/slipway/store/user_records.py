"""User records: users and their e-mail addresses."""

from __future__ import annotations

from slipway.domain import ids, timestamps
from slipway.domain.user import User
from slipway.errors import EmailTaken, Unauthenticated
from slipway.store import idempotency, table
from slipway.store.table import Key, Put, Transaction, TransactionFailed


def email_key(email: str) -> Key:
    """The key of the item with the id and the password hash of the user who has this e-mail."""
    return Key(f"EMAIL#{email}", "EMAIL")


def _account(user_id: str) -> Key:
    return Key(f"ACCOUNT#{user_id}", "ACCOUNT")


def get(user_id: str) -> User:
    """The user; one round trip. Raises Unauthenticated if the token's user no longer exists."""
    [item] = table.get(_account(user_id))
    if item is None:
        raise Unauthenticated("The token's user no longer exists. Sign in as another user.")
    return User(**item)


def add(email: str, password_hash: str, also: Put | None = None) -> User:
    """Add a user, and write `also` in the same transaction. Raises EmailTaken. One round trip."""
    user = {
        "id": ids.new_user_id(),
        "email": email,
        "created_at": timestamps.written(timestamps.now()),
    }
    shown = User.model_validate(user)
    transaction = (
        Transaction()
        .put("email", email_key(email), {"user_id": user["id"], "password_hash": password_hash})
        .put("account", _account(user["id"]), user)
    )
    if also:
        transaction.add("also", also)
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed:
        raise EmailTaken() from None
    return shown
