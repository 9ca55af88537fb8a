"""Authorization: the only module that decides what a principal may see and do.

A decision needs the principal's membership of the project, and the target's record. Both are read
in the round trip that serves the request: `keys` returns their keys, `authorized` decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from slipway.access.principal import Principal
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import Forbidden, no_such
from slipway.settings import settings
from slipway.store import sessions, table
from slipway.store.table import Check, Item, Key

if TYPE_CHECKING:
    from slipway.domain.records import (
        AccountRecord,
        DeploymentRecord,
        EnvironmentRecord,
        ProjectRecord,
        TemplateRecord,
    )

Target = ProjectId | EnvironmentId | DeploymentId


def keys(target: Target, principal: Principal) -> tuple[Key, Key]:
    """The keys of the principal's membership and of the target's record, for `authorized`."""
    # Imported here, because not every function needs these modules.
    from slipway.store import project_records

    member = project_records.member(target, principal.user_id)
    if isinstance(target, ProjectId):
        return member, project_records.key(target)
    if isinstance(target, EnvironmentId):
        from slipway.store import environment_records

        return member, environment_records.key(target)
    from slipway.store import deployment_records

    return member, deployment_records.key(target)


@overload
def authorized(
    target: ProjectId, membership: Item | None, record: Item | None
) -> ProjectRecord: ...
@overload
def authorized(
    target: EnvironmentId, membership: Item | None, record: Item | None
) -> EnvironmentRecord: ...
@overload
def authorized(
    target: DeploymentId, membership: Item | None, record: Item | None
) -> DeploymentRecord: ...
def authorized(target: Target, membership: Item | None, record: Item | None) -> Any:
    """The target's record, if the principal may see it.

    `membership` and `record` are the items at `keys`. Raises NotFound both for a target that does
    not exist and for another user's.
    """
    # A key has only a part of the id, so an id with a wrong project finds a record too.
    if not (membership and record and record["id"] == str(target)):
        raise no_such(_noun(target))
    return record


@overload
def read(target: ProjectId, principal: Principal) -> ProjectRecord: ...
@overload
def read(target: EnvironmentId, principal: Principal) -> EnvironmentRecord: ...
@overload
def read(target: DeploymentId, principal: Principal) -> DeploymentRecord: ...
def read(target: Target, principal: Principal) -> Any:
    """The target's record, if the principal may see it; one round trip. Raises NotFound."""
    return authorized(target, *table.get(*keys(target, principal)))


def still_member(project: ProjectId, principal: Principal) -> Check:
    """The part of a write's transaction that fails if the principal is no longer a member."""
    from slipway.store import project_records

    return Check(project_records.member(project, principal.user_id))


def account(principal: Principal) -> Key:
    """The key of the principal's account, for the functions below."""
    return sessions.account_key(principal.user_id)


def require_administrator(account: AccountRecord | None) -> None:
    """Raises Forbidden unless the account, read from its key, is an administrator's."""
    if not account or account["platform_role"] != "admin":
        raise Forbidden("Only administrators can do this. Ask one for the platform role admin.")


def may_publish(account: AccountRecord | None) -> None:
    """Raises Forbidden unless the user may create templates and versions."""
    if settings().members_may_publish:
        return
    if not account or account["platform_role"] == "member":
        raise Forbidden(
            "Only publishers and administrators can create templates and versions. Ask an "
            "administrator for the platform role publisher."
        )


def may_change_template(template: TemplateRecord, principal: Principal) -> None:
    """Raises Forbidden unless the principal created the template."""
    if template["created_by"] != principal.user_id:
        raise Forbidden("Only the template's owner can change it. Ask the owner to change it.")


def _noun(target: Target) -> str:
    if isinstance(target, ProjectId):
        return "project"
    return "environment" if isinstance(target, EnvironmentId) else "deployment"
