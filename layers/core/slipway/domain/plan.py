"""Plans: what would be made of an environment that is asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import Shown
from slipway.domain.timestamps import Moment
from slipway.domain.update import ChangeSet


class Plan(Shown):
    """What would be made; nothing was."""

    name: str = Field(examples=["preview-pr-123"])
    type: Literal["ephemeral", "persistent"]
    driver: str = Field(examples=["cloudformation"])
    ttl_hours: int | float | None = Field(None, examples=[24])
    expires_at: Moment | None = Field(None, description="If it were made now.")
    max_expires_at: Moment | None = None
    max_ttl_hours: int | float = Field(
        description="The longest that the project's policy lets one live.", examples=[720]
    )
    expiry_mode: Literal["absolute", "idle"] | None = None
    template: str | None = Field(
        None, description="The version that would be used.", examples=["web-service@1.2"]
    )
    inputs: dict[str, str] | None = Field(
        None, description="With the template's defaults; secrets as `****`."
    )
    resources: dict[str, int] | None = Field(
        None,
        description="How many of each type the template declares.",
        examples=[{"AWS::SQS::Queue": 1}],
    )
    transforms: bool | None = Field(
        None, description="Whether the SAM transform makes more resources of these."
    )
    change_set: ChangeSet | None = Field(
        None,
        description="What CloudFormation would make of the template.",
        examples=[{"status": "pending"}],
    )
