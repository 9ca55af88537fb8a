"""Every error that Slipway raises, as a tree. Workflows catch these class names, too.

SlipwayError
├── Refused                     the caller can correct it; nothing was changed
│   ├── Malformed               the body does not have the syntax of its media type
│   ├── Invalid                 the body or the query breaks a rule; names each field
│   │   ├── TooCostly           checking it takes too much processor time
│   │   ├── TtlExceedsPolicy
│   │   └── IdempotencyKeyReused
│   ├── GrantMalformed          of a device; also AuthorizationPending · SlowDown · AccessDenied
│   │                           · DeviceCodeExpired · DeviceCodeInvalid · ClientUnknown
│   │                           · GrantTypeUnsupported · ScopeInvalid
│   ├── TooLarge
│   ├── UnsupportedMediaType    EncodingUnsupported
│   ├── Unauthenticated         TokenMissing · TokenExpired · TokenInvalid · WrongCredentials
│   │                           · SessionEnded · AccountDisabled
│   │                           · RefreshTokenInvalid · RefreshTokenReused
│   │                           · WorkloadRefused · TrustEnded
│   ├── TooManyAttempts         also says when to try again
│   ├── TooManyRequests         of one caller in one minute; also says when to try again
│   ├── IssuerUnavailable       the keys of a workload's issuer cannot be read
│   ├── PlanPending             what it would delete is not known yet
│   ├── LogsBusy                AWS throttles searches of logs
│   ├── Busy                    too many requests change one record at the same time
│   ├── Forbidden               RegistrationClosed · InvitationInvalid · LinkInvalid
│   │                           · EmailUnverified · PasswordsOff · CompanyOff
│   │                           · SignInInvalid · SignInRefused
│   ├── NotFound                also for another user's objects
│   ├── MethodNotAllowed
│   ├── PreconditionFailed
│   └── Conflict                EmailTaken · NameTaken · ExternalIdTaken · AmbiguousName
│                               · IdentityTaken · CompanyAccount
│                               · ProjectNotEmpty · ProtectedEnvironments · ProjectGoing
│                               · EnvironmentNotReady · EnvironmentGoing · EnvironmentDiffers
│                               · NoLease
│                               · DeploymentFinished · NothingLive · QueueBusy
│                               · OutdatedDeployment
│                               · NothingToRetry · NothingToRetain
│                               · VersionTaken · VersionFixed · NotPublished · TemplateInUse
│                               · TemplateTakesNoVersion
│                               · NoTemplate · NoStack · StackNotReady
│                               · EnvironmentHeld · NothingToRollBackTo
│                               · SourceNotReady · TemplateDiffers · DeviceDecided
│                               · NameInUse · SecretsGone
│                               · ConfirmationDecided · ConfirmationChanged
│                               · ConfirmationRequired · TooManyUndecided
│                               · LastAdministrator · UserActive · UserNotEmpty · QuotaExceeded
│                               · TrustExists · TooManyTrusts · AmbiguousTrust
│                               · AlreadyMember · LastOwner · ProjectFull · UserDisabled
│                               · TooManyTokens
├── StaleWrite                   a conditional write failed: another process decided first
├── GuessWrong                   a name leads elsewhere than this process remembers; bound again
├── ConfirmationNeeded          a machine's request has to wait for a person
├── Canceled                    a user canceled the rollout
├── DriverRefused               the infrastructure refuses, and would refuse again
│   ├── RolledBack              and has restored the previous state
│   └── StackGone               because the stack was deleted by hand
└── Fault                       may succeed when tried again
    ├── DriverFault
    ├── StoreUnavailable
    ├── ProviderUnavailable     of the company's sign-in
    └── Bug                     an error in Slipway, logged with the request's id
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors.base import BadRequest as BadRequest
from slipway.errors.base import Conflict as Conflict
from slipway.errors.base import FieldError as FieldError
from slipway.errors.base import Refused as Refused
from slipway.errors.base import SlipwayError as SlipwayError
from slipway.errors.conflicts import AlreadyMember as AlreadyMember
from slipway.errors.conflicts import AmbiguousName as AmbiguousName
from slipway.errors.conflicts import AmbiguousTrust as AmbiguousTrust
from slipway.errors.conflicts import ConfirmationChanged as ConfirmationChanged
from slipway.errors.conflicts import ConfirmationDecided as ConfirmationDecided
from slipway.errors.conflicts import ConfirmationRequired as ConfirmationRequired
from slipway.errors.conflicts import DeploymentFinished as DeploymentFinished
from slipway.errors.conflicts import EmailTaken as EmailTaken
from slipway.errors.conflicts import EnvironmentDiffers as EnvironmentDiffers
from slipway.errors.conflicts import EnvironmentGoing as EnvironmentGoing
from slipway.errors.conflicts import EnvironmentNotReady as EnvironmentNotReady
from slipway.errors.conflicts import ExternalIdTaken as ExternalIdTaken
from slipway.errors.conflicts import LastAdministrator as LastAdministrator
from slipway.errors.conflicts import LastOwner as LastOwner
from slipway.errors.conflicts import NameTaken as NameTaken
from slipway.errors.conflicts import NoLease as NoLease
from slipway.errors.conflicts import NoStack as NoStack
from slipway.errors.conflicts import NoTemplate as NoTemplate
from slipway.errors.conflicts import NothingLive as NothingLive
from slipway.errors.conflicts import NothingToRetain as NothingToRetain
from slipway.errors.conflicts import NothingToRetry as NothingToRetry
from slipway.errors.conflicts import NotPublished as NotPublished
from slipway.errors.conflicts import OutdatedDeployment as OutdatedDeployment
from slipway.errors.conflicts import ProjectFull as ProjectFull
from slipway.errors.conflicts import ProjectGoing as ProjectGoing
from slipway.errors.conflicts import ProjectNotEmpty as ProjectNotEmpty
from slipway.errors.conflicts import ProtectedEnvironments as ProtectedEnvironments
from slipway.errors.conflicts import QueueBusy as QueueBusy
from slipway.errors.conflicts import QuotaExceeded as QuotaExceeded
from slipway.errors.conflicts import StackNotReady as StackNotReady
from slipway.errors.conflicts import TemplateInUse as TemplateInUse
from slipway.errors.conflicts import TemplateTakesNoVersion as TemplateTakesNoVersion
from slipway.errors.conflicts import TooManyTokens as TooManyTokens
from slipway.errors.conflicts import TooManyTrusts as TooManyTrusts
from slipway.errors.conflicts import TooManyUndecided as TooManyUndecided
from slipway.errors.conflicts import TrustExists as TrustExists
from slipway.errors.conflicts import UserActive as UserActive
from slipway.errors.conflicts import UserDisabled as UserDisabled
from slipway.errors.conflicts import UserNotEmpty as UserNotEmpty
from slipway.errors.conflicts import VersionFixed as VersionFixed
from slipway.errors.conflicts import VersionTaken as VersionTaken
from slipway.errors.internal import Bug as Bug
from slipway.errors.internal import Canceled as Canceled
from slipway.errors.internal import ConfirmationNeeded as ConfirmationNeeded
from slipway.errors.internal import DriverFault as DriverFault
from slipway.errors.internal import DriverRefused as DriverRefused
from slipway.errors.internal import Fault as Fault
from slipway.errors.internal import GuessWrong as GuessWrong
from slipway.errors.internal import RolledBack as RolledBack
from slipway.errors.internal import StackGone as StackGone
from slipway.errors.internal import StaleWrite as StaleWrite
from slipway.errors.internal import StoreUnavailable as StoreUnavailable


class Malformed(BadRequest):
    code = "malformed_body"
    title = "The body cannot be read. Check its syntax."


class Invalid(Refused):
    """`fields` has an entry for each field that breaks a rule, at least one."""

    code = "invalid_request"
    title = "Some fields are not valid. Correct each field that errors lists."

    def __init__(self, fields: Sequence[FieldError], detail: str = "", **extra: Any) -> None:
        one = f"{fields[0].pointer}: {fields[0].detail}"
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        super().__init__(detail or one + more, **extra)
        self._fields = tuple(fields)

    @property
    def fields(self) -> Sequence[FieldError]:
        return self._fields


class TooCostly(Invalid):
    code = "too_costly"
    title = "Checking the request takes too long. Send a smaller or a simpler one."

    def __init__(self) -> None:
        super().__init__([FieldError("#", "takes too long to check: send a smaller one")])


class TtlExceedsPolicy(Invalid):
    """`max_expires_at`: the latest end that the policy allows, as text."""

    code = "ttl_exceeds_policy"
    title = "The lease cannot last that long. Send fewer ttl_hours."

    def __init__(self, max_expires_at: str) -> None:
        super().__init__(
            [FieldError("#/ttl_hours", f"must not go past {max_expires_at}")],
            max_expires_at=max_expires_at,
        )


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was already used for a different request. Send a new key."

    def __init__(self) -> None:
        super().__init__(
            [FieldError("Idempotency-Key", "was already used for a different request")]
        )


class TooLarge(Refused):
    code = "body_too_large"
    title = "The body is too large. Send a smaller one."


class UnsupportedMediaType(Refused):
    code = "unsupported_media_type"
    title = "The Content-Type is not supported. Send one that this route accepts."


class EncodingUnsupported(UnsupportedMediaType):
    code = "unsupported_content_encoding"
    title = "The body has a Content-Encoding. Send it as it is, not compressed."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Accept-Encoding": "identity"}


class Unauthenticated(Refused):
    code = "unauthenticated"
    title = "You are not signed in. Sign in and send the token."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="slipway"'}


class TokenMissing(Unauthenticated):
    code = "token_missing"
    title = "The token is missing. Send the header Authorization: Bearer <access_token>."


class TokenExpired(Unauthenticated):
    code = "token_expired"
    title = "The token has expired. Sign in again."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="slipway", error="invalid_token"'}


class TokenInvalid(TokenExpired):
    code = "token_invalid"
    title = "The token is not valid on this platform. Sign in again."


class SessionEnded(TokenExpired):
    code = "session_ended"
    title = "The session has ended: it was signed out, or the password changed. Sign in again."


class AccountDisabled(Unauthenticated):
    code = "account_disabled"
    title = "Your account is disabled. Ask an administrator to enable it."


class RefreshTokenInvalid(Unauthenticated):
    code = "refresh_token_invalid"
    title = "The refresh token is not valid, or no longer. Sign in again."


class RefreshTokenReused(RefreshTokenInvalid):
    code = "refresh_token_reused"
    title = "The refresh token was used before, so its session has ended. Sign in again."


class WorkloadRefused(Unauthenticated):
    code = "workload_refused"
    title = "No trust fits the token, or it is not valid. Check its audience, age and claims."


class TrustEnded(TokenExpired):
    code = "trust_ended"
    title = "The trust behind this token was deleted. Ask a maintainer of the project for another."


class WrongCredentials(Unauthenticated):
    code = "wrong_credentials"
    title = "The e-mail address or password is wrong. Check both and try again."


class RetryLater(Refused):
    """`seconds`: how long to wait before the next try."""

    def __init__(self, seconds: int, detail: str = "") -> None:
        super().__init__(detail)
        self.seconds = seconds

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.seconds)}


class TooManyAttempts(RetryLater):
    code = "too_many_attempts"
    title = "Too many attempts. Wait for the time in Retry-After, then try again."


class TooManyRequests(RetryLater):
    """`limit`: the requests a minute that the caller may send."""

    code = "too_many_requests"
    title = "You have sent too many requests in this minute. Wait for the time in Retry-After."

    def __init__(self, seconds: int, limit: int) -> None:
        super().__init__(
            seconds, f"You may send {limit} requests a minute. Wait {seconds} seconds."
        )
        self._extra = {"limit": limit}


class IssuerUnavailable(RetryLater):
    code = "issuer_unavailable"
    title = "The keys of the token's issuer cannot be read now. Try again after Retry-After."


class Busy(RetryLater):
    code = "busy"
    title = "Too many requests are changing this at once. Try again after Retry-After."


class LogsBusy(RetryLater):
    code = "logs_busy"
    title = "AWS takes no more searches of logs now. Try again after Retry-After."


class PlanPending(RetryLater):
    code = "plan_pending"
    title = "What this would delete is not known yet. Send the same request after Retry-After."


class Forbidden(Refused):
    code = "forbidden"
    title = "You may not do this. Ask the owner, or an administrator."


class RegistrationClosed(Forbidden):
    code = "registration_closed"
    title = "You cannot register here without an invitation. Ask an administrator for one."


class InvitationInvalid(Forbidden):
    code = "invitation_invalid"
    title = (
        "The invitation is not valid for this address, or no longer. Ask an administrator for a "
        "new one."
    )


class EmailUnverified(Forbidden):
    code = "email_unverified"
    title = "Your address is not proven. Reset your password: the link in the mail proves it."


class LinkInvalid(Forbidden):
    code = "link_invalid"
    title = "The link is not valid, or no longer. Ask for a new one."


class NotFound(Refused):
    code = "not_found"
    title = "This does not exist, or you have no access to it. Check the id."


def no_such(kind: str) -> NotFound:
    """The refusal for an id that names no object, or one that the caller cannot see."""
    return NotFound(f"There is no such {kind}, or you have no access to it. Check its id.")


class MethodNotAllowed(Refused):
    code = "method_not_allowed"
    title = "The path does not support this method. Use one that Allow lists."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"The path supports {', '.join(allowed)}. Use one of them.")
        self._allowed = allowed

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self._allowed)}


class PreconditionFailed(Refused):
    code = "precondition_failed"
    title = "The object has changed since you read it. Read it again, then retry."
