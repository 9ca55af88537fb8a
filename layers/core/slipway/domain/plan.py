"""Plans: what creating an environment would do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import ResponseModel
from slipway.domain.timestamps import Moment
from slipway.domain.update import ChangeSet
from slipway.domain.warning import TemplateWarning


class Plan(ResponseModel):
    """What would be created. Nothing was."""

    name: str = Field(examples=["preview-pr-123"])
    type: Literal["ephemeral", "persistent"]
    driver: str = Field(examples=["cloudformation"])
    ttl_hours: int | float | None = Field(None, examples=[24])
    expires_at: Moment | None = Field(None, description="If it were created now.")
    max_expires_at: Moment | None = None
    max_ttl_hours: int | float = Field(
        description="The longest time to live that the project's policy allows.", examples=[720]
    )
    expiry_mode: Literal["absolute", "idle"] | None = None
    template: str | None = Field(
        None, description="The version that would be used.", examples=["web-service@1.2"]
    )
    inputs: dict[str, str] | None = Field(
        None, description="Including the template's defaults. Secrets are `****`."
    )
    resources: dict[str, int] | None = Field(
        None,
        description="The number of resources of each type that the template declares.",
        examples=[{"AWS::SQS::Queue": 1}],
    )
    transforms: bool | None = Field(
        None, description="Whether the SAM transform expands these into further resources."
    )
    warnings: list[TemplateWarning] | None = Field(
        None, description="The warnings of the template's version."
    )
    change_set: ChangeSet | None = Field(
        None,
        description="The resources that CloudFormation would create.",
        examples=[{"status": "pending"}],
    )
