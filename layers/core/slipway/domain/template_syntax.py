"""Parses YAML or JSON into mappings, lists and text, without trusting it.

YAML is read as a stream of events and never constructs objects: every scalar is text, tags can only
be CloudFormation's short forms, aliases are refused as CloudFormation refuses them, and depth and
size are limited.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slipway.domain import effort
from slipway.domain.fields import CONTROL, is_writable
from slipway.domain.references import MAX_NAME, below
from slipway.errors import FieldError, Invalid, Malformed

if TYPE_CHECKING:
    from yaml import ScalarEvent

_MAX_DEPTH = 50
# CloudFormation's largest template, 1 MB, has about 60,000. So many cost a third of a second.
_MAX_NODES = 150_000

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


def from_json(text: str) -> Any:
    """Mappings, lists and text; None for null. Raises Malformed, Invalid."""
    return _tree(_json(text), _Limit())


def from_yaml(text: str, scalar: Callable[[ScalarEvent], str | None] | None = None) -> Any:
    """Mappings, lists, and for each scalar what `scalar` returns, by default its text.

    Raises Malformed, Invalid.
    """
    return _tree(_yaml(text, scalar or _text), _Limit())


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


class _Limit:
    """Counts the nodes of a document, keys included, so that it costs no more than its size."""

    def __init__(self) -> None:
        self.path: list[int | str] = []
        self._left = _MAX_NODES

    def enter(self) -> None:
        """Raises Invalid, TooCostly."""
        effort.check()
        self._left -= 1
        if self._left < 0:
            raise Invalid([FieldError("#", f"must have at most {_MAX_NODES} nodes")])
        if len(self.path) > _MAX_DEPTH:
            raise self.refused("is nested too deeply")

    def refused(self, detail: str) -> Invalid:
        return Invalid([FieldError(below("#", *self.path), detail)])


def _tree(value: Any, limit: _Limit) -> Any:
    """Mappings, lists and text, with None for null. Raises Invalid.

    The place of the value is only put together for a refusal.
    """
    limit.enter()
    if isinstance(value, _Pairs):
        mapping: dict[str, Any] = {}
        for name, each in value:
            _tree(name, limit)
            limit.path.append(name)
            if name in mapping:
                raise limit.refused("is given more than once")
            mapping[name] = _tree(each, limit)
            limit.path.pop()
        return mapping
    if isinstance(value, list):
        several = []
        for n, each in enumerate(value):
            limit.path.append(n)
            several.append(_tree(each, limit))
            limit.path.pop()
        return several
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not is_writable(value):
        raise limit.refused(CONTROL)
    return value


def _text(event: ScalarEvent) -> str | None:
    """The scalar's text; None for null."""
    return None if event.implicit[0] and event.value in _NULLS else str(event.value)


def _yaml(text: str, scalar: Callable[[ScalarEvent], str | None]) -> Any:
    # Imported here, because only adding a version needs it.
    import yaml

    builder = _Builder()
    try:
        for count, event in enumerate(yaml.parse(text, yaml.CBaseLoader)):
            effort.check()
            if count > 2 * _MAX_NODES:
                # Each node has at most a beginning and an end.
                raise Invalid([FieldError("#", f"must have at most {_MAX_NODES} nodes")])
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
