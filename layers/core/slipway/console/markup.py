"""HTML with escaping: a text in a page is escaped, unless it was made here.

    html("<td>{name}</td>", name=environment["name"])

Only literals become Markup as they are (tests/console/test_markup.py), so nothing that comes from
outside can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, LiteralString

_ESCAPES = str.maketrans(
    # A browser would show the replacement character for NUL anyway.
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\0": "\ufffd"}
)
_WEB = re.compile(r"https?://[^\s\"'<>\\]+")


class Markup(str):
    """A text that is HTML."""

    __slots__ = ()


NOTHING = Markup("")


def html(source: LiteralString, /, **values: Any) -> Markup:
    """The source with a value in the place of each `{name}`, escaped if it is not Markup.

    None and False are nothing, and the elements of a list are put together.
    """
    return Markup(source.format_map({name: text(value) for name, value in values.items()}))


def text(value: Any) -> str:
    """The value as HTML."""
    if isinstance(value, Markup):
        return value
    if value is None or value is False:
        return ""
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, Iterable):
        return "".join(map(text, value))
    return str(value).translate(_ESCAPES)


def joined(parts: Iterable[Any]) -> Markup:
    """The parts as one."""
    return Markup("".join(map(text, parts)))


def attributes(**given: Any) -> Markup:
    """Attributes of an element: True is one without a value, None and False are left out.

    An underscore stands for a hyphen, and one at the end is left out: `for_` is for.
    """
    parts = []
    for name, value in given.items():
        name = name.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(f" {name}")
        elif value is not None and value is not False:
            parts.append(f' {name}="{text(value)}"')
    return Markup("".join(parts))


def link(address: str | None, words: Any = None) -> Markup:
    """A link, if the address is one of the web; else the words alone. Outputs can be anything."""
    if address is None:
        return NOTHING
    shown = address if words is None else words
    if not _WEB.fullmatch(address):
        return joined([shown])
    return html(
        '<a href="{address}" rel="noopener noreferrer external">{shown}</a>',
        address=address,
        shown=shown,
    )
