"""Validation of a template's inputs against its parameters.

CloudFormation takes every value as text, and a list as text with commas. It has the last word; the
checks here report all faults at once, before anything is created.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from types import FrameType
from typing import Any

from slipway.domain.environment import MASK
from slipway.domain.fields import CONTROL, is_writable
from slipway.domain.template import Parameter
from slipway.errors import FieldError, Invalid

# Slipway supplies these if a template declares them.
CONVENTIONS = frozenset(
    {
        "Version",
        "Artifact",
        "EnvironmentName",
        "ProjectName",
        "EnvironmentId",
        "PermissionsBoundary",
    }
)

# All inputs together, because they pass through a workflow's state, which holds 256 KB.
MAX_BYTES_TOGETHER = 65_536
_MAX_BYTES = 4096
_MAX_TOLD = 20
_NO_PARAMETER = "is not a parameter of the template"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_PATTERN_SECONDS = 0.5


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
    for name, value in given.items():
        for detail in _put(known.get(name), name, value, values):
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


def problems(parameter: Parameter, text: str) -> Iterator[str]:
    """The rules of the parameter that this value breaks."""
    numbers = parameter.type in ("Number", "List<Number>")
    is_list = parameter.type.startswith(("List<", "CommaDelimitedList"))
    for each in [part.strip() for part in text.split(",")] if is_list else [text]:
        detail = _number(parameter, each) if numbers else _text(parameter, each)
        if detail:
            yield detail
            return


def is_number(text: str) -> bool:
    return len(text) <= 100 and _NUMBER.fullmatch(text) is not None


def _fault(name: str, detail: str) -> FieldError:
    return FieldError(f"#/inputs/{name[:255].replace('~', '~0').replace('/', '~1')}", detail)


def _put(parameter: Parameter | None, name: str, value: Any, into: dict[str, str]) -> Iterator[str]:
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
    elif parameter.no_echo and not text:
        yield "must not be empty"
    else:
        into[name] = text
        yield from problems(parameter, text)


def _written(kind: str, value: Any) -> str | None:
    """The value as CloudFormation's text; None if it has another type.

    Raises OverflowError.
    """
    if kind in ("Number", "List<Number>") and _is_number(value):
        return _digits(value)
    if isinstance(value, list) and kind.startswith(("List<", "CommaDelimitedList")):
        parts = [_digits(each) if _is_number(each) else each for each in value]
        if all(isinstance(each, str) and "," not in each for each in parts):
            return ",".join(parts)
        return None
    return value if isinstance(value, str) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _digits(value: float) -> str:
    # 1e400 is infinite, and Python refuses to print an integer of thousands of digits.
    if not abs(value) < 10**50:
        raise OverflowError
    return str(value)


def _kind(name: str) -> str:
    if name == "Number":
        return "a number"
    return "a list" if name.startswith(("List<", "CommaDelimitedList")) else "text"


def _number(parameter: Parameter, text: str) -> str | None:
    if not is_number(text):
        return "must be a number"
    value = Decimal(text)
    if parameter.min_value is not None and value < Decimal(parameter.min_value):
        return f"must be at least {parameter.min_value}"
    if parameter.max_value is not None and value > Decimal(parameter.max_value):
        return f"must be at most {parameter.max_value}"
    allowed = parameter.allowed_values
    if allowed and value not in [Decimal(each) for each in allowed if is_number(each)]:
        return _one_of(allowed)
    return None


def _text(parameter: Parameter, text: str) -> str | None:
    said = parameter.constraint_description
    if parameter.allowed_values and text not in parameter.allowed_values:
        return said or _one_of(parameter.allowed_values)
    if parameter.min_length is not None and len(text) < parameter.min_length:
        return said or f"must have at least {parameter.min_length} characters"
    if parameter.max_length is not None and len(text) > parameter.max_length:
        return said or f"must have at most {parameter.max_length} characters"
    if parameter.allowed_pattern is not None:
        return _unlike(parameter.allowed_pattern, text, said)
    return None


def _one_of(allowed: Sequence[str]) -> str:
    more = ", …" if len(allowed) > _MAX_TOLD else ""
    return f"must be one of {', '.join(each[:100] for each in allowed[:_MAX_TOLD])}{more}"


def _unlike(pattern: str, text: str, said: str | None) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            compiled = re.compile(pattern, re.ASCII)
    except (re.error, FutureWarning, RecursionError, OverflowError):
        # CloudFormation uses Java's patterns, which allow slightly more. It checks this one itself.
        return None
    try:
        with _at_most(_PATTERN_SECONDS):
            fits = compiled.fullmatch(text) is not None
    except TimeoutError:
        return f"takes too long to match {pattern[:200]}"
    return None if fits else said or f"must match {pattern[:200]}"


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError during a match: some patterns take practically for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
