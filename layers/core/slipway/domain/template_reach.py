"""Checks that a template reaches nothing outside its environment, and counts what it reserves.

The resources' properties are walked along the table in slipway.domain.template_properties. The
work is linear in the size of the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.domain import (
    capacity,
    effort,
    resource_types,
    template_policies,
    template_properties,
    template_rules,
    template_targets,
)
from slipway.domain.allowances import MEMORY, Allowances
from slipway.domain.capacity import Numbers
from slipway.domain.references import MAX_NAME, below
from slipway.domain.template import Parameter
from slipway.domain.template_properties import REFUSED, Node
from slipway.domain.template_rules import Check, Rule, branches, is_own
from slipway.domain.template_text import Part, Reader, intrinsic
from slipway.errors import FieldError

MAX_RESOURCES = 200

# CloudFormation makes these itself, or calls a function of the template for them.
_NEEDS_NO_RIGHTS = re.compile(r"AWS::CloudFormation::(WaitCondition|CustomResource)|Custom::")
_NO_RIGHTS = "is allowed here, but environments have no right to make it"
_UNKNOWN = "is not a property that Slipway knows for this type, so it is refused"
_WRITTEN_OUT = "must be written out, so that what it names can be checked"
_PLAIN = "must be plain text: SAM reads it before the parameters have values"
_KEPT = "must be Delete or be left out: what an environment consists of ends with it"
_KEEP_OBJECTS = "must be Slipway: {KeepObjects: true} or {KeepObjects: false}"
# The type whose rights SAM's type needs.
_MAKES = {
    "AWS::Serverless::Function": "AWS::Lambda::Function",
    "AWS::Serverless::HttpApi": "AWS::ApiGatewayV2::Api",
    "AWS::Serverless::SimpleTable": "AWS::DynamoDB::Table",
}
_ATTRIBUTES = {
    "Connectors": "is not available to environments: SAM makes managed policies for it",
    "UpdatePolicy": "is not available to environments: they may not use CodeDeploy",
}
_METRIC = (
    "must be a metric of this environment: a dimension must refer to a resource of this template"
)


def faults(
    sections: Mapping[str, Any],
    parameters: Sequence[Parameter],
    types: Mapping[str, str],
    sam: bool,
    allowances: Allowances,
) -> tuple[Iterator[FieldError], Numbers]:
    """The faults of a template that parses, lazily, and the capacity that it reserves, which is
    complete when all faults were read."""
    check = Check(
        Reader(frozenset(each.name for each in parameters), sections["Mappings"]),
        types,
        sam,
        allowances,
        frozenset(each.name for each in parameters if each.no_echo),
        {each.name: each.default for each in parameters if each.default is not None},
    )
    return _all(check, sections), check.numbers


def _all(check: Check, sections: Mapping[str, Any]) -> Iterator[FieldError]:
    resources = sections["Resources"]
    if len(resources) > MAX_RESOURCES:
        yield FieldError("#/Resources", f"must be at most {MAX_RESOURCES}")
        return
    common = sections["Globals"] if check.sam else {}
    for kind, properties in common.items():
        yield from _globals(check, kind, properties, resources)
    for name, resource in resources.items():
        if isinstance(resource, dict):
            yield from _resource(check, name, resource, common)
    for name, output in sections["Outputs"].items():
        if isinstance(output, dict) and "Export" in output:
            detail = "is not available to environments: others could come to depend on it"
            yield FieldError(below("#/Outputs", name, "Export"), detail)
    yield from _defaults(check)


def _globals(
    check: Check, kind: str, properties: Any, resources: Mapping[str, Any]
) -> Iterator[FieldError]:
    serverless = f"AWS::Serverless::{kind}"
    node = template_properties.of_type(serverless)
    if node is None or not isinstance(properties, dict):
        return
    for name, value in properties.items():
        used = sum(
            check.types.get(each) == serverless and name not in _properties(resource)
            for each, resource in resources.items()
        )
        counted = replace(check, times=used)
        yield from _walk(counted, node, {name: value}, below("#/Globals", kind))


def _properties(resource: Any) -> dict[str, Any]:
    found = resource.get("Properties") if isinstance(resource, dict) else None
    return found if isinstance(found, dict) else {}


def _resource(
    check: Check, name: str, resource: dict[str, Any], common: Mapping[str, Any]
) -> Iterator[FieldError]:
    at, kind = below("#/Resources", name), check.types[name]
    for key in ("DeletionPolicy", "UpdateReplacePolicy"):
        if resource.get(key, "Delete") != "Delete":
            yield FieldError(below(at, key), _KEPT)
    for key, why in _ATTRIBUTES.items():
        if key in resource:
            yield FieldError(below(at, key), why)
    yield from _kept_objects(kind, resource.get("Metadata"), below(at, "Metadata"))
    here, properties = below(at, "Properties"), resource.get("Properties")
    node = template_properties.of_type(kind)
    if node is None:
        if not _NEEDS_NO_RIGHTS.match(kind):
            yield FieldError(below(at, "Type"), f"{kind[:MAX_NAME]} {_NO_RIGHTS}")
        yield from _unlisted(check, properties, here)
    elif properties is not None:
        yield from _walk(check, node, properties, here)
    if isinstance(properties, dict | None):
        yield from _denied(kind, properties or {}, here)
        yield from _missing(kind, properties or {}, here, common)
        if kind in _WHOLE:
            yield from _WHOLE[kind](check, properties or {}, here)


def _kept_objects(kind: str, metadata: Any, at: str) -> Iterator[FieldError]:
    """The template's instructions to teardowns. A misspelt one would cost the objects."""
    if not isinstance(metadata, dict):
        return
    for key, value in metadata.items():
        if str(key).lower() != "slipway":
            continue
        known = key == "Slipway" and isinstance(value, dict) and [*value] == ["KeepObjects"]
        if not known or str(value["KeepObjects"]).lower() not in ("true", "false"):
            yield FieldError(below(at, str(key)[:MAX_NAME]), _KEEP_OBJECTS)
        elif kind != "AWS::S3::Bucket":
            yield FieldError(below(at, "Slipway"), "is for buckets only (AWS::S3::Bucket)")


def _denied(kind: str, properties: Mapping[str, Any], at: str) -> Iterator[FieldError]:
    """Properties for which the making role lacks a right. To remove one needs none."""
    # Imported here, because only a new version needs it.
    from slipway.domain import making

    lacks: dict[str, str] = {}
    made = _MAKES.get(kind, kind)
    for action, paths in resource_types.TYPES.get(made, {}).items():
        is_removal = action.partition(":")[2].startswith("Delete")
        passed_to = resource_types.PASSED_TO.get(made, "lambda.amazonaws.com")
        if not is_removal and not making.may(action, passed_to):
            why = resource_types.WITHHELD.get(action, "making roles do not have it")
            for path in paths.split("|"):
                lacks.setdefault(path.partition(".")[0], f"needs the right {action}: {why}")
    node = template_properties.of_type(kind)
    for name, why in lacks.items():
        refused = isinstance(node, dict) and str(node.get(name)).startswith("no ")
        if name in properties and branches(properties[name]) and not refused:
            yield FieldError(below(at, name), why)


def _missing(
    kind: str, properties: Mapping[str, Any], at: str, common: Mapping[str, Any]
) -> Iterator[FieldError]:
    """Roles must have the boundary, those that SAM makes for a function too."""
    if kind == "AWS::Serverless::Function":
        shared = common.get("Function")
        properties = {**(shared if isinstance(shared, dict) else {}), **properties}
        if "Role" in properties and not template_rules.may_be_absent(properties["Role"]):
            return
    elif kind != "AWS::IAM::Role":
        return
    if template_rules.BOUNDARY not in properties:
        shared = "; Globals can say it for all functions" if kind != "AWS::IAM::Role" else ""
        detail = f"is required: it {template_rules.NO_BOUNDARY}{shared}"
        yield FieldError(below(at, template_rules.BOUNDARY), detail)


# --- properties --------------------------------------------------------------------------------


def _walk(check: Check, node: Node, value: Any, at: str) -> Iterator[FieldError]:
    effort.check()
    if isinstance(node, str):
        if node.startswith("no "):
            if branches(value):
                yield FieldError(at, REFUSED[node.removeprefix("no ")])
        elif node != "free":
            yield from RULES[node](check, value, at)
        return
    call = intrinsic(value)
    if call and call[0] == "Fn::If" and isinstance(call[1], list):
        for n, each in enumerate(call[1][1:], 1):
            yield from _walk(check, node, each, below(at, "Fn::If", n))
    elif isinstance(value, list) and "*" in node:
        for n, each in enumerate(value):
            yield from _walk(check, node["*"], each, below(at, n))
    elif isinstance(value, dict) and call is None:
        for name, each in value.items():
            under = node.get(name, node.get("*"))
            if under is None:
                yield FieldError(below(at, name), _UNKNOWN)
            else:
                yield from _walk(check, under, each, below(at, name))
    elif branches(value) and value is not None:
        if value in ("true", "false"):
            return
        # A list may be written as its only item.
        if (isinstance(value, str) or call) and isinstance(node.get("*"), str):
            yield from _walk(check, node["*"], value, at)
        else:
            yield FieldError(at, _WRITTEN_OUT)


def _unlisted(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    """Properties of a type that only the stack's AllowedResourceTypes names: ARNs, and properties
    that are named as if they had one, must be the environment's own; policies are checked."""
    call = intrinsic(value)
    if isinstance(value, str) or (call and call[0] != "Fn::If"):
        for text in check.reader.texts(value):
            begins = text[0] if text else Part("text")
            is_arn = begins.kind == "text" and begins.value.startswith("arn:")
            if is_arn and not is_own(check, text):
                yield FieldError(at, template_rules.NOT_OWN)
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _unlisted(check, each, below(at, n))
    elif isinstance(value, dict):
        for name, each in value.items():
            here = below(at, name)
            if name in _BY_NAME:
                yield from RULES[_BY_NAME[name]](check, each, here)
            elif name.endswith(("Arn", "Token")) and not isinstance(each, list):
                yield from template_rules.own(check, each, here)
            else:
                yield from _unlisted(check, each, here)


def _body(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    """An OpenAPI document: its extensions name functions and roles."""
    for each in branches(value):
        if isinstance(each, dict) and intrinsic(each) is None:
            yield from _document(check, each, at)
        else:
            yield FieldError(at, _WRITTEN_OUT)


def _document(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    effort.check()
    if isinstance(value, list):
        for n, each in enumerate(value):
            yield from _document(check, each, below(at, n))
    elif isinstance(value, dict):
        for name, each in value.items():
            here, lower = below(at, name), name.lower()
            if lower.startswith("x-amazon-") and name not in _EXTENSIONS:
                yield FieldError(here, "is not an extension that environments may use")
            elif name in _EXTENSIONS and (node := _EXTENSIONS[name]):
                yield from _walk(check, node, each, here)
            elif name == "$ref" and not (isinstance(each, str) and each.startswith("#/")):
                yield FieldError(here, "must refer to a part of this document")
            else:
                yield from _document(check, each, here)


_INTEGRATION_FREE = (
    "$ref httpMethod integrationSubtype passthroughBehavior payloadFormatVersion requestParameters "
    "requestTemplates responseParameters responses timeoutInMillis tlsConfig type"
)
_AUTHORIZER_FREE = (
    "authorizerPayloadFormatVersion authorizerResultTtlInSeconds enableSimpleResponses "
    "identitySource identityValidationExpression jwtConfiguration type"
)
_INTEGRATION = {
    "uri": "integration",
    "credentials": "own",
    "connectionId": "no network",
    "connectionType": "internet",
    **dict.fromkeys(_INTEGRATION_FREE.split(), "free"),
}
_AUTHORIZER = {
    "authorizerUri": "integration",
    "authorizerCredentials": "own",
    **dict.fromkeys(_AUTHORIZER_FREE.split(), "free"),
}
_EXTENSIONS: Mapping[str, Node] = {
    "x-amazon-apigateway-any-method": {},
    "x-amazon-apigateway-authorizer": _AUTHORIZER,
    "x-amazon-apigateway-cors": "free",
    "x-amazon-apigateway-importexport-version": "free",
    "x-amazon-apigateway-integration": _INTEGRATION,
    "x-amazon-apigateway-integrations": {"*": _INTEGRATION},
    "x-amazon-apigateway-tag-value": "free",
}


def _sam_events(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    for name, event in value.items() if isinstance(value, dict) else ():
        kind = event.get("Type") if isinstance(event, dict) else None
        node = template_properties.of_event(str(kind))
        if node is None:
            detail = "is not available to environments: what sends these events is not theirs"
            yield FieldError(below(at, name, "Type"), detail)
        elif (properties := event.get("Properties")) is not None:
            here = below(at, name, "Properties")
            yield from _walk(check, node, properties, here)
            if kind in ("Api", "HttpApi") and isinstance(properties, dict):
                for each in ("Path", "Method"):
                    if not isinstance(properties.get(each, ""), str):
                        yield FieldError(below(here, each), _PLAIN)


def _sam_policies(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    """AWS's policies by name or ARN; statements and SAM's templates are free."""
    for each in branches(value):
        several = each if isinstance(each, list) else [each]
        for n, listed in enumerate(several):
            for one in branches(listed):
                if isinstance(one, str) or intrinsic(one):
                    here = below(at, n) if isinstance(each, list) else at
                    yield from template_rules.managed(check, one, here)


# --- several properties together ---------------------------------------------------------------


def _alarm(check: Check, properties: Mapping[str, Any], at: str) -> Iterator[FieldError]:
    """An alarm watches metrics of its own environment."""
    if "MetricName" in properties:
        yield from _metric(check, properties, at)
    for n, query in enumerate(_listed(properties.get("Metrics"))):
        for each in branches(query):
            stat = each.get("MetricStat") if isinstance(each, dict) else None
            for one in branches(stat) if stat is not None else ():
                metric = one.get("Metric") if isinstance(one, dict) else None
                here = below(at, "Metrics", n, "MetricStat", "Metric")
                yield from _metric(check, metric, here)


def _metric(check: Check, metric: Any, at: str) -> Iterator[FieldError]:
    given = metric.get("Dimensions") if isinstance(metric, dict) else None
    found = [_listed(each) for each in branches(given)] if given is not None else [[]]
    for several in found:
        if not any(_is_own_dimension(check, each) for each in several):
            yield FieldError(below(at, "Dimensions"), _METRIC)


def _is_own_dimension(check: Check, dimension: Any) -> bool:
    value = dimension.get("Value") if isinstance(dimension, dict) else None
    texts = check.reader.texts(value) if not template_rules.may_be_absent(value) else []
    identity = (Part("parameter", "EnvironmentId"),)
    return bool(texts) and all(text == identity or is_own(check, text) for text in texts)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _rule(check: Check, properties: Mapping[str, Any], at: str) -> Iterator[FieldError]:
    """A rule has a schedule. A pattern is refused where it stands."""
    if not properties.keys() & {"ScheduleExpression", "EventPattern"}:
        yield FieldError(below(at, "ScheduleExpression"), "is required")


_WHOLE: Mapping[str, Any] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::Events::Rule": _rule,
    "AWS::Lambda::Permission": template_policies.permission,
}
RULES: Mapping[str, Rule] = {
    **template_rules.RULES,
    **template_targets.RULES,
    "assume": template_policies.readable(template_policies.assume),
    "body": _body,
    "policy": template_policies.readable(template_policies.policy),
    "sam_events": _sam_events,
    "sam_policies": _sam_policies,
}
_BY_NAME = {
    "AssumeRolePolicyDocument": "assume",
    "BucketName": "name",
    "KmsKeyArn": "key",
    "PermissionsBoundary": "boundary",
    "PolicyDocument": "policy",
    "Tags": "tags",
}


def _defaults(check: Check) -> Iterator[FieldError]:
    """Defaults of parameters that ask for more capacity than is allowed."""
    totals = dict(check.numbers.fixed)
    for kind, parameter, _, times in check.numbers.from_parameters:
        found = capacity.number(check.defaults.get(parameter, "0"))
        counted = (found or 0) * times
        totals[kind] = counted if kind == MEMORY else totals.get(kind, 0) + counted
        detail = capacity.too_much(kind, totals[kind], check.allowances.limits)
        if parameter in check.defaults and (detail or found is None):
            at = below("#/Parameters", parameter, "Default")
            yield FieldError(at, detail or "must be a whole number: it reserves capacity")
