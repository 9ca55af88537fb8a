"""Tokens of the API: what one may do, for how long, and what is shown of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from slipway.domain.fields import Name, RequestModel, ResponseModel, matching
from slipway.domain.rights import Grant, Scope, Tier
from slipway.domain.timestamps import Moment
from slipway.errors import Forbidden

MOST_TOKENS = 50
LONGEST_DAYS = 365
_PART = "[0-9a-hjkmnp-tv-z]{20}"
_ID = "tok_01kaq3h5x0c2m9f7r4tz_01kaq3k2p9h4s7e1g8ya"
_PROJECT = "prj_01kaq3h5x0c2m9f7r4tz"
_EXAMPLE = "slw_01kaq3h5x0c2m9f7r4tz01kaq3k2p9h4s7e1g8ya0000000000000000000000000000EXAMPLE_1a2B3c"

TokenKind = Literal["personal", "ci", "agent"]
# From the kind that is limited least to the one that is limited most.
_KINDS: tuple[TokenKind, ...] = ("personal", "ci", "agent")
ProjectText = Annotated[
    str, StringConstraints(max_length=40), matching(f"prj_{_PART}", "a project's id")
]
EnvironmentText = Annotated[
    str,
    StringConstraints(max_length=60),
    matching(f"env_{_PART}_{_PART}", "an environment's id"),
]


class NewToken(RequestModel):
    """What the token may do: `scopes`, within the projects, environments and tiers, if given."""

    name: Name = Field(examples=["deploy from CI"])
    kind: TokenKind = Field(examples=["ci"])
    scopes: list[Scope] = Field(min_length=1, max_length=8, examples=[["read", "deploy"]])
    project_ids: list[ProjectText] | None = Field(
        None, min_length=1, max_length=50, examples=[[_PROJECT]]
    )
    environment_ids: list[EnvironmentText] | None = Field(
        None, min_length=1, max_length=50, examples=[None]
    )
    tiers: list[Tier] | None = Field(None, min_length=1, max_length=3, examples=[["preview"]])
    expires_in_days: int = Field(90, ge=1, le=LONGEST_DAYS, examples=[90])


class ApiToken(ResponseModel):
    """A token, without what proves it.

    `project_ids`, `environment_ids` and `tiers` are null if they limit nothing. `last_used_at` is
    accurate to a day. `created_with` is the token that created it, null if a session did.
    """

    id: str = Field(examples=[_ID])
    name: str = Field(examples=["deploy from CI"])
    kind: TokenKind = Field(examples=["ci"])
    scopes: list[Scope] = Field(examples=[["read", "deploy"]])
    project_ids: list[str] | None = Field(None, examples=[[_PROJECT]])
    environment_ids: list[str] | None = Field(None, examples=[None])
    tiers: list[Tier] | None = Field(None, examples=[["preview"]])
    created_with: str | None = Field(None, examples=[None])
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None = None

    @property
    def location(self) -> str:
        return f"/api/v1/auth/tokens/{self.id}"


class CreatedToken(ApiToken):
    """`token` is what the caller sends as `Authorization: Bearer …`, shown only once."""

    token: str = Field(examples=[_EXAMPLE])


def grant_of(record: Any) -> Grant:
    """What limits the token of this record."""

    def listed(name: str) -> frozenset[str] | None:
        return frozenset(record[name]) if record.get(name) is not None else None

    return Grant(
        frozenset(record["scopes"]),
        listed("project_ids"),
        listed("environment_ids"),
        listed("tiers"),
    )


def require_narrower(wanted: NewToken, kind: str, grant: Grant) -> None:
    """Raises Forbidden if a token of this kind and grant cannot create the wanted one."""
    if _KINDS.index(wanted.kind) < _KINDS.index(kind):
        raise Forbidden(f"kind: a token of the kind {kind} cannot create one of {wanted.kind}.")
    _require_among("scopes", wanted.scopes, grant.scopes)
    _require_among("project_ids", wanted.project_ids, grant.project_ids)
    _require_among("environment_ids", wanted.environment_ids, grant.environment_ids)
    _require_among("tiers", wanted.tiers, grant.tiers)


def _require_among(field: str, wanted: Any, allowed: frozenset[str] | None) -> None:
    if allowed is None:
        return
    if wanted is None:
        raise Forbidden(f"{field}: this token is limited, so one that it creates must be, too.")
    if more := sorted(set(wanted) - allowed):
        raise Forbidden(
            f"{field}: this token does not have {', '.join(more)}, so it cannot give it."
        )
