"""The audit: who changed what, from where. Its entries are never changed and never deleted.

Each project has an audit of its own; changes that belong to none are in the platform's. The entries
of an audit are linked into a chain: each link has the digest of its entry and the hash of the link
before, so that a gap, a changed entry and another order show.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from slipway.domain.fields import ResponseModel
from slipway.domain.paging import Paging
from slipway.domain.timestamps import Instant, Moment

_Word = Annotated[str, StringConstraints(min_length=1, max_length=320)]


class AuditQuery(Paging):
    """Which entries to return. Filters are combined."""

    actor: _Word | None = Field(
        None,
        description="Who: the id of a user, token or trust, or a user's e-mail address. A user's "
        "id or address also finds what the user's tokens did.",
        examples=["ann@example.com"],
    )
    action: _Word | None = Field(None, description="What.", examples=["environments:create"])
    target: _Word | None = Field(
        None,
        description="The id of what was changed.",
        examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"],
    )
    since: Instant | None = Field(
        None, strict=False, description="The earliest time.", examples=["2026-11-23T00:00:00Z"]
    )
    until: Instant | None = Field(
        None, strict=False, description="The time before which.", examples=["2026-11-24T00:00:00Z"]
    )


class PlatformAuditQuery(AuditQuery):
    """`project_id` shows a project's audit to administrators, also after its deletion."""

    project_id: _Word | None = Field(
        None,
        description="The project whose audit to read, also if it is deleted. Without it, the "
        "platform's own.",
        examples=["prj_01kaq3h5x0c2m9f7r4tz"],
    )


class AuditActor(ResponseModel):
    """Who: a user, a user's token, or a workload. `kind` is `anonymous` for a failed sign-in."""

    id: str | None = Field(None, examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    kind: str = Field(examples=["user"])
    name: str | None = Field(None, examples=["ann@example.com"])


class AuditTarget(ResponseModel):
    """What was changed, with its name at the time."""

    id: str | None = Field(None, examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    name: str | None = Field(None, examples=["preview-pr-123"])


class AuditEntry(ResponseModel):
    """One change. `before` and `after` have the fields that changed, never a secret."""

    id: str = Field(examples=["aud_01kaq3h5x0c2m9f7r4tz"])
    at: Moment
    actor: AuditActor = Field(
        examples=[{"id": "usr_01kaq3h5x0c2m9f7r4tz", "kind": "user", "name": "ann@example.com"}]
    )
    action: str = Field(examples=["projects:change"])
    target: AuditTarget = Field(examples=[{"id": "prj_01kaq3h5x0c2m9f7r4tz", "name": "payments"}])
    address: str | None = Field(None, examples=["203.0.113.7"])
    user_agent: str | None = Field(None, examples=["curl/8.7.1"])
    request_id: str | None = Field(None, examples=["JKJaXPLvDoEEJiA="])
    before: dict[str, Any] | None = Field(None, examples=[{"name": "payments"}])
    after: dict[str, Any] | None = Field(None, examples=[{"name": "orders"}])
    linked: bool = Field(
        description="Whether it is in the chain, which takes about a second.", examples=[True]
    )


class VerifyQuery(Paging):
    """Where to continue; a page has at most `limit` links."""

    limit: int = Field(
        500, ge=1, le=500, strict=False, description="The maximum number of links.", examples=[500]
    )


class AuditVerification(ResponseModel):
    """Whether the chain is whole, as far as it was read. Send `next` as `cursor` to go on."""

    ok: bool = Field(examples=[True])
    entries: int = Field(description="The entries that are in order, from the first.", examples=[3])
    unlinked: int = Field(
        description="Entries that are not in the chain yet, 100 at most.", examples=[0]
    )
    broken_at: int | None = Field(
        None, description="The position in the chain, from 1, where it is broken.", examples=[None]
    )
    reason: str | None = Field(None, description="What is wrong there.", examples=[None])
    next: str | None = Field(
        None, description="The `cursor` with which to continue; null at the end.", examples=[None]
    )
    head: str = Field(
        description="The hash of the last link that was read. A copy kept elsewhere proves later "
        "that nothing before it was rewritten.",
        examples=["3c5fb51c8b1f0f3e5e0f8d1c2b7a49d6e5c4b3a291807f6e5d4c3b2a19080706"],
    )
