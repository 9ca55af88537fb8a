"""Joining: how somebody becomes a member of a project.

Somebody with an account joins at once. Others are invited: a seat in the project, with the role,
and an invitation with the hash of its secret, which only the functions of accounts can read. Who
registers with it joins in the transaction that makes the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.ids import ProjectId
from slipway.domain.member import MOST_MEMBERS, AddedMember, NewMember
from slipway.errors import (
    AlreadyMember,
    Busy,
    InvitationInvalid,
    ProjectFull,
    ProjectGoing,
    RegistrationClosed,
)
from slipway.services import ownership
from slipway.services.members import action_to_give, require_to_give
from slipway.settings import settings
from slipway.store import account_records, project_records, table
from slipway.store import member_records as records
from slipway.store.table import Check, Fields, Item, Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import InvitationRecord
    from slipway.domain.records import ProjectRecord

_TRIES = 5


def add(project: ProjectId, wanted: NewMember, principal: Principal, base: str) -> AddedMember:
    """Add the user with this address to the project; invite the address if nobody has it.

    An invitation replaces an earlier one of the address to the project. It is mailed if the
    platform can do so; otherwise the answer has what registers the address. `base` is the scheme
    and host of links.

    Raises NotFound, Forbidden, AlreadyMember, ProjectFull, UserDisabled, RegistrationClosed,
    ProjectGoing, TooManyAttempts, Busy. Two round trips; with a mail four, and a call to SES.
    """
    for _ in range(_TRIES):
        asked = _Asked(project, wanted, principal)
        try:
            if asked.entry:
                return _join(asked)
            return _invite(asked, base)
        except TransactionFailed as failed:
            _refuse(failed, asked)
    raise Busy(1)


class _Asked:
    """A request to add somebody, and what has to be read for it. One round trip.

    Raises NotFound, Forbidden, ProjectGoing.
    """

    def __init__(self, project: ProjectId, wanted: NewMember, principal: Principal) -> None:
        self.project, self.wanted, self.principal = project, wanted, principal
        self.invitation_id = records.invitation_id(project, wanted.email)
        *found, self.entry, self.seat, self.account = table.get(
            *authorization.keys(project, principal),
            account_records.email_key(wanted.email),
            records.place(project, self.invitation_id),
            authorization.account(principal),
        )
        self.item: ProjectRecord = authorization.authorized(project, principal, found)
        self.membership: Item = found[0]
        given = [wanted.model_dump(), *filter(None, [self.seat])]
        self.action = require_to_give(principal, self.membership, *given)
        if self.item["status"] != "active":
            raise ProjectGoing()

    def fields(self) -> Fields:
        """What the member's item, or that of the seat, says."""
        return {
            "email": self.wanted.email,
            "role": self.wanted.role,
            "overrides": dict(self.wanted.overrides),
            "added_by": self.principal.author(),
            "added_at": timestamps.written(timestamps.now()),
            "version": 1,
        }

    def caller(self) -> Check | Update:
        """The part that fails if the caller may no longer do this.

        The item of a project's creator has no e-mail address, because creating a project reads
        nothing. It is added here, before there is another member who could read it.
        """
        check = authorization.still_may(self.project, self.principal.asking(self.action))
        if "email" in self.membership or not self.account:
            return check
        values = {
            "email": self.account["email"],
            "user_id": self.account["id"],
            "at": self.item["created_at"],
        }
        change = "SET email = :email, user_id = :user_id, added_at = if_not_exists(added_at, :at)"
        return Update(check.key, change, {**values, **(check.values or {})}, check.condition)

    def seats(self) -> int:
        """How many seats this takes: none if the address is invited already."""
        return 0 if self.seat else 1

    def shown(self, fields: Fields, **more: Any) -> AddedMember:
        return AddedMember.model_validate({"project_id": str(self.project), **fields, **more})


def _join(asked: _Asked) -> AddedMember:
    """Raises TransactionFailed, AlreadyMember. One round trip."""
    assert asked.entry
    project, user_id = asked.project, asked.entry["user_id"]
    if user_id == asked.principal.user_id:
        raise AlreadyMember()
    fields = {"user_id": user_id, **asked.fields()}
    transaction = Transaction().add("caller", asked.caller())
    transaction.check("account", account_records.key(user_id), *ownership.active())
    if asked.seat:
        transaction.delete(
            "seat", records.place(project, asked.invitation_id), "attribute_exists(pk)"
        )
        transaction.delete("invitation", account_records.invitation_key(asked.invitation_id))
    _seat(transaction, project, asked.item, user_id, fields, asked.seats())
    transaction.commit()
    return asked.shown(fields)


def _seat(
    transaction: Transaction,
    project: ProjectId,
    item: ProjectRecord,
    user_id: str,
    fields: Fields,
    seats: int,
) -> None:
    """Add the parts that make a user a member, and copy the project into the user's list."""
    role = fields["role"]
    transaction.put("member", project_records.member(project, user_id), fields)
    listing = records.listing(item, role)
    transaction.put("project listing", project_records.listed(project, user_id), listing, None)
    transaction.add(
        "record",
        records.count(
            project,
            members=1,
            seats=seats,
            owners=records.owners(role),
            most=MOST_MEMBERS if seats else None,
            version=item["version"],
        ),
    )


def _invite(asked: _Asked, base: str) -> AddedMember:
    """Raises TransactionFailed, RegistrationClosed, TooManyAttempts."""
    # Imported here, because most requests add nobody.
    from slipway.access import attempts
    from slipway.aws import mail
    from slipway.services import mails

    if settings().registration == "closed":
        raise RegistrationClosed(
            "Nobody has this address, and registration is closed, also with an invitation."
        )
    if asked.seats() and asked.item.get("seats", 1) >= MOST_MEMBERS:
        raise ProjectFull(MOST_MEMBERS)
    email, project = asked.wanted.email, asked.project
    record, secret = account_records.new_invitation(email, "member", asked.principal.user_id)
    record["id"] = asked.invitation_id
    record["project_id"] = str(project)
    secret = f"{record['id']}.{secret.partition('.')[2]}"
    # It is mailed before it is written, as every invitation is (services/invitations.py).
    if mail.is_set_up():
        attempts.invite(email, asked.principal.user_id)
        record["mailed"] = mails.invitation(email, base, secret)
    fields = {**asked.fields(), "invitation_id": record["id"], "expires_at": record["expires_at"]}
    transaction = Transaction().add("caller", asked.caller())
    transaction.put("invitation", account_records.invitation_key(record["id"]), record, None)
    there = "attribute_exists(pk)" if asked.seat else "attribute_not_exists(pk)"
    transaction.put("seat", records.place(project, record["id"]), fields, there)
    most = MOST_MEMBERS if asked.seats() else None
    transaction.add("record", records.count(project, seats=asked.seats(), most=most))
    transaction.commit()
    shown = None if record["mailed"] else secret
    return asked.shown(fields, status="invited", mailed=record["mailed"], invitation=shown)


def _refuse(failed: TransactionFailed, asked: _Asked) -> None:
    """Raise the refusal for a failed transaction; return if another try may succeed."""
    if failed.get("member") is not None:
        raise AlreadyMember()
    record = failed.get("record")
    if record and record.get("seats", 1) >= MOST_MEMBERS and record["status"] == "active":
        raise ProjectFull(MOST_MEMBERS)
    ownership.refuse(failed, asked.project, asked.item)
    if not asked.entry and settings().mail_sender:
        # Another try would send another mail.
        raise Busy(1)


# --- registering with an invitation -----------------------------------------------------------


def keys(project: ProjectId, invitation_id: str) -> tuple[table.Key, table.Key]:
    """The keys of the items that `accept` needs: the project's record and the invitation's seat."""
    return project_records.key(project), records.place(project, invitation_id)


def accept(
    transaction: Transaction,
    invitation: InvitationRecord,
    user_id: str,
    project: ProjectId,
    found: Sequence[Any],
) -> None:
    """Add the parts that make the user a member of the project that the invitation names.

    `found` are the items at `keys`. The parts fail if the invitation was removed, if the project
    has changed since it was read, or if the one who invited may no longer give the role. Raises
    InvitationInvalid.
    """
    item, seat = found
    place = records.place(project, invitation["id"])
    if not item or not seat or item["status"] != "active":
        raise InvitationInvalid()
    fields: Fields = {name: seat.get(name) for name in ("email", "role", "overrides", "added_by")}
    fields |= {"user_id": user_id, "added_at": timestamps.written(timestamps.now()), "version": 1}
    transaction.delete(
        "seat", place, "#role = :role AND attribute_exists(pk)", {"role": seat["role"]}
    )
    _seat(transaction, project, item, user_id, fields, 0)
    inviter = Principal(invitation["invited_by"], action_to_give(seat))
    transaction.add("inviter", authorization.still_may(project, inviter))
