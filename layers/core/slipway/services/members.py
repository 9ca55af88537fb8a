"""Members: who works on a project, who joins, who leaves, and who owns it.

One member, the project's holder (`owner` in its record), has its name among the names of the own
projects, and its place in a quota. The holder is an owner. If a holder leaves, is removed or gets
another role, another owner takes both over in the same transaction.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from slipway.access import authorization, policy
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.ids import MemberId, ProjectId, UserId, project_of_invitation
from slipway.domain.member import Member, MemberChange, Permissions
from slipway.domain.paging import Page
from slipway.errors import (
    Busy,
    LastOwner,
    PreconditionFailed,
    ProjectGoing,
    no_such,
)
from slipway.services import ownership
from slipway.store import account_records, idempotency, project_records, table
from slipway.store import member_records as records
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import MemberRecord, ProjectRecord

TRIES = 5
# Only owners give these, and take them away.
_HIGH = {"maintainer", "owner"}
_GIVE_LOW, _GIVE_HIGH = "members:change", "members:appoint"


# --- reading ----------------------------------------------------------------------------------


def list_(project: ProjectId, principal: Principal) -> Page[Member]:
    """The project's members, the first one first, and then its invitations.

    Raises NotFound, Forbidden. One round trip; two if the project's creator was never alone with
    this platform's present release.
    """
    keys = [*authorization.keys(project, principal), authorization.account(principal)]
    [*found, own], [(members, _), (invited, _)] = table.read(
        keys, records.users_of(project), records.invited_to(project)
    )
    authorization.authorized(project, principal, found)
    emails = _emails(members, own)
    shown = [_member(project, each, emails) for each in members]
    shown.sort(key=lambda each: (str(each.added_at or ""), str(each.user_id)))
    return Page([*shown, *(_invitation(project, each) for each in invited)])


def get(project: ProjectId, member_id: MemberId, principal: Principal) -> Member:
    """A member or an invitation. Raises NotFound, Forbidden. One round trip, as for `list_`."""
    key = _key(project, member_id)
    account = account_records.key(member_id)
    *found, member, own = table.get(*authorization.keys(project, principal), key, account)
    authorization.authorized(project, principal, found)
    if not member:
        raise no_such("member")
    if project_of_invitation(member_id):
        return _invitation(project, member)
    return _member(project, member, _emails([member], own))


def permissions(project: ProjectId, principal: Principal) -> Permissions:
    """What the principal may do in the project. Raises NotFound. One round trip."""
    found = table.get(*authorization.keys(project, principal))
    authorization.authorized(project, principal, found)
    membership: MemberRecord = found[0]
    role, overrides = membership["role"], membership.get("overrides") or {}
    can = [str(each) for each in policy.can(role, overrides, principal.grant)]
    return Permissions(role=role, overrides=overrides, can=can)


def _key(project: ProjectId, member_id: str) -> table.Key:
    """The key of the member, or of the invitation's seat. Raises NotFound."""
    invited_to = project_of_invitation(member_id)
    if invited_to is None:
        return project_records.member(project, member_id)
    if invited_to != project:
        raise no_such("member")
    return records.place(project, member_id)


def _emails(members: list[Any], own: Any) -> dict[str, str]:
    """The e-mail addresses of members whose items lack it. `own` is an account known already."""
    emails = {own["id"]: own["email"]} if own else {}
    lacking = [records.user_of(each) for each in members if "email" not in each]
    unknown = [user_id for user_id in lacking if user_id not in emails]
    for account in table.get(*map(account_records.key, unknown)):
        if account:
            emails[account["id"]] = account["email"]
    return emails


def _member(project: ProjectId, item: Mapping[str, Any], emails: Mapping[str, str]) -> Member:
    user_id = records.user_of(item)
    known = {"project_id": str(project), "user_id": user_id, "email": emails.get(user_id, "")}
    return Member.model_validate({**known, **item})


def _invitation(project: ProjectId, item: Mapping[str, Any]) -> Member:
    is_over = item["expires_at"] <= _now()
    status = "expired" if is_over else "invited"
    return Member.model_validate({**item, "project_id": str(project), "status": status})


# --- changing ---------------------------------------------------------------------------------


def require_to_give(
    principal: Principal, membership: Mapping[str, Any], *given: Mapping[str, Any]
) -> str:
    """The action that these roles need; the members' roles before and after a change.

    Maintainers give and take deployers and viewers, owners every role. Raises Forbidden.
    """
    action = action_to_give(*given)
    if action != _GIVE_LOW:
        authorization.require_role(principal.asking(action), membership["role"])
        return action
    return principal.action


def action_to_give(*given: Mapping[str, Any]) -> str:
    """The action, by the policy's name, that gives and takes these roles."""
    roles = {each["role"] for each in given}
    roles |= {role for each in given for role in (each.get("overrides") or {}).values()}
    return _GIVE_HIGH if roles & _HIGH else _GIVE_LOW


def change(
    project: ProjectId,
    user_id: UserId,
    wanted: MemberChange,
    principal: Principal,
    if_version: Container[int] | None,
) -> Member:
    """Change a member's role or overrides; no-op if nothing differs.

    `if_version` has the versions that the caller expects, None is any. Raises NotFound, Forbidden,
    LastOwner, NameTaken, QuotaExceeded, PreconditionFailed, ProjectGoing, Busy. Two round trips.
    """
    fields = wanted.model_dump(exclude_none=True)
    for _ in range(TRIES):
        seen = Seen(project, user_id, principal)
        if if_version is not None and seen.target.get("version", 1) not in if_version:
            raise PreconditionFailed()
        wanted.require_unchanged(_member(project, seen.target, seen.emails))
        after = {**seen.target, **fields}
        action = require_to_give(principal, seen.membership, seen.target, after)
        if all(seen.target.get(name, {}) == value for name, value in fields.items()):
            return _member(project, seen.target, seen.emails)
        shown = _member(
            project, {**after, "version": seen.target.get("version", 1) + 1}, seen.emails
        )
        transaction = _changing(seen, fields, after["role"], seen.transaction(action))
        try:
            idempotency.commit(transaction, shown)
        except TransactionFailed as failed:
            ownership.refuse(failed, project, seen.item)
        else:
            return shown
    raise Busy(1)


def _changing(seen: Seen, fields: Fields, role: str, transaction: Transaction) -> Transaction:
    to = seen.next_holder(role)
    transaction.add("member", records.change(seen.project, seen.user_id, seen.target, fields))
    listed = {"role": role, "shared": True} if to else {"role": role}
    transaction.add("listing", records.relist(seen.project, seen.user_id, listed))
    seen.succeed(transaction, to)
    by = records.owners(role) - records.owners(seen.target["role"])
    return transaction.add("record", seen.counted(members=0, owners=by, to=to))


def remove(project: ProjectId, member_id: MemberId, principal: Principal) -> None:
    """Remove a member, or an invitation, which then no longer works.

    Members may remove themselves. Raises NotFound, Forbidden, LastOwner, NameTaken, QuotaExceeded,
    ProjectGoing, Busy. Two round trips.
    """
    if project_of_invitation(member_id):
        _uninvite(project, member_id, principal)
    else:
        _remove(project, member_id, principal)


def leave(project: ProjectId, principal: Principal) -> None:
    """Leave the project. Raises as `remove`. Two round trips."""
    _remove(project, principal.user_id, principal)


def _remove(project: ProjectId, user_id: str, principal: Principal) -> None:
    if user_id == principal.user_id and principal.is_person:
        principal = principal.asking("members:leave")
    for _ in range(TRIES):
        seen = Seen(project, user_id, principal)
        action = principal.action
        if user_id != principal.user_id:
            action = require_to_give(principal, seen.membership, seen.target)
        to = seen.next_holder(None)
        transaction = seen.transaction(action)
        transaction.add("member", records.remove(project, user_id, seen.target))
        transaction.delete("listing", project_records.listed(project, user_id))
        seen.succeed(transaction, to)
        by = -records.owners(seen.target["role"])
        transaction.add("record", seen.counted(members=-1, owners=by, to=to))
        try:
            transaction.commit()
        except TransactionFailed as failed:
            ownership.refuse(failed, project, seen.item)
        else:
            return
    raise Busy(1)


def _uninvite(project: ProjectId, invitation: str, principal: Principal) -> None:
    key = _key(project, invitation)
    *found, seat = table.get(*authorization.keys(project, principal), key)
    authorization.authorized(project, principal, found)
    if not seat:
        raise no_such("member")
    action = require_to_give(principal, found[0], seat)
    transaction = uninvited(Transaction(), project, invitation)
    transaction.add("caller", authorization.still_may(project, principal.asking(action)))
    transaction.add("record", records.count(project, seats=-1))
    try:
        transaction.commit()
    except TransactionFailed as failed:
        if (found_caller := failed.get("caller")) is not None:
            raise authorization.lost(found_caller, "project") from None
        # It was accepted or removed meanwhile.
        raise no_such("member") if failed.get("seat") is not None else ProjectGoing() from None


def uninvited(transaction: Transaction, project: ProjectId, invitation: str) -> Transaction:
    """Add the parts that end an invitation; "seat" fails if it was accepted or removed already."""
    transaction.delete("seat", records.place(project, invitation), "attribute_exists(pk)")
    return transaction.delete("invitation", account_records.invitation_key(invitation))


class Seen:
    """What is read before a member is changed: the project, the caller, the target, all members.

    One round trip. Raises NotFound, Forbidden, ProjectGoing.
    """

    def __init__(self, project: ProjectId, user_id: str, principal: Principal) -> None:
        self.project, self.user_id, self.principal = project, user_id, principal
        keys = [
            *authorization.keys(project, principal),
            authorization.account(principal),
            account_records.key(user_id),
        ]
        [*found, own, account], [(members, _)] = table.read(keys, records.users_of(project))
        self.item: ProjectRecord = authorization.authorized(project, principal, found)
        self.membership = found[0]
        self.members: dict[str, Any] = {records.user_of(each): each for each in members}
        if user_id not in self.members:
            raise no_such("member")
        self.target: MemberRecord = self.members[user_id]
        if self.item["status"] != "active":
            raise ProjectGoing()
        self.emails = {each["id"]: each["email"] for each in (own, account) if each}

    def transaction(self, action: str) -> Transaction:
        """A transaction that fails if the caller may no longer do this."""
        if self.user_id == self.principal.user_id:
            return Transaction()
        still_may = authorization.still_may(self.project, self.principal.asking(action))
        return Transaction().add("caller", still_may)

    def next_holder(self, role: str | None) -> str | None:
        """Who holds the project if the target gets this role, or leaves; None if nothing changes.

        The caller, if it is another owner; otherwise the one who has been an owner for longest.
        Raises LastOwner.
        """
        if role == "owner" or self.item["owner"] != self.user_id:
            return None
        others = {
            user_id: str(each.get("added_at", ""))
            for user_id, each in self.members.items()
            if each["role"] == "owner" and user_id != self.user_id
        }
        if not others:
            raise LastOwner()
        caller = self.principal.user_id
        return caller if caller in others else min(others, key=lambda each: others[each])

    def succeed(self, transaction: Transaction, to: str | None) -> None:
        """Add the parts that let another owner hold the project, unless it is None."""
        if to is None:
            return
        ownership.hand_over(transaction, self.project, self.item, to)
        transaction.add("to listing", records.relist(self.project, to, ownership.HELD))
        if to != self.principal.user_id:
            key = project_records.member(self.project, to)
            transaction.check("successor", key, "#role = :owner", {"owner": "owner"})

    def counted(self, *, members: int, owners: int, to: str | None) -> table.Update:
        """The part that counts the members. It fails if no owner would be left."""
        return records.count(
            self.project,
            members=members,
            seats=members,
            owners=owners,
            version=self.item["version"] if to else None,
            holder=(self.user_id, to) if to else None,
        )


def _now() -> str:
    return timestamps.written(timestamps.now())
