"""Configurations as the API shows them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.domain.author import Author
from slipway.domain.configuration import Difference
from slipway.domain.configuration_rules import NAME
from slipway.domain.fields import RequestModel, ResponseModel, matching
from slipway.domain.rights import Tier
from slipway.domain.secret_settings import Secret
from slipway.domain.timestamps import Moment
from slipway.domain.variables import Variable


class ConfigurationLine(ResponseModel):
    """One of the environment's configurations, without its content."""

    number: int = Field(examples=[5])
    at: Moment
    by: Author
    reason: str = Field(examples=["set LOG_LEVEL; removed DEBUG"])
    tier: Tier = Field(description="The environment's tier when it was made.")
    levels: dict[str, int] = Field(
        description="The versions of the levels that it was made of: `project`, the tier and "
        "`environment`.",
        examples=[{"project": 3, "production": 1, "environment": 5}],
    )
    restored: int | None = Field(
        None, description="The number of the configuration whose content it has again."
    )
    variables: int = Field(description="How many variables it has.", examples=[12])
    secrets: int = Field(description="How many secrets it has.", examples=[2])
    purged: list[str] = Field(
        default_factory=list,
        description="The names that were purged from it.",
        examples=[["OLD_PASSWORD"]],
    )


class Configuration(ResponseModel):
    """A configuration: all variables, and the secrets by name and version. It never changes, but
    names can be purged from it."""

    number: int = Field(examples=[5])
    at: Moment
    by: Author
    reason: str = Field(examples=["set LOG_LEVEL; removed DEBUG"])
    tier: Tier = Field(description="The environment's tier when it was made.")
    levels: dict[str, int] = Field(
        description="The versions of the levels that it was made of: `project`, the tier and "
        "`environment`.",
        examples=[{"project": 3, "production": 1, "environment": 5}],
    )
    restored: int | None = Field(
        None, description="The number of the configuration whose content it has again."
    )
    variables: list[Variable]
    secrets: list[Secret]
    purged: list[str] = Field(
        default_factory=list,
        description="The names that were purged from it.",
        examples=[["OLD_PASSWORD"]],
    )


class ConfigurationDifference(ResponseModel):
    """What becomes of a name from one configuration to another."""

    name: str = Field(examples=["LOG_LEVEL"])
    change: Difference = Field(examples=["changed"])
    kind: str = Field(
        description="What it is afterwards, or was: `variable` or `secret`.", examples=["variable"]
    )
    before: str | None = Field(
        None, description="The value before; null for a secret.", examples=["info"]
    )
    after: str | None = Field(
        None, description="The value after; null for a secret.", examples=["debug"]
    )


class Purging(RequestModel):
    """The name to purge."""

    name: Annotated[str, matching(NAME, "the name of a variable or a secret")] = Field(
        description="The value of this name is removed from the level and from all configurations.",
        examples=["OLD_PASSWORD"],
    )
