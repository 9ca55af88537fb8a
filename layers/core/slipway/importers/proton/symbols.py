"""Symbols: values that are not known until an environment is created."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# They surround a symbol's number in rendered text, and are from Unicode's private use area.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


@dataclass(frozen=True)
class SchemaInput:
    """An input of the schema, by its dotted name."""

    name: str


@dataclass(frozen=True)
class PlatformValue:
    """A value that Slipway or CloudFormation supplies."""

    name: str


@dataclass(frozen=True)
class EnvironmentOutput:
    """A value that Proton took from the service's environment, such as one of its outputs."""

    path: str


@dataclass(frozen=True)
class UserSupplied:
    """A value that CloudFormation cannot compute. `text`: its expression in Jinja."""

    text: str
    is_boolean: bool = False


@dataclass(frozen=True)
class ListItem:
    """One item of a list, counted from 0."""

    values: SchemaInput
    index: int


@dataclass(frozen=True)
class JoinedList:
    values: SchemaInput
    separator: str


@dataclass(frozen=True)
class AllItems:
    """All items of a list, represented by one YAML item."""

    values: SchemaInput


Symbol = (
    SchemaInput
    | PlatformValue
    | EnvironmentOutput
    | UserSupplied
    | ListItem
    | JoinedList
    | AllItems
)


@dataclass(frozen=True)
class Text:
    """Pieces of text with symbols between them."""

    pieces: tuple[str | Symbol, ...]


@dataclass(frozen=True)
class Equals:
    """The condition that the symbol's text is `text`. Each such condition makes two branches."""

    symbol: Symbol
    text: str


@dataclass
class Markers:
    """The markers of all symbols. A symbol has one marker, so that branches can be compared."""

    symbols: list[Symbol] = field(default_factory=list)
    lines: dict[Symbol, set[int]] = field(default_factory=dict)

    def mark(self, symbol: Symbol, line: int) -> str:
        if symbol not in self.lines:
            self.symbols.append(symbol)
        self.lines.setdefault(symbol, set()).add(line)
        return f"{_OPEN}{self.symbols.index(symbol)}{_CLOSE}"

    def pieces(self, text: str) -> list[str | Symbol]:
        """Alternating text and symbols, without empty text."""
        parts = _MARK.split(text)
        every = [self.symbols[int(part)] if n % 2 else part for n, part in enumerate(parts)]
        return [each for each in every if each != ""]


def is_marked(text: str) -> bool:
    return _OPEN in text or _CLOSE in text


def describe(symbol: Symbol) -> str:
    match symbol:
        case SchemaInput() | PlatformValue():
            return symbol.name
        case EnvironmentOutput():
            return symbol.path
        case UserSupplied():
            return symbol.text
    return symbol.values.name
