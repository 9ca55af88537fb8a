"""Account records: accounts and their list, the count of administrators, and what makes accounts.

An invitation and a registration are kept under the hash of the secret that was sent; the table does
not have the secret. Each disappears in the transaction that makes the account, so of two who use it
at once, one gets the account.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain import ids, timestamps
from slipway.domain.account import INVITATION_HOURS, REGISTRATION_HOURS
from slipway.domain.user import PlatformRole, User, as_given
from slipway.store import audit, idempotency, sessions, table
from slipway.store.table import Fields, Key, Put, Transaction, setting

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord, InvitationRecord

ALL = "ACCOUNT#ALL"
LISTED = "USER#"
INVITATIONS = "INVITE#ALL"
INVITATION = "INVITE#"
ADMINISTRATORS = Key(ALL, "ADMINISTRATORS")


def email_key(email: str) -> Key:
    """The key of the item that makes an address unique, and leads to its account."""
    return Key(f"EMAIL#{email}", "EMAIL")


def identity_key(issuer: str, subject: str) -> Key:
    """The key of the item that leads from an identity of the company's sign-in to its account."""
    return Key(f"IDENTITY#{digest(json.dumps([issuer, subject]))}", "IDENTITY")


def key(user_id: str) -> Key:
    """The key of the user's account."""
    return sessions.account_key(user_id)


def listed(user_id: str) -> Key:
    """The key of the user in the list of all users."""
    return Key(ALL, LISTED + user_id)


def to_model(item: Mapping[str, Any]) -> User:
    """The user as the API returns it."""
    return User.model_validate({**item, "email": shown_email(item)})


def shown_email(item: Mapping[str, Any]) -> str:
    """The account's address as its owner has written it."""
    return str(item.get("written_as") or item["email"])


# --- making accounts --------------------------------------------------------------------------


def new(
    email: str,
    role: PlatformRole,
    *,
    proven: bool,
    by: str | None = None,
    written_as: str | None = None,
) -> AccountRecord:
    """A new account's record. `by` made it; by default the user. `written_as` is how the user wrote
    the address, if `email` does not know."""
    at = timestamps.written(timestamps.now())
    user_id = ids.new_user_id()
    account: AccountRecord = {
        "id": user_id,
        "email": str(email),
        "platform_role": role,
        "status": "active",
        "created_at": at,
        "change": {"action": "registered", "actor": by or user_id, "at": at},
    }
    if proven:
        account["email_verified_at"] = at
    if (given := written_as or as_given(email)) != email:
        account["written_as"] = given
    return account


def add(transaction: Transaction, account: AccountRecord, password_hash: str | None) -> Transaction:
    """Add the parts that make the account. "email" fails if the address has an account already.

    Without a password hash, nobody can sign in until a one-time link sets a password; and none does
    if the account has an identity of the company's sign-in.
    """
    user_id = account["id"]
    company = True if "identity" in account else None
    entry: Fields = {"user_id": user_id, "password_hash": password_hash, "company": company}
    transaction.put("email", email_key(account["email"]), entry)
    transaction.put("account", key(user_id), account)
    transaction.put("listing", listed(user_id), account)
    return count_administrators(transaction, None, account)


def make(
    account: AccountRecord, password_hash: str | None, transaction: Transaction | None = None
) -> User:
    """Make the account, together with what `transaction` has already. One round trip.

    Raises TransactionFailed; its part "email" if the address has an account already.
    """
    shown = to_model(account)
    audit.note(actor=account["id"], actor_name=account["email"])
    idempotency.commit(add(transaction or Transaction(), account, password_hash), shown)
    return shown


# --- changing accounts ------------------------------------------------------------------------


def change(
    transaction: Transaction,
    account: AccountRecord,
    fields: Fields,
    *,
    ends_sessions: bool = False,
) -> Transaction:
    """Add the parts that change the account and its entry in the list.

    "account" fails if its role or its status is no longer the one in `account`, "administrators" if
    no administrator would be left.
    """
    expression, values = setting(fields)
    expected = {"role": account["platform_role"], "was": account["status"]}
    transaction.update(
        "account",
        key(account["id"]),
        expression + (" ADD #generation :one, token_generation :one" if ends_sessions else ""),
        {**values, **expected, **({"one": 1} if ends_sessions else {})},
        condition="platform_role = :role AND #status = :was",
    )
    transaction.update("listing", listed(account["id"]), expression, values)
    return count_administrators(transaction, account, {**account, **fields})


def remove(transaction: Transaction, account: AccountRecord) -> Transaction:
    """Add the parts that delete a disabled account. "account" fails if it was enabled since."""
    condition, values = "#status = :was", Fields({"was": "disabled"})
    if "generation" in account:
        # Each time that an account is disabled ends its sessions.
        condition += " AND #generation = :generation"
        values["generation"] = account["generation"]
    transaction.delete("account", key(account["id"]), condition, values)
    if "identity" in account:
        transaction.delete("identity", identity_key(**account["identity"]))
    transaction.delete("email", email_key(account["email"]))
    return transaction.delete("listing", listed(account["id"]))


def administrators() -> int:
    """The number of active administrators; one round trip."""
    [item] = table.get(ADMINISTRATORS)
    return int(item["administrators"]) if item else 0


def count_administrators(
    transaction: Transaction, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Transaction:
    """Add the part that counts the active administrators, if their number changes."""
    by = _administers(after) - _administers(before)
    if by == 0:
        return transaction
    values, condition = {"by": by}, ""
    if by < 0:
        values, condition = {"by": by, "one": 1}, "administrators > :one"
    return transaction.update(
        "administrators", ADMINISTRATORS, "ADD administrators :by", values, condition
    )


def _administers(account: Mapping[str, Any] | None) -> bool:
    return (
        account is not None
        and account["platform_role"] == "admin"
        and account["status"] == "active"
    )


# --- what makes accounts ----------------------------------------------------------------------


def new_secret() -> str:
    """A one-time secret that nobody can guess."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """The form in which the table has a one-time secret. Secrets are long and random."""
    return hashlib.sha256(secret.encode()).hexdigest()


def invitation_key(invitation_id: str) -> Key:
    """The key of the invitation."""
    return Key(INVITATIONS, INVITATION + invitation_id)


def new_invitation(
    email: str, role: PlatformRole, by: str, hours: float = INVITATION_HOURS
) -> tuple[InvitationRecord, str]:
    """A new invitation's record, and what registers the address: `<id>.<secret>`.

    Its id follows from the address, so it replaces an earlier invitation of the address.
    """
    secret = new_secret()
    now = timestamps.now()
    ends = timestamps.hours_after(now, hours)
    record: InvitationRecord = {
        "id": f"inv_{ids.derived_part(email)}",
        "email": email,
        "platform_role": role,
        "token_hash": digest(secret),
        "mailed": False,
        "invited_by": by,
        "created_at": timestamps.written(now),
        "expires_at": timestamps.written(ends),
        "ttl": timestamps.epoch(ends),
    }
    return record, f"{record['id']}.{secret}"


def registration_key(secret: str) -> Key:
    """The key of the registration that waits for the proof of its address."""
    return Key(f"REGISTRATION#{digest(secret)}", "REGISTRATION")


def new_registration(email: str, password_hash: str) -> tuple[Put, str]:
    """The write of a registration that waits for the proof of its address, and its secret."""
    secret = new_secret()
    ends = timestamps.hours_after(timestamps.now(), REGISTRATION_HOURS)
    item = {
        "email": str(email),
        "written_as": as_given(email),
        "password_hash": password_hash,
        "expires_at": timestamps.written(ends),
        "ttl": timestamps.epoch(ends),
    }
    return Put(registration_key(secret), item), secret
