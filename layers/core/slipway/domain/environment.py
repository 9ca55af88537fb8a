"""Environments: where versions run, for a limited time or permanently.

    provisioning ─► running ─► (expiring ─►) tearing_down ─► destroyed
         │             ▲                          │
         └─► failed    └── base_url appears       └─► teardown_failed

From `expiring` on, an environment never runs again. A failed teardown is retried or forced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from slipway.domain import timestamps
from slipway.domain.author import MADE_BY, Author
from slipway.domain.fields import ResponseModel
from slipway.domain.rights import Tier
from slipway.domain.timestamps import Moment

Status = Literal[
    "provisioning",
    "running",
    "expiring",
    "tearing_down",
    "destroyed",
    "failed",
    "teardown_failed",
]

State = TypeVar("State", bound=str)

OnConflict = Literal["queue", "supersede", "cancel_running", "reject"]

CAN_BECOME: dict[Status, frozenset[Status]] = {
    "provisioning": frozenset({"running", "failed", "expiring", "tearing_down"}),
    "running": frozenset({"expiring", "tearing_down"}),
    "failed": frozenset({"expiring", "tearing_down"}),
    "expiring": frozenset({"tearing_down", "teardown_failed"}),
    "tearing_down": frozenset({"destroyed", "teardown_failed"}),
    "teardown_failed": frozenset({"tearing_down", "destroyed"}),
    "destroyed": frozenset(),
}

TAKES_DEPLOYMENTS: frozenset[Status] = frozenset({"provisioning", "running"})
GOING: frozenset[Status] = frozenset({"expiring", "tearing_down"})

# Shown in place of a secret.
MASK = "****"


def comes_from(to: Status) -> frozenset[Status]:
    """The states that can become `to`."""
    return frozenset(state for state, targets in CAN_BECOME.items() if to in targets)


def reachable(targets: Mapping[State, frozenset[State]], state: State) -> set[State]:
    """The states that come after this one, by the states into which each can change."""
    found: set[State] = set()
    ahead = [state]
    while ahead:
        further = targets[ahead.pop()] - found
        found |= further
        ahead += further
    return found


def seen_version(record: Mapping[str, Any], moment: datetime) -> int | str:
    """The version of a record as the ETag has it at this moment.

    An overdue environment is shown as another one without a write, and so has another ETag.
    """
    version: int = record["version"]
    ends = record.get("expires_at")
    is_over = ends is not None and ends <= timestamps.written(moment)
    if is_over and record.get("status") in comes_from("expiring"):
        return f"{version}-overdue"
    return version


def warnings(ends: datetime, hours_before: Iterable[float], now: datetime) -> list[datetime]:
    """The times of the warnings that are still to come, in order."""
    found = {timestamps.hours_after(ends, -hours) for hours in hours_before}
    return sorted(moment for moment in found if moment > now)


class Pin(ResponseModel):
    """Why, since when and by whom the environment is pinned."""

    reason: str = Field(examples=["demo on Friday"])
    at: Moment
    by: Author


class Hold(Pin):
    """Why, since when and by whose rollback machines may not deploy to the environment."""

    reason: str = Field(examples=["checkout answers 500"])
    by: Author = Field(description="Who asked for the rollback.")
    deployment_id: str = Field(
        description="The rollback.",
        examples=["dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"],
    )


class Failure(ResponseModel):
    """Why something failed: `error` is for programs, `reason` for people."""

    error: str = Field(examples=["DriverRefused"])
    reason: str
    step: str | None = Field(None, description="The state of the workflow that failed.")
    remaining_resources: list[str] | None = Field(
        None,
        description="Created resources that could not be removed, each with AWS's reason if it "
        "gave one. Not shown while a teardown is under way.",
        examples=[["stack: Vpc (AWS::EC2::VPC, vpc-1): The vpc has dependencies"]],
    )


class Configured(ResponseModel):
    """Which configuration an environment runs with, by number."""

    live: int = Field(
        0, description="The configuration of what runs, 0 if it has none.", examples=[4]
    )
    pending: int | None = Field(
        None,
        description="The configuration that the next deployment will bring, if it is another one. "
        "Only reading an environment considers changes of its project and its tier.",
        examples=[5],
    )


class Environment(ResponseModel):
    id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    name: str = Field(examples=["preview-pr-123"])
    type: Literal["ephemeral", "persistent"]
    tier: Tier
    protected: bool = Field(
        False, description="Whether deleting it needs a maintainer and `X-Confirm: <its name>`."
    )
    status: Status
    ttl_hours: int | float | None = Field(None, examples=[24])
    expires_at: Moment | None = Field(None, description="Only for an ephemeral environment.")
    max_expires_at: Moment | None = Field(
        None, description="The latest time to which the lease can be extended."
    )
    expiry_mode: Literal["absolute", "idle"] | None = None
    next_warning_at: Moment | None = Field(
        None, description="When the next event warns of the end, by the project's policy."
    )
    pinned: Pin | None = Field(
        None, description="Set while it is pinned. A pinned environment does not expire."
    )
    base_url: str | None = Field(None, description="Its URL, once it is running.")
    external_id: str | None = Field(None, examples=["github:acme:payments:123"])
    on_conflict: OnConflict = "queue"
    config: dict[str, Any] | None = None
    configuration: Configured = Field(
        default_factory=Configured, description="Its variables and secrets, as versions."
    )
    labels: dict[str, str] = Field(default_factory=dict, examples=[{"team": "payments"}])
    template: str | None = Field(
        None, description="Its template version.", examples=["web-service@1.2"]
    )
    inputs: dict[str, str] | None = Field(None, description="Its inputs. Secrets are `****`.")
    outputs: dict[str, str] | None = Field(None, description="The outputs of its stack.")
    stack_id: str | None = Field(
        None, description="Its CloudFormation stack, also after that is deleted."
    )
    live_version: str | None = Field(
        None, description="The version that was last deployed successfully."
    )
    live_artifact: str | None = Field(None, description="The artifact of that version.")
    live_deployment_id: str | None = None
    live_since: Moment | None = Field(None, description="Since when that deployment is live.")
    live_by: Author | None = Field(None, description="Who asked for that deployment.")
    live_in_doubt: str | None = Field(
        None,
        description="A deployment that failed and could not be rolled back. The running version is "
        "uncertain until another deployment succeeds or is rolled back.",
    )
    hold: Hold | None = Field(
        None,
        description="Set by a rollback: tokens and workloads cannot deploy until a person "
        "releases it.",
    )
    failure: Failure | None = None
    teardown_attempts: int | None = Field(None, description="How many teardowns were attempted.")
    next_retry_at: Moment | None = Field(
        None,
        description="When a failed teardown will be retried. Null once it was retried for 24 "
        "hours: then somebody must retry or force it.",
    )
    retained_resources: list[str] | None = Field(
        None,
        description="Resources that are left in place when its stack is deleted.",
        examples=[["Data (AWS::S3::Bucket, data-1)"]],
    )
    forgotten: bool | None = Field(
        None, description="Whether it was marked as destroyed although resources remain."
    )
    created_at: Moment
    created_by: Author = Field(validation_alias=MADE_BY)
    updated_at: Moment
    destroyed_at: Moment | None = None
    execution_arn: str = Field(description="The Step Functions execution that works on it.")
    execution_url: str | None = Field(None, description="The execution in the AWS console.")
    version: int = Field(description="Increases with every change. Also the ETag.")
    # Not shown: the versions of the levels above that its configuration does not have yet, whether
    # it is shown otherwise than it is stored, and a version that was lost.
    ahead: SkipJsonSchema[str | None] = Field(None, exclude=True)
    overdue: SkipJsonSchema[bool] = Field(False, exclude=True)
    given_up: SkipJsonSchema[str | None] = Field(None, exclude=True)

    @property
    def location(self) -> str:
        return f"/api/v1/environments/{self.id}"

    @property
    def is_final(self) -> bool:
        return self.status == "destroyed"

    def may_become(self, goal: str) -> bool:
        kind, _, version = goal.partition(":")
        if kind == "version":
            is_live = self.live_version == version and not self.live_in_doubt
            return self.status in TAKES_DEPLOYMENTS and not is_live and self.given_up != version
        return self.status != goal and goal in reachable(CAN_BECOME, self.status)

    def as_seen_at(self, moment: datetime) -> Self:
        """A copy in which an overdue environment is `expiring`."""
        if self.expires_at and self.expires_at <= moment and "expiring" in CAN_BECOME[self.status]:
            shown = {"status": "expiring", "next_warning_at": None, "overdue": True}
            return self.model_copy(update=shown)
        return self


class Resource(ResponseModel):
    """One resource of the environment's stack, as CloudFormation reports it."""

    logical_id: str = Field(examples=["Jobs"])
    type: str = Field(examples=["AWS::SQS::Queue"])
    physical_id: str | None = Field(None, description="Missing until the resource exists.")
    status: str = Field(examples=["CREATE_COMPLETE"])
    reason: str | None = Field(None, description="Why it is in this state.")
    updated_at: Moment


def is_overdue(record: Mapping[str, Any], moment: datetime) -> bool:
    """Whether the environment of the record is shown as `expiring`, whatever its status says."""
    ends, states = record.get("expires_at"), CAN_BECOME[record["status"]]
    return ends is not None and ends <= timestamps.written(moment) and "expiring" in states


def workflow_of(status: Status) -> str:
    """The state machine that works on an environment in this state, or did last."""
    going = {"tearing_down", "destroyed", "teardown_failed"}
    return "retire_environment" if status in going else "provision_environment"
