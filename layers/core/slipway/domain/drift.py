"""What was changed by hand, as it is shown. Apart from the environment, for few ever ask."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.domain.fields import Shown
from slipway.domain.timestamps import Moment


class Difference(Shown):
    """One property that is not as the template says."""

    path: str = Field(examples=["/VisibilityTimeout"])
    expected: str | None = Field(None, examples=["30"])
    actual: str | None = Field(None, examples=["5"])
    type: str = Field(description="ADD, REMOVE or NOT_EQUAL.", examples=["NOT_EQUAL"])


class ResourceDrift(Shown):
    """One resource that was looked at."""

    logical_id: str = Field(examples=["Jobs"])
    type: str = Field(examples=["AWS::SQS::Queue"])
    status: str = Field(
        description="IN_SYNC, MODIFIED, DELETED, or UNKNOWN if it could not be looked at.",
        examples=["MODIFIED"],
    )
    reason: str | None = Field(None, description="Why it could not be looked at.")
    differences: list[Difference] = Field(
        description="Of an environment with secret inputs, the values are shown as `****`."
    )


class Drift(Shown):
    """Whether the stack is as its template says, or was changed by hand since."""

    status: Literal["not_checked", "checking", "in_sync", "drifted", "failed"]
    checked_at: Moment | None = Field(None, description="When that was looked at.")
    reason: str | None = Field(None, description="What could not be looked at, and why.")
    resources: list[ResourceDrift] = Field(
        description="Those that were looked at, the last time that each of them was."
    )
