"""Files of variables: `NAME=value`, one a line, as .env files have it.

`read` takes what the usual tools write: comments, blank lines, `export`, values without quotes, in
single quotes (as they are) or in double quotes (with the escapes \\n \\r \\t \\" \\\\ \\$), and
quoted values of several lines. Nothing is substituted: `$HOME` stays as it is. `written` writes
what `read` and those tools read as the same values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from slipway.errors import FieldError, Invalid, Malformed

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=#'\"]+)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
# What may follow a value in quotes, and be a line without one.
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_COMMENT = re.compile(r"(?:\A|[ \t])#")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")


def read(text: str) -> dict[str, str]:
    """The values by name. Raises Malformed for a line that is no assignment, Invalid for a name
    that is given twice. Neither echoes the line, which may have a secret."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := _REST.match(text, at):
            at = blank.end()
            continue
        name = _NAME.match(text, at)
        value, end = _value(text, name.end()) if name else ("", None)
        if name is None or end is None:
            number = text.count("\n", 0, at) + 1
            raise Malformed(f"Line {number} is not NAME=value, or its quotes do not end.")
        if name[1] in found:
            raise Invalid([FieldError(f"#/{name[1][:200]}", "is given more than once")])
        found[name[1]], at = value, end
    return found


def _value(text: str, at: int) -> tuple[str, int | None]:
    """The value that begins here, and where the next line does; None if it is malformed."""
    for quoted in (_SINGLE, _DOUBLE):
        if whole := quoted.match(text, at):
            rest = _REST.match(text, whole.end())
            value = whole[1] if quoted is _SINGLE else re.sub(r"(?s)\\(.)", _unescaped, whole[1])
            return value, rest and rest.end()
    if text[at : at + 1] in ("'", '"'):
        return "", None
    # By hand, because a pattern would try each space of a long value as the end of it.
    line = text[at : _end(text, at)]
    comment = _COMMENT.search(line)
    return (line[: comment.start()] if comment else line).strip(" \t"), at + len(line) + 1


def _end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1], found[1])


def written(values: Mapping[str, str], comments: Iterable[str] = ()) -> str:
    """The values as a file; the comments come first, each a line."""
    lines = [f"# {each}" for each in comments]
    lines += [f"{name}={_quoted(value)}" for name, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    # A backslash in single quotes is an escape to some tools, and none to others.
    if not re.search(r"['\\\r\n]", value):
        return f"'{value}'"
    for letter, escape in (
        ("\\", "\\\\"),
        ('"', '\\"'),
        ("$", "\\$"),
        ("\n", "\\n"),
        ("\r", "\\r"),
    ):
        value = value.replace(letter, escape)
    return f'"{value}"'
