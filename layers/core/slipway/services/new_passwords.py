"""New passwords: of a user who knows the current one, and by one-time links.

A new password ends all sessions of its user, and all other links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.access import authorization, passwords
from slipway.access.attempts import Attempt
from slipway.access.principal import Principal
from slipway.aws import mail
from slipway.domain import timestamps
from slipway.domain.records import changed
from slipway.domain.user import (
    PasswordByLink,
    PasswordChange,
    PasswordReset,
    RequestedReset,
    SessionTokens,
)
from slipway.errors import LinkInvalid, SessionEnded, WrongCredentials
from slipway.services import mails, sessions
from slipway.store import account_records, audit, reset_records, table
from slipway.store.table import Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import ResetRecord


def change(principal: Principal, wanted: PasswordChange, address: str) -> SessionTokens:
    """Change the principal's password, and return the tokens of a new session.

    `address` is the caller's IP address. Guesses at the current password count like those at a
    sign-in. Raises WrongCredentials, TooManyAttempts, Invalid, SessionEnded. Four round trips.
    """
    passwords.require_uncommon(wanted.new_password, "#/new_password")
    [account] = table.get(authorization.account(principal))
    attempt = Attempt("sign-in", account["email"], address)
    [entry] = attempt.begin(account_records.email_key(account["email"]))
    if not passwords.verify_password(wanted.current_password, entry and entry.get("password_hash")):
        raise WrongCredentials("The current password is wrong. Check it and try again.")
    session = sessions.of(principal)
    transaction = Transaction().add(
        "email", _new_hash(account["email"], entry, wanted.new_password)
    )
    transaction.add("account", sessions.next_generation(session, "password_changed"))
    later = changed(account, {"generation": session.generation + 1})
    begun, tokens = sessions.begin(later)
    transaction.add("session", begun)
    for n, write in enumerate(attempt.release()):
        transaction.add(f"attempt {n}", write)
    try:
        transaction.commit()
    except TransactionFailed:
        # Another request has changed the password, or ended all sessions, meanwhile.
        raise SessionEnded() from None
    return tokens


def request_link(wanted: PasswordReset, address: str, base: str) -> RequestedReset:
    """Mail a link that sets a new password, if the platform sends mail.

    The answer, the work and the number of mails are the same if nobody has this e-mail address.
    `address` is the caller's IP address, `base` the scheme and host for the link. Raises
    TooManyAttempts. Three round trips and a call to SES; without mail two.
    """
    passwords.require_accepted()
    attempt = Attempt("reset", wanted.email, address)
    [entry] = attempt.begin(account_records.email_key(wanted.email))
    answer = RequestedReset(email=wanted.email)
    if not mail.is_set_up():
        return answer
    of_company = bool(entry) and "company" in entry
    write, record, secret = reset_records.new(wanted.email, None if of_company else entry)
    table.write(write, aside=True)
    if of_company:
        mails.of_company(wanted.email, base)
    elif "user_id" in record:
        mails.reset(wanted.email, base, secret)
    else:
        mails.no_account(wanted.email, base)
    return answer


def set_by_link(wanted: PasswordByLink) -> None:
    """Set the password that a link allows to set, once. Raises LinkInvalid, Invalid.

    The link also proves the address: it was mailed to it, or an administrator gave it to the user.
    Three round trips.
    """
    passwords.require_uncommon(wanted.new_password, "#/new_password")
    key = reset_records.key(wanted.token)
    [found] = table.get(key)
    record: ResetRecord | None = found
    if not record or record["expires_at"] <= _now() or "user_id" not in record:
        raise LinkInvalid()
    [entry] = table.get(account_records.email_key(record["email"]))
    if not entry or (entry["user_id"], reset_records.of(entry)) != (
        record["user_id"],
        record["of_entry"],
    ):
        raise LinkInvalid()
    user_id = record["user_id"]
    at = _now()
    change = {"action": "password_reset", "actor": user_id, "at": at}
    audit.note(actor=user_id, actor_name=record["email"], target=user_id, name=record["email"])
    proven = "email_verified_at = if_not_exists(email_verified_at, :at)"
    transaction = (
        Transaction()
        .delete("link", key, "attribute_exists(pk)")
        .add("email", _new_hash(record["email"], entry, wanted.new_password))
        .update(
            "account",
            account_records.key(user_id),
            f"SET change = :change, {proven} ADD #generation :one, token_generation :one",
            {"change": change, "at": at, "one": 1, "active": "active"},
            condition="#status = :active",
        )
        .update("listing", account_records.listed(user_id), f"SET {proven}", {"at": at})
    )
    try:
        transaction.commit()
    except TransactionFailed:
        raise LinkInvalid() from None


def _new_hash(email: str, entry: Any, password: str) -> Update:
    """The write of a new password's hash, if the password is still the one of `entry`."""
    values = {"new": passwords.hash_new(password, "#/new_password"), "user_id": entry["user_id"]}
    condition = "user_id = :user_id AND attribute_not_exists(password_hash)"
    if old := entry.get("password_hash"):
        condition = "user_id = :user_id AND password_hash = :old"
        values["old"] = old
    else:
        # Who signs in with the company's sign-in has none, and gets none by a link.
        condition += " AND attribute_not_exists(company)"
    return Update(account_records.email_key(email), "SET password_hash = :new", values, condition)


def _now() -> str:
    return timestamps.written(timestamps.now())
