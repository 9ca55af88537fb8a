"""Projects: what a team ships."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from slipway.domain.fields import (
    Hours,
    HoursBefore,
    Name,
    QueryModel,
    RepoUrl,
    RequestModel,
    ResponseModel,
    Text,
)
from slipway.domain.labels import Labels, LabelsPatch
from slipway.domain.resent import Resent
from slipway.domain.timestamps import Moment
from slipway.errors import FieldError, Invalid

Status = Literal["active", "deleting"]


class Policy(RequestModel):
    """How long the project's ephemeral environments live. Applies to new environments."""

    default_ttl_hours: Hours | None = Field(
        None, description="The default time to live.", examples=[24]
    )
    max_ttl_hours: Hours | None = Field(
        None,
        description="Counted from creation, including extensions. At most the platform's maximum.",
        examples=[72],
    )
    expiry_mode: Literal["absolute", "idle"] = Field(
        "absolute",
        description="`idle`: each successful deployment and each touch restarts the time.",
    )
    warn_before_hours: list[HoursBefore] = Field(
        [],
        max_length=5,
        description="How long before the end to warn, with one event each. Can be fractions.",
        examples=[[48, 2, 0.5]],
    )

    @field_validator("max_ttl_hours")
    @classmethod
    def _fits_the_default(cls, most: float | None, info: ValidationInfo) -> float | None:
        default = info.data.get("default_ttl_hours")
        if most is not None and default is not None and default > most:
            raise ValueError("must not be less than default_ttl_hours")
        return most

    @field_validator("warn_before_hours")
    @classmethod
    def _are_distinct(cls, hours: list[float]) -> list[float]:
        if len(set(hours)) < len(hours):
            raise ValueError("must be distinct")
        return hours

    def most_hours(self, at_most: float) -> float:
        """The project's maximum. Raises Invalid if it exceeds the platform's."""
        for name, hours in (("default", self.default_ttl_hours), ("max", self.max_ttl_hours)):
            if hours is not None and hours > at_most:
                detail = f"must be at most {at_most:g}"
                raise Invalid([FieldError(f"#/policy/{name}_ttl_hours", detail)])
        return self.max_ttl_hours or at_most


class NewProject(RequestModel):
    name: Name = Field(examples=["payments"])
    description: Text | None = Field(None, examples=["payment service"])
    repo_url: RepoUrl | None = Field(None, examples=["https://github.com/acme/payments"])
    labels: Labels = Field(default_factory=dict)
    policy: Policy | None = None


class ProjectChange(Resent):
    """Omitted fields keep their values; `null` clears an optional field."""

    name: Name | None = Field(None, examples=["payments"])
    description: Text | None = Field(None, examples=["takes the money"])
    repo_url: RepoUrl | None = Field(None, examples=["https://github.com/acme/payments"])
    labels: LabelsPatch | None = None
    policy: Policy | None = None

    @field_validator("name")
    @classmethod
    def _has_a_name(cls, name: str | None) -> str | None:
        if name is None:
            raise ValueError("cannot be null: a project always has a name")
        return name

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(
                "must have at least one of name, description, repo_url, labels, policy"
            )
        return self


class ProjectDeletion(QueryModel):
    cascade: bool = Field(
        False, strict=False, description="Tear down the project's environments first."
    )


class Project(ResponseModel):
    id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    name: str = Field(examples=["payments"])
    description: str | None = Field(None, examples=["payment service"])
    repo_url: str | None = Field(None, examples=["https://github.com/acme/payments"])
    labels: dict[str, str] = Field(default_factory=dict, examples=[{"team": "payments"}])
    policy: Policy | None = None
    status: Status = Field("active", description="`deleting` while its environments are torn down.")
    created_at: Moment
    updated_at: Moment
    version: int = Field(description="Increases with every change. Also the ETag.")

    @property
    def location(self) -> str:
        return f"/api/v1/projects/{self.id}"
