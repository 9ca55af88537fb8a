"""The report: what was not carried over, and notes on what was."""

from __future__ import annotations

from dataclasses import dataclass, field


class Broken(Exception):
    """The input is not a bundle, or no template can be created from it."""


@dataclass(frozen=True)
class Entry:
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass
class Report:
    """Contains each entry once, however many ways reach it.

    `holes`: the entries of `lost` without which the template is incomplete. A dropped check or a
    value that the caller must supply is not a hole.
    """

    _lost: dict[Entry, None] = field(default_factory=dict)
    _holes: dict[Entry, None] = field(default_factory=dict)
    _notes: dict[Entry, None] = field(default_factory=dict)

    def lose(self, file: str, line: int, text: str, *, hole: bool = False) -> None:
        entry = Entry(file, line, _printable(text))
        self._lost[entry] = None
        if hole:
            self._holes[entry] = None

    def note(self, file: str, line: int, text: str) -> None:
        self._notes[Entry(file, line, _printable(text))] = None

    @property
    def lost(self) -> list[Entry]:
        return sorted(self._lost, key=lambda each: (each.file, each.line))

    @property
    def holes(self) -> list[Entry]:
        return [each for each in self.lost if each in self._holes]

    @property
    def notes(self) -> list[Entry]:
        return sorted(self._notes, key=lambda each: (each.file, each.line))


def _printable(text: str) -> str:
    """One printable line, for the terminal and for a comment, whatever the bundle contains."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return shown if len(shown) <= 500 else f"{shown[:500]}…"
