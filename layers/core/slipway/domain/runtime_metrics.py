"""How an environment's own functions do: what CloudWatch counts of Lambda's invocations."""

from __future__ import annotations

from pydantic import Field

from slipway.domain.fields import LogicalId, QueryModel, ResponseModel
from slipway.domain.timestamps import Moment


class MetricsQuery(QueryModel):
    """What to measure."""

    deployments: int = Field(
        2,
        ge=1,
        le=5,
        strict=False,
        description="How many of the deployments that were live last.",
        examples=[2],
    )
    source: LogicalId | None = Field(
        None, description="The logical id of a function in the template.", examples=["Web"]
    )


class MinuteMetrics(ResponseModel):
    """What the functions did within a minute."""

    at: Moment = Field(description="When the minute began.")
    invocations: int = Field(description="How many invocations began.", examples=[120])
    errors: int = Field(description="How many of them ended with an error.", examples=[1])


class SourceMetrics(ResponseModel):
    """What one function did while a deployment was live."""

    source: str = Field(description="The function's logical id.", examples=["Web"])
    invocations: int = Field(description="How many invocations began.", examples=[7200])
    errors: int = Field(description="How many of them ended with an error.", examples=[12])
    duration_p50_ms: float | None = Field(description="The median of durations.", examples=[12.5])
    duration_p95_ms: float | None = Field(
        description="The duration that 95 of 100 invocations do not exceed.", examples=[80.0]
    )


class DeploymentMetrics(ResponseModel):
    """What the functions did while a deployment was live, within the newest 24 hours."""

    deployment_id: str = Field(description="The deployment that was live.")
    version: str | None = Field(description="Its version.", examples=["sha-1234567"])
    since: Moment = Field(description="When the first whole minute that is measured began.")
    until: Moment | None = Field(description="When another took its place; null if it is live.")
    measured_minutes: int = Field(
        description="How many minutes are measured. With 0, nothing is known yet.", examples=[60]
    )
    invocations: int = Field(description="Of all functions.", examples=[7200])
    errors: int = Field(description="Of all functions.", examples=[12])
    duration_p50_ms: float | None = Field(description="Of the slowest function.", examples=[12.5])
    duration_p95_ms: float | None = Field(description="Of the slowest function.", examples=[80.0])
    sources: list[SourceMetrics] = Field(description="Each function.")


class EnvironmentMetrics(ResponseModel):
    """How the functions of an environment do."""

    environment_id: str = Field(description="The environment.")
    minutes: list[MinuteMetrics] = Field(description="The newest fifteen minutes, oldest first.")
    deployments: list[DeploymentMetrics] = Field(
        description="The deployments that were live last, the newest first."
    )
