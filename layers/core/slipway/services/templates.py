"""Templates and their versions: adding, publishing and deprecating them, and who uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.aws import template_bodies
from slipway.domain import template as model
from slipway.domain import timestamps
from slipway.domain.paging import Page, Paging
from slipway.domain.records import TemplateRecord
from slipway.domain.template import (
    NewTemplate,
    State,
    Template,
    TemplateVersion,
    Usage,
    Use,
    Version,
)
from slipway.errors import (
    Busy,
    NameTaken,
    NotFound,
    NotPublished,
    PreconditionFailed,
    VersionFixed,
    VersionTaken,
)
from slipway.settings import settings
from slipway.store import idempotency, project_records, table
from slipway.store import template_records as records
from slipway.store.table import (
    ConditionFailed,
    Delete,
    Fields,
    Found,
    Item,
    Query,
    Transaction,
    TransactionFailed,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.template_parser import ParsedTemplate

_TRIES = 5
# More than DynamoDB puts into a page, which it ends at a megabyte.
_AT_ONCE = 10_000
# Nothing else of a version changes without these.
_SAME = "sha256 = :digest AND updated_at = :since"

Seen = Callable[[TemplateVersion], bool]
"""Whether a version is still as somebody has seen it."""


def create(wanted: NewTemplate, principal: Principal) -> Template:
    """Raises NameTaken. One round trip."""
    at = timestamps.written(timestamps.now())
    item = {
        **wanted.model_dump(),
        "created_by": principal.user_id,
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }
    shown = Template.model_validate(item)
    try:
        idempotency.commit(Transaction().put("record", records.key(wanted.name), item), shown)
    except TransactionFailed:
        raise NameTaken(
            f"There is already a template named {wanted.name}. Choose another name."
        ) from None
    return shown


def get(name: str) -> Template:
    """Raises NotFound."""
    [item] = table.get(records.key(name))
    return Template.model_validate(records.found(item))


def list_(paging: Paging) -> Page[Template]:
    """All templates, by name."""
    _, items, last = table.page((), records.ALL, records.TEMPLATE, paging, newest_first=False)
    return Page([Template.model_validate(item) for item in items], last)


def versions(name: str, paging: Paging) -> Page[TemplateVersion]:
    """The template's versions, newest first. Raises NotFound. One round trip."""
    [item], items, last = table.page(
        [records.key(name)],
        records.TEMPLATE + name,
        records.VERSION,
        paging,
    )
    records.found(item)
    return Page([records.read(item) for item in items], last)


def version(name: str, wanted: Version) -> TemplateVersion:
    """Raises NotFound."""
    return records.read(records.find_version(name, wanted))


def body(name: str, wanted: Version) -> tuple[bytes, str, str]:
    """The body as it was sent, its media type and its digest. Raises NotFound, DriverFault."""
    item = records.find_version(name, wanted)
    return template_bodies.get(item["key"]), item["media"], item["sha256"]


def add_version(
    name: str, wanted: Version | None, body: bytes, media: str, principal: Principal
) -> TemplateVersion:
    """Add a draft, as the next minor version if it is not said which.

    Raises NotFound, Forbidden, Malformed, Invalid, VersionTaken, Busy, DriverFault. The body is
    stored first. Two round trips to the table, one to S3 and one to CloudFormation.
    """
    read = None
    for _ in range(_TRIES):
        [template, *mark], [(last, _)] = table.read(
            [records.key(name), *idempotency.keys()],
            Query(records.TEMPLATE + name, records.VERSION, 1, newest_first=True),
        )
        idempotency.look(*mark)
        _owned(template, principal)
        version = wanted or _after(last)
        read = read or _admissible(body, media)
        item = _draft(name, version, read, body, media, principal.user_id)
        shown = records.read(item)
        try:
            idempotency.commit(
                Transaction().put("record", records.version_key(name, version), item),
                shown,
            )
        except TransactionFailed:
            if wanted:
                raise VersionTaken(
                    f"Version {version} already exists. Choose another number."
                ) from None
        else:
            return shown
    raise Busy(1)


def replace(
    name: str,
    version: Version,
    body: bytes,
    media: str,
    principal: Principal,
    seen: Seen | None = None,
) -> TemplateVersion:
    """Another body for a draft.

    Raises NotFound, Forbidden, PreconditionFailed, Malformed, Invalid, VersionFixed.
    """
    template, before = table.get(records.key(name), records.version_key(name, version))
    _owned(template, principal)
    condition, same = _still_a_draft(before, seen)
    if before is None or before["state"] != "draft":
        raise _refused(before)
    read = _admissible(body, media)
    item = _draft(name, version, read, body, media, before["created_by"])
    item["created_at"] = before["created_at"]
    expression, values = table.setting(item)
    try:
        table.write(
            Update(
                records.version_key(name, version),
                expression,
                {**values, **same},
                condition,
            )
        )
    except ConditionFailed as failed:
        _expect(failed.found, seen)
        raise _refused(failed.found) from None
    return records.read(item)


def discard(name: str, version: Version, principal: Principal, seen: Seen | None = None) -> None:
    """Delete a draft. Raises NotFound, Forbidden, PreconditionFailed, VersionFixed. Two round
    trips."""
    here = records.version_key(name, version)
    template, *found = table.get(records.key(name), *([here] if seen else []))
    _owned(template, principal)
    condition, same = _still_a_draft(found[0] if found else None, seen)
    try:
        table.write(Delete(here, condition, same))
    except ConditionFailed as failed:
        _expect(failed.found, seen)
        raise _refused(failed.found) from None


def publish(
    name: str, version: Version, principal: Principal, seen: Seen | None = None
) -> TemplateVersion:
    """Raises NotFound, Forbidden, PreconditionFailed, VersionFixed, Busy. Repeating it changes
    nothing."""
    return _turn(name, version, "draft", "published", principal, seen)


def deprecate(
    name: str, version: Version, principal: Principal, seen: Seen | None = None
) -> TemplateVersion:
    """Raises NotFound, Forbidden, PreconditionFailed, NotPublished, Busy. Repeating it changes
    nothing."""
    return _turn(name, version, "published", "deprecated", principal, seen)


def usage(name: str) -> Usage:
    """How many environments stand how. Raises NotFound. Reads every environment's line."""
    versions = _page(name, records.VERSION)
    lines = _page(name, records.USED)
    [template], [some_versions, some_lines] = table.read([records.key(name)], versions, lines)
    records.found(template)
    published = _published(_and_further(versions, some_versions))
    counts = {"up_to_date": 0, "behind_minor": 0, "behind_major": 0, "failed": 0}
    for item in _living(_and_further(lines, some_lines)):
        counts[_standing(item, published)] += 1
    newest = max(published, default=None)
    return Usage(newest=newest and str(newest), **counts)


def uses(name: str, paging: Paging, principal: Principal) -> Page[Use]:
    """Those of its environments that the caller may see; a page may have fewer than its limit.

    Raises NotFound, Invalid. One round trip, unless the template has very many versions or the
    caller very many projects.
    """
    lines = table.listing(records.TEMPLATE + name, records.USED, paging, newest_first=False)
    versions, mine = (
        _page(name, records.VERSION),
        project_records.mine(principal.user_id, _AT_ONCE),
    )
    [template], [(items, last), *pages] = table.read([records.key(name)], lines, versions, mine)
    records.found(template)
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


def _standing(item: Item, published: list[Version]) -> model.Standing:
    return model.standing(Version.parse(item["version"]), item["status"], published)


def _living(lines: Iterable[Item]) -> Iterator[Item]:
    return (item for item in lines if item["status"] != "destroyed")


def _owned(template: TemplateRecord | None, principal: Principal) -> None:
    """Raises NotFound, Forbidden."""
    authorization.may_change_template(records.found(template), principal)


def _admissible(body: bytes, media: str) -> ParsedTemplate:
    # Imported here: only who adds a version pays for it.
    from slipway.domain import template_parser

    read = template_parser.read(body, is_json=media == "application/json")
    template_parser.check_allowed(read, settings().allowed_resource_types)
    return read


def _draft(
    name: str,
    version: Version,
    read: ParsedTemplate,
    body: bytes,
    media: str,
    created_by: str,
) -> Fields:
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
        "created_by": created_by,
        "created_at": at,
        "updated_at": at,
    }


def _after(newest: list[Item]) -> Version:
    if not newest:
        return Version(1, 0)
    last = Version.parse(newest[0]["version"])
    if last.minor == model.LAST_NUMBER:
        raise VersionTaken(
            f"There is no minor version after {last}. Send ?version= with a higher major version."
        )
    return Version(last.major, last.minor + 1)


def _turn(
    name: str,
    version: Version,
    before: State,
    after: State,
    principal: Principal,
    seen: Seen | None,
) -> TemplateVersion:
    template, item = table.get(records.key(name), records.version_key(name, version))
    _owned(template, principal)
    for _ in range(_TRIES):
        _expect(item, seen)
        if item and item["state"] == after:
            return records.read(item)
        if not item or item["state"] != before:
            raise _refused(item)
        at = timestamps.written(timestamps.now())
        fields = {"state": after, "updated_at": at, f"{after}_at": at}
        shown = records.read({**item, **fields})
        change, values = table.setting(fields)
        # Not if the draft was replaced in this moment: it is looked at again.
        same = {"before": before, **_same(item)}
        condition = f"#state = :before AND {_SAME}"
        turn = Update(records.version_key(name, version), change, {**values, **same}, condition)
        try:
            idempotency.write(shown, turn)
        except ConditionFailed as failed:
            item = failed.found
        else:
            return shown
    raise Busy(1)


def _expect(item: Item | None, seen: Seen | None) -> None:
    """Raises PreconditionFailed."""
    if item and seen and not seen(records.read(item)):
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
        return NotFound("The template has no such version. Check the number.")
    if item["state"] == "draft":
        return NotPublished(f"Version {item['version']} is a draft. Delete it instead.")
    detail = f"Version {item['version']} is {item['state']} and cannot change. Add a new version."
    return VersionFixed(detail, item["state"])


def _published(versions: Iterable[Item]) -> list[Version]:
    return [Version.parse(each["version"]) for each in versions if each["state"] == "published"]


def _page(name: str, prefix: str) -> Query:
    return Query(records.TEMPLATE + name, prefix, _AT_ONCE)


def _and_further(query: Query, found: Found) -> Iterator[Item]:
    """What a page has, and what comes after it."""
    items, after = found
    yield from items
    while after is not None:
        [(items, after)] = table.read((), query._replace(after=after))[1]
        yield from items
