"""The roles in projects that the groups of the company's sign-in give.

A member's record says which role groups gave, and which role people gave beside it. The account
remembers the projects in which groups gave one, so that it is found again when the group, or the
mapping, is gone. Each project is one transaction, and repeating it changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway import observe
from slipway.domain import groups, timestamps
from slipway.domain.groups import Held
from slipway.domain.ids import ProjectId
from slipway.domain.member import MOST_MEMBERS
from slipway.errors import Busy
from slipway.store import account_records, audit, member_records, project_records, table
from slipway.store.table import Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.store.audit import Auditing

_TRIES = 3


def apply(
    account: AccountRecord, roles: groups.Roles | None, auditing: Auditing | None = None
) -> None:
    """Give the roles in projects that the groups give, and take those of groups that are gone.

    A project that does not exist, is being deleted or has no seat left is skipped, and the log says
    so. `auditing` is the request's audit. Raises Busy. No round trip if the groups give no role in
    a project and never did; otherwise one for each project, and one more for each that changes.
    """
    if roles is None:
        return
    wanted = {ProjectId(name.removeprefix("prj_")): role for name, role in roles.projects.items()}
    known = {ProjectId(p) for p in account.get("group_projects", ())}
    for project in sorted({*wanted, *known}):
        # Each project has an entry of its own.
        audit.by_user(auditing, "members:change", account, project=str(project))
        _apply(account, project, wanted.get(project), project in known)


def _apply(account: AccountRecord, project: ProjectId, role: str | None, marked: bool) -> None:
    for _ in range(_TRIES):
        item, member = table.get(
            project_records.key(project), project_records.member(project, account["id"])
        )
        transaction = _changing(account, project, role, item, member)
        if transaction is None or (not transaction.parts and not marked):
            return
        now = Held.of(member, "role")
        kept = groups.held(now, role, groups.PROJECT_ROLES).by_groups is not None
        if kept == marked and not transaction.parts:
            return
        transaction.add("account", _mark(account, project, kept=kept))
        try:
            transaction.commit()
        except TransactionFailed:
            continue
        return
    raise Busy(1)


def _changing(
    account: AccountRecord, project: ProjectId, role: str | None, item: Any, member: Any
) -> Transaction | None:
    """The parts that change the member; None if the project cannot change."""
    transaction = Transaction()
    if not item:
        if role is not None:
            _skipped(project, "does not exist")
            return None
        return transaction
    now = Held.of(member, "role")
    then = groups.held(now, role, groups.PROJECT_ROLES)
    if then == now:
        return transaction
    if item["status"] != "active":
        _skipped(project, "is being deleted")
        return None
    user_id = account["id"]
    if then.role is None:
        transaction.add("member", member_records.remove(project, user_id, member))
        transaction.delete("listing", project_records.listed(project, user_id))
        return transaction.add("record", member_records.count(project, members=-1, seats=-1))
    if member:
        fields = then.fields("role")
        transaction.add("member", member_records.change(project, user_id, member, fields))
        listed = member_records.relist(project, user_id, {"role": then.role})
        return transaction.add("listing", listed)
    if item.get("seats", 1) >= MOST_MEMBERS:
        _skipped(project, "has no seat left")
        return None
    return _join(transaction, account, project, item, then)


def _join(
    transaction: Transaction, account: AccountRecord, project: ProjectId, item: Any, then: Held
) -> Transaction:
    assert then.role
    user_id = account["id"]
    fields: dict[str, Any] = {
        "user_id": user_id,
        "email": account["email"],
        "overrides": {},
        "added_at": timestamps.written(timestamps.now()),
        "version": 1,
        **then.fields("role"),
    }
    transaction.put("member", project_records.member(project, user_id), fields)
    listing = member_records.listing(item, then.role)
    transaction.put("listing", project_records.listed(project, user_id), listing, None)
    return transaction.add(
        "record",
        member_records.count(
            project, members=1, seats=1, most=MOST_MEMBERS, version=item["version"]
        ),
    )


def _mark(account: AccountRecord, project: ProjectId, *, kept: bool) -> Update:
    """The part that remembers, or forgets, that groups give a role in the project."""
    key, values = account_records.key(account["id"]), {"project": {project.p}}
    if not kept:
        return Update(key, "DELETE group_projects :project", values)
    active = {**values, "active": "active"}
    return Update(key, "ADD group_projects :project", active, "#status = :active")


def _skipped(project: ProjectId, why: str) -> None:
    observe.log().warning(f"OidcGroups gives a role in {project}, which {why}")
