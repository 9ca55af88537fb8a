"""Projects: what a team ships."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from slipway.model.fields import Name, RepoUrl, Shown, Text, Wanted
from slipway.model.moments import Moment

Status = Literal["active", "deleting"]


class NewProject(Wanted):
    name: Name = Field(examples=["payments"])
    description: Text | None = Field(None, examples=["payment service"])
    repo_url: RepoUrl | None = Field(None, examples=["https://github.com/acme/payments"])


class ProjectChange(Wanted):
    """What is left out stays as it is; `null` empties an optional field."""

    name: Name | None = Field(None, examples=["payments"])
    description: Text | None = Field(None, examples=["takes the money"])
    repo_url: RepoUrl | None = Field(None, examples=["https://github.com/acme/payments"])

    @field_validator("name")
    @classmethod
    def _has_a_name(cls, name: str | None) -> str | None:
        if name is None:
            raise ValueError("cannot be null: a project always has a name")
        return name

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have at least one of name, description, repo_url")
        return self


class ProjectDeletion(Wanted):
    cascade: bool = Field(
        False, strict=False, description="Tear down the project's environments first."
    )


class Project(Shown):
    id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    name: str = Field(examples=["payments"])
    description: str | None = Field(None, examples=["payment service"])
    repo_url: str | None = Field(None, examples=["https://github.com/acme/payments"])
    status: Status = Field("active", description="`deleting` while its environments go.")
    created_at: Moment
    updated_at: Moment
    version: int = Field(description="Grows with every change; also the ETag.")
