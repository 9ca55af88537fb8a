"""Pipelines: the stages of a project, in the order in which versions are promoted.

A stage is a set of environments, such as `staging` or `production`. Its rules hold for promotions
(slipway.domain.promotion) out of it and into it; a deployment of a version does not ask them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from slipway.domain.author import Author
from slipway.domain.fields import Name, RequestModel, ResponseModel, normalised
from slipway.domain.resent import Resent
from slipway.domain.rights import Tier
from slipway.domain.timestamps import Moment

MOST_STAGES = 10
MOST_ENVIRONMENTS = 50
_MONTH = 30 * 24 * 60 * 60
_ENVIRONMENT = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"

EnvironmentText = Annotated[str, StringConstraints(min_length=1, max_length=80)]


def _whole(number: Any) -> Any:
    """60.0 is 60: not every client writes whole numbers as such."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Rules(RequestModel):
    """What a promotion out of a stage or into it needs."""

    min_soak: Annotated[int, BeforeValidator(_whole)] = Field(
        0,
        ge=0,
        le=_MONTH,
        description="For how many seconds the promoted version must have been live where it comes "
        "from.",
        examples=[3600],
    )


class Stage(RequestModel):
    """Environments that get the same versions, one after the stage before."""

    name: Name = Field(examples=["production"])
    environment_ids: list[EnvironmentText] = Field(
        default_factory=list,
        max_length=MOST_ENVIRONMENTS,
        description="The environments of the stage.",
        examples=[[_ENVIRONMENT]],
    )
    rules: Rules = Field(default_factory=Rules, description="What promotions need.")


class NewPipeline(Resent):
    """The whole pipeline; it replaces the one before."""

    stages: list[Stage] = Field(
        max_length=MOST_STAGES,
        description="In the order in which versions are promoted. Empty for no pipeline.",
    )

    @field_validator("stages")
    @classmethod
    def _are_distinct(cls, stages: list[Stage]) -> list[Stage]:
        names = [normalised(each.name) for each in stages]
        if len(set(names)) < len(names):
            raise ValueError("must have different names")
        environments = [each for stage in stages for each in stage.environment_ids]
        if len(set(environments)) < len(environments):
            raise ValueError("must not have an environment twice")
        if len(environments) > MOST_ENVIRONMENTS:
            raise ValueError(f"must have at most {MOST_ENVIRONMENTS} environments in all")
        return stages

    def numbered(self) -> list[dict[str, Any]]:
        """The stages as the record has them."""
        return [each.model_dump() for each in self.stages]


class Pipeline(ResponseModel):
    """A project's pipeline; without stages if it has none."""

    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    stages: list[Stage] = Field(description="In the order in which versions are promoted.")
    updated_at: Moment | None = None
    updated_by: Author | None = Field(None, description="Who changed it last.")
    version: int = Field(0, description="Increases with every change. Also the ETag.")


class Behind(ResponseModel):
    """How far an environment is behind the stage before its own."""

    environment_id: str = Field(
        description="The environment of the stage before that was last deployed to.",
        examples=[_ENVIRONMENT],
    )
    version: str | None = Field(None, description="What is live there.", examples=["sha-89abcde"])
    deployments: int | None = Field(
        None,
        description="How many deployments have gone live there since the version that is live "
        "here. Null if that is not among the last ten there.",
        examples=[2],
    )
    since: Moment | None = Field(None, description="Since when that version is live there.")


class StagedEnvironment(ResponseModel):
    """What is live in an environment of a stage."""

    environment_id: str = Field(examples=[_ENVIRONMENT])
    name: str = Field(examples=["live-eu"])
    tier: Tier
    status: str = Field(description="The environment's state.", examples=["running"])
    version: str | None = Field(None, description="What is live.", examples=["sha-1234567"])
    artifact: str | None = Field(None, examples=["s3://payments-builds/sha-1234567.zip"])
    template: str | None = Field(
        None, description="The environment's template version.", examples=["web-service@1.2"]
    )
    deployment_id: str | None = Field(
        None, description="The deployment that is live, which can be promoted."
    )
    since: Moment | None = Field(None, description="Since when it is live.")
    by: Author | None = Field(None, description="Who deployed it.")
    in_doubt: bool = Field(
        False, description="Whether a failed deployment may have left something else live."
    )
    behind: Behind | None = Field(
        None, description="Null if it has what the stage before has, and in the first stage."
    )


class StageState(ResponseModel):
    """A stage, and what is live in its environments."""

    name: str = Field(examples=["production"])
    rules: Rules = Field(description="What promotions out of it and into it need.")
    environments: list[StagedEnvironment] = Field(
        description="Those that are not destroyed, and that you may see."
    )
