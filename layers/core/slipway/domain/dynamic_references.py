"""Dynamic references: parameters and secrets of the account that CloudFormation reads.

An environment's making role may read what is shared with all environments, under a prefix of the
stack that Slipway itself and environments cannot write:

    {{resolve:ssm:/<stack>/shared/some/name}}                      perhaps with :<version>
    {{resolve:secretsmanager:<stack>/shared/some/name}}            perhaps with
        :SecretString:<json key>:<version stage>:<version id>

Any other reference is refused, and so is one that a variable is a part of: a caller could choose
what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slipway.domain import effort
from slipway.domain.references import Place, below, path
from slipway.errors import FieldError

# NUL stands for a variable of a composed text. A variable could also supply one of the braces.
_BEGINS = re.compile(r"\{\{\s*(?:resolve:|\x00)|\{\x00|\x00\{\s*resolve:", re.IGNORECASE)
_NAME = r"([A-Za-z0-9-]+)/shared/"
_SHARED = re.compile(
    rf"\{{\{{resolve:(?:ssm:/{_NAME}[A-Za-z0-9_./-]+(?P<version>:[0-9]+)?|"
    rf"(?P<secret>secretsmanager):{_NAME}[A-Za-z0-9/_+=.@-]+"
    r"(?::SecretString(?::[^:{}\x00]*(?::[^:{}\x00]*(?::[^:{}\x00]*)?)?)?)?)\}\}"
)
REFUSED = (
    "must not contain a dynamic reference but {{resolve:ssm:/<stack>/shared/…}} or "
    "{{resolve:secretsmanager:<stack>/shared/…}}, without variables: environments have no right to "
    "other parameters and secrets of the account. Declare a parameter with NoEcho"
)
_ONLY_THERE = (
    "must not contain a dynamic reference: only properties of resources read shared values"
)
_VERSIONED = "must name a version of the shared value, such as :1, because it is in a parameter"


def without_shared(text: str) -> str:
    """The text without what it says about shared values. Such a reference is whole in one text, so
    that `elsewhere` sees it."""
    return _SHARED.sub("", text) if "{{" in text else text


def is_refused(text: str) -> bool:
    """Whether a text without shared values, put together of its pieces, has a dynamic reference."""
    return _BEGINS.search(text) is not None


def elsewhere(sections: Any, stack: str) -> Iterator[FieldError]:
    """Faults: references to what another stack shares, and those that are in the wrong place.

    `sections` are those of a template that slipway.domain.template_scan accepts.
    """
    left: list[tuple[Any, Place]] = [(sections, ())]
    while left:
        effort.check()
        value, place = left.pop()
        if isinstance(value, dict):
            left += [(each, (name, place)) for name, each in value.items()][::-1]
        elif isinstance(value, list):
            left += [(each, (n, place)) for n, each in enumerate(value)][::-1]
        elif isinstance(value, str) and "{{" in value:
            for found in _SHARED.finditer(value):
                if detail := _fault(found, path(place), stack):
                    yield FieldError(below("#", *path(place)), detail)


def _fault(found: re.Match[str], keys: list[int | str], stack: str) -> str | None:
    named = [each for each in (found[1], found[4]) if each]
    if named != [stack]:
        return f"names another stack than {stack}, so environments have no right to it"
    # CloudFormation's page on ssm references asks for a version in a parameter.
    if keys[0] == "Parameters" and keys[2:3] == ["Default"] and not found["secret"]:
        return None if found["version"] else _VERSIONED
    is_property = keys[0] == "Globals" or (keys[0] == "Resources" and "Properties" in keys[2:3])
    return None if is_property else _ONLY_THERE
