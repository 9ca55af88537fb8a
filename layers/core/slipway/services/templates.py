"""Templates and their versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.aws import template_bodies
from slipway.domain import template as model
from slipway.domain import timestamps
from slipway.domain.paging import Page, Paging
from slipway.domain.template import (
    NewTemplate,
    State,
    Template,
    TemplateVersion,
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
from slipway.services import template_drafts as drafts
from slipway.store import idempotency, quota_records, table
from slipway.store import template_records as records
from slipway.store.table import (
    ConditionFailed,
    Item,
    Query,
    Transaction,
    TransactionFailed,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.template_records import TemplateRecord

_TRIES = 5
# A version changes in nothing else unless one of these changes.
_UNCHANGED = "sha256 = :digest AND updated_at = :since"


Precondition = Callable[[TemplateVersion], bool]
"""Whether a version is still the one that the caller has read (`If-Match`)."""


def create(wanted: NewTemplate, principal: Principal) -> Template:
    """Create a template that the principal owns; two round trips.

    Raises Forbidden, NameTaken, QuotaExceeded.
    """
    [account, *mark] = table.get(authorization.account(principal), *idempotency.keys())
    idempotency.check_replayed(*mark)
    authorization.may_publish(account)
    at = timestamps.written(timestamps.now())
    item = {
        **wanted.model_dump(),
        **principal.made(),
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }
    shown = Template.model_validate(item)
    transaction = Transaction().put("record", records.key(wanted.name), item)
    transaction.add("quota", quota_records.count_template(principal.user_id))
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed as failed:
        if failed.get("record") is None:
            raise _quotas().templates_counted() from None
        raise NameTaken(
            f"There is already a template named {wanted.name}. Choose another name."
        ) from None
    return shown


def get(name: str) -> Template:
    """The template; one round trip. Raises NotFound."""
    [item] = table.get(records.key(name))
    return Template.model_validate(records.found(item))


def list_(paging: Paging) -> Page[Template]:
    """A page of all templates, by name; one round trip.

    Raises Invalid for a cursor of another list.
    """
    _, items, last = table.page((), records.ALL, records.TEMPLATE, paging, newest_first=False)
    return Page([Template.model_validate(item) for item in items], last)


def versions(name: str, paging: Paging) -> Page[TemplateVersion]:
    """A page of the template's versions, newest first; one round trip.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    [item], items, last = table.page(
        [records.key(name)],
        records.TEMPLATE + name,
        records.VERSION,
        paging,
    )
    records.found(item)
    return Page([records.to_model(item) for item in items], last)


def version(name: str, wanted: Version) -> TemplateVersion:
    """The version; one round trip. Raises NotFound."""
    return records.to_model(records.find_version(name, wanted))


def body(name: str, wanted: Version) -> tuple[bytes, str, str]:
    """The version's body as it was sent, its media type and its SHA-256 in hexadecimal.

    Raises NotFound, DriverFault. One round trip to the table and one to S3.
    """
    item = records.find_version(name, wanted)
    return template_bodies.get(item["key"]), item["media"], item["sha256"]


def add_version(
    name: str, wanted: Version | None, body: bytes, media: str, principal: Principal
) -> TemplateVersion:
    """Add a draft. `wanted` is its number; None stands for the next minor version.

    The body is stored before the record is written. Raises NotFound, Forbidden, Malformed, Invalid,
    TooCostly, VersionTaken, Busy, DriverFault. Two round trips to the table, one to S3 and one to
    CloudFormation; more if other versions are added at the same time.
    """
    parsed = None
    for _ in range(_TRIES):
        [account, template, *mark], [(last, _)] = table.read(
            [authorization.account(principal), records.key(name), *idempotency.keys()],
            Query(records.TEMPLATE + name, records.VERSION, 1, newest_first=True),
        )
        idempotency.check_replayed(*mark)
        _require_owner(template, principal)
        authorization.may_publish(account)
        version = wanted or _next_version(last)
        parsed = parsed or drafts.parse(body, media)
        item = drafts.record(name, version, parsed, body, media, principal.made())
        shown = records.to_model(item)
        transaction = Transaction().put("record", records.version_key(name, version), item)
        transaction.add("quota", quota_records.count_version(name))
        transaction.check("template", records.key(name))
        try:
            idempotency.commit(transaction, shown)
        except TransactionFailed as failed:
            if failed.get("template") is not None:
                records.found(None)
            if failed.get("record") is None:
                raise _quotas().versions_counted(name) from None
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
    precondition: Precondition | None = None,
) -> TemplateVersion:
    """Replace the body of a draft; no-op if it has this body already.

    Raises NotFound, Forbidden, PreconditionFailed, Malformed, Invalid, TooCostly, VersionFixed,
    DriverFault. Two round trips to the table, one to S3 and one to CloudFormation.
    """
    account, template, before = table.get(
        authorization.account(principal), records.key(name), records.version_key(name, version)
    )
    _require_owner(template, principal)
    authorization.may_publish(account)
    condition, expected = _draft_condition(before, precondition)
    if before is None or before["state"] != "draft":
        raise _refusal(before)
    if drafts.is_of(before, body, media):
        return records.to_model(before)
    parsed = drafts.parse(body, media)
    item = drafts.record(name, version, parsed, body, media, before)
    item["created_at"] = before["created_at"]
    expression, values = table.setting(item)
    try:
        table.write(
            Update(
                records.version_key(name, version),
                expression,
                {**values, **expected},
                condition,
            )
        )
    except ConditionFailed as failed:
        _check_precondition(failed.found, precondition)
        raise _refusal(failed.found) from None
    return records.to_model(item)


def discard(
    name: str, version: Version, principal: Principal, precondition: Precondition | None = None
) -> None:
    """Delete a draft; two round trips.

    Raises NotFound, Forbidden, PreconditionFailed, VersionFixed.
    """
    key = records.version_key(name, version)
    template, *found = table.get(records.key(name), *([key] if precondition else []))
    _require_owner(template, principal)
    condition, expected = _draft_condition(found[0] if found else None, precondition)
    transaction = (
        Transaction()
        .delete("record", key, condition, expected)
        .add("quota", quota_records.uncount(quota_records.versions_of(name)))
    )
    try:
        transaction.commit()
    except TransactionFailed as failed:
        _check_precondition(failed.found, precondition)
        raise _refusal(failed.found) from None


def publish(
    name: str, version: Version, principal: Principal, precondition: Precondition | None = None
) -> TemplateVersion:
    """Publish a draft; two round trips. Repeating it changes nothing.

    Raises NotFound, Forbidden, PreconditionFailed, VersionFixed, Busy.
    """
    return _change_state(name, version, "draft", "published", principal, precondition)


def deprecate(
    name: str, version: Version, principal: Principal, precondition: Precondition | None = None
) -> TemplateVersion:
    """Deprecate a published version; two round trips. Repeating it changes nothing.

    Raises NotFound, Forbidden, PreconditionFailed, NotPublished, Busy.
    """
    return _change_state(name, version, "published", "deprecated", principal, precondition)


def _quotas() -> Any:
    # Imported here, because few requests reach a quota.
    from slipway.services import quotas

    return quotas


def _require_owner(template: TemplateRecord | None, principal: Principal) -> None:
    """Raises NotFound, Forbidden."""
    authorization.may_change_template(records.found(template), principal)


def _next_version(newest: list[Item]) -> Version:
    if not newest:
        return Version(1, 0)
    last = Version.parse(newest[0]["version"])
    if last.minor == model.LAST_NUMBER:
        raise VersionTaken(
            f"There is no minor version after {last}. Send ?version= with a higher major version."
        )
    return Version(last.major, last.minor + 1)


def _change_state(
    name: str,
    version: Version,
    before: State,
    after: State,
    principal: Principal,
    precondition: Precondition | None,
) -> TemplateVersion:
    account, template, item = table.get(
        authorization.account(principal), records.key(name), records.version_key(name, version)
    )
    _require_owner(template, principal)
    if after == "published":
        authorization.may_publish(account)
    for _ in range(_TRIES):
        _check_precondition(item, precondition)
        if item and item["state"] == after:
            return records.to_model(item)
        if not item or item["state"] != before:
            raise _refusal(item)
        at = timestamps.written(timestamps.now())
        fields = {"state": after, "updated_at": at, f"{after}_at": at}
        shown = records.to_model({**item, **fields})
        change, values = table.setting(fields)
        # If the draft is replaced at the same time, it is checked again.
        values |= {"before": before, **_unchanged(item)}
        condition = f"#state = :before AND {_UNCHANGED}"
        update = Update(records.version_key(name, version), change, values, condition)
        try:
            idempotency.write(shown, update)
        except ConditionFailed as failed:
            item = failed.found
        else:
            return shown
    raise Busy(1)


def _check_precondition(item: Item | None, precondition: Precondition | None) -> None:
    """Raises PreconditionFailed."""
    if item and precondition and not precondition(records.to_model(item)):
        raise PreconditionFailed()


def _draft_condition(item: Item | None, precondition: Precondition | None) -> tuple[str, Item]:
    """The condition that the version is a draft, and its values.

    With a precondition, the draft must also be unchanged. Raises PreconditionFailed.
    """
    _check_precondition(item, precondition)
    if item is None or precondition is None:
        return "#state = :state", {"state": "draft"}
    return f"#state = :state AND {_UNCHANGED}", {"state": "draft", **_unchanged(item)}


def _unchanged(item: Item) -> Item:
    """The values for _UNCHANGED."""
    return {"digest": item["sha256"], "since": item["updated_at"]}


def _refusal(item: Item | None) -> NotFound | NotPublished | VersionFixed:
    if not item:
        return NotFound("The template has no such version. Check the number.")
    if item["state"] == "draft":
        return NotPublished(f"Version {item['version']} is a draft. Delete it instead.")
    detail = f"Version {item['version']} is {item['state']} and cannot change. Add a new version."
    return VersionFixed(detail, item["state"])
