"""/auth, /users, /invitations: register, sign in and out, and who may do so."""

from slipway.access import signing
from slipway.access.principal import Principal
from slipway.domain.account import (
    Invitation,
    NewInvitation,
    Registration,
    SentInvitation,
    UserChange,
    Verification,
)
from slipway.domain.ids import InvitationId, UserId
from slipway.domain.paging import Page, Paging
from slipway.domain.user import (
    Keys,
    NewUser,
    PasswordByLink,
    PasswordChange,
    PasswordReset,
    RequestedReset,
    ResetLink,
    SignIn,
    Token,
    User,
)
from slipway.errors import (
    AccountDisabled,
    EmailTaken,
    EmailUnverified,
    Forbidden,
    InvitationInvalid,
    LastAdministrator,
    LinkInvalid,
    NotFound,
    PreconditionFailed,
    RegistrationClosed,
    TooManyAttempts,
    UserActive,
    UserNotEmpty,
    WrongCredentials,
)
from slipway.http.app import Api
from slipway.http.routes import FORM, JSON, BaseUrl, EtagPredicate, SourceIp
from slipway.services import invitations, new_passwords, registration, sessions, users
from slipway.store import user_records

api = Api()
handler = api.handler


@api.post(
    "/api/v1/auth/register",
    status=201,
    found=202,
    refuses=(RegistrationClosed, InvitationInvalid, EmailTaken, TooManyAttempts),
)
def register(
    wanted: NewUser, source_ip: SourceIp, base: BaseUrl
) -> tuple[User | Registration, bool]:
    """Register a user."""
    return registration.register(wanted, source_ip, base)


@api.post(
    "/api/v1/auth/verify-email",
    status=201,
    refuses=(LinkInvalid, WrongCredentials, RegistrationClosed, EmailTaken),
)
def verify_email(wanted: Verification) -> User:
    """Complete a registration with the link that was mailed."""
    return registration.verify(wanted)


# The table does not store tokens, so a repeated sign-in mints another one.
@api.post(
    "/api/v1/auth/login",
    refuses=(WrongCredentials, AccountDisabled, EmailUnverified, TooManyAttempts),
    media=(FORM, JSON),
    replays=False,
)
def sign_in(wanted: SignIn, source_ip: SourceIp) -> Token:
    """Sign in: exchange a password for a token."""
    return sessions.sign_in(wanted, source_ip)


# The session that ends cannot ask again.
@api.post("/api/v1/auth/logout", status=204, replays=False)
def logout(principal: Principal) -> None:
    """Sign out: end the session of this token."""
    sessions.end(principal)


@api.post("/api/v1/auth/logout-everywhere", status=204, replays=False)
def logout_everywhere(principal: Principal) -> None:
    """Sign out everywhere: end all of the user's sessions."""
    sessions.end_all(principal)


# The table does not store tokens.
@api.post("/api/v1/auth/password", refuses=(WrongCredentials, TooManyAttempts), replays=False)
def change_password(principal: Principal, wanted: PasswordChange, source_ip: SourceIp) -> Token:
    """Change your password, which ends all your sessions, and begin a new one."""
    return new_passwords.change(principal, wanted, source_ip)


@api.post("/api/v1/auth/password-reset", status=202, refuses=(TooManyAttempts,), replays=False)
def request_password_reset(
    wanted: PasswordReset, source_ip: SourceIp, base: BaseUrl
) -> RequestedReset:
    """Mail a one-time link that sets a new password, if the address has an account."""
    return new_passwords.request_link(wanted, source_ip, base)


# The link works once, so a repeated request is refused.
@api.post("/api/v1/auth/password-reset/confirm", status=204, refuses=(LinkInvalid,), replays=False)
def reset_password(wanted: PasswordByLink) -> None:
    """Set a new password with a one-time link, which ends all sessions."""
    new_passwords.set_by_link(wanted)


@api.get("/api/v1/auth/me")
def me(principal: Principal) -> User:
    """Read the signed-in user."""
    return user_records.get(principal.user_id)


@api.get("/api/v1/users", refuses=(Forbidden,))
def list_users(principal: Principal, paging: Paging) -> Page[User]:
    """List all users, newest first. For administrators."""
    return users.list_(principal, paging)


@api.get("/api/v1/users/<user_id>", refuses=(Forbidden, NotFound))
def get_user(principal: Principal, user_id: UserId) -> User:
    """Read a user. For administrators."""
    return users.get(user_id, principal)


@api.patch(
    "/api/v1/users/<user_id>",
    refuses=(Forbidden, NotFound, LastAdministrator, PreconditionFailed),
)
def change_user(
    principal: Principal, user_id: UserId, wanted: UserChange, if_match: EtagPredicate | None
) -> User:
    """Change a user's role on the platform. For administrators."""
    return users.change(user_id, wanted, principal, if_match)


@api.delete("/api/v1/users/<user_id>", refuses=(Forbidden, NotFound, UserActive, UserNotEmpty))
def delete_user(principal: Principal, user_id: UserId) -> None:
    """Delete a disabled user who has no projects. For administrators."""
    users.remove(user_id, principal)


@api.post(
    "/api/v1/users/<user_id>/disable",
    refuses=(Forbidden, NotFound, LastAdministrator),
)
def disable_user(principal: Principal, user_id: UserId) -> User:
    """Disable a user, whose next request is refused. For administrators."""
    return users.disable(user_id, principal)


@api.post("/api/v1/users/<user_id>/enable", refuses=(Forbidden, NotFound))
def enable_user(principal: Principal, user_id: UserId) -> User:
    """Enable a disabled user. For administrators."""
    return users.enable(user_id, principal)


# The table does not store what a link sets a password with.
@api.post(
    "/api/v1/users/<user_id>/password-reset",
    refuses=(Forbidden, NotFound),
    replays=False,
)
def make_password_reset(principal: Principal, user_id: UserId, base: BaseUrl) -> ResetLink:
    """Make a one-time link that sets a user's password. For administrators."""
    return new_passwords.make_link(user_id, principal, base)


# The table does not store what an invitation registers with, so a repeated request makes a new one
# in place of the first.
@api.post(
    "/api/v1/invitations",
    status=201,
    refuses=(Forbidden, EmailTaken, RegistrationClosed),
    replays=False,
)
def invite(principal: Principal, wanted: NewInvitation, base: BaseUrl) -> SentInvitation:
    """Invite an address to register. For administrators."""
    return invitations.create(wanted, principal, base)


@api.get("/api/v1/invitations", refuses=(Forbidden,))
def list_invitations(principal: Principal, paging: Paging) -> Page[Invitation]:
    """List the invitations that can still be used. For administrators."""
    return invitations.list_(principal, paging)


@api.delete("/api/v1/invitations/<invitation_id>", refuses=(Forbidden, NotFound))
def revoke_invitation(principal: Principal, invitation_id: InvitationId) -> None:
    """Revoke an invitation. For administrators."""
    invitations.revoke(invitation_id, principal)


@api.get("/.well-known/jwks.json")
def keys() -> Keys:
    """Read the public keys that verify tokens, as a JSON Web Key Set."""
    return signing.jwks()
