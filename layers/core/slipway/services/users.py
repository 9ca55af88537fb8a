"""Users: what administrators see and change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.account import UserChange
from slipway.domain.ids import UserId
from slipway.domain.paging import Page, Paging
from slipway.domain.records import changed
from slipway.domain.user import Person, ResetLink, User
from slipway.errors import (
    Busy,
    LastAdministrator,
    PreconditionFailed,
    UserActive,
    UserNotEmpty,
    no_such,
)
from slipway.errors.company import CompanyAccount
from slipway.store import account_records as records
from slipway.store import audit, idempotency, table
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord

_TRIES = 5
_LINK_HOURS = 24
_PAGE = 1000
_NAMED = 10

Precondition = Callable[[User], bool]
"""Whether a user is still as the caller has read it (`If-Match`)."""


def list_(principal: Principal, paging: Paging) -> Page[User]:
    """A page of all users, newest first; one round trip.

    Raises Forbidden, and Invalid for a cursor of another list.
    """
    [account], items, last = table.page(
        [authorization.account(principal)], records.ALL, records.LISTED, paging
    )
    authorization.require_administrator(account)
    return Page([records.to_model(item) for item in items], last)


def get(user_id: UserId, principal: Principal) -> User | Person:
    """The user: all of it for administrators and the user, little for those who share a project.

    Raises NotFound for all others. One round trip, and one for each further 1,000 projects.
    """
    from slipway.store import project_records

    queries = [project_records.of_user(each, _PAGE) for each in (user_id, principal.user_id)]
    [found, own], pages = table.read(
        (records.key(user_id), authorization.account(principal)), *queries
    )
    if not found:
        raise no_such("user")
    if user_id == principal.user_id or (own and own["platform_role"] == "admin"):
        return records.to_model(found)
    theirs, mine = (
        {each["id"] for each in table.every(query, page)}
        for query, page in zip(queries, pages, strict=True)
    )
    grant = principal.grant
    if grant and grant.project_ids is not None:
        mine &= grant.project_ids
    if not theirs & mine:
        raise no_such("user")
    return Person.model_validate({**found, "email": records.shown_email(found)})


def change(
    user_id: UserId, wanted: UserChange, principal: Principal, precondition: Precondition | None
) -> User:
    """Change the user's role; no-op if nothing differs. Two round trips.

    Raises Forbidden, NotFound, LastAdministrator, PreconditionFailed, Busy.
    """
    fields = {"platform_role": wanted.platform_role}
    return _write(user_id, fields, "appointed", principal, precondition, wanted.require_unchanged)


def disable(user_id: UserId, principal: Principal) -> User:
    """Disable the user, whose next request is refused. Repeating it changes nothing.

    Raises Forbidden, NotFound, LastAdministrator, Busy. Two round trips.
    """
    return _write(user_id, {"status": "disabled"}, "disabled", principal)


def enable(user_id: UserId, principal: Principal) -> User:
    """Enable a disabled user, who must sign in again. Repeating it changes nothing.

    Raises Forbidden, NotFound, Busy. Two round trips.
    """
    return _write(user_id, {"status": "active"}, "enabled", principal)


def remove(user_id: UserId, principal: Principal) -> None:
    """Delete a disabled user, who leaves all projects. Two round trips, and two for each project.

    The user is disabled first, so that no project is created or joined meanwhile. Raises Forbidden,
    NotFound, UserActive, UserNotEmpty if the user holds projects, Busy.
    """
    from slipway.services import memberships
    from slipway.store import project_records

    keys = (authorization.account(principal), records.key(user_id))
    query = project_records.of_user(user_id, _PAGE)
    [own, found], [page] = table.read(keys, query)
    authorization.require_administrator(own)
    if not found:
        raise no_such("user")
    if found["status"] == "active":
        raise UserActive()
    projects = list(table.every(query, page))
    if held := [each for each in projects if not each.get("shared")]:
        raise UserNotEmpty([{"id": each["id"], "name": each["name"]} for each in held[:_NAMED]])
    auditing = audit.current()
    who = {"target": user_id, "name": found["email"]}
    for each in projects:
        audit.also(auditing, action="members:remove", project=each["id"], **who)
        memberships.end(ids.parse_project(each["id"]), user_id)
    audit.also(auditing)
    try:
        records.remove(Transaction(), found).commit()
    except TransactionFailed:
        raise Busy(1) from None


def make_reset_link(user_id: str, principal: Principal, base: str) -> ResetLink:
    """A link that sets a user's password, for administrators: mailed, if the platform sends mail.

    Raises Forbidden, NotFound, CompanyAccount. Three round trips, and a call to SES.
    """
    from slipway.aws import mail
    from slipway.services import mails
    from slipway.store import reset_records

    own, account = table.get(authorization.account(principal), records.key(user_id))
    authorization.require_administrator(own)
    if not account:
        raise no_such("user")
    email = account["email"]
    [entry] = table.get(records.email_key(email))
    if entry and "company" in entry:
        raise CompanyAccount()
    write, record, secret = reset_records.new(email, entry, _LINK_HOURS)
    audit.note(name=email, after={"expires_at": record["expires_at"]})
    table.write(write)
    mailed = mail.is_set_up() and mails.reset(email, base, secret)
    return ResetLink.model_validate(
        {
            "user_id": user_id,
            "mailed": mailed,
            "expires_at": record["expires_at"],
            "reset": None if mailed else secret,
        }
    )


def _read(user_id: UserId, principal: Principal) -> AccountRecord:
    """Raises Forbidden, NotFound. One round trip."""
    own, found = table.get(authorization.account(principal), records.key(user_id))
    authorization.require_administrator(own)
    if not found:
        raise no_such("user")
    account: AccountRecord = found
    return account


def _write(
    user_id: UserId,
    fields: Fields,
    action: str,
    principal: Principal,
    precondition: Precondition | None = None,
    check: Callable[[User], None] | None = None,
) -> User:
    for _ in range(_TRIES):
        account = _read(user_id, principal)
        if precondition and not precondition(records.to_model(account)):
            raise PreconditionFailed()
        if check:
            check(records.to_model(account))
        after = changed(account, fields)
        shown = records.to_model(after)
        if shown == records.to_model(account):
            return shown
        at = timestamps.written(timestamps.now())
        written = {**fields, "change": {"action": action, "actor": principal.actor, "at": at}}
        # Sessions do not come back when the user is enabled.
        ends = action == "disabled"
        transaction = records.change(Transaction(), account, written, ends_sessions=ends)
        try:
            idempotency.commit(transaction, shown)
        except TransactionFailed as failed:
            # If the account has changed as well, the count was not meant for what it is now.
            if failed.get("account") is None and failed.get("administrators") is not None:
                raise LastAdministrator() from None
        else:
            return shown
    raise Busy(1)
