"""Templates: what environments are made from, in versions that the platform team publishes.

    draft ─► published ─► deprecated

A draft may be replaced or deleted; what was published never changes. A version is `major.minor`:
a new minor fits those who use the one before, a new major may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints

from slipway.domain import environment
from slipway.domain.fields import Asked, Shown, Text, Wanted, matching
from slipway.domain.timestamps import Moment
from slipway.errors import FieldError, Invalid, NotFound

State = Literal["draft", "published", "deprecated"]
Standing = Literal["up_to_date", "behind_minor", "behind_major", "failed"]

# CloudFormation's own limit for a template that it reads from S3.
MAX_BYTES = 1_000_000
MEDIA = ("application/yaml", "application/x-yaml", "text/yaml", "application/json")

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
LAST_NUMBER = 99_999
_NUMBER = r"(0|[1-9][0-9]{0,4})"
_VERSION = rf"{_NUMBER}\.{_NUMBER}"


class Version(NamedTuple):
    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NotFound for what cannot be a version."""
        found = re.fullmatch(_VERSION, text, re.ASCII)
        if not found:
            raise NotFound("The template has no such version. Check the number.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Reference(NamedTuple):
    """What an environment asks for: `name@1.2`, `name@1` or `name`."""

    name: str
    major: int | None
    minor: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Invalid for what cannot name a template."""
        found = re.fullmatch(rf"({_NAME})(?:@{_NUMBER}(?:\.{_NUMBER})?)?", text, re.ASCII)
        if not found:
            detail = "must be name, name@1 or name@1.2"
            raise Invalid([FieldError("#/template", detail)])
        major, minor = (None if part is None else int(part) for part in found.groups()[1:])
        return cls(found[1], major, minor)

    @property
    def version(self) -> Version | None:
        """The one version that is meant, if it is named."""
        if self.major is None or self.minor is None:
            return None
        return Version(self.major, self.minor)


def named(name: str) -> str:
    """Raises NotFound for what cannot be a template's name."""
    if not re.fullmatch(_NAME, name):
        raise NotFound("There is no template with this name. Check the name.")
    return name


TemplateName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    matching(_NAME, "made of lower-case letters, digits and hyphens"),
]
VersionText = Annotated[str, matching(_VERSION, "a version like 1.2")]


class NewTemplate(Wanted):
    name: TemplateName = Field(examples=["web-service"])
    description: Text | None = Field(None, examples=["A web function with a table."])


class NewVersion(Asked):
    version: VersionText | None = Field(
        None, description="The next minor one if left out; the first is 1.0.", examples=["1.2"]
    )


class Template(Shown):
    name: str = Field(examples=["web-service"])
    description: str | None = Field(None, examples=["A web function with a table."])
    created_by: str = Field(description="Its owner.", examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    created_at: Moment
    updated_at: Moment
    version: int = Field(description="Grows with every change; also the ETag.")

    @property
    def location(self) -> str:
        return f"/api/v1/templates/{self.name}"


class Parameter(Shown):
    """One of the template's parameters, as CloudFormation has it: what can be put in."""

    name: str = Field(examples=["Size"])
    type: str = Field(examples=["String"])
    default: str | None = Field(None, examples=["small"])
    description: str | None = None
    no_echo: bool = Field(False, description="A secret: it is never shown.")
    allowed_values: list[str] | None = None
    allowed_pattern: str | None = None
    constraint_description: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_value: str | None = None
    max_value: str | None = None


class TemplateVersion(Shown):
    template: str = Field(examples=["web-service"])
    version: str = Field(examples=["1.2"])
    state: State
    sha256: str = Field(description="Of the body.")
    bytes: int = Field(examples=[2048])
    parameters: list[Parameter] = Field(description="What can be put in, and what it must be.")
    outputs: list[str] = Field(examples=[["Url"]])
    resources: dict[str, int] = Field(
        description="How many of each type.", examples=[{"AWS::SQS::Queue": 1}]
    )
    transforms: bool = Field(
        description="Whether the SAM transform makes more resources of these.", examples=[False]
    )
    created_by: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    created_at: Moment
    updated_at: Moment
    published_at: Moment | None = None
    deprecated_at: Moment | None = None

    @property
    def location(self) -> str:
        return f"/api/v1/templates/{self.template}/versions/{self.version}"

    @property
    def reference(self) -> str:
        return f"{self.template}@{self.version}"


class Usage(Shown):
    """The environments of a template against its newest published versions."""

    newest: str | None = Field(None, description="The newest published.", examples=["1.2"])
    up_to_date: int = 0
    behind_minor: int = 0
    behind_major: int = 0
    failed: int = Field(0, description="Failed to come up or to go, whatever their version.")


class Use(Shown):
    """One environment that was made from a template."""

    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    name: str = Field(examples=["preview-pr-123"])
    version: str = Field(description="Of the template.", examples=["1.2"])
    status: environment.Status
    standing: Standing


def not_allowed(types: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Those of the types of resources that none of the patterns allows (`AWS::Lambda::*`)."""
    patterns = [re.compile(re.escape(each).replace(r"\*", ".*")) for each in allowed]
    return [kind for kind in types if not any(each.fullmatch(kind) for each in patterns)]


def standing(used: Version, status: str, published: list[Version]) -> Standing:
    """How an environment of this version stands against those that are published."""
    if status in ("failed", "teardown_failed"):
        return "failed"
    newest = max(published, default=used)
    if newest.major > used.major:
        return "behind_major"
    if any(each.major == used.major and each.minor > used.minor for each in published):
        return "behind_minor"
    return "up_to_date"


def as_record(parameter: Parameter) -> dict[str, Any]:
    return parameter.model_dump(exclude_none=True)
