"""The queries for lists of environments and deployments, and their cursors.

A cursor names a place in time, so that one cursor serves the lists of several projects at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import bad_cursor
from slipway.store import list_filters
from slipway.store.actions import Filter, Query
from slipway.store.list_filters import Keep
from slipway.store.listed import DEPLOYMENTS, INDEX, LIVE

if TYPE_CHECKING:
    from slipway.domain.deployment_lists import DeploymentListing
    from slipway.domain.environment_lists import EnvironmentListing
    from slipway.domain.listing import Listing

# The items that a page examines at most if it may leave some of them out.
MOST_EXAMINED = 500
# An id is made a moment before or after the time of creation in its record.
_APART = timedelta(minutes=1)
# Before and after every part of an id.
_FIRST, _LAST = "!", "~"
# The random letters of an id that a cursor does not tell; two ids hardly differ in these alone.
_VEILED = 5


class Part(NamedTuple):
    """What a query contributes to a page: up to `shown` items after the part `after` of an id.

    It examines up to `examined` items if it leaves some of them out, by a filter or by `keep`.
    """

    shown: int
    after: str | None
    keep: Keep | None
    examined: int


def environments_of(project: ProjectId, wanted: EnvironmentListing, part: Part) -> Query:
    """The query for a project's environments.

    Those that are not destroyed come from the index; all of them from the table, consistently.
    """
    where = list_filters.of_environments(wanted)
    if wanted.with_ended:
        return _in_table(f"PROJECT#{project.p}", "ENV#", wanted, part, where)
    return _in_index(LIVE + project.p, wanted, part, where)


def deployments_of(project: ProjectId, wanted: DeploymentListing, part: Part) -> Query:
    """The query for a project's deployments."""
    return _in_index(DEPLOYMENTS + project.p, wanted, part, list_filters.of_deployments(wanted))


def deployments_into(environment: EnvironmentId, wanted: DeploymentListing, part: Part) -> Query:
    """The query for an environment's deployments, which is consistent."""
    where = list_filters.of_deployments(wanted)
    return _in_table(f"ENV#{environment.e}", "DEP#", wanted, part, where)


def position(item: Mapping[str, Any]) -> str:
    """The place of a record in every list: the last part of its id."""
    return str(item["sk"]).rpartition("#")[2]


def after(wanted: Listing, prefix: str) -> tuple[str | None, str | None]:
    """The part of an id after which the page begins, and that of the project after which the next
    projects begin, as `cursor` wrote them. Raises Invalid for a cursor of another list."""
    text = wanted.after
    if text is None:
        return None, None
    found = re.fullmatch(rf"{prefix}(\w*)(?:@(\w+))?", text, re.ASCII)
    parts = [part for part in found.groups() if part] if found else []
    if not found or not parts or not all(map(ids.is_part, parts)):
        raise bad_cursor()
    return found[1] or None, found[2]


def cursor(prefix: str, at: str | None, projects: str | None = None) -> str | None:
    """The cursor of the page after `at`, among the projects after `projects`."""
    if at is None and projects is None:
        return None
    return f"{prefix}{at or ''}" + (f"@{projects}" if projects else "")


def veiled(end: str, items: Sequence[Mapping[str, Any]], wanted: Listing) -> str:
    """The place at which a page ends. The caller may not be allowed to see the record that is
    there, so a part of its id is replaced unless it is the last one of the page."""
    if items and position(items[-1]) == end:
        return end
    return end[:-_VEILED] + ("0" if wanted.newest_first else "z") * _VEILED


def _in_index(pk: str, wanted: Listing, part: Part, where: Filter | None) -> Query:
    return _in_table(pk, "", wanted, part, where)._replace(by_index=INDEX)


def _in_table(pk: str, prefix: str, wanted: Listing, part: Part, where: Filter | None) -> Query:
    # One more than is shown says whether there is a next page.
    limit = part.shown + 1
    return Query(
        pk,
        prefix,
        limit if where is None and part.keep is None else max(limit, part.examined),
        newest_first=wanted.newest_first,
        between=_bounds(wanted, prefix, part.after),
        shown=part.shown,
        where=where,
        keep=part.keep,
    )


def _bounds(wanted: Listing, prefix: str, after: str | None) -> tuple[str, str]:
    """The first and the last sort key of the page: DynamoDB includes both."""
    first, last = _FIRST, _LAST
    if wanted.since:
        first = ids.part_at((wanted.since - _APART).timestamp())
    if wanted.until:
        last = ids.part_at((wanted.until + _APART).timestamp()) + _LAST
    if after and wanted.newest_first:
        # After the part before it, and before the part itself.
        last = min(last, after[:-1] + chr(ord(after[-1]) - 1) + _LAST)
    elif after:
        first = max(first, after + _FIRST)
    if first > last:
        # DynamoDB refuses bounds that are the wrong way round. No key is between these.
        return prefix + _FIRST, prefix + _FIRST
    return prefix + first, prefix + last
