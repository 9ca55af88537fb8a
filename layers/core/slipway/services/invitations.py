"""Invitations, with which people register although registration is closed to them."""

from __future__ import annotations

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.aws import mail
from slipway.domain import timestamps
from slipway.domain.account import Invitation, NewInvitation, SentInvitation
from slipway.domain.ids import InvitationId, ProjectId, project_of_invitation
from slipway.domain.paging import Page, Paging
from slipway.errors import EmailTaken, RegistrationClosed, no_such
from slipway.services import mails
from slipway.settings import settings
from slipway.store import account_records as records
from slipway.store import table
from slipway.store.table import ConditionFailed, Delete, Put, Transaction, TransactionFailed


def create(wanted: NewInvitation, principal: Principal, base: str) -> SentInvitation:
    """Invite an address, in place of an earlier invitation. `base` is the scheme and host of links.

    The invitation is mailed if the platform can do so. Otherwise the answer has what registers the
    address, which is kept nowhere. Raises Forbidden, EmailTaken, RegistrationClosed. Two round
    trips, and one call to SES.
    """
    account, known = table.get(authorization.account(principal), records.email_key(wanted.email))
    authorization.require_administrator(account)
    if known:
        raise EmailTaken("A user has this e-mail address already. Change the user's role instead.")
    if settings().registration == "closed":
        raise RegistrationClosed(
            "Registration is closed, also with an invitation. Set the stack's parameter "
            "Registration to invite."
        )
    record, secret = records.new_invitation(wanted.email, wanted.platform_role, principal.user_id)
    # It is mailed before it is written, because the record says whether it was. If it cannot be
    # written, the link in the mail does not work, and the caller sends the request again.
    if mail.is_set_up():
        record["mailed"] = mails.invitation(wanted.email, base, secret)
    table.write(Put(records.invitation_key(record["id"]), record, condition=None))
    return SentInvitation.model_validate(
        {**record, "invitation": None if record["mailed"] else secret}
    )


def list_(principal: Principal, paging: Paging) -> Page[Invitation]:
    """A page of the invitations that can still be used; one round trip.

    Raises Forbidden, and Invalid for a cursor of another list.
    """
    [account], items, last = table.page(
        [authorization.account(principal)], records.INVITATIONS, records.INVITATION, paging
    )
    authorization.require_administrator(account)
    now = timestamps.written(timestamps.now())
    valid = [item for item in items if item["expires_at"] > now]
    return Page([Invitation.model_validate(item) for item in valid], last)


def revoke(invitation_id: InvitationId, principal: Principal) -> None:
    """Revoke an invitation. Raises Forbidden, NotFound. Two round trips."""
    [account] = table.get(authorization.account(principal))
    authorization.require_administrator(account)
    if (project := project_of_invitation(invitation_id)) and _leaves_seat(project, invitation_id):
        return
    try:
        table.write(Delete(records.invitation_key(invitation_id), "attribute_exists(pk)"))
    except ConditionFailed:
        raise no_such("invitation") from None


def _leaves_seat(project: ProjectId, invitation_id: str) -> bool:
    """Revoke an invitation to a project with its seat; False if it has none. One round trip."""
    from slipway.store import member_records

    transaction = Transaction().delete(
        "invitation", records.invitation_key(invitation_id), "attribute_exists(pk)"
    )
    seat = member_records.place(project, invitation_id)
    transaction.delete("seat", seat, "attribute_exists(pk)")
    transaction.add("record", member_records.count(project, seats=-1))
    try:
        transaction.commit()
    except TransactionFailed:
        return False
    return True
