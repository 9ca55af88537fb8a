"""Parses a CloudFormation or SAM template without trusting it.

The body is stored unchanged. What is read here are its parameters, outputs and resource types.
CloudFormation has the last word (slipway.aws.template_bodies).

YAML is read as a stream of events and never constructs objects: every scalar is text, tags can only
be CloudFormation's short forms, aliases are refused as CloudFormation refuses them, and depth and
size are limited.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain import inputs, out_of_reach, references
from slipway.domain.fields import CONTROL, is_writable
from slipway.domain.references import MAX_NAME, below
from slipway.domain.template import Parameter, not_allowed
from slipway.errors import FieldError, Invalid, Malformed

if TYPE_CHECKING:
    from yaml import ScalarEvent

SAM = "AWS::Serverless-2016-10-31"

_MAX_DEPTH = 50
_MAX_EVENTS = 200_000
_MAX_PARAMETERS = 200
# Each is a parameter in the parameter store, which accepts about twenty writes at once.
MAX_SECRETS = 20
# An item of the table has at most 400 kB, and idempotency records contain the answer.
_MAX_DESCRIBED = 150_000
_MAX_TOLD = 20

# `!Ref x` is {"Ref": x}, `!Sub x` is {"Fn::Sub": x}. The last ones, from Contains, are Rules'.
_FUNCTIONS = (
    "And Base64 Cidr Equals FindInMap GetAZs GetAtt If ImportValue Join Length Not Or Select Split "
    "Sub ToJsonString Contains EachMemberEquals EachMemberIn RefAll ValueOf ValueOfAll"
)
SHORT_FORMS = {
    "!Ref": "Ref",
    "!Condition": "Condition",
    **{f"!{name}": f"Fn::{name}" for name in _FUNCTIONS.split()},
}
_PLAIN_TAGS = {None, "!"} | {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
}
_NULLS = {"", "~", "null", "Null", "NULL"}

# The resource types that SAM creates for an event of a function or a state machine, by its type.
# Permissions and roles come with the function.
EVENTS: Mapping[str, Sequence[str]] = {
    "AlexaSkill": (),
    "Api": ("AWS::Serverless::Api",),
    "CloudWatchEvent": ("AWS::Events::Rule",),
    "CloudWatchLogs": ("AWS::Logs::SubscriptionFilter",),
    "Cognito": (),
    "DocumentDB": ("AWS::Lambda::EventSourceMapping",),
    "DynamoDB": ("AWS::Lambda::EventSourceMapping",),
    "EventBridgeRule": ("AWS::Events::Rule",),
    "HttpApi": ("AWS::Serverless::HttpApi",),
    "IoTRule": ("AWS::IoT::TopicRule",),
    "Kinesis": ("AWS::Lambda::EventSourceMapping",),
    "MQ": ("AWS::Lambda::EventSourceMapping",),
    "MSK": ("AWS::Lambda::EventSourceMapping",),
    "S3": (),
    "SNS": ("AWS::SNS::Subscription",),
    "SQS": ("AWS::Lambda::EventSourceMapping",),
    "Schedule": ("AWS::Events::Rule",),
    "ScheduleV2": ("AWS::Scheduler::Schedule",),
    "SelfManagedKafka": ("AWS::Lambda::EventSourceMapping",),
}
# Events that name no API share one. It may also be allowed by the types that SAM creates for it.
_APIS: Mapping[str, Sequence[str]] = {
    "AWS::Serverless::Api": (
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Stage",
    ),
    "AWS::Serverless::HttpApi": ("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage"),
}
_NAMES_API = {"Api": "RestApiId", "HttpApi": "ApiId"}

_TYPE = re.compile(
    r"String|Number|CommaDelimitedList|List<Number>|AWS::[A-Za-z0-9:]+|List<AWS::[A-Za-z0-9:]+>"
)
# CloudFormation would resolve the input with permissions that the caller does not have.
_LOOKED_UP = "AWS::SSM::Parameter::Value<"


class Event(NamedTuple):
    """The type of an event, and the resource types that SAM creates for it."""

    kind: str
    makes: tuple[str, ...]


@dataclass(frozen=True)
class Formation:
    """`types`: each resource's type by its logical id. `sam`: whether SAM transforms the template.
    `events`: the events for which SAM creates resources, by their place. `out_of_reach`: properties
    that no environment can have."""

    parameters: Sequence[Parameter]
    outputs: Sequence[str]
    types: Mapping[str, str]
    sam: bool
    events: Mapping[str, Event] = field(default_factory=dict)
    out_of_reach: Sequence[FieldError] = ()

    @property
    def resources(self) -> dict[str, int]:
        return dict(sorted(Counter(self.types.values()).items()))


def read(body: bytes, *, is_json: bool) -> Formation:
    """Raises Malformed, Invalid."""
    try:
        text = body.decode()
    except ValueError:
        raise Malformed("The body is not valid UTF-8.") from None
    return _formation(_tree(_json(text) if is_json else _yaml(text)))


def tree(text: str, scalar: Callable[[ScalarEvent], str | None]) -> Any:
    """YAML as mappings and lists of what `scalar` returns. Raises Malformed, Invalid."""
    return _tree(_yaml(text, scalar))


def refuse_others(formation: Formation, allowed: Sequence[str]) -> None:
    """Raises Invalid for resource types that no pattern allows, for events for which SAM would
    create such resources, and for properties that environments cannot have."""
    others = set(not_allowed(formation.types.values(), allowed))
    made = {event: _not_allowed(event.makes, allowed) for event in set(formation.events.values())}
    faults = {
        below("#/Resources", name, "Type"): f"{kind[:MAX_NAME]} is not allowed here"
        for name, kind in formation.types.items()
        if kind in others
    }
    faults |= {
        at: f"{event.kind} makes {', '.join(made[event])}, which is not allowed here"
        for at, event in formation.events.items()
        if made[event]
    }
    _raise([*starmap(FieldError, faults.items()), *formation.out_of_reach])


def _not_allowed(types: Sequence[str], allowed: Sequence[str]) -> list[str]:
    others = not_allowed(types, allowed)
    return [each for each in others if not_allowed(_APIS.get(each, [each]), allowed)]


# --- sections --------------------------------------------------------------------


def _formation(tree: Any) -> Formation:
    if not isinstance(tree, dict):
        raise Invalid([FieldError("#", "is not a template: it must be a mapping")])
    faults: list[FieldError] = []
    sections = {name: _section(tree, name, faults) for name in (*references.SECTIONS, "Globals")}
    whole = not faults
    resources, declared = sections["Resources"], sections["Parameters"]
    if not resources and whole:
        faults.append(FieldError("#/Resources", "must have at least one resource"))
    types = {name: _type(name, each, faults) for name, each in resources.items()}
    if len(declared) > _MAX_PARAMETERS:
        faults.append(FieldError("#/Parameters", f"must be at most {_MAX_PARAMETERS}"))
    parameters = [
        parameter
        for name, each in declared.items()
        if (parameter := _parameter(name, each, faults)) is not None
    ]
    secrets = inputs.secrets(parameters)
    if len(secrets) > MAX_SECRETS:
        faults.append(FieldError("#/Parameters", f"must be at most {MAX_SECRETS} with NoEcho"))
    outputs = list(sections["Outputs"])
    sam = _transform(tree, faults)
    events = dict(_events(resources, faults)) if sam else {}
    faults += references.unknown(tree, sam=sam)
    faults += _macros(tree, "#")
    grows = sam or any(kind.endswith("::MODULE") for kind in types.values())
    if whole:
        faults += islice(references.missing(sections, grows=grows), _MAX_TOLD)
        faults += islice(references.shown(sections, secrets), _MAX_TOLD)
        faults += islice(references.circles(sections), _MAX_TOLD)
    _raise(faults)
    beyond = list(islice(out_of_reach.faults(resources, sections["Globals"]), _MAX_TOLD))
    found = Formation(parameters, outputs, types, sam, events, beyond)
    described = [[each.model_dump() for each in parameters], outputs, found.resources]
    if len(json.dumps(described).encode()) > _MAX_DESCRIBED:
        detail = f"and Outputs must be at most {_MAX_DESCRIBED} bytes together"
        raise Invalid([FieldError("#/Parameters", detail)])
    return found


def _section(tree: Mapping[str, Any], name: str, faults: list[FieldError]) -> dict[str, Any]:
    section = tree.get(name, {})
    if not isinstance(section, dict):
        faults.append(FieldError(f"#/{name}", "must be a mapping"))
        return {}
    # CloudFormation decides which names of conditions are valid.
    for key in section if name != "Conditions" else ():
        if not re.fullmatch(r"[A-Za-z0-9]{1,255}", key):
            faults.append(FieldError(below(f"#/{name}", key), "must be letters and digits"))
    return section


def _type(name: str, resource: Any, faults: list[FieldError]) -> str:
    kind = resource.get("Type") if isinstance(resource, dict) else None
    if isinstance(kind, str) and kind:
        return kind
    faults.append(FieldError(below("#/Resources", name, "Type"), "is required"))
    return ""


def _transform(tree: Mapping[str, Any], faults: list[FieldError]) -> bool:
    transform = tree.get("Transform")
    if transform in (SAM, [SAM]):
        return True
    if transform not in (None, []):
        faults.append(FieldError("#/Transform", f"must be {SAM} or left out"))
    return False


def _events(resources: Mapping[str, Any], faults: list[FieldError]) -> Iterator[tuple[str, Event]]:
    """The events for which SAM creates resources, with the places of their types."""
    for name, resource in resources.items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if not str(kind).startswith("AWS::Serverless::"):
            continue
        at = below("#/Resources", name, "Properties", "Events")
        events = _of(_of(resource, "Properties"), "Events")
        if not isinstance(events, dict | None):
            faults.append(FieldError(at, "must be a mapping"))
            continue
        for event, said in (events or {}).items():
            here, kind = below(at, event, "Type"), _of(said, "Type")
            if not isinstance(kind, str):
                faults.append(FieldError(here, "is required"))
            elif kind not in EVENTS:
                faults.append(FieldError(here, f"{kind[:MAX_NAME]} is not an event type of SAM"))
            else:
                api = _of(_of(_of(said, "Properties"), _NAMES_API.get(kind, "")), "Ref")
                if not (isinstance(api, str) and api in resources):
                    yield here, Event(kind, (*EVENTS[kind], *_queue(_of(said, "Properties"))))


def _queue(properties: Any) -> Iterator[str]:
    """The types that SAM adds for an event with a queue before it or a dead-letter queue."""
    subscribed = _of(properties, "SqsSubscription")
    if subscribed not in (None, "false"):
        yield from ("AWS::Lambda::EventSourceMapping", "AWS::SQS::QueuePolicy")
    if subscribed == "true" or _of(_of(properties, "DeadLetterConfig"), "Type") == "SQS":
        yield "AWS::SQS::Queue"


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _macros(value: Any, at: str) -> Iterator[FieldError]:
    """Macros and includes, which would run code or fetch text while the template is processed."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "Fn::Transform" or name.startswith("Fn::ForEach"):
                yield FieldError(below(at, name), "needs a transform, and only SAM's is allowed")
            yield from _macros(each, below(at, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _macros(each, below(at, index))


_FIELDS = {
    "Type": "type",
    "Default": "default",
    "Description": "description",
    "NoEcho": "no_echo",
    "AllowedValues": "allowed_values",
    "AllowedPattern": "allowed_pattern",
    "ConstraintDescription": "constraint_description",
    "MinLength": "min_length",
    "MaxLength": "max_length",
    "MinValue": "min_value",
    "MaxValue": "max_value",
}


def _parameter(name: str, declared: Any, faults: list[FieldError]) -> Parameter | None:
    at = below("#/Parameters", name)
    if not isinstance(declared, dict):
        faults.append(FieldError(at, "must be a mapping"))
        return None
    before = len(faults)
    values: dict[str, Any] = {"name": name}
    for key, value in declared.items():
        detail = _wrong(key, value)
        if detail:
            faults.append(FieldError(below(at, key), detail))
        else:
            values[_FIELDS[key]] = value.lower() == "true" if key == "NoEcho" else value
    if "Type" not in declared:
        faults.append(FieldError(f"{at}/Type", "is required"))
    if len(faults) > before:
        return None
    parameter = Parameter.model_validate(values)
    if parameter.default is not None:
        faults += [
            FieldError(f"{at}/Default", detail)
            for detail in inputs.problems(parameter, parameter.default)
        ]
    return parameter


def _wrong(key: str, value: Any) -> str | None:
    """The fault of a parameter's attribute; None if it has none."""
    if key not in _FIELDS:
        return "is not an attribute of a parameter"
    if key == "AllowedValues":
        fits = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
        return None if fits else "must be a list of values"
    if not isinstance(value, str):
        return "must be a single value"
    if key == "Type" and value.startswith(_LOOKED_UP):
        return "is not allowed: it would let a caller read any SSM parameter of the account"
    if key == "Type" and not _TYPE.fullmatch(value):
        return "is not a parameter type of CloudFormation"
    if key == "NoEcho" and value.lower() not in ("true", "false"):
        return "must be true or false"
    if key in ("MinLength", "MaxLength") and not re.fullmatch(r"[0-9]{1,9}", value):
        return "must be a whole number"
    if key in ("MinValue", "MaxValue") and not inputs.is_number(value):
        return "must be a number"
    return None


# --- the body as a tree of mappings, lists and text -------------------------------------------


class _Pairs(list[tuple[str, Any]]):
    """A mapping as a list of pairs, so that duplicate keys are visible."""


def _json(text: str) -> Any:
    def no_number(word: str) -> str:
        raise ValueError(f"{word} is not a JSON number")

    try:
        return json.loads(
            text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=no_number
        )
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}") from None


def _tree(value: Any, at: str = "#", depth: int = 0) -> Any:
    """Mappings, lists and text, with None for null. Raises Invalid."""
    if depth > _MAX_DEPTH:
        raise Invalid([FieldError(at, "is nested too deeply")])
    if isinstance(value, _Pairs):
        mapping: dict[str, Any] = {}
        for name, each in value:
            _tree(name, at)
            here = below(at, name)
            if name in mapping:
                raise Invalid([FieldError(here, "is given more than once")])
            mapping[name] = _tree(each, here, depth + 1)
        return mapping
    if isinstance(value, list):
        return [_tree(each, below(at, n), depth + 1) for n, each in enumerate(value)]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not is_writable(value):
        raise Invalid([FieldError(at, CONTROL)])
    return value


def _text(event: ScalarEvent) -> str | None:
    """The scalar's text; None for null."""
    return None if event.implicit[0] and event.value in _NULLS else str(event.value)


def _yaml(text: str, scalar: Callable[[ScalarEvent], str | None] = _text) -> Any:
    """Raises Malformed, Invalid."""
    # Imported here, because only adding a version needs it.
    import yaml

    builder = _Builder()
    try:
        for count, event in enumerate(yaml.parse(text, yaml.CBaseLoader)):
            if count > _MAX_EVENTS:
                raise Invalid([FieldError("#", f"must have at most {_MAX_EVENTS} nodes")])
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise builder.refused(
                    "has an alias or anchor, which CloudFormation does not support"
                )
            if isinstance(event, yaml.DocumentStartEvent):
                builder.document()
            elif isinstance(event, yaml.ScalarEvent):
                builder.add(builder.tagged(event.tag, scalar(event)))
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                mapping = isinstance(event, yaml.MappingStartEvent)
                builder.open(_Pairs() if mapping else [], event.tag)
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                builder.close()
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is broken"
        raise Malformed(f"The body is not YAML{line}: {said}") from None
    return builder.root


@dataclass
class _Open:
    """An unfinished mapping or list. `key` is the key whose value comes next."""

    items: Any
    tag: str | None
    key: str | None = None


@dataclass
class _Builder:
    """Builds the tree from events, without recursion."""

    root: Any = None
    documents: int = 0
    stack: list[_Open] = field(default_factory=list)

    def refused(self, detail: str) -> Invalid:
        parts = [
            each.key if isinstance(each.items, _Pairs) else len(each.items) for each in self.stack
        ]
        return Invalid([FieldError(below("#", *(p for p in parts if p is not None)), detail)])

    def document(self) -> None:
        self.documents += 1
        if self.documents > 1:
            raise Malformed("The body has more than one YAML document. Send one.")

    def open(self, items: Any, tag: str | None) -> None:
        here = self.stack[-1] if self.stack else None
        if here and isinstance(here.items, _Pairs) and here.key is None:
            raise self.refused("has a key that is not a string")
        self.stack.append(_Open(items, tag))
        if len(self.stack) > _MAX_DEPTH:
            raise self.refused("is nested too deeply")

    def close(self) -> None:
        done = self.stack.pop()
        self.add(self.tagged(done.tag, done.items))

    def add(self, value: Any) -> None:
        here = self.stack[-1] if self.stack else None
        if here is None:
            self.root = value
        elif not isinstance(here.items, _Pairs):
            here.items.append(value)
        elif here.key is not None:
            here.items.append((here.key, value))
            here.key = None
        elif isinstance(value, str):
            here.key = value
        else:
            raise self.refused("has a key that is not a string")

    def tagged(self, tag: str | None, value: Any) -> Any:
        if tag in _PLAIN_TAGS:
            return value
        name = SHORT_FORMS.get(tag or "")
        if name is None:
            raise self.refused(
                f"has the tag {str(tag)[:MAX_NAME]}, which CloudFormation does not support"
            )
        if name == "Fn::GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return _Pairs([(name, value)])


def _raise(faults: Iterable[FieldError]) -> None:
    found = list(islice(faults, _MAX_TOLD))
    if found:
        raise Invalid(found)
