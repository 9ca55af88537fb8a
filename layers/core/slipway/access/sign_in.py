"""Signing in: a password for its account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slipway.access import passwords
from slipway.access.attempts import Attempt
from slipway.aws import mail
from slipway.errors import AccountDisabled, EmailUnverified, WrongCredentials
from slipway.store import sessions, user_records

if TYPE_CHECKING:
    from slipway.domain.records import AccountRecord
    from slipway.domain.user import SignIn
    from slipway.store.table import Key, Put


def sign_in(wanted: SignIn, address: str, begun: Callable[[AccountRecord], Put]) -> AccountRecord:
    """The account of the user with this e-mail and password.

    `address` is the caller's IP address. `begun` returns the write that begins the session. It is
    carried out once the password is known to be right, and the session counts only if this
    function returns. Raises PasswordsOff, TooManyAttempts, AccountDisabled, EmailUnverified, and
    WrongCredentials, after the same work whether or not the account exists. Three round trips, two
    if the password is wrong.
    """
    passwords.require_accepted()
    email = wanted.email
    attempt = Attempt("sign-in", email, address)
    entry, account = attempt.begin(user_records.email_key(email), then=_account_key)
    if not passwords.verify_password(wanted.password, entry and entry.get("password_hash")):
        raise WrongCredentials()
    if not account:
        raise WrongCredentials()
    now, entry_now = attempt.succeeded(
        begun(account), _account_key([entry]), user_records.email_key(email)
    )
    # A new password, and the end of all sessions, also hold for a sign-in that is under way. If
    # they come later, they end the session that has begun.
    if not now or entry_now != entry or now.get("generation") != account.get("generation"):
        raise WrongCredentials()
    if now.get("status") == "disabled":
        raise AccountDisabled()
    # It was made before the platform could send mail, perhaps with somebody else's address.
    if mail.is_set_up() and not now.get("email_verified_at"):
        raise EmailUnverified()
    found: AccountRecord = now
    return found


def _account_key(found: list[Any]) -> Key:
    """The key of the account that the address leads to; without one, a key that leads nowhere."""
    [entry] = found
    return sessions.account_key(entry["user_id"] if entry else "none")
