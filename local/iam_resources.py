"""The permissions that CloudFormation needs to create, update or delete a resource with a role.

The registry's schema of a type, which cfn-lint contains, lists the actions of each of its handlers,
for all features of the type together. Therefore these rules select the actions to check:

1. An action counts only if slipway.domain.resource_types has it. The rest belongs to features that
   the emulator lacks (the account's own keys, networks, replicas).
2. An action that it has for a property counts only if the template sets the property; in an update,
   only if the update changes it.
3. Creating needs no action that removes (Delete, Untag, Detach …) and, except for a feature, none
   that updates; deleting needs none that creates (Create, Put, Tag …). Some handlers list them.
4. Every other action counts, including those that read the resource back.

Each action is checked for the resource's own ARN (ARNS), or for the one that its property names.
For a type that is not in the list, only the action named after it counts (CreateVpc to create a
VPC), for any resource: enough to notice that the role has no permissions for the type.
"""

import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.iam import Check
from slipway.domain.resource_types import (
    PASSED_TO,
    TYPES,
    WITHOUT_RESOURCE,
    service,
)

Properties = Mapping[str, Any]


class Resource(NamedTuple):
    """A resource of a stack. `name` is its physical name or id, also before it is created."""

    kind: str
    name: str
    properties: Properties
    before: Properties | None = None  # in an update
    region: str = "us-east-1"
    account: str = "000000000000"

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"

    def sets(self, names: str) -> bool:
        """Whether the template sets one of the properties, or the update changes one."""
        for name in names.split("|"):
            now = _at(self.properties, name)
            if (
                (now not in (None, [], {}, ""))
                if self.before is None
                else now != _at(self.before, name)
            ):
                return True
        return False


def _at(properties: Properties, name: str) -> Any:
    found: Any = properties
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return _without_awss_own(found) if name == "Tags" else found


def _without_awss_own(tags: Any) -> Any:
    """The tags without CloudFormation's own, `aws:cloudformation:…`."""
    if isinstance(tags, Mapping):
        return {key: value for key, value in tags.items() if not key.startswith("aws:")}
    if isinstance(tags, list):
        return [tag for tag in tags if not str(tag.get("Key", "")).startswith("aws:")]
    return tags


# Verbs that a handler does not need, by the operation.
OPPOSITE = {
    "create": "Delete|Untag|Detach|Remove|Disable",
    "delete": "Create|Put|Tag|Untag|Attach|Add",
}


@functools.lru_cache(maxsize=64)
def handlers(kind: str) -> Mapping[str, list[str]]:
    """The actions of each handler of a type, by the handler's name; none for an unknown type.

    The first call for a type takes about 2 ms to read cfn-lint's index and the schema.
    """
    import cfnlint

    schemas = Path(cfnlint.__file__).parent / "data/schemas"
    name = _index(schemas / "providers/us-east-1.json").get(kind)
    if name is None:
        return {}
    schema = json.loads((schemas / f"resources/{name}.json").read_text())
    found = schema.get("handlers") or {}
    return {operation: each.get("permissions", []) for operation, each in found.items()}


@functools.lru_cache(maxsize=1)
def _index(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text())
    return found


def checks(operation: str, resource: Resource) -> Iterator[Check]:
    """The checks for the role. `operation` is create, update or delete."""
    properties = TYPES.get(resource.kind)
    listed = {action.lower(): action for action in properties or ()}
    for action in handlers(resource.kind).get(operation, []):
        if properties is None:
            if _is_named_after(operation, resource.kind, action):
                yield Check(action, ANY)
        elif (known := listed.get(action.lower())) and _counts(
            known, properties, resource, operation
        ):
            yield from _asked(known, resource)


ANY = ""  # for any resource


def _is_named_after(operation: str, kind: str, action: str) -> bool:
    noun = kind.rpartition("::")[2]
    verbs = [operation] if operation == "delete" else [operation, "put"]
    return action.partition(":")[2].lower() in [f"{verb}{noun}".lower() for verb in verbs]


def _counts(action: str, properties: Mapping[str, str], resource: Resource, operation: str) -> bool:
    own = action.partition(":")[0] == service(resource.kind)
    if own and _is_verb(action, OPPOSITE.get(operation, "")):
        return False
    if needed_by := properties[action]:
        return resource.sets(needed_by)
    if operation == "create" and _is_verb(action, "Update"):
        return False
    if operation != "update" or _is_verb(action, "Get|Describe|List|GET"):
        return True
    # If an update changes only properties with actions of their own, nothing else is written.
    return _changes_itself(resource, properties)


def _is_verb(action: str, verbs: str) -> bool:
    return bool(verbs) and bool(re.match(rf"\w+:({verbs})(?![a-z])", action))


def _changes_itself(resource: Resource, properties: Mapping[str, str]) -> bool:
    named = {name.partition(".")[0] for each in properties.values() for name in each.split("|")}
    before = resource.before or {}
    keys = {*resource.properties, *before} - named
    return any(resource.properties.get(key) != before.get(key) for key in keys)


def _asked(action: str, resource: Resource) -> Iterator[Check]:
    properties = resource.properties
    if action == "iam:PassRole":
        role = str(_at(properties, TYPES[resource.kind][action]))
        yield Check(action, role, {"iam:PassedToService": PASSED_TO[resource.kind]})
    elif action.startswith("s3:GetObject"):
        code = properties.get("Code") or properties.get("BodyS3Location") or {}
        bucket, key = (code.get(f"S3{name}") or code.get(name) for name in ("Bucket", "Key"))
        yield Check(action, f"arn:aws:s3:::{bucket}/{key}")
    elif action == "lambda:GetLayerVersion":
        yield from (Check(action, str(layer)) for layer in properties.get("Layers") or [])
    elif action == "sns:Subscribe" and "Subscription" in properties:
        for each in properties["Subscription"] or []:
            subscription = resource._replace(properties=each)
            for arn in ARNS[resource.kind](resource, action):
                yield Check(action, arn, _context(action, subscription))
    elif action in WITHOUT_RESOURCE:
        yield Check(action, "*", _context(action, resource))
    else:
        for arn in ARNS[resource.kind](resource, action):
            yield Check(action, arn, _context(action, resource))


def _context(action: str, resource: Resource) -> dict[str, Any]:
    """The condition keys of a request. Tags count as set by the request that creates."""
    name, properties = action.partition(":")[2], resource.properties
    found: dict[str, Any] = dict(_role(action, resource))
    if resource.kind == "AWS::Lambda::EventSourceMapping" and "Tag" not in action:
        found["lambda:FunctionArn"] = _function(resource)
    if name == "AddPermission":
        found["lambda:Principal"] = str(properties.get("Principal"))
    if name == "Subscribe" and "Endpoint" in properties:
        found["sns:Endpoint"] = str(properties["Endpoint"])
        found["sns:Protocol"] = str(properties.get("Protocol"))
    if name == "PutTargets":
        found["events:TargetArn"] = [str(each["Arn"]) for each in properties.get("Targets") or []]
    if name == "PutRule":
        found |= _matched(properties.get("EventPattern"))
    if name == "PutMetricAlarm":
        members = ("AlarmActions", "OKActions", "InsufficientDataActions")
        actions = [str(each) for member in members for each in properties.get(member) or []]
        found |= {"cloudwatch:AlarmActions": actions} if actions else {}
    if name == "POST" or re.match("Create|Tag", name):
        tags = _tags(properties.get("Tags"))
        found |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        found |= {"aws:TagKeys": list(tags)} if tags else {}
    return found


def _matched(pattern: Any) -> dict[str, list[str]]:
    """The sources and types of the events that a rule matches."""
    if isinstance(pattern, str):
        with contextlib.suppress(ValueError):
            pattern = json.loads(pattern)
    fields = pattern if isinstance(pattern, Mapping) else {}
    return {
        f"events:{name}": [str(each) for each in fields[name]]
        for name in ("source", "detail-type")
        if name in fields
    }


def _tags(tags: Any) -> dict[str, str]:
    tags = _without_awss_own(tags)
    if isinstance(tags, list):
        tags = {each["Key"]: each.get("Value", "") for each in tags}
    given = tags if isinstance(tags, Mapping) else {}
    return {str(key): str(value) for key, value in given.items()}


def _role(action: str, resource: Resource) -> dict[str, str]:
    if resource.kind != "AWS::IAM::Role":
        return {}
    # A role's policies are changed under its new boundary.
    properties = resource.before if resource.before is not None else resource.properties
    if action in ("iam:CreateRole", "iam:PutRolePermissionsBoundary"):
        properties = resource.properties
    boundary = properties.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def _function(resource: Resource) -> str:
    """The ARN of the function to which a resource belongs, without version or alias."""
    properties = resource.properties
    named = str(properties.get("FunctionName") or properties.get("TargetFunctionArn"))
    name = named.split(":function:")[-1].split(":")[0]
    return resource.arn("lambda", f"function:{name}")


def _queues(resource: Resource, action: str) -> Iterator[str]:
    for url in resource.properties.get("Queues") or []:
        yield resource.arn("sqs", str(url).rstrip("/").rpartition("/")[2])


def _topics(resource: Resource, action: str) -> list[str]:
    topic = resource.properties.get("TopicArn")
    return [str(each) for each in resource.properties.get("Topics") or [topic]]


def _http_api(resource: Resource, action: str) -> list[str]:
    """The path of API Gateway's request. A POST is for the collection."""
    last = resource.kind.rpartition("::")[2]
    top = f"arn:aws:apigateway:{resource.region}::/apis"
    own = resource.name.rpartition("|")[2]
    api = str(resource.properties.get("ApiId", own))
    if last != "Api":
        parents = {"RouteResponse": "RouteId", "IntegrationResponse": "IntegrationId"}
        parent = str(resource.properties.get(parents.get(last, ""), ""))
        below = {"RouteResponse": f"routes/{parent}/routeresponses"}
        below |= {"IntegrationResponse": f"integrations/{parent}/integrationresponses"}
        top += f"/{api}/{below.get(last, f'{last.lower()}s')}"
    return [top if action == "apigateway:POST" else f"{top}/{own}"]


def _named(prefix: str, name: str = "") -> Callable[[Resource, str], list[str]]:
    """The ARN with the resource's own name. `prefix` is the service and the path before it."""
    where, _, rest = prefix.partition(" ")
    return lambda resource, action: [resource.arn(where, f"{rest}{resource.name}")]


def _of_function(resource: Resource, action: str) -> list[str]:
    return [_function(resource)]


ARNS: dict[str, Callable[[Resource, str], Any]] = {
    "AWS::DynamoDB::Table": _named("dynamodb table/"),
    "AWS::IAM::Role": lambda it, action: [f"arn:aws:iam::{it.account}:role/{it.name}"],
    "AWS::Lambda::Function": _named("lambda function:"),
    "AWS::Lambda::EventSourceMapping": _named("lambda event-source-mapping:"),
    "AWS::Lambda::Permission": _of_function,
    "AWS::Lambda::Alias": _of_function,
    "AWS::Lambda::Version": _of_function,
    "AWS::Lambda::Url": _of_function,
    "AWS::Lambda::EventInvokeConfig": _of_function,
    "AWS::SQS::Queue": lambda it, action: [it.arn("sqs", it.name.rstrip("/").rpartition("/")[2])],
    "AWS::SQS::QueuePolicy": _queues,
    "AWS::SNS::Topic": lambda it, action: [it.arn("sns", it.name.rpartition(":")[2])],
    "AWS::SNS::Subscription": _topics,
    "AWS::SNS::TopicPolicy": _topics,
    "AWS::Logs::LogGroup": _named("logs log-group:"),
    "AWS::CloudWatch::Alarm": _named("cloudwatch alarm:"),
    "AWS::Events::Rule": _named("events rule/"),
    "AWS::S3::Bucket": lambda it, action: [f"arn:aws:s3:::{it.name}"],
} | {kind: _http_api for kind in TYPES if "::ApiGatewayV2::" in kind}
