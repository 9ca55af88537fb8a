"""Functions and references that no template may use, wherever they are.

Macros and includes would run code or fetch text while the template is processed. Imports and
dynamic references read what belongs to others. Assertions about values of the account tell of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slipway.domain import dynamic_references, effort
from slipway.domain.references import Place, below, path
from slipway.errors import FieldError

_NAMES = (
    "And Base64 Cidr Contains EachMemberEquals EachMemberIn Equals FindInMap GetAZs GetAtt If Join "
    "Length Not Or Select Split Sub ToJsonString"
)
_FUNCTIONS = frozenset(f"Fn::{name}" for name in _NAMES.split())
_WHY = {
    "Fn::GetStackOutput": "is not available to environments: it reads other stacks",
    "Fn::ImportValue": "is not available to environments: it reads other stacks. Pass the value as "
    "an input",
    "Fn::RefAll": "is not available to environments: it reads the values of the account",
    "Fn::ValueOf": "is not available to environments: it reads the values of the account",
    "Fn::ValueOfAll": "is not available to environments: it reads the values of the account",
}
_COMPOSING = ("Fn::Sub", "Fn::Join")
_EXTENSIONS = frozenset({"Fn::Length", "Fn::ToJsonString"})
_NO_MACROS = "needs a transform, and only those of SAM and AWS::LanguageExtensions are allowed"
_VARIABLE = re.compile(r"\$\{[^${}!][^${}]*\}")


def faults(tree: Any, *, language: bool = False) -> Iterator[FieldError]:
    """A fault for each, with its place. `language`: whether the template has the transform
    AWS::LanguageExtensions. Linear in the size of the tree. Raises TooCostly."""
    # With each value its place, and whether it is a part of a text that was read as a whole.
    left: list[tuple[Any, Place, bool]] = [(tree, (), False)]
    while left:
        effort.check()
        value, place, composed = left.pop()
        if isinstance(value, str):
            if "{" in value and _is_reference(value, place):
                yield FieldError(below("#", *path(place)), dynamic_references.REFUSED)
        elif isinstance(value, list):
            left += [(each, (n, place), composed) for n, each in enumerate(value)][::-1]
        elif isinstance(value, dict):
            for name, each in value.items():
                if name.startswith("Fn::") and (why := _fault(name, each, composed, language)):
                    yield FieldError(below("#", *path((name, place))), why)
            left += [
                (each, (name, place), composed or name in _COMPOSING)
                for name, each in value.items()
            ][::-1]


def references(tree: Any) -> Iterator[FieldError]:
    """The faults of dynamic references alone, in a template whose loops are not carried out."""
    found = faults(tree, language=True)
    return (each for each in found if each.detail == dynamic_references.REFUSED)


# A mapping's values are pieces of what is composed elsewhere.
_BRACED = re.compile(r"\{[^{}$]+\}")
_UNCLOSED = re.compile(r"\{\{(?!.*\}\})|\{$", re.DOTALL)


def _is_reference(value: str, place: Place) -> bool:
    text = dynamic_references.without_shared(value)
    if dynamic_references.is_refused(text):
        return True
    return path(place)[:1] == ["Mappings"] and _UNCLOSED.search(text[-4096:]) is not None


def _fault(name: str, argument: Any, composed: bool, language: bool) -> str | None:
    why = _refused(name, language)
    if why is None and name in _COMPOSING and not composed:
        text = _as_text({name: argument})
        return dynamic_references.REFUSED if dynamic_references.is_refused(text) else None
    return why


def _as_text(value: Any) -> str:
    """The text that an expression composes; NUL stands for each of its variables."""
    if isinstance(value, str):
        return _VARIABLE.sub("\x00", dynamic_references.without_shared(value))
    if isinstance(value, list):
        return "".join(map(_as_text, value))
    if not isinstance(value, dict):
        return ""
    joined, text = value.get("Fn::Join"), value.get("Fn::Sub")
    if isinstance(joined, list) and len(joined) == 2 and isinstance(joined[1], list):
        return _as_text(joined[0]).join(map(_as_text, joined[1]))
    if isinstance(text, str):
        return _as_text(text)
    if isinstance(text, list) and text:
        return _as_text(text[0]) + "".join(map(_variable, text[1:]))
    return _variable(value)


def _variable(value: Any) -> str:
    """NUL for a value that stands for several, such as a condition's; with a brace before it, which
    is refused, if one of its texts could be the beginning of a reference."""
    left, is_split = [value], False
    while left:
        each = left.pop()
        if isinstance(each, dict):
            is_split = is_split or "Fn::Split" in each
            left += map(_without_delimiter, each.items())
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str):
            text = dynamic_references.without_shared(each)
            if "{{" in text or text.endswith("{") or (is_split and "{" in text):
                return "{\x00"
    return "\x00"


def _without_delimiter(entry: tuple[Any, Any]) -> Any:
    """The value of a mapping's entry; of a `Fn::Split` only what is split, because its pieces are
    without the delimiter. One that could begin a reference stays."""
    name, value = entry
    if name == "Fn::Split" and isinstance(value, list) and len(value) == 2:
        delimiter = value[0]
        if isinstance(delimiter, str) and _BRACED.fullmatch(delimiter):
            return value[1]
    return value


def _refused(name: str, language: bool) -> str | None:
    if name.startswith("Fn::ForEach") and language:
        # Those in the right places were carried out.
        return "is available only in Resources, Conditions and Outputs, as Fn::ForEach::Name"
    if not language and (name in _EXTENSIONS or name.startswith("Fn::ForEach")):
        return "needs the transform AWS::LanguageExtensions"
    if name == "Fn::Transform":
        return _NO_MACROS
    if name in _WHY:
        return _WHY[name]
    if name.startswith("Fn::") and name not in _FUNCTIONS:
        return "is not a function of CloudFormation that Slipway knows"
    return None
