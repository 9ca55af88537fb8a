"""The output of a command: a table for people, JSON for programs, ids only with `--quiet`.

Other users write much of what the platform returns, so it can hold any character. Control
characters are shown as `?`, so that nothing moves the cursor or changes the terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
GOOD = {"running", "succeeded", "active", "published", "approved", "carried_out", "ok", "IN_SYNC"}
BAD = {"failed", "rolled_back", "teardown_failed", "canceled", "rejected", "DRIFTED", "missing"}


def printable(text: Any) -> str:
    """The text in one line, without control characters."""
    return _CONTROL.sub("?", str(text))


def is_terminal() -> bool:
    return sys.stdout.isatty()


def takes_colors() -> bool:
    return is_terminal() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


@dataclass
class Output:
    """How results are printed."""

    as_json: bool = False
    quiet: bool = False

    def items(self, items: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
        """Print a list; `columns` are headings and the fields that they show."""
        if self.as_json:
            return self.json(list(items))
        if self.quiet:
            return self._ids(items)
        rows = [[shown(item, field) for field in columns.values()] for item in items]
        _print_table(list(columns), rows)

    def item(self, item: Mapping[str, Any], fields: Mapping[str, str]) -> None:
        """Print an object; `fields` are labels and the fields that they show."""
        if self.as_json:
            return self.json(item)
        if self.quiet:
            return self._ids([item])
        rows = [(label, shown(item, field)) for label, field in fields.items()]
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            if value:
                print(f"{label:<{width}}  {value}")

    def line(self, item: Mapping[str, Any], text: str) -> None:
        """Print one line of something that is followed; as JSON, one object a line."""
        if self.as_json:
            print(json.dumps(item), flush=True)
        elif not self.quiet:
            print(printable(text), flush=True)

    def json(self, value: Any) -> None:
        print(json.dumps(value, indent=None if not is_terminal() else 2), flush=True)

    def done(self, text: str, item: Any = None) -> None:
        """Say that something is done; as JSON, print `item` or `{}`."""
        if self.as_json:
            self.json({} if item is None else item)
        elif not self.quiet:
            print(printable(text))

    def note(self, text: str) -> None:
        """Say something that is no result: to standard error, and only to people."""
        if not self.as_json and not self.quiet:
            print(printable(text), file=sys.stderr, flush=True)

    def _ids(self, items: Iterable[Mapping[str, Any]]) -> None:
        for item in items:
            print(printable(item.get("id") or item.get("name") or item.get("version") or ""))


def shown(item: Mapping[str, Any], field: str) -> str:
    """The field as text. `created_at:age` is an age, `expires_at:left` the time left, and
    `created_by.name` a field within a field.
    """
    path, _, form = field.partition(":")
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None or value == [] or value == {}:
        return ""
    if form == "age":
        return span(datetime.now(UTC) - moment(value))
    if form == "left":
        return span(moment(value) - datetime.now(UTC))
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(k)}={printable(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(printable(each) for each in value)
    return printable(value)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def span(span: Any) -> str:
    """The two largest units of a length of time: `3d 4h`, `12s`; `0s` for what is over."""
    seconds = max(int(span.total_seconds()), 0)
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in sizes:
        count, seconds = divmod(seconds, size)
        if count or (parts and unit != "s"):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def _print_table(headings: list[str], rows: list[list[str]]) -> None:
    if not rows:
        return print("None.", file=sys.stderr)
    if not is_terminal():
        # For `cut` and `awk`: nothing is shortened, and a tab is between two columns.
        for row in rows:
            print("\t".join(cell.replace("\t", " ") for cell in row))
        return None
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    Console(no_color=not takes_colors(), highlight=False).print(table)
    return None


def _style(cell: str) -> str:
    if cell in GOOD:
        return "green"
    return "red" if cell in BAD else ""
