"""The company's people: whose account is whose, and which roles their groups give.

Somebody is recognised by issuer and subject. An address leads to an account only once, at the first
sign-in, if the provider has proven it and the account has no identity: then the account is the
owner's of the address, so its password goes and its sessions end, whoever began them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway import observe
from slipway.access import provider, signing
from slipway.domain import groups, ids, timestamps
from slipway.domain.account import in_domains
from slipway.domain.user import normalised_email
from slipway.errors import (
    AccountDisabled,
    Busy,
    RegistrationClosed,
    SessionEnded,
)
from slipway.errors.company import IdentityTaken, SignInRefused
from slipway.services import company_roles
from slipway.settings import settings
from slipway.store import account_records as records
from slipway.store import audit, identity_records, table
from slipway.store.identity_records import Identity
from slipway.store.table import Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slipway.domain.account_records import AccountRecord, FamilyRecord, InvitationRecord

_TRIES = 3
_LONGEST_EMAIL = 254


@dataclass(frozen=True)
class Person:
    """Somebody, as the provider says. `email` is "" unless it is proven. `roles` are those that
    the groups give, None if the provider does not say which groups these are."""

    identity: Identity
    email: str
    roles: groups.Roles | None


def person_of(claims: Mapping[str, Any]) -> Person:
    company = provider.company()
    told = claims.get("email_verified")
    proven = told is True or told == "true" or (told is None and company.trust_emails)
    email = claims.get("email")
    return Person(
        Identity(company.issuer, claims["sub"]),
        _normalised(email) if proven and isinstance(email, str) else "",
        roles_of(claims),
    )


def _normalised(email: str) -> str:
    if len(email) > _LONGEST_EMAIL:
        return ""
    try:
        return normalised_email(email)
    except ValueError:
        return ""


def roles_of(claims: Mapping[str, Any]) -> groups.Roles | None:
    """The roles that the groups in the claims give, None if it does not have all groups."""
    company = provider.company()
    # Who has too many groups gets a link in their place (OpenID Connect Core 1.0, 5.6.2).
    if company.groups_claim in (claims.get("_claim_names") or ()):
        observe.log().warning("The provider left out the groups of a user, who has too many")
        return None
    return groups.roles(company.groups, groups.of_claim(claims.get(company.groups_claim)))


def account_of(person: Person) -> AccountRecord:
    """The person's account, made or linked if necessary, with the roles of the groups.

    Raises SignInRefused, AccountDisabled, IdentityTaken, RegistrationClosed, Busy.
    """
    auditing = audit.current()
    keys = [identity_records.key(person.identity)]
    if person.email:
        invitation_id = f"inv_{ids.derived_part(person.email)}"
        keys += [records.email_key(person.email), records.invitation_key(invitation_id)]
    for _ in range(_TRIES):
        found, entry, invitation = (*table.get(*keys), None, None)[:3]
        stale: str | None = None
        try:
            if found:
                [account] = table.get(records.key(found["user_id"]))
                if account:
                    audit.by_user(auditing, "users:change", account)
                    return apply_roles(account, person.roles)
                stale = found["user_id"]
            if not person.email:
                raise SignInRefused(
                    "The company's sign-in does not say that your address is proven. Ask its "
                    "administrators."
                )
            if entry:
                account = _link(entry["user_id"], person, stale)
                audit.by_user(auditing, "users:change", account)
                return apply_roles(account, person.roles)
            return _make(person, invitation, stale)
        except TransactionFailed:
            # Somebody has made or changed the account meanwhile.
            continue
    raise Busy(1)


def _make(person: Person, invitation: InvitationRecord | None, stale: str | None) -> AccountRecord:
    """A new account. Raises RegistrationClosed, TransactionFailed."""
    domains = settings().email_domains
    if domains and not in_domains(person.email, domains):
        raise RegistrationClosed("Only addresses of the platform's domains become users here.")
    transaction = Transaction()
    invited = invitation if invitation and _is_valid(invitation, person.email) else None
    role = invited["platform_role"] if invited else "member"
    by = invited["invited_by"] if invited else None
    if invited:
        same = {"token_hash": invited["token_hash"]}
        key = records.invitation_key(invited["id"])
        transaction.delete("invitation", key, "token_hash = :token_hash", same)
    account = records.new(person.email, role, proven=True, by=by)
    account["identity"] = person.identity.fields()
    after = _with_role(account, person.roles) or account
    audit.by_user(audit.current(), "users:register", account)
    identity_records.make(transaction, after, person.identity, stale).commit()
    return after


def _is_valid(invitation: InvitationRecord, email: str) -> bool:
    now = timestamps.written(timestamps.now())
    return invitation["email"] == email and invitation["expires_at"] > now


def _link(user_id: str, person: Person, stale: str | None) -> AccountRecord:
    """The account with this address, from now on the person's.

    Raises IdentityTaken, AccountDisabled, TransactionFailed.
    """
    [found] = table.get(records.key(user_id))
    if not found:
        raise TransactionFailed({})
    account: AccountRecord = found
    known = identity_records.of(account)
    # Another issuer is another provider, which the operator has chosen since.
    if known and known.issuer == person.identity.issuer:
        raise IdentityTaken()
    if account["status"] == "disabled":
        raise AccountDisabled()
    at = timestamps.written(timestamps.now())
    audit.by_user(audit.current(), "users:link", account)
    identity_records.link(Transaction(), account, person.identity, at, stale).commit()
    account["identity"] = person.identity.fields()
    account["generation"] = account.get("generation", 0) + 1
    return account


# --- sessions that go on ------------------------------------------------------------------------


def confirm(family: FamilyRecord, account: AccountRecord, end: Update) -> str:
    """Ask the provider whether somebody may still sign in, and apply the roles of the groups.

    Returns what the provider's next refresh token is kept as. `end` is the write that ends the
    session, which happens if the provider refuses. Raises SessionEnded, ProviderUnavailable, Busy.
    """
    identity = identity_records.of(account)
    told = opened(family)
    # The signing secret, or the provider, is another one by now.
    if told is None or identity is None or not _is_of_this_company(identity):
        raise _ended(end, "The platform's company sign-in has changed. Sign in again.")
    try:
        confirmed = provider.refresh(told, identity.subject)
    except provider.Refused:
        raise _ended(
            end, "The company's sign-in no longer vouches for you. Sign in again."
        ) from None
    if confirmed.claims is not None:
        roles = roles_of(confirmed.claims)
        auditing = audit.current()
        audit.by_user(auditing, "users:change", account)
        _apply_again(account, roles)
        company_roles.apply(account, roles, auditing)
    return sealed(confirmed.refresh_token, family["id"])


def _is_of_this_company(identity: Identity) -> bool:
    return provider.is_set_up() and provider.company().issuer == identity.issuer


def _ended(end: Update, detail: str) -> SessionEnded:
    table.write(end)
    return SessionEnded(detail)


def _apply_again(account: AccountRecord, roles: groups.Roles | None) -> None:
    """Raises AccountDisabled, SessionEnded, Busy."""
    for _ in range(_TRIES):
        try:
            apply_roles(account, roles)
            return
        except TransactionFailed:
            [found] = table.get(records.key(account["id"]))
            if not found:
                raise SessionEnded() from None
            account = found
    raise Busy(1)


def sealed(refresh_token: str, session_id: str) -> str:
    """The provider's refresh token as the session's family keeps it: encrypted, for it alone."""
    return signing.sealed(refresh_token, f"refresh token of the company for {session_id}")


def opened(family: FamilyRecord) -> str | None:
    """The provider's refresh token, None if it was sealed with another signing secret."""
    return signing.opened(family["company"], f"refresh token of the company for {family['id']}")


# --- roles --------------------------------------------------------------------------------------


def apply_roles(account: AccountRecord, roles: groups.Roles | None) -> AccountRecord:
    """Give the account the roles of its groups, and take those of groups that are gone.

    Raises AccountDisabled, and TransactionFailed if the account has changed meanwhile. One round
    trip if anything changes.
    """
    if account["status"] == "disabled":
        raise AccountDisabled()
    after = _with_role(account, roles)
    if after is None:
        return account
    at = timestamps.written(timestamps.now())
    changed = groups.Held.of(after, "platform_role").fields("platform_role")
    change = {"action": "appointed", "actor": "groups", "at": at}
    transaction = records.change(Transaction(), account, {**changed, "change": change})
    try:
        transaction.commit()
    except TransactionFailed as failed:
        if failed.get("administrators") is None:
            raise
        observe.log().warning("The last administrator keeps the role, without the group")
        return account
    return after


def _with_role(account: AccountRecord, roles: groups.Roles | None) -> AccountRecord | None:
    """The account with the role of its groups, None if that changes nothing."""
    if roles is None:
        return None
    now = groups.Held.of(account, "platform_role")
    then = groups.held(now, roles.platform, groups.PLATFORM_ROLES)
    if then == now:
        return None
    fields = then.fields("platform_role")
    kept = {name: value for name, value in account.items() if name not in fields}
    present = {name: value for name, value in fields.items() if value is not None}
    changed: Any = {**kept, **present}
    after: AccountRecord = changed
    return after
