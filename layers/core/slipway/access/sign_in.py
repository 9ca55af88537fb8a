"""Signing in: a password for the id of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.access import passwords
from slipway.errors import WrongCredentials

if TYPE_CHECKING:
    from slipway.domain.user import SignIn


def sign_in(wanted: SignIn, address: str) -> str:
    """The id of the user with this e-mail and password.

    `address` is the caller's IP address. Raises TooManyAttempts, and WrongCredentials, after the
    same work whether or not the account exists. One round trip, three if the sign-in fails.
    """
    from slipway.store import user_records

    email = wanted.email
    user_id, password_hash = user_records.for_sign_in(email, address) or ("", None)
    if not passwords.verify_password(wanted.password, password_hash):
        user_records.count_failure(email, address)
        raise WrongCredentials()
    return user_id
