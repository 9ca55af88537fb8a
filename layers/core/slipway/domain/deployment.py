"""Deployments: a version, or an update of the environment itself, on its way into it.

    pending ─► running ─► succeeded
       │          ├─► rolled_back   it failed, and what was live before is live again
       ├──────────┼─► failed        so did this, and nothing was live, or is not known to be
       ├──────────┴─► canceled      somebody stopped it, or its environment failed or went away
       └─► superseded               a newer one took its place in the queue

What to do if another deployment runs or waits (`on_conflict`):

    queue            wait behind it
    supersede        take the place of those that wait; one that runs ends first
    cancel_running   the same, and ask the one that runs to stop
    reject           do not accept this one

An update waits or is not accepted. It is never superseded, nor asked to stop for another: no
version that comes later has in it what the update was to change.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from slipway.domain import timestamps
from slipway.domain.environment import Failure, OnConflict
from slipway.domain.fields import Shown, Wanted, matching
from slipway.domain.timestamps import Moment

Status = Literal[
    "pending", "running", "succeeded", "rolled_back", "failed", "canceled", "superseded"
]

# The parameters of a template whose values each deployment brings.
BROUGHT = frozenset({"Version", "Artifact"})

CAN_BECOME: dict[Status, frozenset[Status]] = {
    "pending": frozenset({"running", "failed", "canceled", "superseded"}),
    "running": frozenset({"succeeded", "rolled_back", "failed", "canceled"}),
    "succeeded": frozenset(),
    "rolled_back": frozenset(),
    "failed": frozenset(),
    "canceled": frozenset(),
    "superseded": frozenset(),
}

Version = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    # registry.example.com:5000/team/name:tag@sha256:digest is the longest form.
    matching(
        r"(?a:\w[\w.+/-]*(:\w[\w./-]*){0,2}(@[a-z0-9]+:[a-f0-9]{32,})?)",
        "a git SHA, a tag or an image reference",
    ),
]


Artifact = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    matching(
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[!-~]+|"
        r"(?a:[a-z0-9][\w.-]*(:\d+)?(/[\w.-]+)+(:[\w.-]+)?(@[a-z0-9]+:[a-f0-9]{32,})?)",
        "an S3 object (s3://bucket/key) or an image reference (registry/name:tag)",
    ),
]


class NewDeployment(Wanted):
    version: Version = Field(examples=["sha-1234567"])
    artifact: Artifact | None = Field(
        None,
        description="What the version is made of, an S3 object or an image reference, for the "
        "template's parameter `Artifact`.",
        examples=["s3://payments-builds/sha-1234567.zip"],
    )
    on_conflict: OnConflict | None = Field(
        None,
        description="If another deployment runs or waits: wait behind it (`queue`), take the "
        "place of those that wait (`supersede`), that and ask the one that runs to stop "
        "(`cancel_running`), or do not accept this one (`reject`). The environment's own if "
        "left out.",
        examples=["queue"],
    )
    sequence: int | None = Field(
        None,
        ge=0,
        le=2**53,
        description="Grows with the age of the version, such as a pipeline's number: a lower one "
        "than what is live or ahead in the queue is refused.",
        examples=[1042],
    )
    committed_at: Moment | None = Field(
        None,
        strict=False,
        description="Instead of `sequence`: when the version was committed.",
    )
    allow_outdated: bool = Field(False, description="Ship it even if something newer is live.")

    @field_validator("committed_at", mode="before")
    @classmethod
    def _is_written_as_a_moment(cls, at: Any) -> Any:
        # A number, also as a text, would be read as the seconds since 1970.
        written = isinstance(at, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]", at, re.ASCII)
        if at is not None and not written and not isinstance(at, datetime):
            raise ValueError("must be a date and a time, like 2026-11-23T01:02:03Z")
        return at

    @field_validator("committed_at")
    @classmethod
    def _one_order(cls, at: datetime | None, info: ValidationInfo) -> datetime | None:
        if at is not None and info.data.get("sequence") is not None:
            raise ValueError("cannot be sent together with sequence")
        if at is not None and at.tzinfo is None:
            raise ValueError("must have a time zone")
        if at is not None and not 1970 <= at.year < 9999:
            raise ValueError("must be between the years 1970 and 9998")
        return at

    @property
    def order(self) -> int | str | None:
        """What tells newer from older: numbers are compared with numbers, moments with moments."""
        return timestamps.written(self.committed_at) if self.committed_at else self.sequence


def is_outdated(order: int | str | None, by: int | str | None) -> bool:
    """Whether a version of this order is older than one of the other; unknown is not."""
    if isinstance(order, int) and isinstance(by, int):
        return order < by
    return isinstance(order, str) and isinstance(by, str) and order < by


class Deployment(Shown):
    id: str = Field(examples=["dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    version: str | None = Field(
        None,
        description="Of an update: the one that was live when it began.",
        examples=["sha-1234567"],
    )
    artifact: str | None = Field(None, examples=["s3://payments-builds/sha-1234567.zip"])
    template: str | None = Field(
        None,
        description="Of an update: the version of the template that it brings.",
        examples=["web-service@1.3"],
    )
    inputs: dict[str, Any] | None = Field(
        None,
        description="Of an update: the inputs that it changes; secrets as `****`.",
        examples=[{"Size": "large"}],
    )
    status: Status
    on_conflict: OnConflict = "queue"
    sequence: int | None = Field(None, examples=[1042])
    committed_at: Moment | None = None
    superseded_by: str | None = Field(None, description="The deployment that took its place.")
    cancel_requested_at: Moment | None = None
    logs_url: str = Field(description="The rollout's own lines, as they are written.")
    failure: Failure | None = None
    created_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    execution_arn: str = Field(description="The Step Functions execution that carries it out.")
    execution_url: str | None = Field(None, description="The same in the AWS console.")

    def seen_from(self, base: str) -> Self:
        return self.model_copy(update={"logs_url": base + self.logs_url})


class LogLine(Shown):
    ts: Moment
    step: str = Field(examples=["ship"])
    level: Literal["info", "warning", "error"]
    message: str = Field(examples=["sha-1234567 is live"])
