"""Quotas of a user: how much of what is in use, and how much may be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import ResponseModel

QuotaName = Literal["projects", "templates", "environments", "deployments"]


class Quota(ResponseModel):
    """Objects that have ended do not count."""

    name: QuotaName = Field(examples=["environments"])
    used: int = Field(
        description="What the user has made that has not ended; of deployments, those that run or "
        "wait.",
        examples=[3],
    )
    limit: int = Field(description="The most that is allowed.", examples=[50])
    parameter: str = Field(
        description="The stack's parameter that sets it.", examples=["MaxEnvironmentsPerUser"]
    )


class Quotas(ResponseModel):
    """What a user has in use of each quota."""

    user_id: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    quotas: list[Quota] = Field(description="One for each kind of object.")
