"""History as the API shows it: events and the steps of a rollout."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, computed_field

from slipway.domain.author import Author
from slipway.domain.fields import ResponseModel
from slipway.domain.timestamps import Moment

Action = Literal[
    # An environment has a new state.
    "provisioning",
    "running",
    "failed",
    "expiring",
    "tearing_down",
    "teardown_failed",
    "destroyed",
    # On its way up and down.
    "stack_known",
    "outputs_changed",
    "released",
    "retry_planned",
    "retries_ended",
    "forgotten",
    # A person has changed its tier or its protection.
    "changed",
    # Its variables or secrets have changed: it has another configuration.
    "configured",
    # Its lease.
    "extended",
    "pinned",
    "unpinned",
    "expiry_warning",
    # What is live in it.
    "deployed",
    "updated",
    "live_in_doubt",
    "restored",
    "held",
    "hold_released",
    # A deployment has a new state.
    "deployment_pending",
    "deployment_running",
    "deployment_succeeded",
    "deployment_failed",
    "deployment_rolled_back",
    "deployment_canceled",
    "deployment_superseded",
]
"""The kinds of writes of an environment's or a deployment's record; docs/api.md explains each."""

DerivedAction = Literal["started", "repeated"]
"""These are only in the event, because they depend on the record before the write."""


class Event(ResponseModel):
    """`actor` is a user's id, a workflow, `ttl`, or the deployment that caused it."""

    id: str = Field(examples=["evt_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_2"])
    at: Moment
    subject: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    actor: str = Field(examples=["provision_environment"])
    by: Author | None = Field(
        None, description="The caller of the API who caused it; null if the platform did."
    )
    action: str = Field(examples=["running"])
    from_: str | None = Field(None, alias="from", examples=["provisioning"])
    to: str | None = Field(None, examples=["running"])
    reason: str | None = None


class Step(ResponseModel):
    """One state of the rollout's execution, once for each time it was entered."""

    step: str = Field(examples=["Ship"])
    entered_at: Moment
    left_at: Moment | None = None
    attempts: int = Field(examples=[1])
    error: str | None = None

    @computed_field(examples=[2.031])  # type: ignore[prop-decorator]
    @property
    def seconds(self) -> float | None:
        """How long it took."""
        if self.left_at is None:
            return None
        return round((self.left_at - self.entered_at).total_seconds(), 3)
