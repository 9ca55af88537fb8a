"""Drift as the API shows it. A module of its own, because few requests need it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import ResponseModel
from slipway.domain.timestamps import Moment


class Difference(ResponseModel):
    """One property that differs from the template."""

    path: str = Field(examples=["/VisibilityTimeout"])
    expected: str | None = Field(None, examples=["30"])
    actual: str | None = Field(None, examples=["5"])
    type: str = Field(description="ADD, REMOVE or NOT_EQUAL.", examples=["NOT_EQUAL"])


class ResourceDrift(ResponseModel):
    """One resource that was checked."""

    logical_id: str = Field(examples=["Jobs"])
    type: str = Field(examples=["AWS::SQS::Queue"])
    status: str = Field(
        description="IN_SYNC, MODIFIED, DELETED, or UNKNOWN if it could not be checked.",
        examples=["MODIFIED"],
    )
    reason: str | None = Field(None, description="Why it could not be checked.")
    differences: list[Difference] = Field(
        description="In an environment with secret inputs, all values are `****`."
    )


class StackDrift(ResponseModel):
    """Whether the stack matches its template or was changed by hand."""

    status: Literal["not_checked", "checking", "in_sync", "drifted", "failed"]
    checked_at: Moment | None = Field(None, description="When the stack was checked.")
    reason: str | None = Field(None, description="What could not be checked, and why.")
    resources: list[ResourceDrift] = Field(
        description="The checked resources, each as of its last check."
    )
