"""Deployments: a version, or an update of the environment itself, on its way into it.

    pending ─► running ─► succeeded
       │          ├─► rolled_back   it failed, and the previous version is live again
       ├──────────┼─► failed        it failed, and nothing was live or could be restored
       ├──────────┴─► canceled      a user canceled it, or its environment failed or ended
       └─► superseded               a newer one replaced it in the queue

What to do if another deployment is running or waiting (`on_conflict`):

    queue            wait behind it
    supersede        replace the waiting ones; a running one ends first
    cancel_running   the same, and ask the running one to stop
    reject           refuse this one

An update, a rollback or a promotion is never superseded or asked to stop for a later version, which
does not contain its change. A rollback goes ahead of all that wait.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from slipway.domain import timestamps
from slipway.domain.author import MADE_BY, Author
from slipway.domain.environment import Failure, OnConflict, reachable
from slipway.domain.fields import RequestModel, ResponseModel, matching, without_references
from slipway.domain.labels import Labels
from slipway.domain.timestamps import Moment

Status = Literal[
    "pending", "running", "succeeded", "rolled_back", "failed", "canceled", "superseded"
]

# The causes of a deployment.
Trigger = Literal["api", "retry", "rollback", "update", "configuration", "promotion", "integration"]

# The template parameters that each deployment sets. The last three are the parts of the artifact.
BROUGHT = frozenset({"Version", "Artifact", "ArtifactBucket", "ArtifactKey", "ArtifactVersion"})
# SAM writes the version of an object so, at the end of its address.
_OBJECT = re.compile(r"s3://([^/]+)/(.+?)(?:\?versionId=([^?&#=]+))?")
# Their values before the first deployment, if the template has no default.
BEFORE_THE_FIRST: Mapping[str, str] = {**dict.fromkeys(BROUGHT, ""), "Version": "none"}

CAN_BECOME: dict[Status, frozenset[Status]] = {
    "pending": frozenset({"running", "failed", "canceled", "superseded"}),
    "running": frozenset({"succeeded", "rolled_back", "failed", "canceled"}),
    "succeeded": frozenset(),
    "rolled_back": frozenset(),
    "failed": frozenset(),
    "canceled": frozenset(),
    "superseded": frozenset(),
}

# registry.example.com:5000/team/name:tag@sha256:digest is the longest form.
VERSION = r"(?a:\w[\w.+/-]*(:\w[\w./-]*){0,2}(@[a-z0-9]+:[a-f0-9]{32,})?)"
Version = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    matching(VERSION, "a git SHA, a tag or an image reference"),
]


Artifact = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    matching(
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[!-~]+|"
        r"(?a:[a-z0-9][\w.-]*(:\d+)?(/[\w.-]+)+(:[\w.-]+)?(@[a-z0-9]+:[a-f0-9]{32,})?)",
        "an S3 object (s3://bucket/key) or an image reference (registry/name:tag)",
    ),
    AfterValidator(without_references),
]


class NewDeployment(RequestModel):
    version: Version = Field(examples=["sha-1234567"])
    artifact: Artifact | None = Field(
        None,
        description="The built code of the version, an S3 object (`s3://bucket/key`, perhaps with "
        "`?versionId=`) or an image reference. The value of the template's parameter `Artifact`; "
        "`ArtifactBucket`, `ArtifactKey` and `ArtifactVersion` are its parts.",
        examples=["s3://payments-builds/sha-1234567.zip"],
    )
    on_conflict: OnConflict | None = Field(
        None,
        description="What to do if another deployment is running or waiting: wait behind it "
        "(`queue`), replace the waiting ones (`supersede`), also ask the running one "
        "to stop (`cancel_running`), or refuse this one (`reject`). The environment's "
        "default if omitted.",
        examples=["queue"],
    )
    sequence: int | None = Field(
        None,
        ge=0,
        le=2**53,
        description="Orders versions, such as the number of a pipeline run. A lower number than "
        "that of the live or a queued deployment is refused.",
        examples=[1042],
    )
    committed_at: Moment | None = Field(
        None,
        strict=False,
        description="When the version was committed. An alternative to `sequence`.",
    )
    allow_outdated: bool = Field(False, description="Deploy it even if a newer version is live.")
    labels: Labels = Field(default_factory=dict)

    @field_validator("committed_at", mode="before")
    @classmethod
    def _is_written_as_a_moment(cls, at: Any) -> Any:
        # pydantic would read a number, even as text, as seconds since 1970.
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
        """The value that orders versions. Numbers compare with numbers, times with times."""
        return timestamps.written(self.committed_at) if self.committed_at else self.sequence


def brought(version: str | None, artifact: str | None) -> dict[str, str | None]:
    """The values of BROUGHT. An image has no bucket and key, an object perhaps no version."""
    found = _OBJECT.fullmatch(artifact or "")
    bucket, key, number = found.groups() if found else (None, None, None)
    return {
        "Version": version,
        "Artifact": artifact,
        "ArtifactBucket": bucket,
        "ArtifactKey": key,
        "ArtifactVersion": number,
    }


def artifact_fault(
    artifact: str | None,
    code_parameters: Collection[str],
    defaults: Collection[str],
    buckets: Collection[str],
) -> str | None:
    """Why the template's code cannot come from the artifact; None if it can, or does not.

    `code_parameters` are the template's parameters that name a bucket with code, and `defaults`
    those of BROUGHT that have a default.
    """
    code = BROUGHT.intersection(code_parameters)
    if not code or (artifact is None and code.issubset(defaults)):
        return None
    known = ", ".join(buckets) or "none"
    # An image, whose address has no scheme, must not pass for a bucket.
    if artifact is None or brought(None, artifact)["ArtifactBucket"] not in buckets:
        missing = "is required, because the template's code comes from it: it "
        detail = f"must be in a bucket that the stack's ArtifactBuckets lists ({known})"
        return detail if artifact else missing + detail
    return None


def is_outdated(order: int | str | None, by: int | str | None) -> bool:
    """Whether the first order is older than the second. False if they cannot be compared."""
    if isinstance(order, int) and isinstance(by, int):
        return order < by
    return isinstance(order, str) and isinstance(by, str) and order < by


class Deployment(ResponseModel):
    id: str = Field(examples=["dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    environment_name: str | None = Field(
        None,
        description="The environment's name when the deployment was created.",
        examples=["preview-pr-123"],
    )
    version: str | None = Field(
        None,
        description="What is deployed, as the team calls it; it is not the ETag. For an update, "
        "the version that was live when it began.",
        examples=["sha-1234567"],
    )
    artifact: str | None = Field(None, examples=["s3://payments-builds/sha-1234567.zip"])
    template: str | None = Field(
        None,
        description="For an update, a rollback or a promotion, the new template version.",
        examples=["web-service@1.3"],
    )
    inputs: dict[str, Any] | None = Field(
        None,
        description="For an update, the inputs that it changes; for a rollback or a promotion, "
        "all inputs. Secrets are `****`.",
        examples=[{"Size": "large"}],
    )
    configuration: int | None = Field(
        None,
        description="The number of the environment's configuration that it brings, 0 if there is "
        "none. Null before it begins, when that is decided.",
        examples=[5],
    )
    labels: dict[str, str] = Field(default_factory=dict, examples=[{"team": "payments"}])
    status: Status
    trigger: Trigger = Field(
        "api",
        description="What started it: a request for a version (`api`), for an `update` of the "
        "environment or its `configuration`, for a `retry`, a `rollback` or a `promotion`, or an "
        "`integration`.",
    )
    on_conflict: OnConflict = "queue"
    sequence: int | None = Field(None, examples=[1042])
    committed_at: Moment | None = None
    superseded_by: str | None = Field(None, description="The deployment that replaced it.")
    rolls_back_to: str | None = Field(
        None, description="For a rollback, the deployment whose state it restores."
    )
    promotion_id: str | None = Field(None, description="The promotion that it is a part of.")
    promoted_from: str | None = Field(
        None, description="For a promotion, the deployment that was live in the source."
    )
    reason: str | None = Field(
        None, description="Why somebody asked for the rollback or the promotion."
    )
    cancel_requested_at: Moment | None = None
    logs_url: str = Field(description="The rollout's log.")
    failure: Failure | None = None
    created_at: Moment
    created_by: Author = Field(validation_alias=MADE_BY)
    started_at: Moment | None = None
    finished_at: Moment | None = None
    execution_arn: str = Field(description="The Step Functions execution that carries it out.")
    execution_url: str | None = Field(None, description="The execution in the AWS console.")

    @property
    def location(self) -> str:
        return f"/api/v1/deployments/{self.id}"

    @property
    def is_final(self) -> bool:
        return self.finished_at is not None

    def may_become(self, goal: str) -> bool:
        if goal == "ended":
            return not self.is_final
        return self.status != goal and goal in reachable(CAN_BECOME, self.status)

    def with_absolute_urls(self, base: str) -> Self:
        return self.model_copy(update={"logs_url": base + self.logs_url})


class LogLine(ResponseModel):
    ts: Moment
    step: str = Field(examples=["ship"])
    level: Literal["info", "warning", "error"]
    message: str = Field(examples=["sha-1234567 is live"])
