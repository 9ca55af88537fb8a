"""Registering with quick passwords, in each mode, with and without mail."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.access import passwords, signing
from slipway.aws import mail
from slipway.settings import settings
from slipway.store import account_records, table, user_records
from slipway.store.table import Transaction, Update
from tests.support.api.client import Answer, Client
from tests.support.api.people import PASSWORD

REGISTER, VERIFY = "/api/v1/auth/register", "/api/v1/auth/verify-email"
INVITATIONS, USERS, ME = "/api/v1/invitations", "/api/v1/users", "/api/v1/auth/me"
NEW = "new@example.com"


@dataclass
class Mailbox:
    """The mails that the platform sent; with `refuses`, SES accepts none of them."""

    mails: list[tuple[str, str, str]] = field(default_factory=list)
    refuses: bool = False

    def send(self, to: str, subject: str, text: str) -> bool:
        if self.refuses:
            return False
        self.mails.append((to, subject, text))
        return True

    @property
    def link(self) -> str:
        """The link in the last mail."""
        [found] = re.findall(r"https://\S+#\S+", self.mails[-1][2])
        return str(found)

    @property
    def secret(self) -> str:
        """The one-time secret in the last mail."""
        [found] = re.findall(r"[#&](?:verify|invitation)=([^&]+)", self.link)
        return str(found)


def set_parameters(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set variables of the functions, as parameters of the stack do."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def with_mail(monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """Let the platform send mail, to this mailbox."""
    set_parameters(monkeypatch, MAIL_SENDER="slipway@example.com")
    mailbox = Mailbox()
    monkeypatch.setattr(mail, "send", mailbox.send)
    return mailbox


def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hash passwords without argon2. Returns those that are hashed."""
    hashed: list[str] = []

    def hash_password(password: str) -> str:
        hashed.append(password)
        return f"hash of {password}"

    monkeypatch.setattr(passwords, "hash_password", hash_password)
    monkeypatch.setattr(
        passwords, "verify_password", lambda password, known: known == f"hash of {password}"
    )
    return hashed


def register(email: str = NEW, password: str = PASSWORD, **fields: Any) -> Answer:
    return Client().post(REGISTER, {"email": email, "password": password, **fields})


def user(email: str, role: Any = "member") -> Client:
    """A signed-in user with this role on the platform."""
    added = user_records.add(email, "a hash", role=role)
    return Client(signing.mint(added.id).access_token, added.id)


def administrator(email: str = "root@example.com") -> Client:
    return user(email, "admin")


def appoint(user_id: str) -> None:
    """Make the user an administrator."""
    [account] = table.get(account_records.key(user_id))
    account_records.change(Transaction(), account, {"platform_role": "admin"}).commit()


def prove(user_id: str) -> None:
    """Let the user have proven the address."""
    at = "2026-11-29T00:00:00.000Z"
    change = ("SET email_verified_at = :at", {"at": at})
    for key in (account_records.key(user_id), account_records.listed(user_id)):
        table.write(Update(key, *change))
