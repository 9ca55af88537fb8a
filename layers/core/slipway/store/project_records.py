"""Project records: projects, their members, and the names that must be unique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.domain import timestamps
from slipway.domain.fields import normalised
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId, TrustId
from slipway.domain.project import Policy
from slipway.errors import (
    ProjectGoing,
)
from slipway.settings import limits
from slipway.store import deadlines, table
from slipway.store.table import Check, Fields, Key, Query, Update

if TYPE_CHECKING:
    from slipway.domain.records import ProjectRecord

LISTED = "PROJECT#"
NAME = "NAME#"


def key(project: ProjectId) -> Key:
    """The key of the project's record."""
    return Key(f"PROJECT#{project.p}", "PROJECT")


def ended_key(project: ProjectId) -> Key:
    """The key of the note that the project was deleted, until what belongs to it goes too."""
    return Key(f"PROJECT#{project.p}", "ENDED")


def ended(project: ProjectId) -> Fields:
    """The note that the project is deleted now. Reconcile looks at it if dispatch does not."""
    at = timestamps.written(timestamps.now())
    return {"project_id": str(project), "deleted_at": at, **deadlines.due_fields(str(project))}


def member(within: ProjectId | EnvironmentId | DeploymentId | TrustId, user_id: str) -> Key:
    """The key of the item that makes the user a member of the project that an id names."""
    return Key(f"PROJECT#{within.p}", f"MEMBER#{user_id}")


def environment_name(project: ProjectId, name: str) -> Key:
    """The key that reserves an environment's name in its project."""
    return Key(f"PROJECT#{project.p}", NAME + normalised(name))


def external_id(project: ProjectId, identity: str) -> Key:
    """The key that reserves an environment's external id in its project."""
    return Key(f"PROJECT#{project.p}", f"EXTERNAL#{identity}")


def listed(project: ProjectId, user_id: str) -> Key:
    """The key of the project in the user's list of projects."""
    return Key(f"USER#{user_id}", LISTED + project.p)


def name_key(user_id: str, name: str) -> Key:
    """The key that reserves a project's name for its owner."""
    return Key(f"USER#{user_id}", NAME + normalised(name))


def count_environment(project: ProjectId, *, protected: bool = False) -> Update:
    """The part of a transaction that counts a new environment. It fails unless the project is
    active and has fewer environments than its quota."""
    most = limits().environments_per_project
    return Update(
        key(project),
        "ADD environments :one, environments_made :one" + ", protections :one" * protected,
        {"one": 1, "active": "active", "most": most},
        condition="attribute_exists(pk) AND #status = :active AND environments < :most",
    )


def count_protection(project: ProjectId) -> Update:
    """The part of a transaction that protects one more environment, if the project is active."""
    return Update(
        key(project),
        "ADD protections :one",
        {"one": 1, "active": "active"},
        condition="attribute_exists(pk) AND #status = :active",
    )


def still_active(project: ProjectId) -> Check:
    """The part of a transaction that fails unless the project is active."""
    return Check(key(project), "#status = :active", {"active": "active"})


def correct_environments(project: ProjectId, found: ProjectRecord, count: int) -> Update:
    """Let a count of environments that was found to be wrong be `count`, unless environments were
    created or destroyed since."""
    values = {
        "found": found["environments"],
        "made": found.get("environments_made", 0),
        "count": count,
    }
    condition = "environments = :found AND environments_made = :made"
    return Update(key(project), "SET environments = :count", values, condition)


def names_in(project: ProjectId, limit: int) -> Query:
    """The query for the names of the project's environments that are not destroyed."""
    return Query(f"PROJECT#{project.p}", NAME, limit)


def protected_in(project: ProjectId) -> list[dict[str, str]]:
    """`{id, name}` of the project's protected environments; one round trip for each 100."""
    return [
        {"id": item["environment_id"], "name": item["name"]}
        for item in table.every(names_in(project, 100))
        if item.get("protected")
    ]


def name(project: ProjectId) -> str:
    """The project's name, empty if there is no such project, without authorization: for workflows.

    One round trip.
    """
    [item] = table.get(key(project))
    return str(item["name"]) if item else ""


def policy(item: ProjectRecord) -> Policy:
    """The policy for the project's new environments. Raises ProjectGoing."""
    if item["status"] != "active":
        raise ProjectGoing()
    return Policy(**item.get("policy", {}))


def of_user(user_id: str, limit: int) -> Query:
    """The query for the first `limit` of the user's projects."""
    return Query(f"USER#{user_id}", LISTED, limit)


def living_in(project: ProjectId, limit: int = 100) -> list[dict[str, str]]:
    """`{id, name}` of up to `limit` environments that are not destroyed; one round trip."""
    items, _ = table.query(f"PROJECT#{project.p}", NAME, limit=limit)
    return [{"id": item["environment_id"], "name": item["name"]} for item in items]
