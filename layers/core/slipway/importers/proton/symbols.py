"""What a value of the bundle stands for, while nobody knows it yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Around the number of a symbol, in the text that is rendered: of Unicode's private use.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


@dataclass(frozen=True)
class Given:
    """An input of the schema, by its dotted name."""

    name: str


@dataclass(frozen=True)
class Known:
    """What Slipway or CloudFormation fills in."""

    name: str


@dataclass(frozen=True)
class Wired:
    """What Proton took from the environment that a service is in."""

    path: str


@dataclass(frozen=True)
class Told:
    """What CloudFormation cannot compute: somebody has to say it. `text` is what it was."""

    text: str
    yes_no: bool = False


@dataclass(frozen=True)
class Item:
    """One of a list, counted from 0."""

    of: Given
    index: int


@dataclass(frozen=True)
class Joined:
    of: Given
    separator: str


@dataclass(frozen=True)
class Each:
    """Every one of a list: an item of YAML stands for all."""

    of: Given


Symbol = Given | Known | Wired | Told | Item | Joined | Each


@dataclass(frozen=True)
class Text:
    """Pieces of text with symbols between them."""

    pieces: tuple[str | Symbol, ...]


@dataclass(frozen=True)
class Is:
    """Whether the symbol's text is this one: what the ways fork at."""

    symbol: Symbol
    text: str


@dataclass
class Marks:
    """The same symbol has the same mark, in all ways: so they can be compared."""

    symbols: list[Symbol] = field(default_factory=list)
    lines: dict[Symbol, set[int]] = field(default_factory=dict)

    def mark(self, symbol: Symbol, line: int) -> str:
        if symbol not in self.lines:
            self.symbols.append(symbol)
        self.lines.setdefault(symbol, set()).add(line)
        return f"{_OPEN}{self.symbols.index(symbol)}{_CLOSE}"

    def pieces(self, text: str) -> list[str | Symbol]:
        """Text, symbol, text …; no empty text."""
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
