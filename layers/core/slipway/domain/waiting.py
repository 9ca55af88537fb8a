"""The goals that a request can wait for, besides a change: the query `wait_for`."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from slipway.domain import deployment, environment
from slipway.domain.deployment import VERSION
from slipway.domain.fields import QueryModel, matching

_ENVIRONMENTS = get_args(environment.Status)
_DEPLOYMENTS = (*get_args(deployment.Status), "ended")
_IS_ENVIRONMENTS = matching(
    f"{'|'.join(_ENVIRONMENTS)}|version:(?=.{{1,100}}$){VERSION}",
    f"one of {', '.join(_ENVIRONMENTS)} or version:<a version>",
)
_IS_DEPLOYMENTS = matching("|".join(_DEPLOYMENTS), f"one of {', '.join(_DEPLOYMENTS)}")


class EnvironmentWait(QueryModel):
    wait_for: Annotated[str, _IS_ENVIRONMENTS] | None = Field(
        None,
        description="With `Prefer: wait`: answer when it has this status, or when this version is "
        "live, and at once if neither can be any more.",
        examples=["running", "version:sha-1234567"],
    )

    @property
    def version(self) -> str | None:
        """The version that is to become live, if it names one."""
        kind, _, version = (self.wait_for or "").partition(":")
        return version if kind == "version" else None


class DeploymentWait(QueryModel):
    wait_for: Annotated[str, _IS_DEPLOYMENTS] | None = Field(
        None,
        description="With `Prefer: wait`: answer when it has this status or has `ended`, and at "
        "once if neither can be any more.",
        examples=["succeeded", "ended"],
    )
