"""/users, /invitations, /projects/{id}/members and trusts: who has an account, and who may what."""

from slipway.access.principal import Principal
from slipway.domain.account import Invitation, NewInvitation, SentInvitation, UserChange
from slipway.domain.ids import InvitationId, MemberId, ProjectId, TrustId, UserId
from slipway.domain.member import (
    AddedMember,
    Member,
    MemberChange,
    NewMember,
    Permissions,
    Transfer,
)
from slipway.domain.paging import Page, Paging
from slipway.domain.project import Project
from slipway.domain.quota import Quotas
from slipway.domain.trust import NewTrust, Trust, TrustChange
from slipway.domain.user import Person, ResetLink, User
from slipway.errors import (
    AlreadyMember,
    Busy,
    EmailTaken,
    Forbidden,
    LastAdministrator,
    LastOwner,
    NameTaken,
    NotFound,
    PreconditionFailed,
    ProjectFull,
    ProjectGoing,
    QuotaExceeded,
    RegistrationClosed,
    TooManyAttempts,
    TooManyTrusts,
    TrustExists,
    UserActive,
    UserDisabled,
    UserNotEmpty,
)
from slipway.errors.company import CompanyAccount
from slipway.http.app import Api
from slipway.http.routes import BaseUrl, EtagPredicate, IfMatch
from slipway.services import invitations, joining, members, memberships, transfers, users

api = Api()
handler = api.handler


@api.get("/api/v1/users", action="users:list", refuses=(Forbidden,))
def list_users(principal: Principal, paging: Paging) -> Page[User]:
    """List all users, newest first. For administrators."""
    return users.list_(principal, paging)


@api.get("/api/v1/users/<user_id>", action="users:read", refuses=(NotFound,))
def get_user(principal: Principal, user_id: UserId) -> User | Person:
    """Read a user: `id` and `email` of those with whom you share a project."""
    return users.get(user_id, principal)


@api.get("/api/v1/users/<user_id>/quotas", action="users:read", refuses=(NotFound,))
def get_quotas(principal: Principal, user_id: UserId) -> Quotas:
    """Read what a user has in use of each quota. For the user and administrators."""
    # Imported here, because only this route needs it.
    from slipway.services import quota_usage

    return quota_usage.of_user(user_id, principal)


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


# It hands over what is left, so a repeated request goes on where the first one ended.
@api.post(
    "/api/v1/users/<user_id>/hand-over",
    action="users:change",
    replays=False,
    status=204,
    refuses=(Forbidden, NotFound, UserActive, UserDisabled, NameTaken, QuotaExceeded, Busy),
)
def hand_over(principal: Principal, user_id: UserId, wanted: Transfer) -> None:
    """Hand all projects of a disabled user over to another one. For administrators."""
    memberships.hand_over(user_id, wanted.user_id, principal)


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
    refuses=(Forbidden, NotFound, CompanyAccount),
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
    refuses=(NotFound, Forbidden, PreconditionFailed, Busy),
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


MEMBERS = "/api/v1/projects/<project_id>/members"


@api.get(MEMBERS, action="members:read", refuses=(NotFound,))
def list_members(principal: Principal, project_id: ProjectId) -> Page[Member]:
    """List a project's members, the first one first, and then its open invitations."""
    return members.list_(project_id, principal)


# The table does not store what an invitation registers with, so a repeated request makes a new one
# in place of the first.
@api.post(
    MEMBERS,
    action="members:change",
    status=201,
    refuses=(
        *(NotFound, Forbidden, AlreadyMember, ProjectFull, UserDisabled, ProjectGoing),
        *(RegistrationClosed, TooManyAttempts, Busy),
    ),
    replays=False,
)
def add_member(
    principal: Principal, project_id: ProjectId, wanted: NewMember, base: BaseUrl
) -> AddedMember:
    """Add a user to a project; invite the address if nobody has registered it."""
    return joining.add(project_id, wanted, principal, base)


@api.get(f"{MEMBERS}/<member_id>", action="members:read", refuses=(NotFound,))
def get_member(principal: Principal, project_id: ProjectId, member_id: MemberId) -> Member:
    """Read a member of a project, or an open invitation."""
    return members.get(project_id, member_id, principal)


@api.patch(
    f"{MEMBERS}/<member_id>",
    action="members:change",
    refuses=(
        *(NotFound, Forbidden, LastOwner, NameTaken, QuotaExceeded, ProjectGoing),
        *(PreconditionFailed, Busy),
    ),
)
def change_member(
    principal: Principal,
    project_id: ProjectId,
    member_id: UserId,
    wanted: MemberChange,
    if_match: IfMatch | None,
) -> Member:
    """Change a member's role, or its overrides in tiers of environments."""
    return members.change(project_id, member_id, wanted, principal, if_match)


@api.delete(
    f"{MEMBERS}/<member_id>",
    action="members:remove",
    refuses=(NotFound, Forbidden, LastOwner, NameTaken, QuotaExceeded, ProjectGoing, Busy),
)
def remove_member(principal: Principal, project_id: ProjectId, member_id: MemberId) -> None:
    """Remove a member from a project, or an invitation, which then no longer works."""
    members.remove(project_id, member_id, principal)


# Who has left cannot ask again.
@api.post(
    "/api/v1/projects/<project_id>/leave",
    action="members:leave",
    status=204,
    refuses=(NotFound, LastOwner, NameTaken, QuotaExceeded, ProjectGoing, Busy),
    replays=False,
)
def leave(principal: Principal, project_id: ProjectId) -> None:
    """Leave a project. The last owner cannot."""
    members.leave(project_id, principal)


@api.post(
    "/api/v1/projects/<project_id>/transfer",
    action="projects:transfer",
    refuses=(
        *(NotFound, Forbidden, NameTaken, QuotaExceeded, UserDisabled, ProjectGoing),
        *(PreconditionFailed, Busy),
    ),
)
def transfer(principal: Principal, project_id: ProjectId, wanted: Transfer) -> Project:
    """Let another member own the project: its name, and its place in a quota."""
    return transfers.transfer(project_id, wanted.user_id, principal)


@api.get(
    "/api/v1/projects/<project_id>/permissions", action="permissions:read", refuses=(NotFound,)
)
def permissions(principal: Principal, project_id: ProjectId) -> Permissions:
    """Read what you may do in a project, by the policy's names of actions."""
    return members.permissions(project_id, principal)
