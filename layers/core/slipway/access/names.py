"""Names in paths: the ids of the project and the environment that a caller names."""

from __future__ import annotations

from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.fields import normalised
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import NotFound, no_such
from slipway.store import naming, project_records, table


def project(text: str, principal: Principal) -> ProjectId:
    """The project with this id, or with this name among the principal's.

    No round trip for an id and for a name that this process knows, else one. Raises NotFound, and
    AmbiguousName if several have the name.
    """
    try:
        return ids.parse_project(text)
    except NotFound:
        pass
    if principal.user_id.startswith("trs_"):
        return _project_of_workload(text, principal)
    found: ProjectId | None = naming.guessed(principal.user_id, text)
    if found is not None:
        return found
    return naming.project_found(
        principal.user_id, text, table.every(naming.projects_of(principal.user_id))
    )


def _project_of_workload(text: str, principal: Principal) -> ProjectId:
    """A workload is a member of one project, and in no list of projects."""
    own = ids.parse_trust(principal.user_id).project
    [item] = table.get(project_records.key(own))
    if item is None or normalised(item["name"]) != normalised(text):
        raise no_such("project")
    return own


def environment(within: ProjectId, text: str, principal: Principal) -> EnvironmentId:
    """The project's environment with this id, or with this name, while it is not destroyed.

    No round trip for an id and for a name that this process knows, else one. Raises NotFound, also
    if the principal is no member of the project.
    """
    try:
        found = ids.parse_environment(text)
    except NotFound:
        pass
    else:
        if found.project != within:
            raise no_such("environment")
        return found
    key = naming.name_key(within, text)
    guess: EnvironmentId | None = naming.guessed(within, text)
    if guess is not None:
        return guess
    member, item = table.get(project_records.member(within, principal.user_id), key)
    return naming.environment_found(within, text, item if member else None)
