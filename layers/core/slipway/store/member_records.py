"""Member records: a project's members, who is invited, and the copies in members' lists.

The record of a project counts its members, its seats (members and open invitations) and its owners.
Each change of its members changes these counters in the same transaction, with conditions. So a
project never loses its last owner, and a transaction that writes the copies of all members knows
whether it has seen all of them. Records of an earlier release have no counters: such a project has
one member, its owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain import ids
from slipway.domain.ids import ProjectId
from slipway.store import project_records
from slipway.store.table import Check, Delete, Fields, Key, Query, Transaction, Update, setting

if TYPE_CHECKING:
    from slipway.domain.records import MemberRecord, ProjectRecord

USERS = "MEMBER#usr_"
_MEMBER = "MEMBER#"
_INVITED = "INVITED#"
# The fields of a project that its members' lists have.
SHOWN = (
    *("id", "name", "description", "repo_url", "labels", "policy"),
    *("status", "created_at", "updated_at", "version"),
)
_PAGE = 100


def users_of(project: ProjectId) -> Query:
    """The query for the members who are users: at most one page."""
    return Query(f"PROJECT#{project.p}", USERS, _PAGE)


def every_one_of(project: ProjectId) -> tuple[Query, Query]:
    """The queries for the members who are users, and for the invitations."""
    return users_of(project), Query(f"PROJECT#{project.p}", _INVITED, _PAGE)


def invited_to(project: ProjectId) -> Query:
    """The query for the open invitations: at most one page."""
    return every_one_of(project)[1]


def invitation_id(project: ProjectId, email: str) -> str:
    """The id of the invitation of an address to a project; there is one at most."""
    return f"inv_{project.p}_{ids.derived_part(f'{project} {email}')}"


def place(project: ProjectId, invitation: str) -> Key:
    """The key of the seat that an invitation holds in the project."""
    return Key(f"PROJECT#{project.p}", _INVITED + invitation)


def listing(item: Mapping[str, Any], role: str) -> Fields:
    """The project in the list of a member who does not hold its name and its place in a quota."""
    return {**{name: item.get(name) for name in SHOWN}, "role": role, "shared": True}


def owners(role: str) -> int:
    """How many owners a member with this role is."""
    return int(role == "owner")


def count(
    project: ProjectId,
    *,
    members: int = 0,
    seats: int = 0,
    owners: int = 0,
    most: int | None = None,
    version: int | None = None,
    holder: tuple[str, str] | None = None,
    going: bool = False,
) -> Update:
    """The part of a transaction that counts a change of an active project's members.

    With `going`, also of one that is being deleted. It fails if no owner would be left, and if the
    project would have more than `most` seats. `version` is the one that the project must still
    have, None for any. `holder` are the users who give up and take over its name and its place in a
    quota.
    """
    changes = {"members": members, "seats": seats, "owners": owners}
    values: dict[str, Any] = {"one": 1, **({} if going else {"active": "active"})}
    values |= {f"by_{name}": by for name, by in changes.items()}
    expression = "SET " + ", ".join(
        f"#{name} = if_not_exists(#{name}, :one) + :by_{name}" for name in changes
    )
    condition = "attribute_exists(pk)" if going else "#status = :active"
    if most is not None:
        values["most"] = most
        condition += " AND (attribute_not_exists(#seats) OR #seats < :most)"
    if owners < 0:
        condition += " AND #owners > :one"
    if version is not None:
        values["was"] = version
        condition += " AND version = :was"
    if holder:
        values |= {"from": holder[0], "to": holder[1]}
        expression += ", #owner = :to"
        condition += " AND #owner = :from"
    return Update(project_records.key(project), expression, values, condition)


def is_same(member: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The condition that a member is still as it was read, and its values."""
    version = member.get("version")
    if version is None:
        return "attribute_exists(pk) AND attribute_not_exists(version)", {}
    return "version = :read", {"read": version}


def change(project: ProjectId, user_id: str, member: MemberRecord, fields: Fields) -> Update:
    """The part of a transaction that changes a member, if it is still as it was read."""
    expression, values = setting({**fields, "version": member.get("version", 1) + 1})
    condition, read = is_same(member)
    return Update(
        project_records.member(project, user_id), expression, {**values, **read}, condition
    )


def remove(project: ProjectId, user_id: str, member: MemberRecord) -> Delete:
    """The part of a transaction that removes a member, if it is still as it was read."""
    return Delete(project_records.member(project, user_id), *is_same(member))


def relist(project: ProjectId, user_id: str, fields: Fields) -> Update:
    """The part of a transaction that changes the project in a member's list."""
    return Update(project_records.listed(project, user_id), *setting(fields))


def count_of(
    item: ProjectRecord, members: int, invited: int | None = None
) -> tuple[str, dict[str, Any]]:
    """The condition that the project has so many members and invitations, and its values.

    Together with conditions that each of those who were read is still there, it says that there is
    nobody else.
    """
    if "members" not in item:
        return "attribute_not_exists(#members)", {}
    condition, values = "#members = :members", {"members": members}
    if invited is None:
        return condition, values
    return condition + " AND #seats = :seats", {**values, "seats": members + invited}


def remove_everyone(
    transaction: Transaction,
    project: ProjectId,
    members: list[Any],
    invited: list[Any],
    caller: Check | None = None,
) -> Transaction:
    """Add the parts that delete all members, the project in their lists, and the invitations.

    `caller` is a check of one of the members, which DynamoDB takes only as a condition here.
    """
    for n, member in enumerate(members):
        user_id, key = user_of(member), Key(member["pk"], member["sk"])
        is_caller = caller is not None and caller.key == key
        condition, values = caller[1:] if is_caller and caller else ("attribute_exists(pk)", None)
        transaction.delete(f"member {n}", key, condition, values)
        transaction.delete(f"listing {n}", project_records.listed(project, user_id))
    for n, each in enumerate(invited):
        transaction.delete(f"invited {n}", Key(each["pk"], each["sk"]), "attribute_exists(pk)")
    return transaction


def user_of(member: Mapping[str, Any]) -> str:
    """The id of the member's user."""
    return str(member["sk"]).removeprefix(_MEMBER)
