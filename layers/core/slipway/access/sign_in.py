"""Signing in: a password for its account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.access import passwords
from slipway.access.attempts import Attempt
from slipway.aws import mail
from slipway.errors import AccountDisabled, EmailUnverified, WrongCredentials
from slipway.store import sessions, user_records

if TYPE_CHECKING:
    from slipway.domain.user import SignIn
    from slipway.store.table import Item


def sign_in(wanted: SignIn, address: str) -> Item:
    """The account of the user with this e-mail and password.

    `address` is the caller's IP address. Raises TooManyAttempts, AccountDisabled, EmailUnverified,
    and WrongCredentials, after the same work whether or not the account exists. Three round trips,
    two if the password is wrong.
    """
    email = wanted.email
    attempt = Attempt("sign-in", email, address)
    [entry] = attempt.begin(user_records.email_key(email))
    if not passwords.verify_password(wanted.password, entry and entry.get("password_hash")):
        raise WrongCredentials()
    [account] = attempt.succeeded(sessions.account_key(entry["user_id"]))
    if not account:
        raise WrongCredentials()
    if account.get("status") == "disabled":
        raise AccountDisabled()
    # It was made before the platform could send mail, perhaps with somebody else's address.
    if mail.is_set_up() and not account.get("email_verified_at"):
        raise EmailUnverified()
    found: Item = account
    return found
