"""Authors: who made something, as the API shows it."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field, model_validator

from slipway.domain.fields import ResponseModel
from slipway.domain.rights import Kind


class Author(ResponseModel):
    """Who did something: a user, a token or the workload of a project's trust.

    `name` is for people: the e-mail address of a user, or a token's name. Records of an earlier
    release have none.
    """

    id: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    kind: Kind = Field("user", examples=["user"])
    name: str | None = Field(None, examples=["ann@example.com"])

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_release(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value


# Records name the user whose rights it took, and since this release also who it was.
MADE_BY = AliasChoices("made_by", "created_by")
