"""The parameters of a template, with CloudFormation's attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from slipway.domain import inputs, public_values, supplied
from slipway.domain.effort import Budget
from slipway.domain.fields import INVISIBLE, is_visible
from slipway.domain.references import below
from slipway.domain.template import Parameter
from slipway.errors import FieldError

MOST = 200
# Each is a parameter in the parameter store, which accepts about twenty writes at once.
MAX_SECRETS = 20

_TYPE = re.compile(
    r"String|Number|CommaDelimitedList|List<(?:Number|String)>|AWS::[A-Za-z0-9:]+"
    r"|List<AWS::[A-Za-z0-9:]+>"
)


def declared(section: Mapping[str, Any], faults: list[FieldError]) -> list[Parameter]:
    """The parameters of the section. Adds what is wrong with it to `faults`."""
    if len(section) > MOST:
        faults.append(FieldError("#/Parameters", f"must be at most {MOST}"))
    steps = inputs.budget()
    found = [
        parameter
        for name, each in islice(section.items(), MOST)
        if (parameter := _parameter(name, each, faults, steps)) is not None
    ]
    if len(inputs.secrets(found)) > MAX_SECRETS:
        faults.append(FieldError("#/Parameters", f"must be at most {MAX_SECRETS} with NoEcho"))
    return found


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
    if parameter.is_read and parameter.no_echo:
        # A secret of an older version would be kept and read as a name.
        faults.append(FieldError(f"{at}/NoEcho", "must be false: AWS's parameters are public"))
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
    if key == "Type" and not (_TYPE.fullmatch(value) or public_values.is_type(value)):
        return "is not a parameter type of CloudFormation"
    if key == "NoEcho" and value.lower() not in ("true", "false"):
        return "must be true or false"
    if key in ("MinLength", "MaxLength") and not re.fullmatch(r"[0-9]{1,9}", value):
        return "must be a whole number"
    if key in ("MinValue", "MaxValue") and not inputs.is_number(value):
        return "must be a number"
    return None
