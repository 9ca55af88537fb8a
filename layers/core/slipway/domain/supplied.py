"""The parameters that Slipway fills in, and whether their constraints take the values.

A template may constrain them like any other parameter. What breaks a constraint would make the
change set fail, so it is told earlier: when the version is added, when an environment is made,
renamed or updated, and when a deployment is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.domain import inputs
from slipway.domain.deployment import BEFORE_THE_FIRST
from slipway.domain.template import Parameter, as_record
from slipway.errors import FieldError

_TAKES_TEXT = "String|Number|CommaDelimitedList|List<String>|List<Number>"
_PLAIN = {"name", "type", "default", "description", "constraint_description", "label"}


def constraints(parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """The parameters that Slipway fills in and that do not take every text.

    An environment's record holds them, so that a later value is checked without the template.
    """
    return [
        as_record(each)
        for each in parameters
        if each.name in inputs.CONVENTIONS and not takes_any_text(each)
    ]


def faults(parameter: Parameter, at: str) -> Iterator[FieldError]:
    """Why no environment could be made: a type that takes no text, or a value before the first
    deployment, or the first configuration, that breaks a constraint. `at` is the parameter's JSON
    pointer."""
    if parameter.name not in inputs.CONVENTIONS:
        return
    if not re.fullmatch(_TAKES_TEXT, parameter.type):
        yield FieldError(f"{at}/Type", "must be String: Slipway fills it in")
        return
    if parameter.name == inputs.CONFIGURATION_PATH and problem(parameter, ""):
        detail = "must take an empty text, its value before the first configuration"
        yield FieldError(at, detail)
    first = BEFORE_THE_FIRST.get(parameter.name)
    if first is not None and parameter.default is None and problem(parameter, first):
        shown = first or "an empty text"
        detail = f"must have a Default, or take {shown}, its value before the first deployment"
        yield FieldError(at, detail)


def takes_any_text(parameter: Parameter) -> bool:
    """Whether the parameter has no constraint."""
    return parameter.type == "String" and _PLAIN.issuperset(
        as_record(parameter).keys() - {"no_echo"}
    )


def problem(parameter: Parameter, value: str) -> str | None:
    """The constraint that the value breaks; None if it breaks none, or if only CloudFormation can
    tell."""
    return next(inputs.problems(parameter, value, inputs.budget()), None)


def problems(
    held: Sequence[Mapping[str, Any]], values: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """The names of the parameters whose constraints their values break, and how.

    `held` is what `constraints` returned. A value of None is not checked.
    """
    for each in held:
        value = values.get(each["name"])
        if value is not None:
            detail = problem(Parameter.model_validate(each), value)
            if detail:
                yield each["name"], detail
