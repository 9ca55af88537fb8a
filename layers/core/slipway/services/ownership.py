"""Ownership: who holds a project's name and its place in a quota, and how both move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.domain.ids import ProjectId
from slipway.errors import (
    LastOwner,
    NameTaken,
    ProjectGoing,
    QuotaExceeded,
    UserDisabled,
    no_such,
)
from slipway.store import project_records, quota_records
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import ProjectRecord

HELD: Fields = {"shared": None, "role": "owner"}
"""What the list of the one who holds a project says of it."""


def hand_over(
    transaction: Transaction, project: ProjectId, item: ProjectRecord, to: str
) -> Transaction:
    """Add the parts that move the project's name and its place in a quota to another user.

    "name" fails if that user has a project with this name, "quota" if the quota is used up.
    """
    was, name = item["owner"], item["name"]
    transaction.put("name", project_records.name_key(to, name), {"project_id": str(project)})
    transaction.delete("old name", project_records.name_key(was, name))
    transaction.add("quota", quota_records.count_project(to))
    return transaction.add("old quota", quota_records.uncount(quota_records.projects_of(was)))


def refuse(failed: TransactionFailed, project: ProjectId, item: ProjectRecord) -> None:
    """Raise the refusal for a failed change of members; return if another try may succeed.

    `item` is the project as it was read. Raises NotFound, Forbidden, LastOwner, ProjectGoing,
    NameTaken, UserDisabled, QuotaExceeded.
    """
    if (caller := failed.get("caller")) is not None:
        raise authorization.lost(caller, "project")
    if failed.get("account") is not None:
        raise UserDisabled()
    if (record := failed.get("record")) is not None:
        if not record:
            raise no_such("project")
        if record["status"] != "active":
            raise ProjectGoing()
        is_same = record["version"] == item["version"] and record["owner"] == item["owner"]
        if is_same and record.get("owners", 1) == 1 == item.get("owners", 1):
            raise LastOwner()
        return
    if failed.get("name") is not None:
        raise NameTaken(
            f"The new owner already has a project named {item['name']}. Change one of the names."
        )
    if (quota := failed.get("quota")) is not None:
        _require_quota(quota["pk"].partition("#")[2])


def _require_quota(user_id: str) -> None:
    """Raises QuotaExceeded if the user really has as many projects as the quota allows.

    The refusal does not name the projects, because the caller is another user.
    """
    # Imported here, because few requests reach a quota.
    from slipway.services import quotas

    try:
        quotas.projects_counted(user_id)
    except QuotaExceeded as full:
        raise full.without_names() from None


def active() -> tuple[str, dict[str, Any]]:
    """The condition that an account is there and not disabled, and its values."""
    condition = "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status = :active)"
    return condition, {"active": "active"}
