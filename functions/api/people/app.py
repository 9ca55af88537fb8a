"""/users, /invitations, /projects/{id}/trusts: who has an account, or may act without one."""

from slipway.access.principal import Principal
from slipway.domain.account import Invitation, NewInvitation, SentInvitation, UserChange
from slipway.domain.ids import InvitationId, ProjectId, TrustId, UserId
from slipway.domain.paging import Page, Paging
from slipway.domain.trust import NewTrust, Trust, TrustChange
from slipway.domain.user import ResetLink, User
from slipway.errors import (
    EmailTaken,
    Forbidden,
    LastAdministrator,
    NotFound,
    PreconditionFailed,
    ProjectGoing,
    RegistrationClosed,
    TooManyTrusts,
    TrustExists,
    UserActive,
    UserNotEmpty,
)
from slipway.http.app import Api
from slipway.http.routes import BaseUrl, EtagPredicate, IfMatch
from slipway.services import invitations, users

api = Api()
handler = api.handler


@api.get("/api/v1/users", action="users:list", refuses=(Forbidden,))
def list_users(principal: Principal, paging: Paging) -> Page[User]:
    """List all users, newest first. For administrators."""
    return users.list_(principal, paging)


@api.get("/api/v1/users/<user_id>", action="users:read", refuses=(Forbidden, NotFound))
def get_user(principal: Principal, user_id: UserId) -> User:
    """Read a user. For administrators, and for oneself."""
    return users.get(user_id, principal)


@api.patch(
    "/api/v1/users/<user_id>",
    action="users:change",
    refuses=(Forbidden, NotFound, LastAdministrator, PreconditionFailed),
)
def change_user(
    principal: Principal, user_id: UserId, wanted: UserChange, if_match: EtagPredicate | None
) -> User:
    """Change a user's role on the platform. For administrators."""
    return users.change(user_id, wanted, principal, if_match)


@api.delete(
    "/api/v1/users/<user_id>",
    action="users:change",
    refuses=(Forbidden, NotFound, UserActive, UserNotEmpty),
)
def delete_user(principal: Principal, user_id: UserId) -> None:
    """Delete a disabled user who has no projects. For administrators."""
    users.remove(user_id, principal)


@api.post(
    "/api/v1/users/<user_id>/disable",
    action="users:change",
    refuses=(Forbidden, NotFound, LastAdministrator),
)
def disable_user(principal: Principal, user_id: UserId) -> User:
    """Disable a user, whose next request is refused. For administrators."""
    return users.disable(user_id, principal)


@api.post("/api/v1/users/<user_id>/enable", action="users:change", refuses=(Forbidden, NotFound))
def enable_user(principal: Principal, user_id: UserId) -> User:
    """Enable a disabled user. For administrators."""
    return users.enable(user_id, principal)


# The table does not store what a link sets a password with.
@api.post(
    "/api/v1/users/<user_id>/password-reset",
    action="users:change",
    refuses=(Forbidden, NotFound),
    replays=False,
)
def make_password_reset(principal: Principal, user_id: UserId, base: BaseUrl) -> ResetLink:
    """Make a one-time link that sets a user's password. For administrators."""
    return users.make_reset_link(user_id, principal, base)


# The table does not store what an invitation registers with, so a repeated request makes a new one
# in place of the first.
@api.post(
    "/api/v1/invitations",
    action="invitations:change",
    status=201,
    refuses=(Forbidden, EmailTaken, RegistrationClosed),
    replays=False,
)
def invite(principal: Principal, wanted: NewInvitation, base: BaseUrl) -> SentInvitation:
    """Invite an address to register. For administrators."""
    return invitations.create(wanted, principal, base)


@api.get("/api/v1/invitations", action="invitations:read", refuses=(Forbidden,))
def list_invitations(principal: Principal, paging: Paging) -> Page[Invitation]:
    """List the invitations that can still be used. For administrators."""
    return invitations.list_(principal, paging)


@api.delete(
    "/api/v1/invitations/<invitation_id>",
    action="invitations:change",
    refuses=(Forbidden, NotFound),
)
def revoke_invitation(principal: Principal, invitation_id: InvitationId) -> None:
    """Revoke an invitation. For administrators."""
    invitations.revoke(invitation_id, principal)


@api.post(
    "/api/v1/projects/<project_id>/trusts",
    action="trusts:change",
    status=201,
    refuses=(NotFound, Forbidden, ProjectGoing, TrustExists, TooManyTrusts),
)
def trust(principal: Principal, project_id: ProjectId, wanted: NewTrust) -> Trust:
    """Trust workloads of an issuer, such as jobs of GitHub Actions, without a stored secret."""
    from slipway.services import trusts

    return trusts.create(project_id, wanted, principal)


@api.get(
    "/api/v1/projects/<project_id>/trusts",
    action="trusts:read",
    refuses=(NotFound, Forbidden),
)
def list_trusts(principal: Principal, project_id: ProjectId) -> Page[Trust]:
    """List the workloads that the project trusts, newest first."""
    from slipway.services import trusts

    return trusts.list_(project_id, principal)


@api.get(
    "/api/v1/projects/<project_id>/trusts/<trust_id>",
    action="trusts:read",
    refuses=(NotFound, Forbidden),
)
def get_trust(principal: Principal, project_id: ProjectId, trust_id: TrustId) -> Trust:
    """Read a trust."""
    from slipway.services import trusts

    return trusts.get(project_id, trust_id, principal)


@api.patch(
    "/api/v1/projects/<project_id>/trusts/<trust_id>",
    action="trusts:change",
    refuses=(NotFound, Forbidden, PreconditionFailed),
)
def change_trust(
    principal: Principal,
    project_id: ProjectId,
    trust_id: TrustId,
    wanted: TrustChange,
    if_match: IfMatch | None,
) -> Trust:
    """Change a trust's name, scopes or tiers, also for tokens that were exchanged before."""
    from slipway.services import trusts

    return trusts.change(project_id, trust_id, wanted, principal, if_match)


@api.delete(
    "/api/v1/projects/<project_id>/trusts/<trust_id>",
    action="trusts:change",
    refuses=(NotFound, Forbidden, PreconditionFailed),
)
def delete_trust(
    principal: Principal, project_id: ProjectId, trust_id: TrustId, if_match: IfMatch | None
) -> None:
    """Delete a trust: the next request of its workload is refused."""
    from slipway.services import trusts

    trusts.remove(project_id, trust_id, principal, if_match)
