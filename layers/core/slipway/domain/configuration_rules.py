"""What variables and secrets may be: names, values, and how many of them.

A fault of a value names it and never shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain import configuration
from slipway.domain.configuration import MOST_BYTES, MOST_NAMES
from slipway.domain.environment import MASK
from slipway.domain.fields import CONTROL, is_writable
from slipway.errors import FieldError, Invalid

if TYPE_CHECKING:
    from slipway.domain.configuration import Content

# The parameter store takes values of 4 kB.
LONGEST_VALUE = 4096
LONGEST_NAME = 128
NAME = rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}"
NAME_FAULT = (
    f"is not a name: that has 1 to {LONGEST_NAME} letters, digits and underscores of ASCII, and "
    "no digit first"
)
_MOST_FAULTS = 20
# As many as there can be, and as many new ones in their place.
_MOST_CHANGES = 2 * MOST_NAMES


def pointer(name: str) -> str:
    """A JSON pointer to the field with this name."""
    return "#/" + name[:200].replace("~", "~0").replace("/", "~1")


def value_fault(value: Any, *, is_secret: bool = False) -> str:
    """What keeps the value from being one; "" if nothing does."""
    if not isinstance(value, str):
        return "must be text, or null to remove it" if not is_secret else "must be text"
    size = len(value.encode(errors="replace"))
    if not 1 <= size <= LONGEST_VALUE:
        return f"must have 1 to {LONGEST_VALUE} bytes, and has {size}"
    if not is_writable(value) or re.search(r"[\x7f-\x9f]", value):
        return f"{CONTROL} but tabs and ends of lines"
    if value == MASK:
        return f"must not be {MASK}, which stands for a secret's value: leave the name out"
    # The parameter store refuses the first, and CloudFormation would resolve a dynamic reference.
    if "{{" in value or (value.endswith("{") and not is_secret):
        return "must not contain {{" if is_secret else "must not contain {{ or end with {"
    return ""


def require_changes(changes: Mapping[str, Any]) -> None:
    """Raises Invalid unless each name is one, and each value a value or None."""
    if not changes:
        raise Invalid([FieldError("#", "must have at least one name")])
    if len(changes) > _MOST_CHANGES:
        detail = f"has {len(changes)} names: send at most {_MOST_CHANGES} at once"
        raise Invalid([FieldError("#", detail)])
    faults = []
    for name, value in changes.items():
        fault = "" if re.fullmatch(NAME, name) else NAME_FAULT
        fault = fault or ("" if value is None else value_fault(value))
        if fault:
            faults.append(FieldError(pointer(name), fault))
    if faults:
        raise Invalid(faults[:_MOST_FAULTS])


def require_room(before: Content, after: Content) -> None:
    """Raises Invalid if the content has grown beyond the limits.

    What is beyond them already, because a level above has grown, can be made smaller.
    """
    for most, count, what in (
        (MOST_NAMES, _count, "variables and secrets"),
        (MOST_BYTES, _bytes, "bytes of names and values, written as JSON"),
    ):
        found = count(after)
        if found > most and found > count(before):
            detail = f"would make {found} {what}, with those that are inherited: {most} are allowed"
            raise Invalid([FieldError("#", detail)])


def _count(content: Content) -> int:
    return len(content["variables"]) + len(content["secrets"])


def _bytes(content: Content) -> int:
    return configuration.size((n, each["value"]) for n, each in content["variables"].items())


def in_use(names: Iterable[str], taken: Iterable[str], kind: str) -> list[FieldError]:
    """A fault for each of the names that is taken by the other kind, `kind`."""
    both = sorted(set(names) & set(taken))[:_MOST_FAULTS]
    return [FieldError(pointer(name), f"is {kind}: remove that first") for name in both]
