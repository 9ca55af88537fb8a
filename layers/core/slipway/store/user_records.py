"""User records: users and their e-mail addresses."""

from __future__ import annotations

from slipway.domain.user import PlatformRole, User
from slipway.errors import EmailTaken, Unauthenticated
from slipway.store import account_records, table
from slipway.store.account_records import email_key as email_key
from slipway.store.table import Put, Transaction, TransactionFailed


def get(user_id: str) -> User:
    """The user; one round trip. Raises Unauthenticated if the token's user no longer exists."""
    [item] = table.get(account_records.key(user_id))
    if item is None:
        raise Unauthenticated("The token's user no longer exists. Sign in as another user.")
    return account_records.to_model(item)


def add(
    email: str, password_hash: str, also: Put | None = None, *, role: PlatformRole = "member"
) -> User:
    """Add a user whose address is not proven, and write `also` in the same transaction.

    Raises EmailTaken. One round trip.
    """
    account = account_records.new(email, role, proven=False)
    transaction = Transaction()
    if also:
        transaction.add("also", also)
    try:
        return account_records.make(account, password_hash, transaction)
    except TransactionFailed:
        raise EmailTaken() from None
