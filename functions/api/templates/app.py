"""/templates: templates, their versions and their usage."""

from slipway.access.principal import Principal
from slipway.domain.paging import Page, Paging
from slipway.domain.template import (
    MAX_BYTES,
    MEDIA,
    NewTemplate,
    NewVersion,
    Template,
    TemplateChange,
    TemplateVersion,
    Usage,
    Use,
    Version,
)
from slipway.domain.template_lists import UseListing
from slipway.errors import (
    Busy,
    ConfirmationRequired,
    DriverFault,
    Forbidden,
    NameTaken,
    NotFound,
    NotPublished,
    PreconditionFailed,
    QuotaExceeded,
    TemplateInUse,
    TooCostly,
    VersionFixed,
    VersionTaken,
)
from slipway.http.app import Api
from slipway.http.responses import DocumentResponse
from slipway.http.routes import Confirmed, EtagPredicate, IfMatch, RawBody
from slipway.services import templates

api = Api()
handler = api.handler


@api.post(
    "/api/v1/templates",
    action="templates:create",
    status=201,
    refuses=(Forbidden, NameTaken, QuotaExceeded),
)
def create(principal: Principal, wanted: NewTemplate) -> Template:
    """Create a template. Add its versions afterwards."""
    return templates.create(wanted, principal)


@api.get("/api/v1/templates", action="templates:read")
def list_(principal: Principal, paging: Paging) -> Page[Template]:
    """List all templates, by name."""
    return templates.list_(paging)


@api.get("/api/v1/templates/<template>", action="templates:read", refuses=(NotFound,))
def get(principal: Principal, template: str) -> Template:
    """Read a template."""
    return templates.get(template)


@api.patch(
    "/api/v1/templates/<template>",
    action="templates:change",
    refuses=(NotFound, Forbidden, PreconditionFailed, Busy),
)
def change(
    principal: Principal, template: str, wanted: TemplateChange, if_match: IfMatch | None
) -> Template:
    """Change a template's description."""
    from slipway.services import template_changes

    return template_changes.change(template, wanted, principal, if_match)


@api.delete(
    "/api/v1/templates/<template>",
    action="templates:delete",
    refuses=(NotFound, Forbidden, TemplateInUse, ConfirmationRequired, PreconditionFailed, Busy),
)
def delete(
    principal: Principal, template: str, if_match: IfMatch | None, confirmed: Confirmed | None
) -> None:
    """Delete a template that no environment uses, with its versions."""
    from slipway.services import template_changes

    template_changes.remove(template, principal, if_match, confirmed)


@api.get("/api/v1/templates/<template>/usage", action="templates:read", refuses=(NotFound,))
def usage(principal: Principal, template: str) -> Usage:
    """Count its environments by how far they are behind the newest version."""
    from slipway.services import template_uses

    return template_uses.usage(template)


@api.get("/api/v1/templates/<template>/environments", action="templates:read", refuses=(NotFound,))
def uses(principal: Principal, template: str, wanted: UseListing) -> Page[Use]:
    """List its environments in all your projects, newest first. Destroyed ones if asked for."""
    from slipway.services import template_uses

    return template_uses.uses(template, principal, wanted)


@api.post(
    "/api/v1/templates/<template>/versions",
    action="templates:change",
    status=201,
    media=MEDIA,
    limit=MAX_BYTES,
    refuses=(NotFound, Forbidden, VersionTaken, QuotaExceeded, TooCostly, DriverFault),
)
def add_version(
    principal: Principal, template: str, wanted: NewVersion, raw: RawBody
) -> TemplateVersion:
    """Add a version: the CloudFormation or SAM template itself. It starts as a draft."""
    version = Version.parse(wanted.version) if wanted.version else None
    return templates.add_version(template, version, raw.body, raw.media, principal)


@api.get("/api/v1/templates/<template>/versions", action="templates:read", refuses=(NotFound,))
def versions(principal: Principal, template: str, paging: Paging) -> Page[TemplateVersion]:
    """List a template's versions, newest first."""
    return templates.versions(template, paging)


@api.get(
    "/api/v1/templates/<template>/versions/<version>", action="templates:read", refuses=(NotFound,)
)
def version(principal: Principal, template: str, version: str) -> TemplateVersion:
    """Read a version: its parameters, outputs and resource types."""
    return templates.version(template, Version.parse(version))


@api.get(
    "/api/v1/templates/<template>/versions/<version>/body",
    action="templates:read",
    media=MEDIA,
    refuses=(NotFound, DriverFault),
)
def body(principal: Principal, template: str, version: str) -> DocumentResponse:
    """Read a version's body, unchanged."""
    found, media, sha256 = templates.body(template, Version.parse(version))
    return DocumentResponse(found.decode(), media, headers={"ETag": f'"{sha256}"'})


@api.put(
    "/api/v1/templates/<template>/versions/<version>",
    action="templates:change",
    media=MEDIA,
    limit=MAX_BYTES,
    refuses=(NotFound, Forbidden, VersionFixed, PreconditionFailed, TooCostly, DriverFault),
)
def replace(
    principal: Principal, template: str, version: str, raw: RawBody, if_match: EtagPredicate | None
) -> TemplateVersion:
    """Replace a draft."""
    wanted = Version.parse(version)
    return templates.replace(template, wanted, raw.body, raw.media, principal, if_match)


@api.delete(
    "/api/v1/templates/<template>/versions/<version>",
    action="templates:change",
    refuses=(NotFound, Forbidden, VersionFixed, PreconditionFailed),
)
def discard(
    principal: Principal, template: str, version: str, if_match: EtagPredicate | None
) -> None:
    """Delete a draft."""
    templates.discard(template, Version.parse(version), principal, if_match)


@api.post(
    "/api/v1/templates/<template>/versions/<version>/publish",
    action="templates:change",
    refuses=(NotFound, Forbidden, VersionFixed, PreconditionFailed, Busy),
)
def publish(
    principal: Principal, template: str, version: str, if_match: EtagPredicate | None
) -> TemplateVersion:
    """Publish a draft. It can no longer change, and environments can be created from it."""
    return templates.publish(template, Version.parse(version), principal, if_match)


@api.post(
    "/api/v1/templates/<template>/versions/<version>/deprecate",
    action="templates:change",
    refuses=(NotFound, Forbidden, NotPublished, PreconditionFailed, Busy),
)
def deprecate(
    principal: Principal, template: str, version: str, if_match: EtagPredicate | None
) -> TemplateVersion:
    """Deprecate a version. Its environments keep it; new ones cannot use it."""
    return templates.deprecate(template, Version.parse(version), principal, if_match)
