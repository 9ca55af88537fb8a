"""Templates, their versions, and which environments use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from slipway import bodies, ids
from slipway.errors import (
    Busy,
    FieldError,
    Forbidden,
    Invalid,
    NameTaken,
    NotFound,
    VersionFixed,
    VersionTaken,
)
from slipway.model import formation, moments
from slipway.model import template as model
from slipway.model.paging import Page, Paging
from slipway.model.template import (
    NewTemplate,
    Reference,
    State,
    Template,
    TemplateVersion,
    Usage,
    Use,
    Version,
)
from slipway.settings import settings
from slipway.store import marks, projects, table
from slipway.store.table import Check, Delete, Item, Key, Lost, Put, Query, Update

_ALL = "TEMPLATES"
_TEMPLATE = "TEMPLATE#"
_VERSION = "VERSION#"
_USED = "USED#"
_MARK = "tpl_"
_TRIES = 5


def key(name: str) -> Key:
    """Raises NotFound for what cannot be a name; as the following."""
    return Key(_ALL, _TEMPLATE + model.named(name))


def version_key(name: str, version: Version) -> Key:
    return Key(_TEMPLATE + model.named(name), f"{_VERSION}{version.major:05d}.{version.minor:05d}")


def used_key(name: str, environment_id: str) -> Key:
    return Key(_TEMPLATE + name, _USED + environment_id)


def add(wanted: NewTemplate, user_id: str) -> Template:
    """Raises NameTaken. One round trip."""
    at = moments.written(moments.now())
    item = {
        **wanted.model_dump(),
        "created_by": user_id,
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }
    try:
        table.transact(Put(key(wanted.name), item), *marks.of(f"{_MARK}{wanted.name}"))
    except Lost:
        raise NameTaken(f"There is a template named {wanted.name} already") from None
    return Template.model_validate(item)


def done(identity: str) -> Template | TemplateVersion:
    """What a request that named itself has added."""
    name, _, number = identity.removeprefix(_MARK).partition("@")
    return version(name, Version.parse(number)) if number else get(name)


def get(name: str) -> Template:
    """Raises NotFound."""
    [item] = table.get(key(name))
    return Template.model_validate(_found(item))


def every(paging: Paging) -> Page[Template]:
    """All templates, by name."""
    _, items, last = table.page((), _ALL, _TEMPLATE, paging, newest_first=False)
    return Page([Template.model_validate(item) for item in items], last)


def versions(name: str, paging: Paging) -> Page[TemplateVersion]:
    """The template's versions, newest first. Raises NotFound. One round trip."""
    [item], items, last = table.page([key(name)], _TEMPLATE + name, _VERSION, paging)
    _found(item)
    return Page([_read(item) for item in items], last)


def version(name: str, wanted: Version) -> TemplateVersion:
    """Raises NotFound."""
    return _read(_version(name, wanted))


def body(name: str, wanted: Version) -> tuple[bytes, str, str]:
    """The body as it was sent, its media type and its digest. Raises NotFound, DriverFault."""
    item = _version(name, wanted)
    return bodies.get(item["key"]), item["media"], item["sha256"]


def add_version(
    name: str, wanted: Version | None, body: bytes, media: str, user_id: str
) -> TemplateVersion:
    """Add a draft, as the next minor version if it is not said which.

    Raises NotFound, Forbidden, Malformed, Invalid, VersionTaken, Busy, DriverFault. The body is
    stored first. Two round trips to the table, one to S3 and one to CloudFormation.
    """
    read = None
    for _ in range(_TRIES):
        [template], [(last, _)] = table.read(
            [key(name)], Query(_TEMPLATE + name, _VERSION, 1, newest_first=True)
        )
        _owned(template, user_id)
        version = wanted or _after(last)
        read = read or _admissible(body, media)
        item = _draft(name, version, read, body, media, user_id)
        mark = marks.of(f"{_MARK}{name}@{version}")
        try:
            table.transact(Put(version_key(name, version), item), *mark)
        except Lost as lost:
            if wanted:
                raise VersionTaken(f"There is a version {version} already") from None
            if lost.reasons[0] is None:
                raise
        else:
            return _read(item)
    raise Busy(1)


def replace(name: str, version: Version, body: bytes, media: str, user_id: str) -> TemplateVersion:
    """Another body for a draft. Raises NotFound, Forbidden, Malformed, Invalid, VersionFixed."""
    template, before = table.get(key(name), version_key(name, version))
    _owned(template, user_id)
    if before is None or before["state"] != "draft":
        raise _refused(before)
    read = _admissible(body, media)
    item = _draft(name, version, read, body, media, before["created_by"])
    item["created_at"] = before["created_at"]
    expression, values = table.setting(item)
    try:
        table.write(
            Update(version_key(name, version), expression, values, condition="#state = :state")
        )
    except Lost as lost:
        raise _refused(lost.reasons[0]) from None
    return _read(item)


def discard(name: str, version: Version, user_id: str) -> None:
    """Delete a draft. Raises NotFound, Forbidden, VersionFixed. Two round trips."""
    [template] = table.get(key(name))
    _owned(template, user_id)
    try:
        table.write(Delete(version_key(name, version), "#state = :draft", {"draft": "draft"}))
    except Lost as lost:
        raise _refused(lost.reasons[0]) from None


def publish(name: str, version: Version, user_id: str) -> TemplateVersion:
    """Raises NotFound, Forbidden, VersionFixed. Repeating it changes nothing."""
    return _turn(name, version, "draft", "published", user_id)


def deprecate(name: str, version: Version, user_id: str) -> TemplateVersion:
    """Raises NotFound, Forbidden, VersionFixed. Repeating it changes nothing."""
    return _turn(name, version, "published", "deprecated", user_id)


# --- what environments are made from ----------------------------------------------------------


def resolve(text: str) -> TemplateVersion:
    """The published version that `name`, `name@1` or `name@1.2` means. Raises Invalid."""
    wanted = Reference.parse(text)
    named = wanted.version
    if named is None:
        published = list(_published(wanted.name))
        named = model.newest(published, wanted)
        if named is None:
            raise _unusable(f"{text} has no published version")
    [item] = table.get(version_key(wanted.name, named))
    if item is None:
        raise _unusable(f"there is no {text}")
    if item["state"] != "published":
        raise _unusable(f"{wanted.name}@{named} is {item['state']}")
    return _read(item)


def stored_at(version: TemplateVersion) -> str:
    """The key of its body."""
    return bodies.key(version.template, version.version, version.sha256)


def still_published(version: TemplateVersion) -> Check:
    """A part of the transaction that makes an environment from it."""
    where = version_key(version.template, Version.parse(version.version))
    return Check(where, "#state = :published", {"published": "published"})


def begins_use(version: TemplateVersion, environment: Item) -> Put:
    """A part of the same transaction."""
    return Put(used_key(version.template, environment["id"]), _use(environment))


def note_use(environment: Item) -> None:
    """Bring what is known of an environment's use of its template up to date, from the record.

    Repeating it changes nothing, and an older record changes nothing after a newer one: so one
    that was destroyed stays known for a day.
    """
    name = environment["template"].partition("@")[0]
    fields = _use(environment)
    if environment["status"] == "destroyed":
        fields["ttl"] = moments.epoch(moments.hours_after(moments.now(), 24))
    expression, values = table.setting(fields)
    with suppress(Lost):
        table.write(
            Update(
                used_key(name, environment["id"]),
                expression,
                values,
                "attribute_not_exists(seen) OR seen < :seen",
            )
        )


def usage(name: str) -> Usage:
    """How many environments stand how. Raises NotFound. Reads every environment's line."""
    [template] = table.get(key(name))
    _found(template)
    published = list(_published(name))
    counts = {"up_to_date": 0, "behind_minor": 0, "behind_major": 0, "failed": 0}
    for item in _lines(name):
        counts[_standing(item, published)] += 1
    newest = max(published, default=None)
    return Usage(newest=newest and str(newest), **counts)


def uses(name: str, paging: Paging, user_id: str) -> Page[Use]:
    """Those of its environments that the caller may see; a page may have fewer than its limit.

    Raises NotFound. Three round trips, but for a template of very many versions.
    """
    [template], items, last = table.page(
        [key(name)], _TEMPLATE + name, _USED, paging, newest_first=False
    )
    _found(template)
    published = list(_published(name))
    living = [item for item in items if item["status"] != "destroyed"]
    mine = _mine(sorted({item["project_id"] for item in living}), user_id)
    return Page(
        [
            Use.model_validate({**item, "standing": _standing(item, published)})
            for item in living
            if item["project_id"] in mine
        ],
        last,
    )


def _use(environment: Item) -> Item:
    return {
        "environment_id": environment["id"],
        "project_id": environment["project_id"],
        "name": environment["name"],
        "version": environment["template"].partition("@")[2],
        "status": environment["status"],
        "seen": environment["version"],
    }


def _standing(item: Item, published: list[Version]) -> model.Standing:
    return model.standing(Version.parse(item["version"]), item["status"], published)


def _lines(name: str) -> Iterator[Item]:
    for item in _every(_TEMPLATE + name, _USED):
        if item["status"] != "destroyed":
            yield item


def _mine(project_ids: list[str], user_id: str) -> set[str]:
    members = [projects.member(ids.parse_project(each), user_id) for each in project_ids]
    return {
        project
        for project, allowed in zip(project_ids, table.get(*members), strict=True)
        if allowed
    }


# --- reading and changing ---------------------------------------------------------------------


def _read(item: Item) -> TemplateVersion:
    return TemplateVersion.model_validate(item)


def _found(item: Item | None) -> Item:
    if item is None:
        raise NotFound("No such template")
    return item


def _owned(template: Item | None, user_id: str) -> None:
    if _found(template)["created_by"] != user_id:
        raise Forbidden("Only the template's owner may change it")


def _version(name: str, version: Version) -> Item:
    [item] = table.get(version_key(name, version))
    if item is None:
        raise NotFound("No such version")
    return item


def _admissible(body: bytes, media: str) -> formation.Formation:
    read = formation.read(body, is_json=media == "application/json")
    formation.refuse_others(read, settings().allowed_resource_types)
    return read


def _draft(
    name: str,
    version: Version,
    read: formation.Formation,
    body: bytes,
    media: str,
    user_id: str,
) -> Item:
    """The record of a draft, whose body is stored and stands before CloudFormation."""
    sha256 = bodies.digest(body)
    where = bodies.key(name, str(version), sha256)
    bodies.put(where, body, media)
    bodies.validate(where)
    at = moments.written(moments.now())
    return {
        "template": name,
        "version": str(version),
        "state": "draft",
        "sha256": sha256,
        "bytes": len(body),
        "media": media,
        "key": where,
        "parameters": [model.as_record(each) for each in read.parameters],
        "outputs": list(read.outputs),
        "resources": read.resources,
        "resource_types": list(read.resources),
        "transforms": read.sam,
        "created_by": user_id,
        "created_at": at,
        "updated_at": at,
    }


def _after(newest: list[Item]) -> Version:
    if not newest:
        return Version(1, 0)
    last = Version.parse(newest[0]["version"])
    if last.minor == model.LAST_NUMBER:
        raise VersionTaken(f"There is no minor version after {last}: say which it should be")
    return Version(last.major, last.minor + 1)


def _turn(
    name: str, version: Version, before: State, after: State, user_id: str
) -> TemplateVersion:
    [template] = table.get(key(name))
    _owned(template, user_id)
    at = moments.written(moments.now())
    change = f"SET #state = :after, updated_at = :at, {after}_at = :at"
    values = {"after": after, "at": at, "before": before}
    try:
        return _read(
            table.write(
                Update(version_key(name, version), change, values, condition="#state = :before")
            )
        )
    except Lost as lost:
        item = lost.reasons[0]
        if item and item["state"] == after:
            return _read(item)
        raise _refused(item) from None


def _refused(item: Item | None) -> NotFound | VersionFixed:
    return _fixed(item) if item else NotFound("No such version")


def _fixed(item: Item) -> VersionFixed:
    return VersionFixed(f"Version {item['version']} is {item['state']}", item["state"])


def _unusable(detail: str) -> Invalid:
    return Invalid([FieldError("#/template", detail)])


def _published(name: str) -> Iterator[Version]:
    for item in _every(_TEMPLATE + name, _VERSION):
        if item["state"] == "published":
            yield Version.parse(item["version"])


def _every(pk: str, prefix: str) -> Iterator[Item]:
    after = None
    while True:
        items, after = table.query(pk, prefix, limit=1000, after=after)
        yield from items
        if after is None:
            return
