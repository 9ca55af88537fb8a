"""Which environments use a template: how many for everyone, and which for their members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slipway.access.principal import Principal
from slipway.domain import template as model
from slipway.domain.environment_lists import EnvironmentListing
from slipway.domain.paging import Page
from slipway.domain.template import Usage, Use, Version
from slipway.domain.template_lists import UseListing
from slipway.services import lists
from slipway.store import table
from slipway.store import template_records as records
from slipway.store.table import Found, Item, Query

# Larger than any page, because DynamoDB ends a page at a megabyte.
_FULL_PAGE = 10_000


def usage(name: str) -> Usage:
    """Counts of the template's environments by how far they are behind the newest version.

    Reads the use record of every environment: one round trip for each megabyte. Raises NotFound.
    """
    version_query = _first_page(name, records.VERSION)
    use_query = _first_page(name, records.USED)
    [template], pages = table.read([records.key(name)], version_query, use_query)
    records.found(template)
    published = _published(table.every(version_query, pages[0]))
    counts = {"up_to_date": 0, "behind_minor": 0, "behind_major": 0, "failed": 0}
    for item in table.every(use_query, pages[1]):
        if item["status"] != "destroyed":
            counts[_standing(item["version"], item["status"], published)] += 1
    newest = max(published, default=None)
    return Usage(newest=newest and str(newest), **counts)


def uses(name: str, principal: Principal, wanted: UseListing) -> Page[Use]:
    """A page of the template's environments in all projects of the principal.

    It is the list of all environments with the template as a filter, so both show the same ones.
    Costs as `lists.environments`; more if the versions exceed a megabyte. Raises NotFound, and
    Invalid for a cursor of another list.
    """
    key, version_query = records.key(name), _first_page(name, records.VERSION)
    published: list[Version] = []

    def take(items: Sequence[Any], pages: Sequence[Found]) -> None:
        records.found(items[0])
        published.extend(_published(table.every(version_query, pages[0])))

    beside = lists.Beside([key], [version_query], take)
    page = lists.environments(principal, _of_template(name, wanted), beside)
    shown = []
    for each in page:
        version = str(each.template).partition("@")[2]
        standing = _standing(version, each.status, published)
        use = {**each.model_dump(include={"project_id", "name", "status"}), "version": version}
        shown.append(Use.model_validate({**use, "environment_id": each.id, "standing": standing}))
    found = Page(shown)
    found.cursor = page.cursor
    return found


def _of_template(name: str, wanted: UseListing) -> EnvironmentListing:
    """The list of all environments with the same filters, and the template as one more."""
    sent = {field: getattr(wanted, field) for field in wanted.model_fields_set}
    version = sent.pop("version", None)
    template = f"{name}@{version}" if version else name
    return EnvironmentListing.model_construct(**sent, template=template)


def _standing(version: str, status: str, published: list[Version]) -> model.Standing:
    return model.standing(Version.parse(version), status, published)


def _published(versions: Iterable[Item]) -> list[Version]:
    return [Version.parse(each["version"]) for each in versions if each["state"] == "published"]


def _first_page(name: str, prefix: str) -> Query:
    return Query(records.TEMPLATE + name, prefix, _FULL_PAGE)
