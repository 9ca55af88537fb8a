"""Parses YAML or JSON into mappings, lists and text, without trusting it.

YAML is read as a stream of events and never constructs objects: every scalar is the text that
CloudFormation takes it for (slipway.domain.template_scalars), tags can only be CloudFormation's
short forms, aliases are refused as CloudFormation refuses them, and depth and size are limited.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slipway.domain import effort, template_scalars
from slipway.domain.fields import CONTROL, is_writable
from slipway.domain.references import MAX_NAME, below
from slipway.domain.template_scalars import SHORT_FORMS
from slipway.errors import FieldError, Invalid, Malformed

if TYPE_CHECKING:
    from yaml import ScalarEvent

_MAX_DEPTH = 50
# CloudFormation's largest template, 1 MB, has about 60,000. So many cost a third of a second.
_MAX_NODES = 150_000
_MAX_REPEATS = 20

_PLAIN_TAGS = {None, "!"} | {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
}
# The sections whose keys are names, which other places refer to as text.
_NAMING = {"Parameters", "Mappings", "Conditions", "Rules", "Resources", "Outputs"}


@dataclass
class Repeats:
    """What to do with keys that a mapping has more than once.

    CloudFormation takes the last of them. `first` takes the first instead. Reading adds the JSON
    pointers of repeated keys to `pointers`.
    """

    first: bool = False
    pointers: list[str] = field(default_factory=list)


def from_json(text: str, repeats: Repeats | None = None) -> Any:
    """Mappings, lists and text; None for null. Without `repeats`, repeated keys are refused.

    Raises Malformed, Invalid.
    """
    return _tree(_json(text), _Limit(repeats))


def from_yaml(
    text: str,
    scalar: Callable[[ScalarEvent], str | None] | None = None,
    repeats: Repeats | None = None,
) -> Any:
    """Mappings, lists, and for each scalar what `scalar` returns, by default the text that
    CloudFormation takes it for. Without `repeats`, repeated keys are refused.

    Raises Malformed, Invalid.
    """
    return _tree(_yaml(text, scalar or _text), _Limit(repeats))


class _Pairs(list[tuple[str, Any]]):
    """A mapping as a list of pairs, so that duplicate keys are visible."""


def _json(text: str) -> Any:
    def no_number(word: str) -> str:
        raise ValueError(f"{word} is not a JSON number")

    try:
        return json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=str,
            parse_float=template_scalars.number,
            parse_constant=no_number,
        )
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}") from None


class _Limit:
    """Counts the nodes of a document, keys included, so that it costs no more than its size."""

    def __init__(self, repeats: Repeats | None = None) -> None:
        self.path: list[int | str] = []
        self._left = _MAX_NODES
        self._repeats = repeats

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

    def keeps_first(self) -> bool:
        """Whether the first of two values at this place counts. Raises Invalid."""
        if self._repeats is None or len(self.path) == 1:
            # AWS warns that it is undefined what becomes of a repeated section.
            raise self.refused("is given more than once")
        if len(self._repeats.pointers) < _MAX_REPEATS:
            self._repeats.pointers.append(below("#", *self.path))
        return self._repeats.first


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
            kept = name in mapping and limit.keeps_first()
            read = _tree(each, limit)
            if not kept:
                mapping[name] = read
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
    """The text that CloudFormation takes the scalar for; None for null."""
    return template_scalars.text(event.value) if event.implicit[0] else str(event.value)


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
            if isinstance(event, yaml.AliasEvent):
                raise builder.refused("is an alias, which CloudFormation does not support")
            if isinstance(event, yaml.DocumentStartEvent):
                builder.document()
            elif isinstance(event, yaml.ScalarEvent):
                builder.scalar(event, scalar(event))
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

    def scalar(self, event: ScalarEvent, value: str | None) -> None:
        here = self.stack[-1] if self.stack else None
        names = len(self.stack) == 2 and self.stack[0].key in _NAMING
        if names and here and isinstance(here.items, _Pairs) and here.key is None:
            here.key = event.value
            if event.implicit[0] and not template_scalars.is_text(event.value):
                raise self.refused(f"is read as {value}, not as a name: write it in quotes")
            here.key = None
        self.add(self.tagged(event.tag, value))

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
