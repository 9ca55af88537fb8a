"""Signing in: a password for its account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slipway.access import passwords
from slipway.access.attempts import Attempt
from slipway.aws import mail
from slipway.errors import AccountDisabled, EmailUnverified, Refused, WrongCredentials
from slipway.store import audit, sessions, user_records

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.domain.user import SignIn
    from slipway.store.table import Key, Put


def sign_in(wanted: SignIn, address: str, begun: Callable[[AccountRecord], Put]) -> AccountRecord:
    """The account of the user with this e-mail and password.

    `address` is the caller's IP address. `begun` returns the write that begins the session. It is
    carried out once the password is known to be right, and the session counts only if this
    function returns. Raises PasswordsOff, TooManyAttempts, AccountDisabled, EmailUnverified, and
    WrongCredentials, after the same work whether or not the account exists. Three round trips.
    """
    passwords.require_accepted()
    email = wanted.email
    attempt = Attempt("sign-in", email, address)
    entry, account = attempt.begin(user_records.email_key(email), then=_account_key)
    if not passwords.verify_password(wanted.password, entry and entry.get("password_hash")):
        attempt.failed(account)
        raise WrongCredentials()
    if not account:
        raise WrongCredentials()
    _note(account)
    now, entry_now = attempt.succeeded(
        begun(account), _account_key([entry]), user_records.email_key(email)
    )
    # A new password, and the end of all sessions, also hold for a sign-in that is under way. If
    # they come later, they end the session that has begun.
    if not now or entry_now != entry or now.get("generation") != account.get("generation"):
        raise WrongCredentials()
    if refusal := _refusal(now):
        raise refusal
    found: AccountRecord = now
    return found


def _refusal(account: AccountRecord) -> Refused | None:
    """Why the owner of the account may not sign in, None if nothing forbids it."""
    if account.get("status") == "disabled":
        return AccountDisabled()
    # It was made before the platform could send mail, perhaps with somebody else's address.
    if mail.is_set_up() and not account.get("email_verified_at"):
        return EmailUnverified()
    return None


def _note(account: AccountRecord) -> None:
    """Say in the audit who signs in, and why not if that is refused."""
    who = {"actor": account["id"], "actor_name": account["email"]}
    audit.note(**who, target=account["id"], name=account["email"], after={})
    if refusal := _refusal(account):
        audit.note(action="account:sign-in-failed", after={"reason": refusal.code})


def _account_key(found: list[Any]) -> Key:
    """The key of the account that the address leads to; without one, a key that leads nowhere."""
    [entry] = found
    return sessions.account_key(entry["user_id"] if entry else "none")
