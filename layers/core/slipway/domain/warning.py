"""Warnings about a template, as versions and plans show them."""

from __future__ import annotations

from pydantic import Field

from slipway.domain.fields import ResponseModel

# The codes of warnings about a template. docs/templates.md explains each.
WARNINGS = (
    "key_ends_at_slash",
    "name_not_taken",
    "name_too_long",
    "no_service_timeout",
    "parameter_not_used",
    "repeated_key",
    "takes_no_version",
    "value_may_not_fit",
)


class TemplateWarning(ResponseModel):
    """Something that the template may contain, and that will fail or do nothing later."""

    pointer: str = Field(
        description="A JSON pointer into the template.", examples=["#/Parameters/Version"]
    )
    code: str = Field(
        description="Stable, for programs: " + ", ".join(f"`{code}`" for code in WARNINGS),
        examples=["parameter_not_used"],
    )
    detail: str = Field(
        examples=["nothing refers to it, so a deployment with another Version changes nothing"]
    )
