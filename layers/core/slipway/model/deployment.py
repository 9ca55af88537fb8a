"""Deployments: a version on its way into an environment.

pending ─► running ─► succeeded
   │          ├─► failed
   └─► canceled ◄┘        (its environment failed or went away)
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from slipway.model.environment import Failure
from slipway.model.fields import Shown, Wanted, matching
from slipway.model.moments import Moment

Status = Literal["pending", "running", "succeeded", "failed", "canceled"]

CAN_BECOME: dict[Status, frozenset[Status]] = {
    "pending": frozenset({"running", "canceled"}),
    "running": frozenset({"succeeded", "failed", "canceled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "canceled": frozenset(),
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


class NewDeployment(Wanted):
    version: Version = Field(examples=["sha-1234567"])


class Deployment(Shown):
    id: str = Field(examples=["dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    version: str = Field(examples=["sha-1234567"])
    status: Status
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
