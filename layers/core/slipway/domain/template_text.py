"""The texts that a value of a template can become, as far as the template alone tells.

`Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join`, `Fn::If`, `Fn::FindInMap`, `Fn::Select` and `Fn::Split`
are carried out on symbols: a resource, a parameter and a pseudo parameter stay what they are, and
everything else is unknown. An expression with a condition or a mapping has several texts.

The work is linear in the size of the template: a value with more texts, or with longer ones, than
any name or ARN needs is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from slipway.domain import effort

_MOST_TEXTS = 32
_MOST_PARTS = 40
_MOST_CHARACTERS = 2_100  # An ARN has at most 2,048.
_VARIABLE = re.compile(r"\$\{([^${}]+)\}")
NO_VALUE = "AWS::NoValue"


class Part(NamedTuple):
    """A part of a text.

    text       `value` itself
    pseudo     the pseudo parameter `value`, such as AWS::StackName
    parameter  the parameter `value`
    resource   the attribute of the resource `value`, or what `Ref` returns if there is none
    piece      the piece `attribute` (separator and number) of the parameter `value`
    unknown    anything
    """

    kind: Literal["text", "pseudo", "parameter", "resource", "piece", "unknown"]
    value: str = ""
    attribute: str = ""


Text = tuple[Part, ...]
UNKNOWN: Text = (Part("unknown"),)


def intrinsic(value: Any) -> tuple[str, Any] | None:
    """The function and its argument, if the value is a call of one."""
    if isinstance(value, dict) and len(value) == 1:
        [(name, argument)] = value.items()
        if name in ("Ref", "Condition") or name.startswith("Fn::"):
            return name, argument
    return None


def is_no_value(value: Any) -> bool:
    return intrinsic(value) == ("Ref", NO_VALUE)


def literal(text: Text) -> str | None:
    """The text, if all of it is known."""
    if not text:
        return ""
    return text[0].value if len(text) == 1 and text[0].kind == "text" else None


def joined(texts: Iterable[Text]) -> Text:
    """One text of several, with neighbouring literals made one."""
    parts: list[Part] = []
    for part in (part for text in texts for part in text):
        if part.kind == "text" and parts and parts[-1].kind == "text":
            parts[-1] = Part("text", parts[-1].value + part.value)
        elif part != Part("text"):
            parts.append(part)
    too_long = sum(len(part.value) for part in parts) > _MOST_CHARACTERS
    return UNKNOWN if too_long or len(parts) > _MOST_PARTS else tuple(parts)


@dataclass(frozen=True)
class Reader:
    """Reads the values of one template. `parameters` are the names of its parameters."""

    parameters: frozenset[str]
    mappings: Mapping[str, Any]

    def texts(self, value: Any) -> list[Text]:
        """All texts that the value can become. `AWS::NoValue` has none. Raises TooCostly."""
        effort.check()
        if isinstance(value, str):
            return [joined([(Part("text", value),)])]
        call = intrinsic(value)
        if call is None:
            return [UNKNOWN]
        name, argument = call
        if name == "Ref" and isinstance(argument, str):
            return [] if argument == NO_VALUE else [(self._named(argument),)]
        read = _READERS.get(name)
        found = read(self, argument) if read else [UNKNOWN]
        return found if len(found) <= _MOST_TEXTS else [UNKNOWN]

    def _named(self, name: str) -> Part:
        if name.startswith("AWS::"):
            return Part("pseudo", name)
        return Part("parameter" if name in self.parameters else "resource", name)

    def _get_att(self, argument: Any) -> list[Text]:
        if isinstance(argument, str):
            argument = argument.split(".", 1)
        if isinstance(argument, list) and len(argument) == 2:
            name, attribute = argument
            if isinstance(name, str) and isinstance(attribute, str):
                return [(Part("resource", name, attribute),)]
        return [UNKNOWN]

    def _sub(self, argument: Any) -> list[Text]:
        text, own = argument, {}
        if isinstance(argument, list) and len(argument) == 2:
            text, own = argument
        if not isinstance(text, str) or not isinstance(own, dict):
            return [UNKNOWN]
        if len(text) > _MOST_CHARACTERS:
            return [UNKNOWN]
        known = {name: self.texts(each) for name, each in own.items()}
        pieces = _VARIABLE.split(text)
        several: list[list[Text]] = []
        for n, piece in enumerate(pieces):
            name = piece.strip()
            if n % 2 == 0:
                several.append([(Part("text", piece),)])
            elif name.startswith("!"):
                several.append([(Part("text", f"${{{name[1:]}}}"),)])
            elif name in known:
                several.append(known[name])
            else:
                resource, _, attribute = name.partition(".")
                part = Part("resource", resource, attribute) if attribute else self._named(name)
                several.append([(part,)])
        return _products(several)

    def _join(self, argument: Any) -> list[Text]:
        if not (isinstance(argument, list) and len(argument) == 2):
            return [UNKNOWN]
        separator, values = argument
        if not isinstance(separator, str):
            return [UNKNOWN]
        found: list[Text] = []
        for each in self._lists(values):
            if each is None or len(each) * (len(separator) + 1) > _MOST_CHARACTERS:
                return [UNKNOWN]
            several: list[list[Text]] = []
            for n, item in enumerate(item for item in each if not is_no_value(item)):
                several += [[(Part("text", separator),)]] if n else []
                several.append([item] if isinstance(item, tuple) else self.texts(item))
            found += _products(several)
        return found

    def _if(self, argument: Any) -> list[Text]:
        if isinstance(argument, list) and len(argument) == 3:
            return list(dict.fromkeys([*self.texts(argument[1]), *self.texts(argument[2])]))
        return [UNKNOWN]

    def _select(self, argument: Any) -> list[Text]:
        if not (isinstance(argument, list) and len(argument) == 2):
            return [UNKNOWN]
        index, values = argument
        number = int(index) if isinstance(index, str) and re.fullmatch("[0-9]{1,3}", index) else -1
        if number < 0:
            return [UNKNOWN]
        call = intrinsic(values)
        if call and call[0] == "Fn::Split":
            piece = self._piece(call[1], number)
            if piece:
                return [piece]
        found: list[Text] = []
        for each in self._lists(values):
            if each is None or number >= len(each):
                return [UNKNOWN]
            item = each[number]
            found += [item] if isinstance(item, tuple) else self.texts(item)
        return found

    def _piece(self, split: Any, number: int) -> Text | None:
        """A piece of a parameter, or of a pseudo parameter."""
        if isinstance(split, list) and len(split) == 2 and isinstance(split[0], str):
            whole = self.texts(split[1])
            if len(whole) == 1 and len(whole[0]) == 1:
                [part] = whole[0]
                if part.kind in ("parameter", "pseudo"):
                    return (Part("piece", part.value, f"{split[0]}{number}"),)
        return None

    def _find_in_map(self, argument: Any) -> list[Text]:
        found = self._mapped(argument)
        if found is None or len(found) > _MOST_TEXTS:
            return [UNKNOWN]
        return list(dict.fromkeys(text for each in found for text in self.texts(each)))

    def _mapped(self, argument: Any) -> list[Any] | None:
        """The values of a mapping that the keys can mean; None if they are not known."""
        if not (isinstance(argument, list) and len(argument) in (3, 4)):
            return None
        found = [self.mappings]
        for key in argument[:3]:
            below: list[Any] = []
            for each in found:
                if not isinstance(each, dict):
                    return None
                below += [each[key]] if isinstance(key, str) and key in each else []
                if not isinstance(key, str):
                    below += each.values()
                if len(below) > _MOST_TEXTS:
                    return None
            found = below
        default = (
            argument[3].get("DefaultValue")
            if isinstance(argument[3:], list)
            and (len(argument) == 4 and isinstance(argument[3], dict))
            else None
        )
        return [*found, default] if default is not None else found or None

    def _lists(self, value: Any) -> list[list[Any] | None]:
        """All lists that the value can become; None for one that is not known."""
        if isinstance(value, list):
            return [value]
        call = intrinsic(value)
        if call is None:
            return [None]
        name, argument = call
        if name == "Fn::If" and isinstance(argument, list) and len(argument) == 3:
            found = [*self._lists(argument[1]), *self._lists(argument[2])]
            return found if len(found) <= _MOST_TEXTS else [None]
        if name == "Fn::FindInMap":
            values = self._mapped(argument)
            return [each if isinstance(each, list) else None for each in values or [None]]
        if name == "Fn::Split" and isinstance(argument, list) and len(argument) == 2:
            whole = self.texts(argument[1])
            known = [literal(text) for text in whole]
            if isinstance(argument[0], str) and argument[0] and None not in known:
                return [str(each).split(argument[0]) for each in known]
        return [None]


_READERS: Mapping[str, Any] = {
    "Fn::GetAtt": Reader._get_att,
    "Fn::Sub": Reader._sub,
    "Fn::Join": Reader._join,
    "Fn::If": Reader._if,
    "Fn::Select": Reader._select,
    "Fn::FindInMap": Reader._find_in_map,
}


def _products(several: list[list[Text]]) -> list[Text]:
    """Every way to join one text of each list."""
    found: list[Text] = [()]
    run: list[Text] = []
    for each in several:
        if len(each) == 1:
            # The part that all of them share is joined once.
            run.append(each[0])
            continue
        found = [joined([text, *run, other]) for text in found for other in each]
        run = []
        if len(found) > _MOST_TEXTS:
            return [UNKNOWN]
    return [joined([text, *run]) for text in found]
