"""Memberships of one user in many projects: what ends, or passes on, with the account."""

from __future__ import annotations

from typing import Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.ids import ProjectId, UserId
from slipway.errors import Busy, FieldError, Invalid, UserActive, UserDisabled, no_such
from slipway.services import ownership
from slipway.store import account_records, audit, project_records, table
from slipway.store import member_records as records
from slipway.store.table import Delete, Fields, Transaction, TransactionFailed

_TRIES = 5
_PAGE = 1000


def end(project: ProjectId, user_id: str) -> None:
    """End the membership of a user whose account is going; no-op if there is none.

    The user does not hold the project, so that it keeps its holder. Raises Busy. Two round trips.
    """
    for _ in range(_TRIES):
        key = project_records.member(project, user_id)
        item, member = table.get(project_records.key(project), key)
        listed = project_records.listed(project, user_id)
        if not item or not member:
            table.write(Delete(listed), aside=True)
            return
        transaction = Transaction().add("member", records.remove(project, user_id, member))
        transaction.delete("listing", listed)
        by = -records.owners(member["role"])
        transaction.add(
            "record", records.count(project, members=-1, seats=-1, owners=by, going=True)
        )
        try:
            transaction.commit()
        except TransactionFailed:
            # The member or the project has changed meanwhile.
            continue
        return
    raise Busy(1)


def hand_over(user_id: UserId, to: str, principal: Principal) -> None:
    """Let another user hold all projects that a disabled user holds, who leaves them.

    For administrators. Repeating it changes nothing; after a refusal, some projects may be handed
    over already. Raises Forbidden, NotFound, Invalid, UserActive, UserDisabled, NameTaken,
    QuotaExceeded, Busy. One round trip, and two for each project.
    """
    query = project_records.of_user(user_id, _PAGE)
    keys = (authorization.account(principal), account_records.key(user_id), account_records.key(to))
    [own, account, other], [page] = table.read(keys, query)
    authorization.require_administrator(own)
    if not account:
        raise no_such("user")
    if account["status"] == "active":
        raise UserActive("Only a disabled user's projects can be handed over. Disable the user.")
    if to == user_id:
        raise Invalid([FieldError("#/user_id", "must be another user's id")])
    if not other or other["status"] != "active":
        raise UserDisabled()
    auditing = audit.current()
    for each in table.every(query, page):
        if not each.get("shared"):
            # Each project has an entry of its own.
            audit.also(
                auditing,
                action="projects:transfer",
                project=each["id"],
                target=each["id"],
                name=each["name"],
                before={"owner": user_id},
                after={"owner": to},
            )
            _pass_on(ids.parse_project(each["id"]), user_id, other, principal)


def _pass_on(project: ProjectId, user_id: str, other: Any, principal: Principal) -> None:
    """Let the other user hold the project in place of this one, who leaves it."""
    to = other["id"]
    for _ in range(_TRIES):
        item, was, member = table.get(
            project_records.key(project),
            project_records.member(project, user_id),
            project_records.member(project, to),
        )
        if not item or not was or item["owner"] != user_id:
            return
        transaction = _passing_on(project, item, was, member, other, principal)
        try:
            ownership.hand_over(transaction, project, item, to).commit()
        except TransactionFailed as failed:
            if not failed.get("record"):
                ownership.refuse(failed, project, item)
        else:
            return
    raise Busy(1)


def _passing_on(
    project: ProjectId, item: Any, was: Any, member: Any, other: Any, principal: Principal
) -> Transaction:
    """The parts for the two users, of whom the other one may be a member already."""
    user_id, to = item["owner"], other["id"]
    transaction = Transaction().check("account", account_records.key(to), *ownership.active())
    transaction.add("was", records.remove(project, user_id, was))
    transaction.delete("was listing", project_records.listed(project, user_id))
    if member:
        fields: Fields = {"role": "owner", "overrides": None}
        transaction.add("member", records.change(project, to, member, fields))
        transaction.add("listing", records.relist(project, to, ownership.HELD))
    else:
        transaction.put("member", project_records.member(project, to), _new(other, principal))
        listing = {**records.listing(item, "owner"), **ownership.HELD}
        transaction.put("listing", project_records.listed(project, to), listing, None)
    less = -1 if member else 0
    by = -records.owners(member["role"]) if member else 0
    version = item["version"]
    counted = records.count(
        project,
        members=less,
        seats=less,
        owners=by,
        version=version,
        holder=(user_id, to),
        going=True,
    )
    transaction.add("record", counted)
    return transaction


def _new(other: Any, principal: Principal) -> Fields:
    return {
        "user_id": other["id"],
        "email": other["email"],
        "role": "owner",
        "added_by": principal.author(),
        "added_at": timestamps.written(timestamps.now()),
        "version": 1,
    }
