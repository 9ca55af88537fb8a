"""The filters of lists of deployments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from slipway.domain.deployment import Status
from slipway.domain.listing import Listing, Words
from slipway.domain.rights import Tier

Type = Literal["ephemeral", "persistent"]


class DeploymentListing(Listing):
    """Which deployments to return. `type`, `tier`, `template` and `name` are those that the
    environment had when the deployment was created."""

    status: Annotated[list[Status], Words] = Field(
        [], description="One of these states.", examples=[["succeeded", "failed"]]
    )
    kind: Literal["release", "update"] | None = Field(
        None, description="Whether it brought a version, or changed the environment itself."
    )
    version: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="The version that it brought.", examples=["sha-1234567"]
    )
    type: Annotated[list[Type], Words] = Field([], description="One of these types.")
    tier: Annotated[list[Tier], Words] = Field(
        [], description="One of these tiers.", examples=[["production"]]
    )
    template: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None,
        description="The environment's template: `name`, `name@1` or `name@1.2`.",
        examples=["web-service@1"],
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = Field(
        None,
        description="How the environment's name begins; case is ignored.",
        examples=["preview-pr-"],
    )
