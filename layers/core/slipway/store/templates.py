"""Templates, their versions, and which environments use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from slipway.aws import template_bodies
from slipway.domain import template as model
from slipway.domain import timestamps
from slipway.domain.deployment import BROUGHT
from slipway.domain.paging import Page, Paging
from slipway.domain.template import (
    NewTemplate,
    Reference,
    State,
    Template,
    TemplateVersion,
    Usage,
    Use,
    Version,
)
from slipway.errors import (
    Busy,
    FieldError,
    Forbidden,
    Invalid,
    NameTaken,
    NotFound,
    NotPublished,
    PreconditionFailed,
    VersionFixed,
    VersionTaken,
)
from slipway.settings import settings
from slipway.store import idempotency, projects, table
from slipway.store.table import (
    Check,
    ConditionFailed,
    Delete,
    Found,
    Item,
    Key,
    Put,
    Query,
    Transaction,
    TransactionFailed,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.template_parser import Formation

_ALL = "TEMPLATES"
_TEMPLATE = "TEMPLATE#"
_VERSION = "VERSION#"
_USED = "USED#"
_TRIES = 5
# As many as most templates have had since one was published.
_LIKELY = 10
# More than DynamoDB puts into a page, which it ends at a megabyte.
_AT_ONCE = 10_000
# Nothing else of a version changes without these.
_SAME = "sha256 = :digest AND updated_at = :since"

Seen = Callable[[TemplateVersion], bool]
"""Whether a version is still as somebody has seen it."""


def key(name: str) -> Key:
    """Raises NotFound for what cannot be a name; as the following."""
    return Key(_ALL, _TEMPLATE + model.named(name))


def version_key(name: str, version: Version) -> Key:
    return Key(_TEMPLATE + model.named(name), f"{_VERSION}{version.major:05d}.{version.minor:05d}")


def used_key(name: str, environment_id: str) -> Key:
    return Key(_TEMPLATE + name, _USED + environment_id)


def add(wanted: NewTemplate, user_id: str) -> Template:
    """Raises NameTaken. One round trip."""
    at = timestamps.written(timestamps.now())
    item = {
        **wanted.model_dump(),
        "created_by": user_id,
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }
    shown = Template.model_validate(item)
    try:
        idempotency.commit(Transaction().put("record", key(wanted.name), item), shown)
    except TransactionFailed:
        raise NameTaken(f"There is a template named {wanted.name} already") from None
    return shown


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


@lru_cache(maxsize=64)
def made_from(reference: str) -> TemplateVersion:
    """The version that an environment is made from; `state` aside, it never changes.

    Raises NotFound. Read once by each process.
    """
    name, _, number = reference.partition("@")
    return version(name, Version.parse(number))


def body(name: str, wanted: Version) -> tuple[bytes, str, str]:
    """The body as it was sent, its media type and its digest. Raises NotFound, DriverFault."""
    item = _version(name, wanted)
    return template_bodies.get(item["key"]), item["media"], item["sha256"]


def add_version(
    name: str, wanted: Version | None, body: bytes, media: str, user_id: str
) -> TemplateVersion:
    """Add a draft, as the next minor version if it is not said which.

    Raises NotFound, Forbidden, Malformed, Invalid, VersionTaken, Busy, DriverFault. The body is
    stored first. Two round trips to the table, one to S3 and one to CloudFormation.
    """
    read = None
    for _ in range(_TRIES):
        [template, *mark], [(last, _)] = table.read(
            [key(name), *idempotency.keys()],
            Query(_TEMPLATE + name, _VERSION, 1, newest_first=True),
        )
        idempotency.look(*mark)
        _owned(template, user_id)
        version = wanted or _after(last)
        read = read or _admissible(body, media)
        item = _draft(name, version, read, body, media, user_id)
        shown = _read(item)
        try:
            idempotency.commit(Transaction().put("record", version_key(name, version), item), shown)
        except TransactionFailed:
            if wanted:
                raise VersionTaken(f"There is a version {version} already") from None
        else:
            return shown
    raise Busy(1)


def replace(
    name: str, version: Version, body: bytes, media: str, user_id: str, seen: Seen | None = None
) -> TemplateVersion:
    """Another body for a draft.

    Raises NotFound, Forbidden, PreconditionFailed, Malformed, Invalid, VersionFixed.
    """
    template, before = table.get(key(name), version_key(name, version))
    _owned(template, user_id)
    condition, same = _still_a_draft(before, seen)
    if before is None or before["state"] != "draft":
        raise _refused(before)
    read = _admissible(body, media)
    item = _draft(name, version, read, body, media, before["created_by"])
    item["created_at"] = before["created_at"]
    expression, values = table.setting(item)
    try:
        table.write(Update(version_key(name, version), expression, {**values, **same}, condition))
    except ConditionFailed as failed:
        _expect(failed.found, seen)
        raise _refused(failed.found) from None
    return _read(item)


def discard(name: str, version: Version, user_id: str, seen: Seen | None = None) -> None:
    """Delete a draft. Raises NotFound, Forbidden, PreconditionFailed, VersionFixed. Two round
    trips."""
    here = version_key(name, version)
    template, *found = table.get(key(name), *([here] if seen else []))
    _owned(template, user_id)
    condition, same = _still_a_draft(found[0] if found else None, seen)
    try:
        table.write(Delete(here, condition, same))
    except ConditionFailed as failed:
        _expect(failed.found, seen)
        raise _refused(failed.found) from None


def publish(name: str, version: Version, user_id: str, seen: Seen | None = None) -> TemplateVersion:
    """Raises NotFound, Forbidden, PreconditionFailed, VersionFixed, Busy. Repeating it changes
    nothing."""
    return _turn(name, version, "draft", "published", user_id, seen)


def deprecate(
    name: str, version: Version, user_id: str, seen: Seen | None = None
) -> TemplateVersion:
    """Raises NotFound, Forbidden, PreconditionFailed, NotPublished, Busy. Repeating it changes
    nothing."""
    return _turn(name, version, "published", "deprecated", user_id, seen)


# --- what environments are made from ----------------------------------------------------------


def sought(text: str) -> Query:
    """What `name`, `name@1` or `name@1.2` may mean, the newest first; for `resolved`.

    Raises Invalid.
    """
    wanted = Reference.parse(text)
    numbers = "" if wanted.major is None else f"{wanted.major:05d}."
    numbers += "" if wanted.minor is None else f"{wanted.minor:05d}"
    return Query(_TEMPLATE + wanted.name, _VERSION + numbers, _LIKELY, newest_first=True)


def resolved(text: str, found: Found) -> TemplateVersion:
    """The published version that is meant, of the page that `sought` has found. Raises Invalid.

    No further round trip, unless the newest versions are all drafts or deprecated.
    """
    items, after = found
    if Reference.parse(text).version and items and items[0]["state"] != "published":
        raise _unusable(f"{text} is {items[0]['state']}")
    for item in items:
        if item["state"] == "published":
            return _read(item)
    if after is None:
        raise _unusable(f"there is no published version of {text}")
    further = sought(text)._replace(after=after)
    return resolved(text, table.read((), further)[1][0])


def allowed(version: TemplateVersion) -> TemplateVersion:
    """The same. Raises Invalid if the list of types has become shorter since it was added."""
    disallowed = model.not_allowed(version.resources, settings().allowed_resource_types)
    if disallowed:
        detail = f"has resources that are not allowed any more: {', '.join(disallowed)}"
        raise Invalid([FieldError("#/template", detail)])
    return version


def stored_at(version: TemplateVersion) -> str:
    """The key of its body."""
    return template_bodies.key(version.template, version.version, version.sha256)


def made_of(version: TemplateVersion) -> Item:
    """What the record of an environment that is made from it says of it."""
    return {
        "template": version.reference,
        "template_key": stored_at(version),
        "parameters": [parameter.name for parameter in version.parameters],
        "defaults": sorted(BROUGHT & {n.name for n in version.parameters if n.default is not None}),
    }


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
        fields["ttl"] = timestamps.epoch(timestamps.hours_after(timestamps.now(), 24))
    expression, values = table.setting(fields)
    with suppress(ConditionFailed):
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
    versions = _page(name, _VERSION)
    lines = _page(name, _USED)
    [template], [some_versions, some_lines] = table.read([key(name)], versions, lines)
    _found(template)
    published = _published(_and_further(versions, some_versions))
    counts = {"up_to_date": 0, "behind_minor": 0, "behind_major": 0, "failed": 0}
    for item in _living(_and_further(lines, some_lines)):
        counts[_standing(item, published)] += 1
    newest = max(published, default=None)
    return Usage(newest=newest and str(newest), **counts)


def uses(name: str, paging: Paging, user_id: str) -> Page[Use]:
    """Those of its environments that the caller may see; a page may have fewer than its limit.

    Raises NotFound, Invalid. One round trip, unless the template has very many versions or the
    caller very many projects.
    """
    lines = table.listing(_TEMPLATE + name, _USED, paging, newest_first=False)
    versions, mine = _page(name, _VERSION), projects.mine(user_id, _AT_ONCE)
    [template], [(items, last), *pages] = table.read([key(name)], lines, versions, mine)
    _found(template)
    published = _published(_and_further(versions, pages[0]))
    projects_of_caller = {item["id"] for item in _and_further(mine, pages[1])}
    return Page(
        [
            Use.model_validate({**item, "standing": _standing(item, published)})
            for item in _living(items)
            if item["project_id"] in projects_of_caller
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


def _living(lines: Iterable[Item]) -> Iterator[Item]:
    return (item for item in lines if item["status"] != "destroyed")


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


def _admissible(body: bytes, media: str) -> Formation:
    # Imported here: only who adds a version pays for it.
    from slipway.domain import template_parser

    read = template_parser.read(body, is_json=media == "application/json")
    template_parser.refuse_others(read, settings().allowed_resource_types)
    return read


def _draft(
    name: str,
    version: Version,
    read: Formation,
    body: bytes,
    media: str,
    user_id: str,
) -> Item:
    """The record of a draft, whose body is stored and stands before CloudFormation."""
    sha256 = template_bodies.digest(body)
    where = template_bodies.key(name, str(version), sha256)
    template_bodies.put(where, body, media)
    template_bodies.validate(where)
    at = timestamps.written(timestamps.now())
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
    name: str, version: Version, before: State, after: State, user_id: str, seen: Seen | None
) -> TemplateVersion:
    template, item = table.get(key(name), version_key(name, version))
    _owned(template, user_id)
    for _ in range(_TRIES):
        _expect(item, seen)
        if item and item["state"] == after:
            return _read(item)
        if not item or item["state"] != before:
            raise _refused(item)
        at = timestamps.written(timestamps.now())
        fields = {"state": after, "updated_at": at, f"{after}_at": at}
        shown = _read({**item, **fields})
        change, values = table.setting(fields)
        # Not if the draft was replaced in this moment: it is looked at again.
        same = {"before": before, **_same(item)}
        condition = f"#state = :before AND {_SAME}"
        turn = Update(version_key(name, version), change, {**values, **same}, condition)
        try:
            idempotency.write(shown, turn)
        except ConditionFailed as failed:
            item = failed.found
        else:
            return shown
    raise Busy(1)


def _expect(item: Item | None, seen: Seen | None) -> None:
    """Raises PreconditionFailed."""
    if item and seen and not seen(_read(item)):
        raise PreconditionFailed()


def _still_a_draft(item: Item | None, seen: Seen | None) -> tuple[str, Item]:
    """The condition for that, and its values; for the one that somebody has seen, if so.

    Raises PreconditionFailed.
    """
    _expect(item, seen)
    if item is None or seen is None:
        return "#state = :state", {"state": "draft"}
    return f"#state = :state AND {_SAME}", {"state": "draft", **_same(item)}


def _same(item: Item) -> Item:
    """The values for _SAME."""
    return {"digest": item["sha256"], "since": item["updated_at"]}


def _refused(item: Item | None) -> NotFound | NotPublished | VersionFixed:
    if not item:
        return NotFound("No such version")
    if item["state"] == "draft":
        return NotPublished(f"Version {item['version']} is a draft")
    return VersionFixed(f"Version {item['version']} is {item['state']}", item["state"])


def _unusable(detail: str) -> Invalid:
    return Invalid([FieldError("#/template", detail)])


def _published(versions: Iterable[Item]) -> list[Version]:
    return [Version.parse(each["version"]) for each in versions if each["state"] == "published"]


def _page(name: str, prefix: str) -> Query:
    return Query(_TEMPLATE + name, prefix, _AT_ONCE)


def _and_further(query: Query, found: Found) -> Iterator[Item]:
    """What a page has, and what comes after it."""
    items, after = found
    yield from items
    while after is not None:
        [(items, after)] = table.read((), query._replace(after=after))[1]
        yield from items
