"""The filters of lists of a template's environments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from slipway.domain.environment_lists import EnvironmentFilters
from slipway.domain.fields import matching


class UseListing(EnvironmentFilters):
    """Which environments of a template to return. Destroyed ones only if they are asked for."""

    version: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=11),
            matching(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))?", "a version, such as 1 or 1.2"),
        ]
        | None
    ) = Field(None, description="The template's version: `1` or `1.2`.", examples=["1.2"])
