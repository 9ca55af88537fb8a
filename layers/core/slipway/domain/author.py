"""Authors: who made something, as the API shows it."""

from __future__ import annotations

from pydantic import Field

from slipway.domain.fields import ResponseModel
from slipway.domain.rights import Kind


class Author(ResponseModel):
    """Who made something. `name` is the e-mail address of a person, or a token's name."""

    id: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    kind: Kind = Field("user", examples=["user"])
    name: str | None = Field(None, examples=["ann@example.com"])
