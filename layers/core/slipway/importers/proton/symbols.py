"""Symbols: values of the bundle that are not known yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# They surround a symbol's number in rendered text. From Unicode's private use area.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


@dataclass(frozen=True)
class Given:
    """An input of the schema, by its dotted name."""

    name: str


@dataclass(frozen=True)
class Known:
    """A value that Slipway or CloudFormation supplies."""

    name: str


@dataclass(frozen=True)
class Wired:
    """A value that Proton took from the service's environment."""

    path: str


@dataclass(frozen=True)
class Told:
    """A value that CloudFormation cannot compute and the caller must supply. `text`: its source."""

    text: str
    yes_no: bool = False


@dataclass(frozen=True)
class Item:
    """One item of a list, counted from 0."""

    of: Given
    index: int


@dataclass(frozen=True)
class Joined:
    of: Given
    separator: str


@dataclass(frozen=True)
class Each:
    """All items of a list: one YAML item stands for them."""

    of: Given


Symbol = Given | Known | Wired | Told | Item | Joined | Each


@dataclass(frozen=True)
class Text:
    """Pieces of text with symbols between them."""

    pieces: tuple[str | Symbol, ...]


@dataclass(frozen=True)
class Is:
    """The test whether the symbol's text is this one, on which ways fork."""

    symbol: Symbol
    text: str


@dataclass
class Marks:
    """Markers. A symbol has the same marker in all ways, so that ways can be compared."""

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


def about(symbol: Symbol) -> str:
    match symbol:
        case Given() | Known():
            return symbol.name
        case Wired():
            return symbol.path
        case Told():
            return symbol.text
    return symbol.of.name
