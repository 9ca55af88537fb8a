"""How two environments differ: what is live in them, and what they are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import ResponseModel
from slipway.domain.timestamps import Moment

Kind = Literal["variable", "secret"]


class DiffSide(ResponseModel):
    """One of the two environments."""

    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    name: str = Field(examples=["staging"])
    version: str | None = Field(None, description="What is live.", examples=["sha-1234567"])
    artifact: str | None = Field(None, examples=["s3://payments-builds/sha-1234567.zip"])
    template: str | None = Field(
        None, description="Its template version.", examples=["web-service@1.2"]
    )
    in_doubt: bool = Field(
        False, description="Whether a failed deployment may have left something else."
    )
    drift: Literal["not_checked", "in_sync", "drifted", "failed"] | None = Field(
        None, description="Of the last drift detection; null if it is no stack."
    )
    drift_checked_at: Moment | None = Field(None, description="When its drift was detected last.")


class DiffInput(ResponseModel):
    """One input in both. `null` is the template's default, or no such input."""

    a: str | None = Field(None, description="In the first.", examples=["small"])
    b: str | None = Field(None, description="In the second.", examples=["large"])
    differs: bool | None = Field(
        description="Null if both are secrets, whose values are not compared."
    )


class DiffVariable(ResponseModel):
    """One variable or secret in both. Values are not shown."""

    a: Kind | None = Field(None, description="What it is in the first; null if it is not there.")
    b: Kind | None = Field(None, description="What it is in the second; null if it is not there.")
    differs: bool | None = Field(
        description="Null if both have a secret of their own, whose values are not compared."
    )


class DiffResource(ResponseModel):
    """The types of a resource of this logical id in both; null if it is not there."""

    a: str | None = Field(None, description="In the first.", examples=["AWS::SQS::Queue"])
    b: str | None = Field(None, description="In the second.", examples=[None])


class EnvironmentDiff(ResponseModel):
    """How the second environment differs from the first. What is equal is left out."""

    a: DiffSide = Field(description="The first environment.")
    b: DiffSide = Field(description="The second environment.")
    differs: list[
        Literal["version", "artifact", "template", "inputs", "variables", "resources"]
    ] = Field(description="What differs.", examples=[["version", "inputs"]])
    inputs: dict[str, DiffInput] = Field(
        description="By name. Secrets are `****`.",
        examples=[{"Size": {"a": "small", "b": "large", "differs": True}}],
    )
    variables: dict[str, DiffVariable] = Field(
        description="By name, as the next deployment of each would have them.",
        examples=[{"LOG_LEVEL": {"a": "variable", "b": "variable", "differs": True}}],
    )
    resources: dict[str, DiffResource] = Field(description="By logical id.", examples=[{}])
