"""Registration, with an invitation or without, and the proof of an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.access import attempts, passwords
from slipway.aws import mail
from slipway.domain import ids, timestamps
from slipway.domain.account import (
    OPERATOR,
    OPERATOR_HOURS,
    Registration,
    Verification,
    in_domains,
)
from slipway.domain.user import NewUser, User, as_given
from slipway.errors import (
    EmailTaken,
    InvitationInvalid,
    LinkInvalid,
    RegistrationClosed,
    WrongCredentials,
)
from slipway.services import mails
from slipway.settings import settings
from slipway.store import account_records as records
from slipway.store import audit, idempotency, table, user_records
from slipway.store.table import (
    ConditionFailed,
    Delete,
    Fields,
    Item,
    Key,
    Put,
    Transaction,
    TransactionFailed,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.account_records import InvitationRecord
    from slipway.domain.ids import ProjectId

# Each takes the processor time of a password's hash.
_TRIES = 10
_ACCEPT_TRIES = 3


def register(wanted: NewUser, address: str, base: str) -> tuple[User | Registration, bool]:
    """Register a user, and return whether the account exists now.

    Where the platform sends mail, the account is made when the address is proven (`verify`): the
    answer, the work and the number of mails are the same if the address has an account already, so
    they do not tell. An invitation that was mailed is a proof by itself. `address` is the caller's
    IP address, `base` the scheme and host for links.

    Raises PasswordsOff, RegistrationClosed, InvitationInvalid, EmailTaken, TooManyAttempts. Two
    round trips; with a mail four, and one call to SES.
    """
    passwords.require_accepted()
    if wanted.invitation is not None:
        return _accept(wanted.invitation, wanted), True
    _require_open(wanted.email)
    attempts.register(address)
    if not mail.is_set_up():
        password_hash = passwords.hash_new(wanted.password)
        return user_records.add(
            wanted.email, password_hash, attempts.known(wanted.email, address)
        ), True
    attempts.mail(wanted.email)
    [known, *mark] = table.get(records.email_key(wanted.email), *idempotency.keys())
    idempotency.check_replayed(*mark)
    write, secret = records.new_registration(wanted.email, passwords.hash_new(wanted.password))
    table.write(write, aside=True)
    if known:
        mails.notice(as_given(wanted.email), base)
    else:
        mails.verification(as_given(wanted.email), base, secret)
    return Registration(email=as_given(wanted.email)), False


def verify(wanted: Verification) -> User:
    """Make the account of a registration whose mail has arrived.

    The password is asked for again, so that the owner of an address does not make the account that
    somebody else has registered with it. Raises PasswordsOff, LinkInvalid, WrongCredentials,
    RegistrationClosed, EmailTaken. Two round trips.
    """
    passwords.require_accepted()
    key = records.registration_key(wanted.token)
    item = _tried(key)
    if item["expires_at"] <= _now():
        raise LinkInvalid()
    if not passwords.verify_password(wanted.password, item["password_hash"]):
        raise WrongCredentials("The password is not the one that you registered with.")
    _require_open(item["email"])
    written_as = item.get("written_as")
    account = records.new(item["email"], "member", proven=True, written_as=written_as)
    transaction = Transaction().delete("link", key, "attribute_exists(pk)")
    try:
        return records.make(account, item["password_hash"], transaction)
    except TransactionFailed as failed:
        raise EmailTaken() if failed.get("link") is None else LinkInvalid() from None


def _tried(key: Key) -> Item:
    """Count a try of the link and return its registration. Raises LinkInvalid after too many."""
    condition = "attribute_exists(pk) AND (attribute_not_exists(tries) OR tries < :most)"
    values = {"one": 1, "most": _TRIES}
    try:
        found: Item = table.write(Update(key, "ADD tries :one", values, condition), aside=True)
    except ConditionFailed:
        raise LinkInvalid() from None
    return found


def invite_administrator(email: str) -> tuple[InvitationRecord, str]:
    """An invitation to administer the platform, for its operator, and what registers the address.

    It replaces an earlier one. It also works where registration is closed, and for an address that
    has an account: then it sets a new password and ends the account's sessions, so that a stranger
    who registered the address first gains nothing. One round trip.
    """
    record, secret = records.new_invitation(email, "admin", OPERATOR, OPERATOR_HOURS)
    table.write(Put(records.invitation_key(record["id"]), record, condition=None))
    return record, secret


def _accept(invitation: str, wanted: NewUser) -> User:
    """Make the account that the invitation allows. Raises RegistrationClosed, InvitationInvalid."""
    invitation_id, _, secret = invitation.partition(".")
    key, project = records.invitation_key(invitation_id), ids.project_of_invitation(invitation_id)
    keys = _keys_in_project(project, invitation_id)
    found, known, *joined = table.get(key, records.email_key(wanted.email), *keys)
    by_operator = bool(found) and found["invited_by"] == OPERATOR
    if settings().registration == "closed" and not by_operator:
        raise _closed()
    valid = {"email": wanted.email, "token_hash": records.digest(secret)}
    if not found or found["expires_at"] <= _now() or {**found, **valid} != found:
        raise InvitationInvalid()
    if known and not by_operator:
        # The refusal is the same, because only the operator's invitation is for an existing
        # account.
        raise InvitationInvalid()
    used = Delete(
        key,
        "token_hash = :token_hash AND email = :email AND expires_at > :now",
        {**valid, "now": _now()},
    )
    password_hash = passwords.hash_new(wanted.password)
    try:
        if known and by_operator:
            transaction = Transaction().add("invitation", used)
            return _recover(known["user_id"], password_hash, transaction)
        return _make_invited(found, as_given(wanted.email), used, password_hash, joined)
    except TransactionFailed:
        # The refusal is the same if the address has an account by now.
        raise InvitationInvalid() from None


def _keys_in_project(project: ProjectId | None, invitation_id: str) -> tuple[Key, ...]:
    if project is None:
        return ()
    # Imported here and below, because few users are invited to a project.
    from slipway.services import joining

    return joining.keys(project, invitation_id)


def _make_invited(
    invitation: InvitationRecord,
    written_as: str,
    used: Delete,
    password_hash: str,
    joined: list[Any],
) -> User:
    """Make the account of somebody who was invited, who joins the project that the invitation
    names. `joined` are its items, and `written_as` is the address as it was given now.

    Raises TransactionFailed, InvitationInvalid.
    """
    by = invitation["invited_by"]
    account = records.new(
        invitation["email"],
        invitation["platform_role"],
        proven=invitation["mailed"] or by == OPERATOR,
        by=by,
        written_as=written_as,
    )
    project = ids.project_of_invitation(invitation["id"])
    for tries in range(_ACCEPT_TRIES):
        transaction = Transaction().add("invitation", used)
        if project:
            from slipway.services import joining

            if tries:
                joined = table.get(*joining.keys(project, invitation["id"]))
            joining.accept(transaction, invitation, account["id"], project, joined)
        try:
            return records.make(account, password_hash, transaction)
        except TransactionFailed as failed:
            # The project may have changed since it was read.
            if failed.get("record") is None or tries == _ACCEPT_TRIES - 1:
                raise
    raise AssertionError


def _recover(user_id: str, password_hash: str, transaction: Transaction) -> User:
    """Make the account an administrator's with a new password. Raises TransactionFailed."""
    [account] = table.get(records.key(user_id))
    at = _now()
    fields: Fields = {
        "platform_role": "admin",
        "status": "active",
        "email_verified_at": account.get("email_verified_at", at),
        "change": {"action": "appointed", "actor": OPERATOR, "at": at},
    }
    shown = records.to_model({**account, **fields})
    new_password = {"hash": password_hash, "id": user_id}
    audit.note(actor=user_id, actor_name=account["email"], target=user_id)
    transaction.update(
        "password",
        records.email_key(account["email"]),
        "SET password_hash = :hash",
        new_password,
        "user_id = :id",
    )
    idempotency.commit(records.change(transaction, account, fields, ends_sessions=True), shown)
    return shown


def _require_open(email: str) -> None:
    """Raises RegistrationClosed unless everyone with such an address may register."""
    mode = settings().registration
    if mode == "open":
        return
    # Anyone can write any address, so a domain means something only if the address is proven.
    if mode == "domains" and mail.is_set_up() and in_domains(email, settings().email_domains):
        return
    raise _closed()


def _closed() -> RegistrationClosed:
    whom = settings().registration_contact or "an administrator of this platform"
    if settings().registration == "closed":
        return RegistrationClosed(f"Registration is closed. Ask {whom} for an account.")
    detail = f"You cannot register here without an invitation. Ask {whom} for one."
    return RegistrationClosed(detail)


def _now() -> str:
    return timestamps.written(timestamps.now())
