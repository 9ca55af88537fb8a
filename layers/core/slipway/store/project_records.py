"""Projects, their members, and the names that are unique for an owner."""

from __future__ import annotations

from slipway.domain.fields import normalised
from slipway.domain.ids import ProjectId
from slipway.domain.project import Policy
from slipway.domain.records import ProjectRecord
from slipway.errors import (
    ProjectGoing,
)
from slipway.store import table
from slipway.store.table import Key, Query, Update

LISTED = "PROJECT#"
NAME = "NAME#"


def key(project: ProjectId) -> Key:
    return Key(f"PROJECT#{project.p}", "PROJECT")


def member(project: ProjectId, user_id: str) -> Key:
    return Key(f"PROJECT#{project.p}", f"MEMBER#{user_id}")


def environment_name(project: ProjectId, name: str) -> Key:
    return Key(f"PROJECT#{project.p}", NAME + normalised(name))


def external_id(project: ProjectId, identity: str) -> Key:
    return Key(f"PROJECT#{project.p}", f"EXTERNAL#{identity}")


def listed(project: ProjectId, user_id: str) -> Key:
    return Key(f"USER#{user_id}", LISTED + project.p)


def name_key(user_id: str, name: str) -> Key:
    return Key(f"USER#{user_id}", NAME + normalised(name))


def takes_environments(project: ProjectId) -> Update:
    """One environment more; only while the project stays. Part of a transaction."""
    return Update(
        key(project),
        "ADD environments :one",
        {"one": 1, "active": "active"},
        condition="attribute_exists(pk) AND #status = :active",
    )


def name(project: ProjectId) -> str:
    """For the workflows: they ask for nobody's permission. Empty if there is no such project."""
    [item] = table.get(key(project))
    return str(item["name"]) if item else ""


def policy(item: ProjectRecord) -> Policy:
    """What holds for its new environments. Raises ProjectGoing."""
    if item["status"] != "active":
        raise ProjectGoing()
    return Policy(**item.get("policy", {}))


def mine(user_id: str, limit: int) -> Query:
    """The user's projects, for those who read more at once."""
    return Query(f"USER#{user_id}", LISTED, limit)


def living_in(project: ProjectId, limit: int = 100) -> list[dict[str, str]]:
    """`{id, name}` of the environments that are not destroyed; the names that are in use."""
    items, _ = table.query(f"PROJECT#{project.p}", NAME, limit=limit)
    return [{"id": item["environment_id"], "name": item["name"]} for item in items]
