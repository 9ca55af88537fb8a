"""The report: what was not carried over, and notes on what was."""

from __future__ import annotations

from dataclasses import dataclass, field


class InvalidBundle(Exception):
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
    """Contains each entry once, even if several branches report it.

    losses  what was not carried over
    gaps    the losses that leave the template incomplete: not a check that is dropped, and not a
            value that the caller must supply
    notes   differences that the caller should know
    """

    _losses: dict[Entry, None] = field(default_factory=dict)
    _gaps: dict[Entry, None] = field(default_factory=dict)
    _notes: dict[Entry, None] = field(default_factory=dict)

    def add_loss(self, file: str, line: int, text: str, *, gap: bool = False) -> None:
        entry = Entry(file, line, _printable(text))
        self._losses[entry] = None
        if gap:
            self._gaps[entry] = None

    def add_note(self, file: str, line: int, text: str) -> None:
        self._notes[Entry(file, line, _printable(text))] = None

    @property
    def losses(self) -> list[Entry]:
        return sorted(self._losses, key=lambda each: (each.file, each.line))

    @property
    def gaps(self) -> list[Entry]:
        return [each for each in self.losses if each in self._gaps]

    @property
    def notes(self) -> list[Entry]:
        return sorted(self._notes, key=lambda each: (each.file, each.line))


def _printable(text: str) -> str:
    """One printable line, for the terminal and for a YAML comment."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return shown if len(shown) <= 500 else f"{shown[:500]}…"
