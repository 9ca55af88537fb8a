"""What a promotion would change, target by target. Nothing was changed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import ResponseModel
from slipway.domain.promotion import Source
from slipway.domain.update import ChangeSet, InputChange
from slipway.domain.warning import TemplateWarning

_VERSIONS = {"before": "sha-89abcde", "after": "sha-1234567"}
_TEMPLATES = {"before": "web-service@1.1", "after": "web-service@1.2"}


class ValueChange(ResponseModel):
    """One value before and after; `null` for none."""

    before: str | None = Field(None, description="What is live.", examples=["sha-89abcde"])
    after: str | None = Field(None, description="What would be.", examples=["sha-1234567"])


class PlannedTarget(ResponseModel):
    """What a promotion would change in one environment."""

    environment_id: str = Field(
        examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3m4s8q1x7k2v9ew"],
    )
    environment_name: str = Field(description="The environment's name.", examples=["live-eu"])
    status: Literal["accepted", "refused"] = Field(
        description="Whether it would get the deployment now."
    )
    code: str | None = Field(None, description="The code of the refusal.", examples=[None])
    reason: str | None = Field(None, description="Why it would be refused.", examples=[None])
    version: ValueChange | None = Field(None, description="Null if it stays.", examples=[_VERSIONS])
    artifact: ValueChange | None = Field(None, description="Null if it stays.", examples=[None])
    template: ValueChange | None = Field(
        None, description="Null if it stays.", examples=[_TEMPLATES]
    )
    inputs: dict[str, InputChange] = Field(
        description="Inputs that the other template version adds or leaves out. Their values are "
        "the target's own; secrets are `****`.",
        examples=[{}],
    )
    variables: dict[str, str] = Field(
        {},
        description="The names of the target's own variables and secrets that wait for a "
        "deployment and would take effect with this one: `added`, `removed` or `changed`. A "
        "promotion itself changes none.",
        examples=[{"LOG_LEVEL": "changed"}],
    )
    warnings: list[TemplateWarning] = Field(
        [], description="The warnings of the template version that it would get."
    )
    change_set: ChangeSet | None = Field(
        None,
        description="What CloudFormation would do to its stack; null without one.",
        examples=[{"status": "pending"}],
    )


class PromotionPlan(ResponseModel):
    """What a promotion would change. Nothing was changed."""

    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    source: Source = Field(alias="from", description="Where it comes from.")
    version: str = Field(description="What would be promoted.", examples=["sha-1234567"])
    artifact: str | None = Field(None, examples=["s3://payments-builds/sha-1234567.zip"])
    pinned: bool = Field(description="Whether the artifact names its very bytes.", examples=[True])
    template: str | None = Field(
        None, description="The source's template version.", examples=["web-service@1.2"]
    )
    targets: list[PlannedTarget] = Field(description="In the order of the request.")
