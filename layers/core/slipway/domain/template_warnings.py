"""Warnings about a template: what it may contain, but what will fail or do nothing later.

What fails for certain is refused when the version is added (slipway.domain.template_parser and
template_reach). A warning is for what depends on names and versions that are not known yet, and for
what works but does not do what a reader expects. To add one, write a check and list it in CHECKS.

Each check takes the parsed template and yields warnings. All together take time in proportion to
the template's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from slipway.domain import effort, inputs, references, resource_types, supplied
from slipway.domain.deployment import BROUGHT
from slipway.domain.references import below
from slipway.domain.template import Parameter
from slipway.domain.template_text import Part, Reader, literal
from slipway.domain.warning import TemplateWarning

if TYPE_CHECKING:
    from slipway.domain.template_parser import ParsedTemplate

# A version's record holds them.
MOST = 20
Check = Callable[["ParsedTemplate"], Iterator[TemplateWarning]]

# Values as they come. A constraint that refuses one of them will refuse many.
_SAMPLES: Mapping[str, Sequence[str]] = {
    "Artifact": ("s3://payments-builds/app/sha-1234567.zip",),
    "ArtifactBucket": ("payments-builds", "Acme.builds.2014"),
    "ArtifactKey": ("app/sha-1234567.zip", "sha-1234567.zip"),
    "ArtifactVersion": ("3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY", ""),
    "ConfigurationPath": ("", "/slipway/configurations/01kaq3j8/12/"),
    "EnvironmentId": ("env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq",),
    "EnvironmentName": ("pr-7", "preview-pr-12345", "feature/Login", "Release 2.1"),
    "PermissionsBoundary": (
        ":".join(("arn", "aws", "iam", "", "1" * 12, "policy/slipway-EnvironmentBoundary-1A2B")),
    ),
    "ProjectName": ("payments", "Payment Service", "acme/payments"),
    "Version": (
        "v1",
        "1.4.2",
        "sha-1234567",
        "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "registry.example.com/team/app:1.4.2",
    ),
}
# Slipway's stack is usually called slipway. `-env-` and 20 characters follow.
_STACK_LENGTH = len("slipway-env-") + 20


def found(template: ParsedTemplate) -> list[TemplateWarning]:
    """The first warnings, at most MOST. Raises TooCostly."""
    with effort.limited():
        several = list(islice(chain.from_iterable(check(template) for check in CHECKS), MOST))
    source = template.expansion.source_of
    return [each.model_copy(update={"pointer": source(each.pointer)}) for each in several]


def _deployments(template: ParsedTemplate) -> Iterator[TemplateWarning]:
    """Deployments bring Version and Artifact, so these must be there and be used."""
    names = {each.name for each in template.parameters}
    brought = [name for name in sorted(BROUGHT) if name in names]
    if not brought:
        detail = (
            "has neither Version nor Artifact or a part of it, so deployments into its "
            "environments are refused. Declare one of them if the template has code that "
            "deployments replace"
        )
        yield TemplateWarning(pointer="#/Parameters", code="takes_no_version", detail=detail)
    used = references.used(template.sections) if brought else ()
    for name in brought:
        if name not in used:
            detail = f"nothing refers to it, so a deployment with another {name} changes nothing"
            at = below("#/Parameters", name)
            yield TemplateWarning(pointer=at, code="parameter_not_used", detail=detail)


def _filled_in(template: ParsedTemplate) -> Iterator[TemplateWarning]:
    """Constraints that values which Slipway fills in will break."""
    for parameter in template.parameters:
        if parameter.name in inputs.CONVENTIONS and not supplied.takes_any_text(parameter):
            broken = [
                sample
                for sample in _SAMPLES[parameter.name]
                if supplied.problem(parameter, sample) is not None
            ]
            if broken:
                yield _may_not_fit(parameter, broken)


def _may_not_fit(parameter: Parameter, broken: Sequence[str]) -> TemplateWarning:
    what = {
        **dict.fromkeys(BROUGHT, "Deployments with such an artifact"),
        "ConfigurationPath": "Deployments with such a configuration",
        "EnvironmentName": "Environments with such a name",
        "ProjectName": "Environments in a project with such a name",
        "Version": "Deployments of such a version",
    }.get(parameter.name, "Environments with such a value")
    detail = (
        f"is filled in by Slipway, and its constraints do not take {' or '.join(broken[:2])}. "
        f"{what} are refused"
    )
    at = below("#/Parameters", parameter.name)
    return TemplateWarning(pointer=at, code="value_may_not_fit", detail=detail)


def _keys(template: ParsedTemplate) -> Iterator[TemplateWarning]:
    """Keys of code that are cut out of the artifact at its slashes."""
    reader = _reader(template)
    for name, resource in template.sections.get("Resources", {}).items():
        properties = resource.get("Properties") if isinstance(resource, dict) else None
        code = properties.get("Code") if isinstance(properties, dict) else None
        key = code.get("S3Key") if isinstance(code, dict) else None
        if any(part.kind == "piece" for text in reader.texts(key) for part in text):
            detail = "ends at the next slash of the artifact's key. Write !Ref ArtifactKey"
            at = below("#/Resources", name, "Properties", "Code", "S3Key")
            yield TemplateWarning(pointer=at, code="key_ends_at_slash", detail=detail)


def _reader(template: ParsedTemplate) -> Reader:
    names = frozenset(each.name for each in template.parameters)
    return Reader(names, template.sections.get("Mappings", {}))


def _repeated(template: ParsedTemplate) -> Iterator[TemplateWarning]:
    for at in template.repeated:
        detail = "is given more than once, and only the last one counts"
        yield TemplateWarning(pointer=at, code="repeated_key", detail=detail)


def _names(template: ParsedTemplate) -> Iterator[TemplateWarning]:
    """Physical names that are longer than AWS takes, and names of buckets in upper case."""
    reader = _reader(template)
    for name, resource in template.sections.get("Resources", {}).items():
        named = resource_types.NAMES.get(template.types.get(name, ""))
        properties = resource.get("Properties") if isinstance(resource, dict) else None
        if named and isinstance(properties, dict) and named.property in properties:
            at = below("#/Resources", name, "Properties", named.property)
            yield from _name(reader, named, properties[named.property], at)


def _name(
    reader: Reader, named: resource_types.Named, value: Any, at: str
) -> Iterator[TemplateWarning]:
    for text in reader.texts(value):
        length = sum(_length(part) for part in text)
        if length > named.longest:
            detail = f"becomes {length} characters long, and AWS takes at most {named.longest}"
            yield TemplateWarning(pointer=at, code="name_too_long", detail=detail)
            return
        written = "".join(part.value for part in text if part.kind == "text")
        if named.is_lower_case and written != written.lower():
            detail = "has upper-case letters, which AWS does not take in this name"
            yield TemplateWarning(pointer=at, code="name_not_taken", detail=detail)
            return


def _length(part: Part) -> int:
    """The least length of a part of a name."""
    if part == Part("pseudo", "AWS::StackName"):
        return _STACK_LENGTH
    return len(literal((part,)) or "")


def _silent(template: ParsedTemplate) -> Iterator[TemplateWarning]:
    """Custom resources for whose answer CloudFormation waits an hour, also at their end."""
    for name, resource in template.sections.get("Resources", {}).items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if not str(kind).startswith(("Custom::", "AWS::CloudFormation::CustomResource")):
            continue
        properties = resource.get("Properties")
        if not isinstance(properties, dict) or "ServiceTimeout" not in properties:
            detail = (
                "has no ServiceTimeout, so CloudFormation waits an hour for its function's answer, "
                "and a teardown too. Set the seconds that it needs"
            )
            at = below("#/Resources", name, "Properties")
            yield TemplateWarning(pointer=at, code="no_service_timeout", detail=detail)


CHECKS: Sequence[Check] = (_deployments, _filled_in, _keys, _names, _repeated, _silent)
