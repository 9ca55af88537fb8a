"""/projects: what a team ships."""

from slipway.access.auth import Caller
from slipway.domain import ids
from slipway.domain.paging import Page, Paging
from slipway.domain.project import NewProject, Project, ProjectChange, ProjectDeletion
from slipway.errors import NameTaken, NotFound, PreconditionFailed, ProjectGoing, ProjectNotEmpty
from slipway.http.api import Api, IfMatch
from slipway.store import projects

api = Api()
handler = api.handler


@api.post("/api/v1/projects", status=201, refuses=(NameTaken,))
def create(caller: Caller, wanted: NewProject) -> Project:
    """Create a project."""
    return projects.add(wanted, caller.user_id)


@api.get("/api/v1/projects")
def list_(caller: Caller, paging: Paging) -> Page[Project]:
    """List your projects, newest first."""
    return projects.of(caller.user_id, paging)


@api.get("/api/v1/projects/<project_id>", refuses=(NotFound,))
def get(caller: Caller, project_id: str) -> Project:
    """Look at a project."""
    return projects.get(ids.parse_project(project_id), caller.user_id)


@api.patch(
    "/api/v1/projects/<project_id>",
    refuses=(NotFound, NameTaken, ProjectGoing, PreconditionFailed),
)
def change(
    caller: Caller, project_id: str, wanted: ProjectChange, if_match: IfMatch | None
) -> Project:
    """Change a project's name, description or repository."""
    return projects.change(ids.parse_project(project_id), wanted, caller.user_id, if_match)


@api.delete(
    "/api/v1/projects/<project_id>",
    status=202,
    refuses=(NotFound, ProjectNotEmpty, PreconditionFailed),
)
def delete(
    caller: Caller, project_id: str, options: ProjectDeletion, if_match: IfMatch | None
) -> Project | None:
    """Delete a project: 204 if it was empty, 202 while a cascade takes its environments down."""
    project = ids.parse_project(project_id)
    return projects.remove(project, caller.user_id, if_match, cascade=options.cascade)
