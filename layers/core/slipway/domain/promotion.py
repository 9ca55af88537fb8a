"""Promotions: what is live in one environment, deployed into others in one call.

A promotion takes the version, the artifact and the template version of its source. Each target
keeps its own inputs, variables and secrets. It is one transaction: either every target that takes
the deployment gets it, or nothing is made. A target that refuses it leaves the others alone.

    running ─► succeeded          every target
          ├──► partly_failed      some of the targets
          └──► failed             none
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, field_validator

from slipway.domain.author import MADE_BY, Author
from slipway.domain.environment import OnConflict
from slipway.domain.fields import Line, QueryModel, RequestModel, ResponseModel, matching
from slipway.domain.timestamps import Moment

# A transaction has 100 actions at most: six for each target, and some for all of them.
MOST_TARGETS = 12
# A registry's digest, or the version of an S3 object, names the very bytes.
_PINNED = re.compile(r".*@[a-z0-9]+:[a-f0-9]{32,}|s3://.*\?versionId=[^?&#=]+")

Status = Literal["running", "succeeded", "partly_failed", "failed"]
TargetStatus = Literal[
    "pending",
    "running",
    "succeeded",
    "rolled_back",
    "failed",
    "canceled",
    "superseded",
    "refused",
]
UNFINISHED = frozenset({"pending", "running"})

_SOURCE = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"
_TARGET = "env_01kaq3h5x0c2m9f7r4tz_01kaq3m4s8q1x7k2v9ew"
_DEPLOYMENT = "dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"
_Id = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class NewPromotion(RequestModel):
    """What to promote, and where to."""

    source: _Id = Field(
        alias="from",
        description="The environment whose live version is promoted, or the deployment that is "
        "live in it.",
        examples=[_SOURCE],
    )
    to: list[_Id] = Field(
        min_length=1,
        max_length=MOST_TARGETS,
        description="The environments that get it, in the same project.",
        examples=[[_TARGET]],
    )
    template: bool = Field(
        True,
        description="Whether the targets get the source's template version, too. With `false` they "
        "keep theirs.",
    )
    allow_outdated: bool = Field(
        False, description="Deploy it even where a newer version is live or waits."
    )
    on_conflict: OnConflict | None = Field(
        None,
        description="What to do where another deployment is running or waiting. Each target's "
        "default if omitted.",
        examples=["queue"],
    )
    reason: Line | None = Field(
        None, description="Why, for people.", examples=["release of the week"]
    )

    @field_validator("to")
    @classmethod
    def _are_distinct(cls, targets: list[str]) -> list[str]:
        if len(set(targets)) < len(targets):
            raise ValueError("must not have an environment twice")
        return targets


class PromotionMode(QueryModel):
    dry_run: bool = Field(
        False, strict=False, description="Answer 200 with what would change, and change nothing."
    )

    @property
    def is_dry_run(self) -> bool:
        return self.dry_run


_GOALS = (*get_args(Status), "ended")


class PromotionWait(QueryModel):
    wait_for: Annotated[str, matching("|".join(_GOALS), f"one of {', '.join(_GOALS)}")] | None = (
        Field(
            None,
            description="With `Prefer: wait`: answer when it has this status or has `ended`, and "
            "at once if neither can be any more.",
            examples=["ended"],
        )
    )


class Source(ResponseModel):
    """Where a promotion comes from."""

    environment_id: str = Field(examples=[_SOURCE])
    environment_name: str = Field(
        description="The environment's name when it was promoted.", examples=["staging"]
    )
    deployment_id: str = Field(
        description="The deployment that was live in it.", examples=[_DEPLOYMENT]
    )


class Target(ResponseModel):
    """What came of a promotion in one environment."""

    environment_id: str = Field(examples=[_TARGET])
    environment_name: str = Field(
        description="The environment's name when it was promoted.", examples=["live-eu"]
    )
    deployment_id: str | None = Field(
        None, description="The deployment into it; null if it refused."
    )
    status: TargetStatus = Field(description="That of the deployment, or `refused`.")
    code: str | None = Field(
        None,
        description="The code of the refusal, as of the error of a deployment.",
        examples=[None],
    )
    reason: str | None = Field(
        None, description="Why it was refused, or how the deployment ended.", examples=[None]
    )


class Promotion(ResponseModel):
    """One call that deploys what is live in one environment into others."""

    id: str = Field(examples=["pro_01kaq3h5x0c2m9f7r4tz_01kaq3n5t0r3y9m4w1fx"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    status: Status = Field(description="Follows from those of the targets.")
    source: Source = Field(alias="from", description="Where it comes from.")
    version: str = Field(description="What is promoted.", examples=["sha-1234567"])
    artifact: str | None = Field(None, examples=["s3://payments-builds/sha-1234567.zip"])
    pinned: bool = Field(
        False,
        description="Whether the artifact names its very bytes: by a digest, or by the version of "
        "an object.",
    )
    template: str | None = Field(
        None,
        description="The template version that the targets get; null if they keep theirs.",
        examples=["web-service@1.2"],
    )
    targets: list[Target] = Field(description="In the order of the request.")
    reason: str | None = Field(None, examples=["release of the week"])
    created_at: Moment
    created_by: Author = Field(validation_alias=MADE_BY)
    finished_at: Moment | None = None

    @property
    def location(self) -> str:
        return f"/api/v1/promotions/{self.id}"

    @property
    def is_final(self) -> bool:
        return self.finished_at is not None

    def may_become(self, goal: str) -> bool:
        if self.is_final:
            return False
        return goal == "ended" or self.status != goal


def is_pinned(artifact: str | None) -> bool:
    """Whether the artifact names its very bytes."""
    return artifact is not None and _PINNED.fullmatch(artifact) is not None


def status_of(targets: Iterable[str]) -> Status:
    """The status of a promotion whose targets have these statuses."""
    found = {*targets}
    if found & UNFINISHED:
        return "running"
    if found == {"succeeded"}:
        return "succeeded"
    return "partly_failed" if "succeeded" in found else "failed"
