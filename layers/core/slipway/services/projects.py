"""Projects: creating, changing and deleting them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.fields import normalised
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.labels import patched
from slipway.domain.paging import Page, Paging
from slipway.domain.project import NewProject, Project, ProjectChange
from slipway.domain.records import changed
from slipway.errors import (
    Busy,
    NameTaken,
    PreconditionFailed,
    ProjectGoing,
    ProjectNotEmpty,
    ProtectedEnvironments,
    StaleWrite,
    no_such,
)
from slipway.settings import settings
from slipway.store import deadlines, idempotency, member_records, quota_records, table
from slipway.store import project_records as records
from slipway.store.table import Check, Fields, Found, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import Actor, ProjectRecord

_MARK_TRIES = 10
_CREATE_TRIES = 3
# For tokens of some projects: hardly any user has more.
_MOST_EXAMINED = 200
# No environment was protected since the project was read.
_UNPROTECTED_SINCE = " AND (attribute_not_exists(protections) OR protections = :protections)"


def create(wanted: NewProject, principal: Principal) -> Project:
    """Create a project that the principal owns; one round trip.

    Raises NameTaken, Invalid, QuotaExceeded, Busy.
    """
    if wanted.policy:
        wanted.policy.most_hours(settings().max_ttl_hours)
    project = ProjectId(ids.new_part())
    at = timestamps.written(timestamps.now())
    fields = {
        "id": str(project),
        **wanted.model_dump(),
        "labels": wanted.labels or None,
        "status": "active",
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }
    item: Fields = changed(fields, {})
    shown = Project.model_validate(item)
    for _ in range(_CREATE_TRIES):
        try:
            idempotency.commit(_creation(project, item, principal), shown)
        except TransactionFailed as failed:
            if failed.get("name") is not None:
                raise NameTaken(
                    f"You already have a project named {wanted.name}. Choose another name."
                ) from None
            # Imported here and below, because few requests reach a quota.
            from slipway.services import quotas

            quotas.projects_counted(principal.user_id)
        else:
            return shown
    raise Busy(1)


def _creation(project: ProjectId, item: Fields, principal: Principal) -> Transaction:
    user_id = principal.user_id
    counters = {"environments": 0, "members": 1, "seats": 1, "owners": 1}
    record = {**item, "owner": user_id, **counters}
    return (
        Transaction()
        .put("name", records.name_key(user_id, item["name"]), {"project_id": str(project)})
        .put("record", records.key(project), record)
        .put("member", records.member(project, user_id), {"user_id": user_id, "role": "owner"})
        .put("listing", records.listed(project, user_id), {**item, "role": "owner"})
        .add("quota", quota_records.count_project(user_id))
    )


def get(project: ProjectId, principal: Principal) -> Project:
    """The project; one round trip. Raises NotFound, also for another user's project."""
    return Project(**authorization.read(project, principal))


def list_(principal: Principal, paging: Paging) -> Page[Project]:
    """A page of the user's projects that the grant covers, newest first; one round trip.

    Raises Invalid for a cursor of another list.
    """
    query = table.listing(f"USER#{principal.user_id}", records.LISTED, paging)
    if not principal.is_session:
        # The grant is known once the page has been read.
        query = query._replace(limit=_MOST_EXAMINED, keep=lambda item: _covers(principal, item))
    _, [(items, last)] = table.read((), query)
    return Page([Project(**item) for item in items], last)


def _covers(principal: Principal, item: Any) -> bool:
    within = principal.grant.project_ids if principal.grant else None
    return within is None or item["id"] in within


def change(
    project: ProjectId,
    wanted: ProjectChange,
    principal: Principal,
    if_version: Container[int] | None,
) -> Project:
    """Change the fields that the request sets. No-op if nothing differs.

    `if_version` has the versions that the caller expects, None is any. Raises NotFound, NameTaken,
    ProjectGoing, PreconditionFailed, Invalid, Busy. Two round trips; more if the project changes in
    between.
    """
    if wanted.policy:
        wanted.policy.most_hours(settings().max_ttl_hours)
    for _ in range(_MARK_TRIES):
        item, members = _read(project, principal)
        if if_version is not None and item["version"] not in if_version:
            raise PreconditionFailed()
        if item["status"] != "active":
            raise ProjectGoing()
        wanted.require_unchanged(Project(**item))
        fields = wanted.model_dump(exclude_unset=True)
        if "labels" in fields:
            fields["labels"] = patched(item.get("labels"), wanted.labels)
        if Project(**changed(item, fields)) == Project(**item):
            return Project(**item)
        at = timestamps.written(timestamps.now())
        fields |= {"updated_at": at, "version": item["version"] + 1}
        shown = Project(**changed(item, fields))
        transaction = _changing(project, item, members, fields)
        transaction.add("caller", authorization.still_may(project, principal))
        try:
            transaction.commit()
        except TransactionFailed as failed:
            _refuse_change(failed, shown.name)
        else:
            return shown
    raise Busy(1)


def _read(project: ProjectId, principal: Principal) -> tuple[ProjectRecord, list[Any]]:
    """The project and its members who are users, if the principal may; one round trip."""
    found, [(members, _)] = table.read(
        authorization.keys(project, principal), member_records.users_of(project)
    )
    return authorization.authorized(project, principal, found), members


def _changing(
    project: ProjectId, item: ProjectRecord, members: list[Any], fields: Fields
) -> Transaction:
    transaction = _writing(project, item, members, fields)
    name = fields.get("name", item["name"])
    if normalised(name) != normalised(item["name"]):
        taken = {"project_id": str(project)}
        transaction.put("name", records.name_key(item["owner"], name), taken)
        transaction.delete("old_name", records.name_key(item["owner"], item["name"]))
    return transaction


def _refuse_change(failed: TransactionFailed, name: str) -> None:
    """Raise the refusal for a failed change; return if the project or its members have changed."""
    if (caller := failed.get("caller")) is not None:
        raise authorization.lost(caller, "project")
    if failed.get("record") is None and failed.get("name") is not None:
        raise NameTaken(f"The owner already has a project named {name}. Choose another name.")


def remove(
    project: ProjectId,
    principal: Principal,
    if_version: Container[int] | None,
    *,
    cascade: bool,
) -> Project | None:
    """Delete the project if it is empty; with `cascade`, begin to tear down its environments.

    `if_version` has the versions that the caller expects, None is any. Returns the project that is
    being deleted, None if it is deleted already. Repeating a cascade changes nothing. Raises
    NotFound, PreconditionFailed, ProjectNotEmpty, ProtectedEnvironments, Busy. Two round trips;
    three if the project is not empty, more if it changes in between.
    """
    keys = authorization.keys(project, principal)
    for _ in range(_MARK_TRIES):
        found, everyone = table.read(keys, *member_records.every_one_of(project))
        item = authorization.authorized(project, principal, found)
        if if_version is not None and item["version"] not in if_version:
            raise PreconditionFailed()
        if not cascade or item["environments"] == 0:
            with suppress(StaleWrite):
                caller = authorization.still_may(project, principal)
                _erase(project, item, everyone, if_version, caller)
                return None
        if cascade:
            return Project(**_mark_deleting(project, item, everyone[0][0], if_version, principal))
        if remaining := records.living_in(project):
            raise ProjectNotEmpty(remaining)
    raise Busy(1)


def erase_if_empty(project: ProjectId) -> None:
    """Delete a project whose cascade has torn down the last environment; no-op for others.

    One round trip, two if it deletes the project.
    """
    [item], everyone = table.read([records.key(project)], *member_records.every_one_of(project))
    if item and item["status"] == "deleting" and item["environments"] == 0:
        try:
            _erase(project, item, everyone)
        except StaleWrite:
            return


def _deleted_by(principal: Principal) -> Fields:
    return {"deleted_by": principal.actor, "deletion_author": principal.author()}


def to_tear_down(project: ProjectId) -> Iterator[tuple[EnvironmentId, Actor]]:
    """The environments that a cascade must still tear down, each with the actor who requested it.

    Empty if the project is not being deleted. One round trip, and one for each 100 environments.
    """
    [item] = table.get(records.key(project))
    if not item or item["status"] != "deleting":
        return
    after = None
    while True:
        items, after = table.query(f"PROJECT#{project.p}", records.NAME, limit=100, after=after)
        for name in items:
            actor = item.get("deletion_author") or item["deleted_by"]
            yield ids.parse_environment(name["environment_id"]), actor
        if after is None:
            return


def _writing(
    project: ProjectId,
    item: ProjectRecord,
    members: list[Any],
    fields: Fields,
    more: Fields | None = None,
    still: str = "",
) -> Transaction:
    """A transaction that changes an active project, if it has not changed since it was read.

    `members` are those who were read with it; it fails if they are not all who there are. `still`
    is added to the condition, where `:protections` is the count that was read. Writes `fields` to
    their lists and to the record; to the record `more` instead if given.
    """
    change, values = table.setting(more or fields)
    users = [member_records.user_of(each) for each in members]
    protections = {"protections": item.get("protections", 0)} if still else {}
    complete, count = member_records.count_of(item, len(users))
    transaction = Transaction().update(
        "record",
        records.key(project),
        change,
        {
            **{**values, **count, **protections, "was": item["version"]},
            **{"active": "active", "holder": item["owner"]},
        },
        condition=f"version = :was AND #status = :active AND #owner = :holder AND {complete}"
        + still,
    )
    for user_id in users:
        transaction.add(f"listing {user_id}", member_records.relist(project, user_id, fields))
    return transaction


def _erase(
    project: ProjectId,
    item: ProjectRecord,
    everyone: list[Found],
    if_version: Container[int] | None = None,
    caller: Check | None = None,
) -> None:
    """Delete the project's items; what else it has goes in its time (slipway.services.retention).

    `everyone` are its members and its invitations, as they were read with it. `caller` is the part
    that fails if the caller may no longer do it. Raises StaleWrite if it has environments, or if
    its name, its members or the expected version has changed.
    """
    [(members, _), (invited, _)] = everyone
    # The version that was read is one of those that the caller expects.
    same_version = "" if if_version is None else " AND version = :was"
    was = {"was": item["version"]} if same_version else {}
    complete, count = member_records.count_of(item, len(members), len(invited))
    condition = f"environments = :none AND #name = :name AND #owner = :owner AND {complete}"
    values = {"none": 0, "name": item["name"], "owner": item["owner"], **count, **was}
    if not item.get("configurations"):
        condition += " AND attribute_not_exists(configurations)"
    transaction = (
        Transaction()
        .put("ended", records.ended_key(project), records.ended(project), None)
        .delete("record", records.key(project), condition + same_version, values)
        .delete("name", records.name_key(item["owner"], item["name"]))
        .add("quota", quota_records.uncount(quota_records.projects_of(item["owner"])))
    )
    if item.get("configurations"):
        # Imported here, because few projects have variables of their own.
        from slipway.services import stored_secrets

        transaction.add("secrets", stored_secrets.of_deleted_project(project))
    try:
        member_records.remove_everyone(transaction, project, members, invited, caller).commit()
    except TransactionFailed:
        raise StaleWrite() from None


def _mark_deleting(
    project: ProjectId,
    item: ProjectRecord,
    members: list[Any],
    if_version: Container[int] | None,
    principal: Principal,
) -> ProjectRecord:
    """Mark the project as being deleted, and return its record; no-op if it is marked already.

    Raises ProtectedEnvironments, PreconditionFailed, NotFound, Busy.
    """
    for _ in range(_MARK_TRIES):
        if item["status"] != "active":
            return item
        if item.get("protections") and (protected := records.protected_in(project)):
            raise ProtectedEnvironments(protected)
        fields = {
            "status": "deleting",
            "updated_at": timestamps.written(timestamps.now()),
            "version": item["version"] + 1,
        }
        # The events of its environments name this actor.
        more = {**fields, **_deleted_by(principal), **deadlines.due_fields(item["id"])}
        try:
            transaction = _writing(project, item, members, fields, more, _UNPROTECTED_SINCE)
            transaction.add("caller", authorization.still_may(project, principal)).commit()
        except TransactionFailed as failed:
            _refuse_deletion(failed, item, if_version)
        else:
            return changed(item, more)
        [item], [(members, _)] = table.read(
            [records.key(project)], member_records.users_of(project)
        )
        if not item:
            raise no_such("project")
    raise Busy(1)


def _refuse_deletion(
    failed: TransactionFailed, item: ProjectRecord, if_version: Container[int] | None
) -> None:
    """Raises Forbidden, NotFound, PreconditionFailed if the failed deletion is not tried again."""
    if (caller := failed.get("caller")) is not None:
        raise authorization.lost(caller, "project") from None
    found = failed.get("record")
    if found == {}:
        raise no_such("project") from None
    if found and found["version"] != item["version"] and if_version is not None:
        raise PreconditionFailed() from None
