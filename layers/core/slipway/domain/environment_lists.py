"""The filters of lists of environments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from slipway.domain.environment import Status
from slipway.domain.listing import Listing, Words
from slipway.domain.rights import Tier

Type = Literal["ephemeral", "persistent"]


class EnvironmentFilters(Listing):
    """What all lists of environments are filtered by."""

    status: Annotated[list[Status], Words] = Field(
        [], description="One of these states.", examples=[["running", "failed"]]
    )
    type: Annotated[list[Type], Words] = Field([], description="One of these types.")
    tier: Annotated[list[Tier], Words] = Field(
        [], description="One of these tiers.", examples=[["preview"]]
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = Field(
        None, description="How its name begins; case is ignored.", examples=["preview-pr-"]
    )
    include: Literal["ended"] | None = Field(
        None, description="`ended`: destroyed environments as well."
    )

    @property
    def with_ended(self) -> bool:
        """Whether destroyed environments are asked for."""
        return self.include == "ended" if not self.status else "destroyed" in self.status


class EnvironmentListing(EnvironmentFilters):
    """Which environments to return. Destroyed ones only if they are asked for."""

    template: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None,
        description="Its template: `name`, `name@1` or `name@1.2`.",
        examples=["web-service@1"],
    )
