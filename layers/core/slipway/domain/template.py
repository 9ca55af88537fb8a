"""Templates: descriptions of environments, in versions that the platform team publishes.

    draft ─► published ─► deprecated

A draft can be replaced or deleted; a published version never changes. Version numbers are
`major.minor`: a new minor version fits the environments of the one before, a new major may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from slipway.domain import environment
from slipway.domain.author import MADE_BY, Author
from slipway.domain.fields import QueryModel, RequestModel, ResponseModel, Text, matching
from slipway.domain.resent import Resent
from slipway.domain.timestamps import Moment
from slipway.domain.warning import TemplateWarning
from slipway.errors import FieldError, Invalid, NotFound

State = Literal["draft", "published", "deprecated"]
Standing = Literal["up_to_date", "behind_minor", "behind_major", "failed"]

# CloudFormation's limit for a template in S3.
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
        """Raises NotFound if the text is not a version."""
        found = re.fullmatch(_VERSION, text, re.ASCII)
        if not found:
            raise NotFound("The template has no such version. Check the number.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Reference(NamedTuple):
    """A reference to a version: `name@1.2`, `name@1` or `name`."""

    name: str
    major: int | None
    minor: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Invalid if the text is not a reference."""
        found = re.fullmatch(rf"({_NAME})(?:@{_NUMBER}(?:\.{_NUMBER})?)?", text, re.ASCII)
        if not found:
            detail = "must be name, name@1 or name@1.2"
            raise Invalid([FieldError("#/template", detail)])
        major, minor = (None if part is None else int(part) for part in found.groups()[1:])
        return cls(found[1], major, minor)

    @property
    def version(self) -> Version | None:
        """The exact version, if the reference names one."""
        if self.major is None or self.minor is None:
            return None
        return Version(self.major, self.minor)


def named(name: str) -> str:
    """The same name. Raises NotFound if it is malformed."""
    if not re.fullmatch(_NAME, name):
        raise NotFound("There is no template with this name. Check the name.")
    return name


TemplateName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    matching(_NAME, "made of lower-case letters, digits and hyphens"),
]
VersionText = Annotated[str, matching(_VERSION, "a version like 1.2")]


class NewTemplate(RequestModel):
    name: TemplateName = Field(examples=["web-service"])
    description: Text | None = Field(None, examples=["A web function with a table."])


class TemplateChange(Resent):
    """`null` removes the description."""

    instead: ClassVar[Mapping[str, str]] = {
        "name": "the references of its versions have it; create another template"
    }

    description: Text | None = Field(examples=["A web function with a table."])


class NewVersion(QueryModel):
    version: VersionText | None = Field(
        None, description="The next minor version if omitted. The first is 1.0.", examples=["1.2"]
    )


class Template(ResponseModel):
    name: str = Field(examples=["web-service"])
    description: str | None = Field(None, examples=["A web function with a table."])
    created_by: Author = Field(validation_alias=MADE_BY, description="The owner.")
    created_at: Moment
    updated_at: Moment
    version: int = Field(description="Increases with every change. Also the ETag.")

    @property
    def location(self) -> str:
        return f"/api/v1/templates/{self.name}"


class Parameter(ResponseModel):
    """One of the template's parameters, with CloudFormation's attributes."""

    name: str = Field(examples=["Size"])
    label: str | None = Field(
        None,
        description="From the template's AWS::CloudFormation::Interface.",
        examples=["Size of the service"],
    )
    type: str = Field(examples=["String"])
    default: str | None = Field(None, examples=["small"])
    description: str | None = None
    no_echo: bool = Field(False, description="Whether the value is a secret, which is never shown.")
    allowed_values: list[str] | None = None
    allowed_pattern: str | None = None
    constraint_description: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_value: str | None = None
    max_value: str | None = None

    @property
    def is_read(self) -> bool:
        """Whether the value is the name of what CloudFormation reads in the parameter store."""
        return self.type.startswith("AWS::SSM::Parameter::Value<")


class ParameterGroup(ResponseModel):
    """Parameters that belong together, from the template's AWS::CloudFormation::Interface."""

    label: str | None = Field(None, description="The group's label.", examples=["Sizing"])
    parameters: list[str] = Field(description="Their names, in order.", examples=[["Size"]])


class TemplateVersion(ResponseModel):
    template: str = Field(examples=["web-service"])
    version: str = Field(examples=["1.2"])
    state: State
    sha256: str = Field(description="The SHA-256 digest of the body.")
    bytes: int = Field(examples=[2048])
    parameters: list[Parameter] = Field(
        description="Input parameters and their constraints; those of groups first, in their order."
    )
    parameter_groups: list[ParameterGroup] = Field(
        [], description="The groups into which the template arranges its parameters."
    )
    outputs: list[str] = Field(examples=[["Url"]])
    resources: dict[str, int] = Field(
        description="The number of resources of each type.", examples=[{"AWS::SQS::Queue": 1}]
    )
    transforms: bool = Field(
        description="Whether the SAM transform expands these into further resources.",
        examples=[False],
    )
    warnings: list[TemplateWarning] = Field(
        [], description="What is accepted, but will fail or do nothing later."
    )
    created_by: Author = Field(validation_alias=MADE_BY)
    created_at: Moment
    updated_at: Moment
    published_at: Moment | None = None
    deprecated_at: Moment | None = None
    # Not shown: what the version reserves (slipway.domain.capacity), the inputs that decide what
    # its loops make, its Rules as JSON, and the allowances under which it was checked.
    reserves: SkipJsonSchema[dict[str, Any]] = Field(default_factory=dict, exclude=True)
    looped: SkipJsonSchema[list[str]] = Field(default_factory=list, exclude=True)
    rules: SkipJsonSchema[str | None] = Field(None, exclude=True)
    checked_under: SkipJsonSchema[str] = Field("", exclude=True)

    @property
    def location(self) -> str:
        return f"/api/v1/templates/{self.template}/versions/{self.version}"

    @property
    def reference(self) -> str:
        return f"{self.template}@{self.version}"


class Usage(ResponseModel):
    """A template's environments, compared with its newest published versions."""

    newest: str | None = Field(None, description="The newest published version.", examples=["1.2"])
    up_to_date: int = 0
    behind_minor: int = 0
    behind_major: int = 0
    failed: int = Field(
        0, description="Environments that failed or whose teardown failed, whatever their version."
    )


class Use(ResponseModel):
    """One environment that was created from a template."""

    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    name: str = Field(examples=["preview-pr-123"])
    version: str = Field(description="The version of the template.", examples=["1.2"])
    status: environment.Status
    standing: Standing


def not_allowed(types: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """The resource types that no pattern (such as `AWS::Lambda::*`) allows."""
    patterns = [re.compile(re.escape(each).replace(r"\*", ".*")) for each in allowed]
    return [kind for kind in types if not any(each.fullmatch(kind) for each in patterns)]


def standing(used: Version, status: str, published: list[Version]) -> Standing:
    """How far an environment of this version is behind the published ones."""
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
