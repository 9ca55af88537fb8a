"""/auth: register, sign in and out, passwords, tokens."""

from slipway.access import signing
from slipway.access.principal import Principal
from slipway.domain.account import Registration, Verification
from slipway.domain.api_token import ApiToken, CreatedToken, NewToken
from slipway.domain.company import Callback, Login
from slipway.domain.device import (
    DeviceCodes,
    DeviceDecision,
    DeviceGrant,
    DeviceLookup,
    DeviceRequest,
    DeviceStart,
    DeviceTokens,
)
from slipway.domain.ids import TokenId
from slipway.domain.paging import Page, Paging
from slipway.domain.user import (
    Keys,
    NewUser,
    PasswordByLink,
    PasswordChange,
    PasswordReset,
    Refresh,
    RequestedReset,
    SessionTokens,
    SignIn,
    User,
)
from slipway.domain.workload import TokenExchange, WorkloadSupport, WorkloadToken
from slipway.errors import (
    AccountDisabled,
    AmbiguousTrust,
    Busy,
    EmailTaken,
    EmailUnverified,
    Forbidden,
    InvitationInvalid,
    IssuerUnavailable,
    LinkInvalid,
    NotFound,
    RefreshTokenInvalid,
    RefreshTokenReused,
    RegistrationClosed,
    SessionEnded,
    TooManyAttempts,
    TooManyTokens,
    WorkloadRefused,
    WrongCredentials,
)
from slipway.errors.company import (
    CompanyOff,
    IdentityTaken,
    PasswordsOff,
    ProviderUnavailable,
    SignInInvalid,
    SignInRefused,
)
from slipway.errors.device import (
    AccessDenied,
    AuthorizationPending,
    ClientUnknown,
    DeviceCodeExpired,
    DeviceCodeInvalid,
    DeviceDecided,
    GrantTypeUnsupported,
    ScopeInvalid,
    SlowDown,
)
from slipway.http.app import Api
from slipway.http.responses import RawResponse, Redirect
from slipway.http.routes import FORM, JSON, BaseUrl, Cookies, SourceIp, WantsPage
from slipway.services import new_passwords, registration, sessions, tokens
from slipway.store import user_records

api = Api()
handler = api.handler


@api.post(
    "/api/v1/auth/register",
    audits="users:register",
    status=201,
    found=202,
    refuses=(
        *(PasswordsOff, RegistrationClosed, InvitationInvalid, EmailTaken),
        TooManyAttempts,
    ),
)
def register(
    wanted: NewUser, source_ip: SourceIp, base: BaseUrl
) -> tuple[User | Registration, bool]:
    """Register a user."""
    return registration.register(wanted, source_ip, base)


@api.post(
    "/api/v1/auth/verify-email",
    audits="users:register",
    status=201,
    refuses=(PasswordsOff, LinkInvalid, WrongCredentials, RegistrationClosed, EmailTaken),
)
def verify_email(wanted: Verification) -> User:
    """Complete a registration with the link that was mailed."""
    return registration.verify(wanted)


# The table does not store tokens, so a repeated sign-in mints another one.
@api.post(
    "/api/v1/auth/login",
    audits="account:sign-in",
    refuses=(PasswordsOff, WrongCredentials, AccountDisabled, EmailUnverified, TooManyAttempts),
    media=(FORM, JSON),
    replays=False,
)
def sign_in(wanted: SignIn, source_ip: SourceIp) -> SessionTokens:
    """Sign in: exchange a password for the tokens of a new session."""
    return sessions.sign_in(wanted, source_ip)


# The table does not store tokens. A repeated request ends the session.
@api.post(
    "/api/v1/auth/refresh",
    audits="account:refresh",
    refuses=(
        *(RefreshTokenInvalid, RefreshTokenReused, SessionEnded, AccountDisabled),
        *(ProviderUnavailable, Busy),
    ),
    replays=False,
)
def refresh(wanted: Refresh) -> SessionTokens:
    """Exchange a refresh token, once, for new tokens of its session."""
    return sessions.refresh(wanted)


# The session that ends cannot ask again.
@api.post(
    "/api/v1/auth/logout",
    action="account:change",
    audits="account:sign-out",
    status=204,
    replays=False,
)
def logout(principal: Principal) -> None:
    """Sign out: end the session of this token."""
    sessions.end(principal)


@api.post(
    "/api/v1/auth/logout-everywhere",
    action="account:change",
    audits="account:sign-out-everywhere",
    status=204,
    replays=False,
)
def logout_everywhere(principal: Principal) -> None:
    """Sign out everywhere: end all of the user's sessions."""
    sessions.end_all(principal)


# The table does not store tokens.
@api.post(
    "/api/v1/auth/password",
    action="account:change",
    audits="account:password",
    refuses=(PasswordsOff, WrongCredentials, TooManyAttempts),
    replays=False,
)
def change_password(
    principal: Principal, wanted: PasswordChange, source_ip: SourceIp
) -> SessionTokens:
    """Change your password, which ends all your sessions, and begin a new one."""
    return new_passwords.change(principal, wanted, source_ip)


@api.post(
    "/api/v1/auth/password-reset",
    status=202,
    refuses=(PasswordsOff, TooManyAttempts),
    replays=False,
)
def request_password_reset(
    wanted: PasswordReset, source_ip: SourceIp, base: BaseUrl
) -> RequestedReset:
    """Mail a one-time link that sets a new password, if the address has an account."""
    return new_passwords.request_link(wanted, source_ip, base)


# The link works once, so a repeated request is refused.
@api.post(
    "/api/v1/auth/password-reset/confirm",
    audits="account:password",
    status=204,
    refuses=(PasswordsOff, LinkInvalid),
    replays=False,
)
def reset_password(wanted: PasswordByLink) -> None:
    """Set a new password with a one-time link, which ends all sessions."""
    new_passwords.set_by_link(wanted)


@api.get("/api/v1/auth/oidc/login", refuses=(CompanyOff, ProviderUnavailable))
def begin_company_sign_in(wanted: Login, base: BaseUrl) -> Redirect:
    """Send a browser to the company's sign-in."""
    from slipway.http import sign_in_page
    from slipway.services import company_sign_in

    begun = company_sign_in.begin(wanted, base)
    kept = sign_in_page.cookie(base, begun.cookie, company_sign_in.SECONDS)
    return Redirect.to(begun.location, kept)


@api.get(
    "/api/v1/auth/oidc/callback",
    audits="account:sign-in",
    refuses=(
        *(CompanyOff, SignInInvalid, SignInRefused, AccountDisabled, IdentityTaken),
        *(RegistrationClosed, Busy, ProviderUnavailable),
    ),
)
def complete_company_sign_in(
    brought: Callback, cookies: Cookies, base: BaseUrl, wants_page: WantsPage
) -> SessionTokens | RawResponse:
    """Sign in with what the company's sign-in has sent the browser back with."""
    from slipway.http import sign_in_page
    from slipway.services import company_sign_in

    kept = cookies.get(sign_in_page.cookie_name(base))
    if wants_page and (to := company_sign_in.console_page(brought, kept)):
        # The console completes it, with the browser's cookie, and keeps the tokens from the page.
        return Redirect.to(to)
    done = company_sign_in.complete(brought, kept, base)
    forgotten = sign_in_page.cookie(base, "", 0)
    return sign_in_page.signed_in(*done, [forgotten], page=wants_page)


# The table does not store codes.
@api.post(
    "/api/v1/auth/device",
    refuses=(ClientUnknown, ScopeInvalid, TooManyAttempts, Busy),
    media=(FORM,),
    oauth=True,
    replays=False,
)
def begin_on_device(wanted: DeviceStart, source_ip: SourceIp, base: BaseUrl) -> DeviceCodes:
    """Begin a sign-in on a device, which a person approves in a browser (RFC 8628)."""
    from slipway.services import devices

    return devices.begin(wanted, source_ip, base)


# The device's code works once.
@api.post(
    "/api/v1/auth/device/token",
    audits="account:sign-in",
    refuses=(
        *(AuthorizationPending, SlowDown, AccessDenied, DeviceCodeExpired, DeviceCodeInvalid),
        *(ClientUnknown, GrantTypeUnsupported),
    ),
    media=(FORM,),
    oauth=True,
    replays=False,
)
def complete_on_device(wanted: DeviceGrant) -> DeviceTokens:
    """Exchange a device's code, once it is approved, for the tokens of a new session."""
    from slipway.services import devices

    return devices.complete(wanted)


@api.get(
    "/api/v1/auth/device",
    action="devices:read",
    refuses=(Forbidden, NotFound, TooManyAttempts),
)
def look_at_device(principal: Principal, sought: DeviceLookup) -> DeviceRequest:
    """Read who asks for a sign-in, by the code that the device shows."""
    from slipway.services import devices

    return devices.look(principal, sought.user_code)


# The same decision again changes nothing, and the table keeps no answer that has the code.
@api.post(
    "/api/v1/auth/device/approve",
    action="devices:decide",
    audits="account:approve-device",
    refuses=(Forbidden, NotFound, DeviceDecided, TooManyAttempts),
    replays=False,
)
def approve_device(principal: Principal, wanted: DeviceDecision) -> DeviceRequest:
    """Approve a sign-in on a device: it gets a session of yours."""
    from slipway.services import devices

    return devices.approve(principal, wanted.user_code)


@api.post(
    "/api/v1/auth/device/deny",
    action="devices:decide",
    audits="account:deny-device",
    refuses=(Forbidden, NotFound, TooManyAttempts),
    replays=False,
)
def deny_device(principal: Principal, wanted: DeviceDecision) -> DeviceRequest:
    """Deny a sign-in on a device."""
    from slipway.services import devices

    return devices.deny(principal, wanted.user_code)


@api.get("/api/v1/auth/me", action="account:read")
def me(principal: Principal) -> User:
    """Read the signed-in user."""
    if principal.kind == "workload":
        raise Forbidden(
            "A workload has no account. GET /api/v1/projects/{id}/permissions shows what it may do."
        )
    return user_records.get(principal.user_id)


# The table does not store tokens.
@api.post(
    "/api/v1/auth/oidc/exchange",
    refuses=(WorkloadRefused, IssuerUnavailable, AmbiguousTrust),
    replays=False,
)
def exchange_token(wanted: TokenExchange, base: BaseUrl) -> WorkloadToken:
    """Exchange the token of a workload's issuer, such as GitHub's or GitLab's, for one of ours."""
    from slipway.services import workloads

    return workloads.exchange(wanted, base)


@api.get("/api/v1/auth/oidc")
def workload_support(base: BaseUrl) -> WorkloadSupport:
    """Read what a workload's token must be like, above all its audience."""
    from slipway.services import workloads

    return workloads.support(base)


# The table does not store tokens, so a repeated request creates another one.
@api.post(
    "/api/v1/auth/tokens",
    action="tokens:change",
    status=201,
    refuses=(Forbidden, TooManyTokens),
    replays=False,
)
def create_token(principal: Principal, wanted: NewToken) -> CreatedToken:
    """Create a token for a program. The answer has it, once."""
    return tokens.create(wanted, principal)


@api.get("/api/v1/auth/tokens", action="tokens:read", refuses=(Forbidden,))
def list_tokens(principal: Principal, paging: Paging) -> Page[ApiToken]:
    """List your tokens, newest first."""
    return tokens.list_(principal, paging)


@api.delete("/api/v1/auth/tokens", action="tokens:change", refuses=(Forbidden, NotFound))
def revoke_tokens(principal: Principal) -> None:
    """Revoke all your tokens; sessions go on."""
    tokens.revoke_all(principal)


@api.delete("/api/v1/auth/tokens/<token_id>", action="tokens:change", refuses=(Forbidden, NotFound))
def revoke_token(principal: Principal, token_id: TokenId) -> None:
    """Revoke a token, and those that it created."""
    tokens.revoke(token_id, principal)


@api.get("/.well-known/jwks.json")
def keys() -> Keys:
    """Read the public keys that verify tokens, as a JSON Web Key Set."""
    return signing.jwks()
