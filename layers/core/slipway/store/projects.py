"""Projects, their members, and the names that are unique for an owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from slipway.domain import ids, timestamps
from slipway.domain.fields import normalised
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.project import NewProject, Policy, Project, ProjectChange
from slipway.errors import (
    Busy,
    NameTaken,
    NotFound,
    Overtaken,
    PreconditionFailed,
    ProjectGoing,
    ProjectNotEmpty,
)
from slipway.settings import settings
from slipway.store import deadlines, idempotency, table
from slipway.store.table import Item, Key, Query, Transaction, TransactionFailed, Update

_LISTED = "PROJECT#"
_NAME = "NAME#"
_MARK_TRIES = 5


def key(project: ProjectId) -> Key:
    return Key(f"PROJECT#{project.p}", "PROJECT")


def member(project: ProjectId, user_id: str) -> Key:
    return Key(f"PROJECT#{project.p}", f"MEMBER#{user_id}")


def environment_name(project: ProjectId, name: str) -> Key:
    return Key(f"PROJECT#{project.p}", _NAME + normalised(name))


def external_id(project: ProjectId, identity: str) -> Key:
    return Key(f"PROJECT#{project.p}", f"EXTERNAL#{identity}")


def _listed(project: ProjectId, user_id: str) -> Key:
    return Key(f"USER#{user_id}", _LISTED + project.p)


def _name(user_id: str, name: str) -> Key:
    return Key(f"USER#{user_id}", _NAME + normalised(name))


def takes_environments(project: ProjectId) -> Update:
    """One environment more; only while the project stays. Part of a transaction."""
    return Update(
        key(project),
        "ADD environments :one",
        {"one": 1, "active": "active"},
        condition="attribute_exists(pk) AND #status = :active",
    )


def get(project: ProjectId, user_id: str) -> Project:
    """Raises NotFound, also for somebody else's project."""
    return Project(**authorised(project, user_id))


def name(project: ProjectId) -> str:
    """For the workflows: they ask for nobody's permission. Empty if there is no such project."""
    [item] = table.get(key(project))
    return str(item["name"]) if item else ""


def policy(item: Item) -> Policy:
    """What holds for its new environments. Raises ProjectGoing."""
    if item["status"] != "active":
        raise ProjectGoing()
    return Policy(**item.get("policy", {}))


def access(project: ProjectId, user_id: str) -> tuple[Key, Key]:
    """What says whether the user may see the project, and its record; for `allowed`."""
    return member(project, user_id), key(project)


def allowed(membership: Item | None, item: Item | None) -> Item:
    """The whole record, for a member. Raises NotFound."""
    if not (membership and item):
        raise NotFound("No such project")
    return item


def authorised(project: ProjectId, user_id: str) -> Item:
    """The whole record, for a member. Raises NotFound."""
    return allowed(*table.get(*access(project, user_id)))


def of(user_id: str, paging: Paging) -> Page[Project]:
    """The user's projects, newest first."""
    _, items, last = table.page((), f"USER#{user_id}", _LISTED, paging)
    return Page([Project(**item) for item in items], last)


def mine(user_id: str, limit: int) -> Query:
    """The user's projects, for those who read more at once."""
    return Query(f"USER#{user_id}", _LISTED, limit)


def add(wanted: NewProject, user_id: str) -> Project:
    """Raises NameTaken, Invalid. One round trip."""
    if wanted.policy:
        wanted.policy.most_hours(settings().max_ttl_hours)
    project = ProjectId(ids.new_part())
    at = timestamps.written(timestamps.now())
    item = {
        "id": str(project),
        **wanted.model_dump(),
        "status": "active",
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }
    shown = Project.model_validate(item)
    transaction = (
        Transaction()
        .put("name", _name(user_id, wanted.name), {"project_id": str(project)})
        .put("record", key(project), {**item, "owner": user_id, "environments": 0})
        .put("member", member(project, user_id), {"role": "owner"})
        .put("listing", _listed(project, user_id), {**item, "role": "owner"})
    )
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed:
        raise NameTaken(f"You have a project named {wanted.name} already") from None
    return shown


def change(
    project: ProjectId, wanted: ProjectChange, user_id: str, if_version: int | None
) -> Project:
    """What is so already is not changed again: repeating it changes nothing.

    Raises NotFound, NameTaken, ProjectGoing, PreconditionFailed, Invalid. Two round trips.
    """
    if wanted.policy:
        wanted.policy.most_hours(settings().max_ttl_hours)
    item = authorised(project, user_id)
    if if_version is not None and if_version != item["version"]:
        raise PreconditionFailed()
    if item["status"] != "active":
        raise ProjectGoing()
    changes: dict[str, Any] = wanted.model_dump(exclude_unset=True)
    after = {**item, **changes}
    if Project(**after) == Project(**item):
        return Project(**item)
    after.update(updated_at=timestamps.written(timestamps.now()), version=item["version"] + 1)
    shown = Project(**after)
    same = {"was": item["version"], "active": "active"}
    unchanged = "version = :was AND #status = :active"
    fields = {name: after[name] for name in (*changes, "updated_at", "version")}
    expression, values = table.setting(fields)
    transaction = (
        Transaction()
        .update("record", key(project), expression, {**values, **same}, condition=unchanged)
        .update("listing", _listed(project, item["owner"]), expression, values)
    )
    if normalised(shown.name) != normalised(item["name"]):
        transaction.put("name", _name(item["owner"], shown.name), {"project_id": str(project)})
        transaction.delete("old_name", _name(item["owner"], item["name"]))
    try:
        transaction.commit()
    except TransactionFailed as failed:
        if failed.get("record") is None:
            raise NameTaken(f"You have a project named {shown.name} already") from None
        # Somebody else changed it since it was read, a moment ago.
        raise PreconditionFailed() from None
    return shown


def remove(
    project: ProjectId, user_id: str, if_version: int | None, *, cascade: bool
) -> Project | None:
    """Remove the project, or with `cascade` begin to: the environments go first.

    Returns the project that goes, None if it is gone already. Repeating a cascade changes nothing.
    Raises NotFound, PreconditionFailed, ProjectNotEmpty, Busy. Two round trips; three to say
    what is in the way, more if it changes in that moment.
    """
    item = authorised(project, user_id)
    if if_version is not None and if_version != item["version"]:
        raise PreconditionFailed()
    if not cascade or item["environments"] == 0:
        with suppress(Overtaken):
            _erase(project, item, if_version)
            return None
    if not cascade:
        living = living_in(project)
        raise ProjectNotEmpty(living) if living else PreconditionFailed()
    return Project(**_mark_deleting(project, item, if_version, user_id))


def erase_if_empty(project: ProjectId) -> None:
    """The end of a cascade, for whoever sees the last environment go; else nothing."""
    [item] = table.get(key(project))
    if item and item["status"] == "deleting" and item["environments"] == 0:
        try:
            _erase(project, item)
        except Overtaken:
            return


def to_tear_down(project: ProjectId) -> Iterator[tuple[EnvironmentId, str]]:
    """The environments that a cascade has still to take down, and who asked for it; none if the
    project stays."""
    [item] = table.get(key(project))
    if not item or item["status"] != "deleting":
        return
    after = None
    while True:
        items, after = table.query(f"PROJECT#{project.p}", _NAME, limit=100, after=after)
        for name in items:
            yield ids.parse_environment(name["environment_id"]), item["deleted_by"]
        if after is None:
            return


def living_in(project: ProjectId, limit: int = 100) -> list[dict[str, str]]:
    """`{id, name}` of the environments that are not destroyed; the names that are in use."""
    items, _ = table.query(f"PROJECT#{project.p}", _NAME, limit=limit)
    return [{"id": item["environment_id"], "name": item["name"]} for item in items]


def _still(version: int | None) -> tuple[str, dict[str, Any]]:
    """The rest of a condition, and its values: as `If-Match` says, if it says anything."""
    return ("", {}) if version is None else (" AND version = :was", {"was": version})


def _erase(project: ProjectId, item: Item, if_version: int | None = None) -> None:
    """Raises Overtaken if there are environments, or the project has changed hands or name.

    What stays is the history of its environments, for the operator.
    """
    still, was = _still(if_version)
    condition = "environments = :none AND #name = :name" + still
    values = {"none": 0, "name": item["name"], **was}
    transaction = (
        Transaction()
        .delete("record", key(project), condition, values)
        .delete("member", member(project, item["owner"]))
        .delete("listing", _listed(project, item["owner"]))
        .delete("name", _name(item["owner"], item["name"]))
    )
    try:
        transaction.commit()
    except TransactionFailed:
        raise Overtaken() from None


def _mark_deleting(project: ProjectId, item: Item, if_version: int | None, by: str) -> Item:
    """The record of the project that goes; as it is, if it goes already."""
    for _ in range(_MARK_TRIES):
        if item["status"] != "active":
            return item
        fields = {
            "status": "deleting",
            "updated_at": timestamps.written(timestamps.now()),
            "version": item["version"] + 1,
        }
        # Whom the events of its environments name.
        more = {**fields, "deleted_by": by, **deadlines.by(item["id"])}
        marked, values = table.setting(more)
        listed, shown = table.setting(fields)
        same = {"was": item["version"], "active": "active"}
        unchanged = "version = :was AND #status = :active"
        transaction = (
            Transaction()
            .update("record", key(project), marked, {**values, **same}, condition=unchanged)
            .update("listing", _listed(project, item["owner"]), listed, shown)
        )
        try:
            transaction.commit()
        except TransactionFailed as failed:
            record = failed.get("record")
            if not record:
                raise NotFound("No such project") from None
            if if_version is not None:
                raise PreconditionFailed() from None
            item = record
        else:
            return {**item, **more}
    raise Busy(1)
