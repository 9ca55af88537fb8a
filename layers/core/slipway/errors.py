"""Every way in which Slipway says no, drawn as a tree; also the words that workflows catch.

SlipwayError
├── Refused                     the caller can mend it; nothing was changed
│   ├── Malformed               the body is not what its media type says
│   ├── Invalid                 the body or the query breaks a rule; names each field
│   │   ├── TtlExceedsPolicy
│   │   └── IdempotencyKeyReused
│   ├── TooLarge
│   ├── UnsupportedMediaType
│   ├── Unauthenticated         TokenMissing · TokenExpired · TokenInvalid · WrongCredentials
│   ├── TooManyAttempts         also says when to try again
│   ├── Busy                    too many callers change one thing at once; try again
│   ├── Forbidden               all may see it, only its owner may change it
│   ├── NotFound                also for what belongs to somebody else
│   ├── MethodNotAllowed
│   ├── PreconditionFailed
│   └── Conflict                EmailTaken · NameTaken · ExternalIdTaken
│                               · ProjectNotEmpty · ProjectGoing
│                               · EnvironmentNotReady · EnvironmentGoing · NoLease
│                               · DeploymentFinished · QueueBusy · OutdatedDeployment
│                               · NothingToRetry · NothingToRetain
│                               · VersionTaken · VersionFixed · NotPublished
│                               · NoTemplate · NoStack · StackNotReady
├── Overtaken                   a conditional write lost: somebody else decided first
├── Canceled                    somebody asked the rollout to stop
├── DriverRefused               the infrastructure says no and would say it again
│   ├── RolledBack              and has put back what was there before
│   └── StackGone               for somebody else has taken it away
└── Fault                       would perhaps work on another try
    ├── DriverFault
    ├── StoreUnavailable
    └── Bug                     ours, and written to the log under the request's id
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field.

    `pointer` is a JSON pointer into the body as a URI fragment (`#/ttl_hours`), `?name` for a
    query parameter, or a header's name.
    """

    pointer: str
    detail: str


class SlipwayError(Exception):
    """The root. `code` is stable and for programs; the text is for people."""

    code = "slipway_error"
    title = "Slipway error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)

    @property
    def detail(self) -> str:
        return str(self)

    @property
    def fields(self) -> Sequence[FieldError]:
        return ()

    @property
    def extra(self) -> Mapping[str, Any]:
        """Members that this problem adds to its document (RFC 9457, 3.2)."""
        return {}

    @property
    def headers(self) -> Mapping[str, str]:
        return {}


class Refused(SlipwayError):
    code = "refused"
    title = "Refused"


class Malformed(Refused):
    code = "malformed_body"
    title = "The body cannot be read"


class Invalid(Refused):
    """`fields` names each field that breaks a rule, at least one."""

    code = "invalid_request"
    title = "The request breaks a rule"

    def __init__(self, fields: Sequence[FieldError], detail: str = "") -> None:
        one = f"{fields[0].pointer}: {fields[0].detail}"
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        super().__init__(detail or one + more)
        self._fields = tuple(fields)

    @property
    def fields(self) -> Sequence[FieldError]:
        return self._fields


class TtlExceedsPolicy(Invalid):
    """`max_expires_at`: as long as the policy lets the environment live, as text."""

    code = "ttl_exceeds_policy"
    title = "The environment may not live that long"

    def __init__(self, max_expires_at: str) -> None:
        super().__init__([FieldError("#/ttl_hours", f"may not go past {max_expires_at}")])
        self._max_expires_at = max_expires_at

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"max_expires_at": self._max_expires_at}


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was sent with another request"

    def __init__(self) -> None:
        super().__init__([FieldError("Idempotency-Key", "was sent with another request")])


class TooLarge(Refused):
    code = "body_too_large"
    title = "The body is too large"


class UnsupportedMediaType(Refused):
    code = "unsupported_media_type"
    title = "The body's media type is not supported here"


class Unauthenticated(Refused):
    code = "unauthenticated"
    title = "Sign in first"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="slipway"'}


class TokenMissing(Unauthenticated):
    code = "token_missing"
    title = "Send a token: Authorization: Bearer <access_token>"


class TokenExpired(Unauthenticated):
    code = "token_expired"
    title = "The token has expired; sign in again"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="slipway", error="invalid_token"'}


class TokenInvalid(TokenExpired):
    code = "token_invalid"
    title = "The token is not one of ours"


class WrongCredentials(Unauthenticated):
    code = "wrong_credentials"
    title = "Wrong e-mail address or password"


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
    title = "Too many failed sign-ins"


class Busy(RetryLater):
    code = "busy"
    title = "Too many callers change this at once; try again"


class Forbidden(Refused):
    code = "forbidden"
    title = "Only its owner may change it"


class NotFound(Refused):
    code = "not_found"
    title = "Not found"


class MethodNotAllowed(Refused):
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Allowed here: {', '.join(allowed)}")
        self._allowed = allowed

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self._allowed)}


class PreconditionFailed(Refused):
    code = "precondition_failed"
    title = "It has changed since you read it (If-Match)"


class Conflict(Refused):
    code = "conflict"
    title = "That is not possible in the present state"


class EmailTaken(Conflict):
    code = "email_taken"
    title = "This e-mail address is already registered"


class NameTaken(Conflict):
    code = "name_taken"
    title = "This name is already in use"


class ExternalIdTaken(Conflict):
    code = "external_id_taken"
    title = "Another environment of the project has this external_id"


class ProjectNotEmpty(Conflict):
    """`environments`: `{id, name}` of each that is in the way."""

    code = "project_not_empty"
    title = "The project still has environments; delete them, or send ?cascade=true"

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        super().__init__()
        self._environments = environments

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"environments": list(self._environments)}


class ProjectGoing(Conflict):
    code = "project_going"
    title = "The project is being deleted"


class EnvironmentNotReady(Conflict):
    """`environment_status`: the state that the environment is in."""

    code = "environment_not_ready"
    title = "The environment takes no deployments"

    def __init__(self, status: str) -> None:
        super().__init__(f"The environment is {status} and takes no deployments")
        self._status = status

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"environment_status": self._status}


class EnvironmentGoing(Conflict):
    """`environment_status`: the state that the environment is in."""

    code = "environment_going"
    title = "The environment's time is over"

    def __init__(self, status: str) -> None:
        super().__init__(f"The environment is {status}; its lease cannot be changed any more")
        self._status = status

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"environment_status": self._status}


class NoLease(Conflict):
    code = "no_lease"
    title = "The environment has no lease to change"


class DeploymentFinished(Conflict):
    """`deployment_status`: how it ended."""

    code = "deployment_finished"
    title = "The deployment has ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"The deployment has ended: it is {status}")
        self._status = status

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"deployment_status": self._status}


class QueueBusy(Conflict):
    code = "queue_busy"
    title = "Another deployment runs or waits, and on_conflict is reject"


class OutdatedDeployment(Conflict):
    """`newer`: the id of the deployment that is live or ahead, and newer."""

    code = "outdated_deployment"
    title = "A newer version is live or ahead; send allow_outdated to ship this one all the same"

    def __init__(self, newer: str) -> None:
        super().__init__()
        self._newer = newer

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"newer": self._newer}


class NothingToRetry(Conflict):
    code = "nothing_to_retry"
    title = "No teardown has failed here"


class NothingToRetain(Conflict):
    code = "nothing_to_retain"
    title = "No stack is left of the environment, of which something could be retained"


class VersionTaken(Conflict):
    code = "version_taken"
    title = "The template has this version already"


class VersionFixed(Conflict):
    """`version_state`: the state that the version is in."""

    code = "version_fixed"
    title = "What was published does not change"

    def __init__(self, detail: str, state: str) -> None:
        super().__init__(detail)
        self._state = state

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"version_state": self._state}


class NotPublished(Conflict):
    code = "not_published"
    title = "Only what was published can be deprecated; a draft can be deleted"


class NoStack(Conflict):
    code = "no_stack"
    title = "The environment has no stack to look at"


class StackNotReady(Conflict):
    """`stack_status`: the state that CloudFormation has the stack in."""

    code = "stack_not_ready"
    title = "The environment's stack is being changed, or was left half made"

    def __init__(self, status: str) -> None:
        super().__init__(f"The stack is {status}; drift is looked for when it is complete")
        self._status = status

    @property
    def extra(self) -> Mapping[str, Any]:
        return {"stack_status": self._status}


class NoTemplate(Conflict):
    code = "no_template"
    title = "The environment is simulated, there is nothing to update in it"


class Overtaken(SlipwayError):
    code = "overtaken"
    title = "Somebody else decided first"


class Canceled(SlipwayError):
    code = "canceled"
    title = "Canceled"


class DriverRefused(SlipwayError):
    """`remains`: what is left of what was to be taken away, if the driver can tell."""

    code = "driver_refused"
    title = "The infrastructure refused"

    def __init__(self, detail: str = "", remains: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.remains = remains


class RolledBack(DriverRefused):
    code = "rolled_back"
    title = "The infrastructure refused, and is as it was before"


class StackGone(DriverRefused):
    code = "stack_gone"
    title = "What the environment was made of is gone"


class Fault(SlipwayError):
    code = "fault"
    title = "A fault on our side; try again"


class DriverFault(Fault):
    code = "driver_fault"
    title = "The infrastructure did not answer as it should"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}


class StoreUnavailable(Fault):
    code = "store_unavailable"
    title = "The store did not answer; try again"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}


class Bug(Fault):
    code = "internal_error"
    title = "A bug in Slipway; its log has it under this request_id"
