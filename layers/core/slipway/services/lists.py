"""Lists of environments and deployments: of a project, of an environment, and of all projects.

A page of one project's list is one round trip. A list across projects reads the caller's
memberships together with the lists of the projects that this process last saw for the caller: a
hint, which only counts for the projects of which the caller is a member now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.deployment import Deployment
from slipway.domain.deployment_lists import DeploymentListing
from slipway.domain.environment import Environment
from slipway.domain.environment_lists import EnvironmentListing
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.listing import Listing
from slipway.domain.paging import Page, bad_cursor
from slipway.store import list_filters, list_queries, project_records, table
from slipway.store.list_filters import Keep
from slipway.store.list_queries import Part
from slipway.store.table import Found, Key, Query

# The projects that one page of a list across projects can come from, and the queries at once.
_MOST_PROJECTS = 100
_WAVE = 20
# A page across many projects has at least so many entries while more follow.
_LEAST_SHOWN = 10
_LEAST_EXAMINED = 50
# The projects of the callers that this process has seen last: a hint.
_MOST_CALLERS = 1000
_seen: dict[str, tuple[ProjectId, ...]] = {}


@dataclass(frozen=True)
class _Kind:
    """Environments or deployments: how they are queried, filtered and shown."""

    prefix: str
    query: Callable[[ProjectId, Any, Part], Query]
    keep: Callable[[Any, Principal], Keep | None]
    shown: Callable[[Sequence[Any], Principal, Mapping[ProjectId, Any]], list[Any]]
    # Whether what is shown depends on the records of the projects, too.
    of_projects: bool


class Beside(NamedTuple):
    """What is read in the first round trip of a list, too.

    `take` gets the items and the pages before anything else is read. It may refuse the list.
    """

    keys: Sequence[Key]
    queries: Sequence[Query]
    take: Callable[[Sequence[Any], Sequence[Found]], None]


_NOTHING = Beside((), (), lambda items, pages: None)


# --- environments -----------------------------------------------------------------------------


def environments_in(
    project: ProjectId, principal: Principal, wanted: EnvironmentListing
) -> Page[Environment]:
    """A page of the project's environments; one round trip.

    Without those that are destroyed, unless they are asked for. Raises NotFound, and Invalid for a
    cursor of another list.
    """
    return _in_project(_ENVIRONMENTS, project, principal, _of_caller(wanted, principal))


def environments(
    principal: Principal, wanted: EnvironmentListing, beside: Beside = _NOTHING
) -> Page[Environment]:
    """A page of the environments in all projects of the principal.

    One round trip if this process has seen the principal's projects before, else two; one more for
    each further 20 projects. Raises Invalid for a cursor of another list, and what `beside` raises.
    """
    return _across(_ENVIRONMENTS, principal, _of_caller(wanted, principal), beside)


def _keep_environment(wanted: EnvironmentListing, principal: Principal) -> Keep | None:
    keep = list_filters.keeps_environment(wanted, timestamps.now())
    if not _may_be_limited(principal):
        return keep
    # The grant is known once the page has been read.
    return lambda item: authorization.may_see(item, principal) and (keep is None or keep(item))


def _show_environments(
    items: Sequence[Any], principal: Principal, projects: Mapping[ProjectId, Any]
) -> list[Environment]:
    # Imported here and below, because the other kind of list does not need it.
    from slipway.store import environment_records

    now = timestamps.now()
    seen = [item for item in items if authorization.may_see(item, principal)]
    return [
        environment_records.to_model(
            item, projects.get(ids.parse_project(item["project_id"]))
        ).as_seen_at(now)
        for item in seen
    ]


_ENVIRONMENTS = _Kind(
    "ENV#", list_queries.environments_of, _keep_environment, _show_environments, of_projects=True
)


# --- deployments ------------------------------------------------------------------------------


def deployments_in(
    project: ProjectId, principal: Principal, wanted: DeploymentListing
) -> Page[Deployment]:
    """A page of the deployments in the project; one round trip.

    One more for a token of some tiers. Raises NotFound, and Invalid for a cursor of another list.
    """
    return _in_project(_DEPLOYMENTS, project, principal, _of_caller(wanted, principal))


def deployments(principal: Principal, wanted: DeploymentListing) -> Page[Deployment]:
    """A page of the deployments in all projects of the principal.

    Raises and costs as `environments`, with one round trip more for a token of some tiers.
    """
    return _across(_DEPLOYMENTS, principal, _of_caller(wanted, principal))


def deployments_into(
    environment: EnvironmentId, principal: Principal, wanted: DeploymentListing
) -> Page[Deployment]:
    """A page of the environment's deployments; one round trip, strongly consistent.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    from slipway.store import deployment_records

    wanted = _of_caller(wanted, principal)
    at, block = list_queries.after(wanted, _DEPLOYMENTS.prefix)
    if block:
        raise bad_cursor()
    keep = list_filters.keeps_deployment(wanted)
    part = Part(wanted.limit, at, keep, list_queries.MOST_EXAMINED)
    query = list_queries.deployments_into(environment, wanted, part)
    found, [(items, last)] = table.read(authorization.keys(environment, principal), query)
    authorization.authorized(environment, principal, found)
    return Page([deployment_records.to_model(item) for item in items], last)


def _keep_deployment(wanted: DeploymentListing, principal: Principal) -> Keep | None:
    keep = list_filters.keeps_deployment(wanted)
    if not _may_be_limited(principal):
        return keep
    return lambda item: _may_see(item, principal) and (keep is None or keep(item))


def _may_see(item: Mapping[str, Any], principal: Principal) -> bool:
    """Whether the principal's grant covers the deployment, by its environment's tier at the time.

    An environment's tier can change, so `_show_deployments` looks at the present one.
    """
    grant = principal.grant
    if grant is None:
        return True
    tier = item.get("within", {}).get("tier")
    by_tier = grant.tiers is None or tier is None or tier in grant.tiers
    by_id = grant.environment_ids is None or item["environment_id"] in grant.environment_ids
    return by_tier and by_id


def _show_deployments(
    items: Sequence[Any], principal: Principal, projects: Mapping[ProjectId, Any]
) -> list[Deployment]:
    from slipway.store import deployment_records, environment_records

    items = [item for item in items if _may_see(item, principal)]
    if items and principal.grant and principal.grant.tiers is not None:
        into = dict.fromkeys(ids.parse_environment(item["environment_id"]) for item in items)
        found = table.get(*map(environment_records.key, into))
        seen = {item["id"] for item in found if item and authorization.may_see(item, principal)}
        items = [item for item in items if item["environment_id"] in seen]
    return [deployment_records.to_model(item) for item in items]


_DEPLOYMENTS = _Kind(
    "DEP#", list_queries.deployments_of, _keep_deployment, _show_deployments, of_projects=False
)


# --- one project ------------------------------------------------------------------------------


def _of_caller(wanted: Any, principal: Principal) -> Any:
    """The same list, with the caller's id in the place of `me`."""
    by = wanted.created_by
    return wanted.model_copy(update={"created_by": principal.user_id}) if by == "me" else wanted


def _may_be_limited(principal: Principal) -> bool:
    return principal.session is not None and principal.session.may_be_limited


def _in_project(
    kind: _Kind,
    project: ProjectId,
    principal: Principal,
    wanted: Listing,
    beside: Beside = _NOTHING,
) -> Page[Any]:
    at, block = list_queries.after(wanted, kind.prefix)
    if block:
        raise bad_cursor()
    part = _part(kind, principal, wanted, at, 1)
    query = kind.query(project, wanted, part)
    keys = authorization.keys(project, principal)
    found, [(items, last), *pages] = table.read([*keys, *beside.keys], query, *beside.queries)
    authorization.authorized(project, principal, found[: len(keys)])
    beside.take(found[len(keys) :], pages)
    end = last and list_queries.veiled(last.rpartition("#")[2], items, wanted)
    shown = kind.shown(items, principal, {project: found[1]})
    return Page(shown, list_queries.cursor(kind.prefix, end))


# --- all projects -----------------------------------------------------------------------------


def _across(
    kind: _Kind, principal: Principal, wanted: Listing, beside: Beside = _NOTHING
) -> Page[Any]:
    at, block = list_queries.after(wanted, kind.prefix)
    if principal.user_id.startswith("trs_"):
        # A workload has no list of projects; it is a member of one.
        own = ids.parse_trust(principal.user_id).project
        return _in_project(kind, own, principal, wanted, beside)
    guessed = () if block else _seen.get(principal.user_id, ())[:_WAVE]
    part = _part(kind, principal, wanted, at, len(guessed))
    records = _Records(kind)
    also, [mine, *pages] = table.read(
        [*beside.keys, *records.keys(guessed)],
        _memberships(principal, block),
        *(kind.query(project, wanted, part) for project in guessed),
        *beside.queries,
    )
    beside.take(also[: len(beside.keys)], pages[len(guessed) :])
    records.take(guessed, also[len(beside.keys) :])
    projects, further = _projects(mine, principal)
    if not block:
        _remember(principal.user_id, projects)
    found = {
        project: page for project, page in zip(guessed, pages, strict=False) if project in projects
    }
    missing = [project for project in projects if project not in found]
    part = _part(kind, principal, wanted, at, len(projects))
    for wave in _waves(missing):
        read, pages = table.read(
            records.keys(wave), *(kind.query(each, wanted, part) for each in wave)
        )
        records.take(wave, read)
        found |= dict(zip(wave, pages, strict=True))
    items, end = _merged(list(found.values()), wanted)
    shown = kind.shown(items, principal, records.found)
    if end is not None:
        return Page(shown, list_queries.cursor(kind.prefix, end, block))
    return Page(shown, list_queries.cursor(kind.prefix, None, further))


class _Records:
    """The records of the projects, read together with their lists if the kind needs them."""

    def __init__(self, kind: _Kind) -> None:
        self._kind, self.found = kind, dict[ProjectId, Any]()

    def keys(self, projects: Sequence[ProjectId]) -> list[Key]:
        return [project_records.key(each) for each in projects] if self._kind.of_projects else []

    def take(self, projects: Sequence[ProjectId], read: Sequence[Any]) -> None:
        self.found |= dict(zip(projects, read, strict=False))


def _memberships(principal: Principal, after: str | None) -> Query:
    """The query for the caller's projects, newest first, after the part of a project's id."""
    query = project_records.of_user(principal.user_id, _MOST_PROJECTS + 1)
    return query._replace(
        after=after and project_records.LISTED + after, newest_first=True, shown=_MOST_PROJECTS
    )


def _projects(found: Found, principal: Principal) -> tuple[list[ProjectId], str | None]:
    """The projects that the grant covers, and the part of the last one's id if more follow."""
    items, last = found
    grant = principal.grant
    within = grant.project_ids if grant else None
    projects = [
        ids.parse_project(item["id"]) for item in items if within is None or item["id"] in within
    ]
    return projects, last and last.removeprefix(project_records.LISTED)


def _remember(user_id: str, projects: Sequence[ProjectId]) -> None:
    if len(_seen) >= _MOST_CALLERS:
        _seen.clear()
    _seen[user_id] = tuple(projects)


def _part(
    kind: _Kind, principal: Principal, wanted: Listing, after: str | None, projects: int
) -> Part:
    """What each of so many projects contributes to a page."""
    keep, most = kind.keep(wanted, principal), list_queries.MOST_EXAMINED
    if projects <= 1:
        return Part(wanted.limit, after, keep, most)
    shown = min(wanted.limit, max(_LEAST_SHOWN, most // projects // 2))
    return Part(shown, after, keep, max(_LEAST_EXAMINED, most // projects))


def _waves(projects: Sequence[ProjectId]) -> Iterator[Sequence[ProjectId]]:
    """Each query takes a connection, so not all are sent at once."""
    for n in range(0, len(projects), _WAVE):
        yield projects[n : n + _WAVE]


def _merged(pages: Sequence[Found], wanted: Listing) -> tuple[list[Any], str | None]:
    """The entries of a page in order, and the place after which the next one begins, if any.

    A list that was not read to its end may have entries after its last one, so the page ends at the
    first of these places.
    """
    newest, place = wanted.newest_first, list_queries.position
    ends = [last.rpartition("#")[2] for _, last in pages if last is not None]
    end = None if not ends else max(ends) if newest else min(ends)
    items = sorted((item for page, _ in pages for item in page), key=place, reverse=newest)
    if end is not None:
        items = [item for item in items if (place(item) >= end if newest else place(item) <= end)]
    if len(items) > wanted.limit:
        shown = items[: wanted.limit]
        return shown, place(shown[-1])
    return items, end and list_queries.veiled(end, items, wanted)


def forget() -> None:
    """Clear what the process knows of callers' projects, as a new one would start; for tests."""
    _seen.clear()
