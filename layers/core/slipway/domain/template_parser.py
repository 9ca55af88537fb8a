"""Parses a CloudFormation or SAM template without trusting it.

Only its parameters, outputs and resource types are read. The body is stored unchanged, and
CloudFormation has the last word (slipway.aws.template_bodies).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice, starmap
from typing import Any

from slipway.domain import (
    dynamic_references,
    effort,
    inputs,
    references,
    sam_events,
    supplied,
    template_interface,
    template_reach,
    template_scan,
    template_syntax,
)
from slipway.domain.allowances import Allowances
from slipway.domain.capacity import Numbers
from slipway.domain.effort import Budget
from slipway.domain.fields import INVISIBLE, is_visible
from slipway.domain.references import MAX_NAME, below
from slipway.domain.sam_events import Event
from slipway.domain.template import Parameter, ParameterGroup, not_allowed
from slipway.errors import FieldError, Invalid, Malformed

SAM = "AWS::Serverless-2016-10-31"
_SERVERLESS = "AWS::Serverless::"

_MAX_PARAMETERS = 200
# Each is a parameter in the parameter store, which accepts about twenty writes at once.
MAX_SECRETS = 20
# An item of the table has at most 400 kB, and idempotency records contain the answer.
_MAX_DESCRIBED = 150_000
_MAX_FAULTS = 20

_TYPE = re.compile(
    r"String|Number|CommaDelimitedList|List<(?:Number|String)>|AWS::[A-Za-z0-9:]+"
    r"|List<AWS::[A-Za-z0-9:]+>"
)
# CloudFormation would resolve the input with permissions that the caller does not have.
_SSM_VALUE = "AWS::SSM::Parameter::Value<"


@dataclass(frozen=True)
class ParsedTemplate:
    """The parts of a template's body that Slipway needs.

    types     each resource's type, by its logical id
    sam       whether SAM transforms the template
    groups    the groups of parameters
    events    the events for which SAM creates resources, by their JSON pointers
    sections  the sections of the body
    repeated  the JSON pointers of keys that a mapping has more than once; the last one counts
    otherwise the template as it would be if the first one counted, if there are any
    """

    parameters: Sequence[Parameter]
    outputs: Sequence[str]
    types: Mapping[str, str]
    sam: bool
    groups: Sequence[ParameterGroup] = ()
    events: Mapping[str, Event] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict, repr=False)
    repeated: Sequence[str] = ()
    otherwise: ParsedTemplate | None = field(default=None, repr=False)

    @property
    def resources(self) -> dict[str, int]:
        return dict(sorted(Counter(self.types.values()).items()))


def read(body: bytes, *, is_json: bool) -> ParsedTemplate:
    """Parse a template's body. Raises Malformed, Invalid, TooCostly."""
    try:
        text = body.decode()
    except ValueError:
        raise Malformed("The body is not valid UTF-8.") from None

    def tree(repeats: template_syntax.Repeats) -> Any:
        if is_json:
            return template_syntax.from_json(text, repeats)
        return template_syntax.from_yaml(text, repeats=repeats)

    repeats = template_syntax.Repeats()
    with effort.limited():
        found = _parsed(tree(repeats))
        if not repeats.pointers:
            return found
        # AWS does not say which one counts, so the template must be allowed in both cases.
        otherwise = _parsed(tree(template_syntax.Repeats(first=True)))
        return replace(found, repeated=repeats.pointers, otherwise=otherwise)


def read_stored(body: bytes) -> ParsedTemplate:
    """Parse a body that was accepted before. Raises Malformed, Invalid, TooCostly."""
    # A mapping in braces may be JSON or YAML.
    with suppress(Malformed):
        if body.lstrip().startswith(b"{"):
            return read(body, is_json=True)
    return read(body, is_json=False)


def check_allowed(template: ParsedTemplate, allowances: Allowances) -> Numbers:
    """The capacity that the template reserves.

    Raises Invalid for types that are not allowed, and for what reaches beyond the environment;
    TooCostly.
    """
    if template.otherwise:
        check_allowed(template.otherwise, allowances)
    faults = types_not_allowed(template, allowances.types)
    beyond, numbers = template_reach.faults(
        template.sections, template.parameters, template.types, template.sam, allowances
    )
    known = {each.pointer for each in faults}
    shared = dynamic_references.elsewhere(template.sections, allowances.stack)
    with effort.limited():
        _raise(chain(faults, shared, (each for each in beyond if each.pointer not in known)))
    return numbers


_REFUSED = "is not allowed here: an administrator allows types by AllowedResourceTypes"


def types_not_allowed(template: ParsedTemplate, allowed: Sequence[str]) -> list[FieldError]:
    """Faults: resource types that no pattern of `allowed` matches, and events for which SAM would
    create such resources."""
    others = set(not_allowed(template.types.values(), allowed))
    events = set(template.events.values())
    made = {event: sam_events.refused(event.makes, allowed) for event in events}
    faults = {
        below("#/Resources", name, "Type"): f"{kind[:MAX_NAME]} {_REFUSED}"
        for name, kind in template.types.items()
        if kind in others
    }
    faults |= {
        at: f"{event.kind} makes {', '.join(made[event])}, which {_REFUSED}"
        for at, event in template.events.items()
        if made[event]
    }
    return list(starmap(FieldError, faults.items()))


# --- sections --------------------------------------------------------------------


def _parsed(tree: Any) -> ParsedTemplate:
    if not isinstance(tree, dict):
        raise Invalid([FieldError("#", "is not a template: it must be a mapping")])
    faults: list[FieldError] = []
    sections = {name: _section(tree, name, faults) for name in (*references.SECTIONS, "Globals")}
    complete = not faults
    resources, declared = sections["Resources"], sections["Parameters"]
    if not resources and complete:
        faults.append(FieldError("#/Resources", "must have at least one resource"))
    types = {name: _type(name, each, faults) for name, each in resources.items()}
    if len(declared) > _MAX_PARAMETERS:
        faults.append(FieldError("#/Parameters", f"must be at most {_MAX_PARAMETERS}"))
    steps = inputs.budget()
    parameters = [
        parameter
        for name, each in islice(declared.items(), _MAX_PARAMETERS)
        if (parameter := _parameter(name, each, faults, steps)) is not None
    ]
    secrets = inputs.secrets(parameters)
    if len(secrets) > MAX_SECRETS:
        faults.append(FieldError("#/Parameters", f"must be at most {MAX_SECRETS} with NoEcho"))
    outputs = list(sections["Outputs"])
    sam = _transform(tree, types, faults)
    events = dict(sam_events.found(resources, faults)) if sam else {}
    faults += references.unknown(tree)
    faults += islice(template_scan.faults(tree), _MAX_FAULTS)
    grows = sam or any(kind.endswith("::MODULE") for kind in types.values())
    if complete:
        faults += islice(references.missing(sections, grows=grows), _MAX_FAULTS)
        faults += islice(references.shown(sections, secrets), _MAX_FAULTS)
        faults += islice(references.circles(sections), _MAX_FAULTS)
    _raise(faults)
    parameters, groups = template_interface.arranged(tree.get("Metadata"), parameters)
    found = ParsedTemplate(parameters, outputs, types, sam, groups, events, sections)
    shown = [each.model_dump() for each in (*parameters, *groups)]
    described = [shown, outputs, found.resources]
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
        if len(faults) >= _MAX_FAULTS:
            break
    return section


def _type(name: str, resource: Any, faults: list[FieldError]) -> str:
    kind = resource.get("Type") if isinstance(resource, dict) else None
    if isinstance(kind, str) and kind:
        return kind
    faults.append(FieldError(below("#/Resources", name, "Type"), "is required"))
    return ""


def _transform(tree: Mapping[str, Any], types: Mapping[str, str], faults: list[FieldError]) -> bool:
    transform = tree.get("Transform")
    if transform in (SAM, [SAM]):
        return True
    if transform not in (None, []):
        faults.append(FieldError("#/Transform", f"must be {SAM} or left out"))
        return False
    of_sam = next((name for name, kind in types.items() if kind.startswith(_SERVERLESS)), None)
    user = of_sam and f"{of_sam[:MAX_NAME]} is of the type {types[of_sam][:MAX_NAME]}"
    if user or "Globals" in tree:
        detail = f"is missing: it must be {SAM}, because {user or 'there are Globals'}"
        faults.append(FieldError("#/Transform", detail))
    return False


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


def _parameter(
    name: str, declared: Any, faults: list[FieldError], steps: Budget
) -> Parameter | None:
    at = below("#/Parameters", name)
    if not isinstance(declared, dict):
        faults.append(FieldError(at, "must be a mapping"))
        return None
    before = len(faults)
    values: dict[str, Any] = {"name": name}
    for key, value in declared.items():
        detail = _attribute_fault(key, value)
        if detail:
            faults.append(FieldError(below(at, key), detail))
        else:
            values[_FIELDS[key]] = value.lower() == "true" if key == "NoEcho" else value
    if "Type" not in declared:
        faults.append(FieldError(f"{at}/Type", "is required"))
    if len(faults) > before:
        return None
    parameter = Parameter.model_validate(values)
    faults += supplied.faults(parameter, at)
    if parameter.default is not None:
        faults += [
            FieldError(f"{at}/Default", detail)
            for detail in inputs.problems(parameter, parameter.default, steps)
        ]
    return parameter


def _attribute_fault(key: str, value: Any) -> str | None:
    """The fault of a parameter's attribute; None if it has none."""
    if key not in _FIELDS:
        return "is not an attribute of a parameter"
    if key == "AllowedValues":
        fits = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
        return None if fits else "must be a list of values"
    if not isinstance(value, str):
        return "must be a single value"
    if key in ("Description", "ConstraintDescription") and not is_visible(value):
        return INVISIBLE
    if key == "Type" and value.startswith(_SSM_VALUE):
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


def _raise(faults: Iterable[FieldError]) -> None:
    found = list(islice(faults, _MAX_FAULTS))
    if found:
        raise Invalid(found)
