"""/projects: create, list, read, change and delete."""

from slipway.access.principal import Principal
from slipway.domain.audit import (
    AuditEntry,
    AuditQuery,
    AuditVerification,
    PlatformAuditQuery,
    VerifyQuery,
)
from slipway.domain.ids import ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.project import NewProject, Project, ProjectChange, ProjectDeletion
from slipway.errors import (
    Busy,
    Forbidden,
    NameTaken,
    NotFound,
    PreconditionFailed,
    ProjectGoing,
    ProjectNotEmpty,
    ProtectedEnvironments,
    QuotaExceeded,
)
from slipway.http.app import Api
from slipway.http.routes import IfMatch
from slipway.services import projects

api = Api()
handler = api.handler


@api.post(
    "/api/v1/projects",
    action="projects:create",
    status=201,
    refuses=(NameTaken, QuotaExceeded, Busy),
)
def create(principal: Principal, wanted: NewProject) -> Project:
    """Create a project."""
    return projects.create(wanted, principal)


@api.get("/api/v1/projects", action="projects:list")
def list_(principal: Principal, paging: Paging) -> Page[Project]:
    """List your projects, newest first."""
    return projects.list_(principal, paging)


@api.get("/api/v1/projects/<project_id>", action="projects:read", refuses=(NotFound,))
def get(principal: Principal, project_id: ProjectId) -> Project:
    """Read a project."""
    return projects.get(project_id, principal)


@api.patch(
    "/api/v1/projects/<project_id>",
    action="projects:change",
    refuses=(NotFound, NameTaken, ProjectGoing, PreconditionFailed, Busy),
)
def change(
    principal: Principal, project_id: ProjectId, wanted: ProjectChange, if_match: IfMatch | None
) -> Project:
    """Change a project's name, description, repository, labels or policy."""
    return projects.change(project_id, wanted, principal, if_match)


@api.delete(
    "/api/v1/projects/<project_id>",
    action="projects:delete",
    status=202,
    refuses=(NotFound, Forbidden, ProjectNotEmpty, ProtectedEnvironments, PreconditionFailed),
)
def delete(
    principal: Principal, project_id: ProjectId, options: ProjectDeletion, if_match: IfMatch | None
) -> Project | None:
    """Delete a project: 204 if it is empty, 202 while a cascade tears its environments down."""
    return projects.remove(project_id, principal, if_match, cascade=options.cascade)


@api.get(
    "/api/v1/projects/<project_id>/audit",
    action="audit:read",
    lines=True,
    refuses=(NotFound, Forbidden),
)
def list_audit(principal: Principal, project_id: ProjectId, query: AuditQuery) -> Page[AuditEntry]:
    """List who changed what in a project, newest first. For maintainers."""
    from slipway.services import audit

    return audit.of_project(project_id, principal, query)


@api.get(
    "/api/v1/projects/<project_id>/audit/verify",
    action="audit:read",
    refuses=(NotFound, Forbidden),
)
def verify_audit(
    principal: Principal, project_id: ProjectId, query: VerifyQuery
) -> AuditVerification:
    """Check that no entry of a project's audit was changed, removed or moved. For maintainers."""
    from slipway.services import audit

    return audit.verify_project(project_id, principal, query)


@api.get("/api/v1/audit", action="audit:platform", lines=True, refuses=(Forbidden, NotFound))
def list_platform_audit(principal: Principal, query: PlatformAuditQuery) -> Page[AuditEntry]:
    """List who changed what of the platform itself, newest first. For administrators."""
    from slipway.services import audit

    return audit.of_platform(principal, query)


@api.get("/api/v1/audit/verify", action="audit:platform", refuses=(Forbidden,))
def verify_platform_audit(principal: Principal, query: VerifyQuery) -> AuditVerification:
    """Check that no entry of the platform's audit was changed, removed or moved."""
    from slipway.services import audit

    return audit.verify_platform(principal, query)
