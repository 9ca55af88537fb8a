"""Identity records: who of the company's sign-in has which account.

An identity is an issuer and a subject, which the issuer never gives to anyone else. Addresses are
reassigned, so they never lead to an account that has an identity already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from slipway.store import account_records
from slipway.store.account_records import email_key
from slipway.store.table import Fields, Key, Transaction, setting

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord, IdentityFields


class Identity(NamedTuple):
    issuer: str
    subject: str

    def fields(self) -> IdentityFields:
        """The identity as an account has it."""
        return {"issuer": self.issuer, "subject": self.subject}


def key(identity: Identity) -> Key:
    """The key of the item that leads from the identity to its account."""
    return account_records.identity_key(*identity)


def of(account: AccountRecord) -> Identity | None:
    """The identity that the account has."""
    found = account.get("identity")
    return Identity(found["issuer"], found["subject"]) if found else None


def make(
    transaction: Transaction, account: AccountRecord, identity: Identity, stale: str | None
) -> Transaction:
    """Add the parts that make the account, which has the identity, without a password.

    "email" fails if the address has an account by now, "identity" if the identity has one other
    than `stale`, which is deleted.
    """
    account_records.add(transaction, account, None)
    return _claim(transaction, identity, account["id"], stale)


def link(
    transaction: Transaction, account: AccountRecord, identity: Identity, at: str, stale: str | None
) -> Transaction:
    """Add the parts that give the account the identity, take its password and end its sessions.

    "account" fails if the account has changed its status or its identity, "identity" like `make`.
    """
    change = {"action": "linked", "actor": account["id"], "at": at}
    fields: Fields = {
        "identity": identity.fields(),
        "email_verified_at": account.get("email_verified_at", at),
        "change": change,
    }
    expression, values = setting(fields)
    condition = "#status = :active AND "
    if was := account.get("identity"):
        values["was"] = was
        condition += "#identity = :was"
    else:
        condition += "attribute_not_exists(#identity)"
    transaction.update(
        "account",
        account_records.key(account["id"]),
        f"{expression} ADD #generation :one",
        {**values, "one": 1, "active": "active"},
        condition,
    )
    shown, values = setting({"email_verified_at": fields["email_verified_at"], "change": change})
    transaction.update("listing", account_records.listed(account["id"]), shown, values)
    transaction.update(
        "email",
        email_key(account["email"]),
        "SET company = :true REMOVE password_hash",
        {"true": True, "id": account["id"]},
        "user_id = :id",
    )
    return _claim(transaction, identity, account["id"], stale)


def _claim(
    transaction: Transaction, identity: Identity, user_id: str, stale: str | None
) -> Transaction:
    expression, values = setting({"user_id": user_id, **identity.fields()})
    condition = "attribute_not_exists(pk)"
    if stale:
        condition, values = "user_id = :stale", {**values, "stale": stale}
    return transaction.update("identity", key(identity), expression, values, condition)
