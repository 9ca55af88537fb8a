"""What callers send about environments: to create, change, extend, pin and delete them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from slipway.domain.environment import OnConflict
from slipway.domain.fields import (
    ExternalId,
    Hours,
    Line,
    LogicalId,
    Name,
    QueryModel,
    RequestModel,
    external_id_fault,
)
from slipway.domain.labels import Labels, LabelsPatch
from slipway.domain.resent import Resent
from slipway.domain.rights import Tier, default_tier
from slipway.errors import FieldError, Invalid

DEFAULT_TTL_HOURS = 24
MAX_CONFIG_BYTES = 16_384


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
