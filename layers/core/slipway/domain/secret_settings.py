"""Secrets as the API takes and shows them: never with their values, but to reveal one."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from slipway.domain.author import Author
from slipway.domain.configuration import Source
from slipway.domain.configuration_rules import LONGEST_VALUE
from slipway.domain.fields import RequestModel, ResponseModel
from slipway.domain.timestamps import Moment

_LONGEST_SOURCE = 2048


class NewSecret(RequestModel):
    """The value of a secret, or where to copy it from: exactly one of the two."""

    value: str | None = Field(
        None,
        max_length=LONGEST_VALUE,
        description=f"The value, 1 to {LONGEST_VALUE} bytes. No answer but `reveal` shows it.",
        examples=["correct horse battery staple"],
    )
    from_: str | None = Field(
        None,
        alias="from",
        min_length=1,
        max_length=_LONGEST_SOURCE,
        description="The name or the ARN of a parameter, or the ARN of a secret of AWS Secrets "
        "Manager, whose value is copied now. The platform's operators allow prefixes.",
    )

    @model_validator(mode="after")
    def _one(self) -> NewSecret:
        if (self.value is None) == (self.from_ is None):
            raise ValueError("must have either value or from")
        return self

    def __repr_args__(self) -> Any:
        """Nothing, so that no log has the value."""
        return []


class Secret(ResponseModel):
    """A secret, without its value. `version` counts the values that its name has had."""

    name: str = Field(examples=["DATABASE_PASSWORD"])
    version: int = Field(examples=[2])
    source: Source = Field(examples=["environment"])
    from_: str | None = Field(
        None,
        alias="from",
        validation_alias="origin",
        description="Where the value was copied from; null if it was sent.",
    )
    updated_at: Moment = Field(validation_alias="at")
    updated_by: Author = Field(validation_alias="by")


class SecretChanged(Secret):
    """A secret that was set, and what its change has made."""

    configuration: int = Field(
        description="The number of the environment's newest configuration; of a project or a tier "
        "the version of its level.",
        examples=[5],
    )
    deployment_id: str | None = Field(
        None, description="The deployment that `apply=now` has queued, if it has queued one."
    )


class ConfigurationChanged(ResponseModel):
    """What a change has made."""

    configuration: int = Field(
        description="The number of the environment's newest configuration; of a project or a tier "
        "the version of its level.",
        examples=[6],
    )
    deployment_id: str | None = Field(
        None, description="The deployment that `apply=now` has queued, if it has queued one."
    )


class Revealed(ResponseModel):
    """The value of a secret. It is in no log, event or stored answer."""

    name: str = Field(examples=["DATABASE_PASSWORD"])
    version: int = Field(examples=[2])
    value: str = Field(examples=["correct horse battery staple"])

    def __repr_args__(self) -> Any:
        """Nothing, so that no log has the value."""
        return []
