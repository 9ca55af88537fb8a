"""Validation of a template's inputs against its parameters.

CloudFormation takes every value as text, and a list as text with commas. It has the last word; the
checks here report all faults at once, before anything is created.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from slipway.domain.deployment import BROUGHT
from slipway.domain.effort import Budget
from slipway.domain.environment import MASK
from slipway.domain.fields import CONTROL, is_writable
from slipway.domain.template import Parameter
from slipway.errors import FieldError, Invalid

if TYPE_CHECKING:
    from slipway.domain.patterns import Pattern

# Slipway supplies these if a template declares them.
CONFIGURATION_PATH = "ConfigurationPath"
CONVENTIONS = BROUGHT | {
    *("EnvironmentName", "ProjectName", "EnvironmentId", "PermissionsBoundary"),
    CONFIGURATION_PATH,
}

# All inputs together, because they pass through a workflow's state, which holds 256 KB.
MAX_BYTES_TOGETHER = 65_536
_MAX_BYTES = 4096
_MAX_TOLD = 20
_NO_PARAMETER = "is not a parameter of the template"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# For all patterns of one request: about a fifth of a second. Usual ones need a few hundred each.
_PATTERN_STEPS = 250_000


def checked(
    parameters: Sequence[Parameter],
    given: Mapping[str, Any],
    there: Collection[str] = (),
    also: Sequence[FieldError] = (),
) -> dict[str, str]:
    """The values as CloudFormation takes them. Parameters in `there` already have a value.

    Raises Invalid with a pointer to each wrong input, and the faults in `also`.
    """
    known = {each.name: each for each in parameters}
    faults = list(also)
    values: dict[str, str] = {}
    steps = budget()
    for name, value in given.items():
        for detail in _put(known.get(name), name, value, values, steps):
            faults.append(_fault(name, detail))
    for name, parameter in known.items():
        needs_none = name in given or name in there or name in CONVENTIONS
        if not needs_none and parameter.default is None:
            faults.append(_fault(name, "is required"))
    if faults:
        raise Invalid(faults[:_MAX_TOLD])
    return values


def merged(
    parameters: Sequence[Parameter],
    values: Mapping[str, str],
    secret: Collection[str],
    change: Mapping[str, Any],
) -> tuple[dict[str, str], frozenset[str]]:
    """The current values and secret names, with a merge patch applied (RFC 7396, null removes).

    Returns the values, including new secrets, and the names of the secrets that stay. Drops values
    without a parameter. Raises Invalid, like `checked`.
    """
    known = {each.name for each in parameters} - CONVENTIONS
    hidden = secrets(parameters)
    change = without_masks(change, secret)
    faults = [
        _fault(name, "was a secret and would become visible: send it again, or null")
        for name in sorted(set(secret) & known - hidden - set(change))
    ]
    faults += [
        _fault(name, "is supplied by Slipway" if name in CONVENTIONS else _NO_PARAMETER)
        for name, value in change.items()
        if value is None and name not in known.union(values, secret)
    ]
    there = frozenset(secret) & hidden - set(change)
    stays = {n: value for n, value in values.items() if n in known and n not in change}
    given = {n: value for n, value in change.items() if value is not None}
    return checked(parameters, {**stays, **given}, set(secret) - set(change), faults), there


def without_masks(given: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
    """The inputs without the masks of secrets that are there: what was shown is sent back."""
    return {n: value for n, value in given.items() if not (value == MASK and n in secret)}


def written(values: Mapping[str, str]) -> str:
    """The values as a record stores them. Raises Invalid if they are too large."""
    text = json.dumps(values)
    if len(text) > MAX_BYTES_TOGETHER:
        detail = f"must be at most {MAX_BYTES_TOGETHER} bytes together"
        raise Invalid([FieldError("#/inputs", detail)])
    return text


def secrets(parameters: Sequence[Parameter]) -> frozenset[str]:
    """The names of the parameters whose values are never shown."""
    return frozenset(each.name for each in parameters if each.no_echo)


def with_defaults(parameters: Sequence[Parameter], values: Mapping[str, str]) -> dict[str, str]:
    """The values that the template will get, except those that Slipway supplies; secrets masked."""
    return {
        each.name: MASK if each.no_echo else values.get(each.name, each.default or "")
        for each in parameters
        if each.name not in CONVENTIONS
    }


def budget() -> Budget:
    """The budget of one request for all its patterns."""
    return Budget(_PATTERN_STEPS)


def problems(parameter: Parameter, text: str, budget: Budget) -> Iterator[str]:
    """The first rule of the parameter that this value breaks. `budget` is for its pattern."""
    if parameter.is_read:
        # Imported here, because most templates have no such parameter.
        from slipway.domain import public_values

        detail = public_values.problem(text)
        if detail:
            yield detail
            return
    # CloudFormation holds the name, one text, against the constraints, and not what it reads.
    is_list = parameter.type.startswith(("List<", "CommaDelimitedList"))
    numbers = parameter.type in ("Number", "List<Number>")
    rule = _number_rule(parameter) if numbers else _text_rule(parameter, budget)
    for each in [part.strip() for part in text.split(",")] if is_list else [text]:
        detail = rule(each)
        if detail:
            yield detail
            return


def is_number(text: str) -> bool:
    return len(text) <= 100 and _NUMBER.fullmatch(text) is not None


def _fault(name: str, detail: str) -> FieldError:
    return FieldError(f"#/inputs/{name[:255].replace('~', '~0').replace('/', '~1')}", detail)


def _put(
    parameter: Parameter | None, name: str, value: Any, into: dict[str, str], steps: Budget
) -> Iterator[str]:
    if parameter is None:
        yield _NO_PARAMETER
        return
    if name in CONVENTIONS:
        yield "is supplied by Slipway"
        return
    try:
        text = _written(parameter.type, value)
    except OverflowError:
        yield "is too large"
        return
    if text is None:
        yield f"must be {_kind(parameter.type)}"
    elif not is_writable(text):
        yield CONTROL
    elif len(text.encode()) > _MAX_BYTES:
        yield f"must be at most {_MAX_BYTES} bytes"
    elif "{{" in text:
        # CloudFormation would resolve it with permissions that the caller does not have.
        yield "must not contain {{"
    elif any(each.endswith("{") for each in _parts(parameter.type, text)):
        # What follows in the template could make a dynamic reference of it.
        yield "must not have a value that ends with {"
    elif parameter.no_echo and not text:
        yield "must not be empty"
    elif parameter.no_echo and text == MASK:
        yield "is what is shown in place of a secret: send the secret itself"
    else:
        into[name] = text
        yield from problems(parameter, text, steps)


def _parts(kind: str, text: str) -> list[str]:
    """The items of a list, or the text."""
    is_list = kind.startswith(("List<", "CommaDelimitedList"))
    return [each.strip() for each in text.split(",")] if is_list else [text]


def _written(kind: str, value: Any) -> str | None:
    """The value as CloudFormation's text; None if it has another type.

    Raises OverflowError.
    """
    if not isinstance(value, list):
        return _of_one(kind, value)
    if not kind.startswith(("List<", "CommaDelimitedList")):
        return None
    # A comma within a text separates, as in a text for the whole list.
    parts = [_of_one(kind, each) for each in value]
    return None if None in parts else ",".join(map(str, parts))


def _of_one(kind: str, value: Any) -> str | None:
    """A single value as text: numbers and booleans too, because tools send them for any type."""
    if isinstance(value, bool):
        return None if "Number" in kind else json.dumps(value)
    return _digits(value) if isinstance(value, int | float) else _text(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _digits(value: float) -> str:
    # 1e400 is infinite, and Python refuses to print an integer of thousands of digits.
    if not abs(value) < 10**50:
        raise OverflowError
    return str(int(value)) if float(value).is_integer() else str(value)


def _kind(name: str) -> str:
    if name == "Number":
        return "a number"
    return "a list" if name.startswith(("List<", "CommaDelimitedList")) else "text"


def _number_rule(parameter: Parameter) -> Callable[[str], str | None]:
    """The faults of a number. Each call takes constant time, however many are allowed."""
    least = None if parameter.min_value is None else Decimal(parameter.min_value)
    most = None if parameter.max_value is None else Decimal(parameter.max_value)
    allowed = parameter.allowed_values or []
    numbers = frozenset(Decimal(each) for each in allowed if is_number(each))

    def rule(text: str) -> str | None:
        if not is_number(text):
            return "must be a number"
        value = Decimal(text)
        if least is not None and value < least:
            return f"must be at least {parameter.min_value}"
        if most is not None and value > most:
            return f"must be at most {parameter.max_value}"
        return _one_of(allowed) if allowed and value not in numbers else None

    return rule


def _text_rule(parameter: Parameter, budget: Budget) -> Callable[[str], str | None]:
    """The faults of a text. Each call takes constant time, apart from the pattern."""
    said, allowed = parameter.constraint_description, frozenset(parameter.allowed_values or ())
    least, most = parameter.min_length or 0, parameter.max_length
    pattern = _pattern(parameter.allowed_pattern, budget)

    def rule(text: str) -> str | None:
        if allowed and text not in allowed:
            return said or _one_of(parameter.allowed_values or ())
        if len(text) < least:
            return said or f"must have at least {least} characters"
        if most is not None and len(text) > most:
            return said or f"must have at most {most} characters"
        if pattern and pattern.refuses(text):
            return said or f"must match {str(parameter.allowed_pattern)[:200]}"
        return None

    return rule


def _pattern(pattern: str | None, budget: Budget) -> Pattern | None:
    if pattern is None:
        return None
    # Imported here, because most parameters have no pattern.
    from slipway.domain.patterns import Pattern

    return Pattern(pattern, budget)


def _one_of(allowed: Sequence[str]) -> str:
    more = ", …" if len(allowed) > _MAX_TOLD else ""
    return f"must be one of {', '.join(each[:100] for each in allowed[:_MAX_TOLD])}{more}"
