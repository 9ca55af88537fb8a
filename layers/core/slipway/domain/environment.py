"""Environments: where versions run, for a limited time or permanently.

    provisioning ─► running ─► (expiring ─►) tearing_down ─► destroyed
         │             ▲                          │
         └─► failed    └── base_url appears       └─► teardown_failed

From `expiring` on, an environment never runs again. A failed teardown is retried or forced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from slipway.domain import timestamps
from slipway.domain.author import MADE_BY, Author
from slipway.domain.fields import (
    ExternalId,
    Hours,
    Line,
    LogicalId,
    Name,
    QueryModel,
    RequestModel,
    ResponseModel,
    external_id_fault,
)
from slipway.domain.labels import Labels, LabelsPatch
from slipway.domain.resent import Resent
from slipway.domain.rights import Tier, default_tier
from slipway.domain.timestamps import Moment
from slipway.errors import FieldError, Invalid

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

DEFAULT_TTL_HOURS = 24
MAX_CONFIG_BYTES = 16_384
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


class NewEnvironment(Resent):
    name: Name = Field(examples=["preview-pr-123"])
    type: Literal["ephemeral", "persistent"] = Field(examples=["ephemeral"])
    tier: Tier | None = Field(
        None,
        description="What it is for. Roles can differ by tier. `preview` for ephemeral and "
        "`production` for persistent environments if omitted.",
        examples=["preview"],
    )
    protected: bool = Field(
        False,
        description="Whether it is deleted only by a maintainer who sends its name in `X-Confirm`. "
        "Its lease still ends it.",
    )
    ttl_hours: Hours | None = Field(
        None,
        description="Only for `ephemeral`. Can be a fraction (0.5 is half an hour). "
        f"{DEFAULT_TTL_HOURS} if omitted, unless the project's policy sets a default.",
        examples=[24],
    )
    external_id: ExternalId | None = Field(
        None,
        description="The caller's own name for it, such as a branch, unique in the project until "
        "it is destroyed.",
        min_length=1,
        max_length=255,
        examples=["github:acme:payments:123"],
    )
    on_conflict: OnConflict = Field(
        "queue",
        description="The default `on_conflict` of its deployments. `supersede` suits previews.",
    )
    config: dict[str, JsonValue] | None = Field(
        None,
        description=f"Any configuration, at most {MAX_CONFIG_BYTES} bytes.",
        examples=[{"region": "eu-central-1"}],
    )
    labels: Labels = Field(default_factory=dict)
    template: Line | None = Field(
        None,
        description="The template: `name@1.2`, `name@1` for the newest minor version, or `name` "
        "for the newest version. The environment is simulated if omitted.",
        examples=["web-service@1"],
    )
    inputs: dict[str, JsonValue] | None = Field(
        None,
        description="Values for the template's parameters.",
        examples=[{"Size": "small"}],
    )

    @property
    def tier_or_default(self) -> Tier:
        """The tier, that of the type if it is omitted."""
        return self.tier or default_tier(self.type)

    @field_validator("inputs")
    @classmethod
    def _only_templates_take_inputs(
        cls, inputs: dict[str, Any] | None, info: ValidationInfo
    ) -> dict[str, Any] | None:
        # A refused template is missing from the data.
        if inputs is not None and info.data.get("template", "") is None:
            raise ValueError("is only allowed together with template")
        return inputs

    @field_validator("ttl_hours")
    @classmethod
    def _only_the_ephemeral_expire(cls, hours: float | None, info: ValidationInfo) -> float | None:
        if hours is not None and info.data.get("type") == "persistent":
            raise ValueError("is only allowed for ephemeral environments")
        return hours

    def known_as(self, external_id: str) -> Self:
        """A copy with this external id. Raises Invalid if it is malformed or not the body's."""
        if fault := external_id_fault(external_id):
            raise Invalid([FieldError("external_id", fault)])
        if self.external_id not in (None, external_id):
            raise Invalid([FieldError("#/external_id", "must be that of the path, or omitted")])
        return self.model_copy(update={"external_id": external_id})

    def lifetime_hours(self, at_most: float, default: float = DEFAULT_TTL_HOURS) -> float | None:
        """The time to live in hours, `default` if omitted; None if it never expires.

        Raises Invalid for more than `at_most` hours.
        """
        if self.type == "persistent":
            return None
        hours = min(default, at_most) if self.ttl_hours is None else self.ttl_hours
        if hours > at_most:
            raise Invalid([FieldError("#/ttl_hours", f"must be at most {at_most:g}")])
        return int(hours) if float(hours).is_integer() else hours

    def config_json(self) -> str | None:
        """The configuration as JSON. Raises Invalid if it is too large."""
        return config_json(self.config)


def config_json(config: Mapping[str, Any] | None) -> str | None:
    """A configuration as JSON. Raises Invalid if it is too large."""
    if config is None:
        return None
    try:
        text = json.dumps(config, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        detail = "contains a number that is too large"
        raise Invalid([FieldError("#/config", detail)]) from None
    if len(text.encode()) > MAX_CONFIG_BYTES:
        raise Invalid([FieldError("#/config", f"must be at most {MAX_CONFIG_BYTES} bytes")])
    return text


class EnvironmentChange(Resent):
    """Omitted fields keep their values. `null` clears `config` and `labels`."""

    instead: ClassVar[Mapping[str, str]] = {
        "ttl_hours": "send POST …/extend",
        "expires_at": "send POST …/extend",
        "pinned": "send POST …/pin or …/unpin",
        "template": "send POST …/update",
        "inputs": "send POST …/update",
    }

    name: Name | None = Field(
        None,
        description="A new name. The stack keeps the one with which it was created.",
        examples=["preview-checkout"],
    )
    on_conflict: OnConflict | None = Field(
        None, description="The default for deployments from now on.", examples=["supersede"]
    )
    config: dict[str, JsonValue] | None = Field(
        None,
        description="Merged into the configuration (RFC 7396): omitted fields stay, `null` removes "
        f"one. At most {MAX_CONFIG_BYTES} bytes in all.",
        examples=[{"region": "eu-central-1"}],
    )
    labels: LabelsPatch | None = None
    tier: Tier | None = Field(
        None, description="Needs the role in both tiers.", examples=["production"]
    )
    protected: bool | None = Field(
        None,
        description="`false` needs `X-Confirm: <its name>`.",
        examples=[True],
    )

    @field_validator("name", "on_conflict", "tier", "protected")
    @classmethod
    def _has_a_value(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("cannot be null: an environment always has one")
        return value

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"must have at least one of {names}")
        return self


class CreationMode(QueryModel):
    dry_run: bool = Field(
        False, strict=False, description="Answer 200 with the plan, and create nothing."
    )

    @property
    def is_dry_run(self) -> bool:
        return self.dry_run


class Extension(RequestModel):
    ttl_hours: Hours = Field(description="Counted from now.", examples=[4])


class Pinning(RequestModel):
    reason: Line = Field(examples=["demo on Friday"])


class Pin(ResponseModel):
    """Why, since when and by whom the environment is pinned."""

    reason: str = Field(examples=["demo on Friday"])
    at: Moment
    by: Author


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
    live_in_doubt: str | None = Field(
        None,
        description="A deployment that failed and could not be rolled back. The running version is "
        "uncertain until another deployment succeeds or is rolled back.",
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
    # Not shown: whether it is shown otherwise than it is stored, and a version that was lost.
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


class TeardownRetry(RequestModel):
    retain: list[LogicalId] = Field(
        [],
        max_length=200,
        description="The logical ids of resources that could not be deleted. They are left in "
        "place, and Slipway no longer manages them.",
        examples=[["Data"]],
    )


class EnvironmentDeletion(QueryModel):
    force: bool = Field(
        False,
        strict=False,
        description="Mark an environment whose teardown failed as destroyed, and record what "
        "remains.",
    )
