"""Templates: changing their descriptions, and deleting them.

A template that an environment uses is not deleted. A creation writes to an item of its template
which environment it makes (`template_records.note_use`), and a deletion fails if that item has
changed since it looked. So of a creation and a deletion at the same time one fails.

A name stays with its template, because the references of its versions have it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.records import changed
from slipway.domain.template import Template, TemplateChange
from slipway.errors import (
    Busy,
    ConfirmationRequired,
    Forbidden,
    PreconditionFailed,
    TemplateInUse,
)
from slipway.store import environment_records, quota_records, table
from slipway.store import template_records as records
from slipway.store.table import (
    Found,
    Item,
    Key,
    Query,
    Transaction,
    TransactionFailed,
)

if TYPE_CHECKING:
    from slipway.domain.template_records import TemplateRecord

_TRIES = 10
# A transaction has 100 parts at most.
_AT_ONCE = 80
_PAGE = 10_000


def change(
    name: str, wanted: TemplateChange, principal: Principal, if_version: Container[int] | None
) -> Template:
    """Change the template's description; no-op if nothing differs. Two round trips.

    `if_version` has the versions that the caller expects, None is any. Raises NotFound, Forbidden,
    Invalid, PreconditionFailed, Busy. More round trips if the template changes in between.
    """
    for _ in range(_TRIES):
        [item] = table.get(records.key(name))
        _require_own(item, principal, if_version)
        shown = Template.model_validate(item)
        wanted.require_unchanged(shown)
        if wanted.description == shown.description:
            return shown
        fields = {
            "description": wanted.description,
            "updated_at": timestamps.written(timestamps.now()),
            "version": item["version"] + 1,
        }
        expression, values = table.setting(fields)
        values["was"] = item["version"]
        transaction = Transaction()
        transaction.update("record", records.key(name), expression, values, "version = :was")
        if _commit(transaction):
            return Template.model_validate(changed(item, fields))
    raise Busy(1)


def remove(
    name: str,
    principal: Principal,
    if_version: Container[int] | None,
    confirmed: str | None = None,
) -> None:
    """Delete a template that no environment uses, with all its versions.

    `if_version` has the versions that the caller expects, None is any; `confirmed` is the name in
    `X-Confirm`, which is needed once a version was published. The bodies of versions stay in the
    bucket, as those of deleted drafts do. Raises NotFound, Forbidden, PreconditionFailed,
    ConfirmationRequired, TemplateInUse, Busy. Two round trips; one more for each megabyte of
    versions and uses, two more for each 80 versions, and more if the template changes in between.
    """
    for _ in range(_TRIES):
        seen = _Seen(name, principal, if_version)
        was_published = any(each["state"] != "draft" for each in seen.versions)
        _require_person(seen.item, principal, was_published=was_published)
        seen.require_unused()
        if was_published and confirmed != name:
            detail = f"Versions of the template were published. Send the header X-Confirm: {name}"
            raise ConfirmationRequired(name, detail)
        if _erase(seen):
            return
    raise Busy(1)


def _require_own(
    item: TemplateRecord | None, principal: Principal, if_version: Container[int] | None
) -> None:
    """Raises NotFound, Forbidden, PreconditionFailed."""
    found = records.found(item)
    authorization.may_change_template(found, principal)
    if if_version is not None and found["version"] not in if_version:
        raise PreconditionFailed()


class _Seen:
    """What is read before a template is deleted. Raises NotFound, Forbidden, PreconditionFailed."""

    def __init__(self, name: str, principal: Principal, if_version: Container[int] | None) -> None:
        self.name = name
        where = records.TEMPLATE + name
        queries = [Query(where, prefix, _PAGE) for prefix in (records.VERSION, records.USED)]
        keys = (records.key(name), records.last_use(name), quota_records.versions_of(name))
        pages: list[Found]
        [item, self.last, self.counter], pages = table.read(keys, *queries)
        _require_own(item, principal, if_version)
        self.item: TemplateRecord = item
        self.versions, self.uses = (
            list(table.every(query, page)) for query, page in zip(queries, pages, strict=True)
        )

    def require_unused(self) -> None:
        """Raises TemplateInUse. One round trip if the last use was not among those that were read:
        it was forgotten since its environment was destroyed, or it is newer than they are."""
        using = [each for each in self.uses if each["status"] != "destroyed"]
        last = self.last and self.last["environment_id"]
        if not using and last and last not in {each["environment_id"] for each in self.uses}:
            found = environment_records.find(ids.parse_environment(last))
            using = [found] if found and found["status"] != "destroyed" else []
        if using:
            raise TemplateInUse(self.name, len(using))

    def still_unused(self, transaction: Transaction, *, is_last: bool) -> Transaction:
        """Add the part that fails if an environment was made of the template since it was read."""
        key = records.last_use(self.name)
        condition, values = "attribute_not_exists(pk)", {}
        if self.last:
            condition = "environment_id = :last"
            values = {"last": self.last["environment_id"]}
        if is_last:
            return transaction.delete("use", key, condition, values)
        return transaction.check("use", key, condition, values)


def _require_person(item: TemplateRecord, principal: Principal, *, was_published: bool) -> None:
    """Raises Forbidden for a machine, unless it has made the template itself and published nothing.

    No person could confirm it: a template belongs to no project.
    """
    made_by: Any = item.get("made_by") or {}
    if principal.is_machine and (was_published or made_by.get("id") != principal.id):
        raise Forbidden(
            "Only people delete templates, and a token one that it has created and that was never "
            "published. Sign in, or use a personal token."
        )


def _erase(seen: _Seen) -> bool:
    """Delete the template, the oldest versions first; whether that was done."""
    versions = seen.versions
    for first in range(0, len(versions) - _AT_ONCE, _AT_ONCE):
        batch = versions[first : first + _AT_ONCE]
        less = quota_records.uncount(quota_records.versions_of(seen.name), len(batch))
        transaction = seen.still_unused(Transaction(), is_last=False).add("counter", less)
        if not _commit(_with_versions(transaction, batch)):
            return False
    is_whole = len(versions) <= _AT_ONCE
    left = versions if is_whole else versions[-(len(versions) % _AT_ONCE or _AT_ONCE) :]
    transaction = seen.still_unused(Transaction(), is_last=True)
    was = {"was": seen.item["version"]}
    transaction.delete("record", records.key(seen.name), "version = :was", was)
    transaction.delete("counter", *_no_more_versions(seen))
    owner = quota_records.templates_of(seen.item["created_by"])
    transaction.add("quota", quota_records.uncount(owner))
    return _commit(_with_versions(transaction, left))


def _no_more_versions(seen: _Seen) -> tuple[Key, str, Item]:
    """The counter of versions, and the condition that none was added since."""
    key = quota_records.versions_of(seen.name)
    if not seen.counter:
        return key, "attribute_not_exists(pk)", {}
    return key, "made = :made", {"made": seen.counter["made"]}


def _with_versions(transaction: Transaction, versions: list[Any]) -> Transaction:
    """Add the parts that delete the versions, if they are as they were read."""
    for each in versions:
        key = Key(each["pk"], each["sk"])
        values = {"state": each["state"], "since": each["updated_at"]}
        part = f"version {each['version']}"
        transaction.delete(part, key, "#state = :state AND updated_at = :since", values)
    return transaction


def _commit(transaction: Transaction) -> bool:
    try:
        transaction.commit()
    except TransactionFailed:
        return False
    return True
