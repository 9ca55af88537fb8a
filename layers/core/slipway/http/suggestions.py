"""Suggestions in refusals: the near name of a field, the values of one, the near path.

Imported only when a request is refused. The work is bounded: words and paths that are longer than
any of ours are not compared, and two words are compared in the time that it takes to read them.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

_LONGEST_WORD = 40
_LONGEST_PATH = 300
_MOST_PARTS = 12
_PREFIX = ("api", "v1")


def near(word: str, names: Iterable[str]) -> str | None:
    """The name that the word most likely stands for; None if none is near.

    Case and separators do not count. Near is a word with one or two letters wrong, missing or too
    many in one place, and the beginning of a name.
    """
    plain = _plain(word)
    if len(plain) < 2 or len(word) > _LONGEST_WORD:
        return None
    found = sorted((_distance(plain, _plain(name)), name) for name in names)
    return found[0][1] if found and found[0][0] < _FAR else None


_FAR = 3


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word[: _LONGEST_WORD + 1].lower())


def _distance(word: str, name: str) -> int:
    """How many letters differ between the common beginning and the common end of both; _FAR for
    words that are not near."""
    least = min(len(word), len(name))
    begin = next((n for n in range(least) if word[n] != name[n]), least)
    end = next((n for n in range(least - begin) if word[-1 - n] != name[-1 - n]), least - begin)
    wrong = max(len(word), len(name)) - begin - end
    # In short words, two letters may only have changed places.
    if wrong <= (2 if least > 4 or sorted(word) == sorted(name) else 1):
        return wrong
    shortened = word.removesuffix("s")
    return 2 if len(shortened) >= 3 and name.startswith(shortened) else _FAR


# --- fields -------------------------------------------------------------------------------------


def explained(model: type[BaseModel], kind: str, parts: Sequence[int | str], detail: str) -> str:
    """The detail of a fault, with what the caller may have meant.

    `kind` is pydantic's name of the fault, and `parts` lead to the field.
    """
    within = _model_at(model, parts[:-1]) if parts else None
    if within is None or not isinstance(parts[-1], str):
        return detail
    if kind == "extra_forbidden":
        meant = near(parts[-1], within.model_fields)
        return f"{detail}; did you mean {meant}?" if meant else detail
    field = within.model_fields.get(parts[-1])
    values = _values(field.annotation) if kind == "missing" and field else []
    return f"{detail}: {' or '.join(values)}" if values else detail


def _model_at(model: type[BaseModel], parts: Sequence[int | str]) -> type[BaseModel] | None:
    """The model of the object to which the parts lead, None if it has none."""
    found: type[BaseModel] | None = model
    for part in parts:
        if isinstance(part, str) and found:
            field = found.model_fields.get(part)
            found = _model_in(field.annotation) if field else None
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model in a type, such as that of a list or of `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in typing.get_args(annotation))
    return next((each for each in inner if each), None)


def _values(annotation: Any) -> list[str]:
    """The values that the type allows, if it is a choice."""
    if typing.get_origin(annotation) is Literal:
        return [str(each) for each in typing.get_args(annotation)]
    return []


# --- paths --------------------------------------------------------------------------------------


def path_for(path: str) -> str | None:
    """The path of a route that a wrong path most likely stands for; None if none is near."""
    if len(path) > _LONGEST_PATH or path.count("/") > _MOST_PARTS:
        return None
    parts = [part for part in path.split("/") if part]
    while parts and (parts[0].lower() == _PREFIX[0] or re.fullmatch(r"[vV][0-9]{1,2}", parts[0])):
        del parts[0]
    found = [
        (distance, known)
        for known in _paths()
        if (distance := _path_distance(parts, known)) is not None
    ]
    return min(found)[1] if found else None


@functools.cache
def _paths() -> Sequence[str]:
    """The paths of all routes below /api/v1, one a line; `make openapi` writes them."""
    return Path(__file__).with_name("paths.txt").read_text(encoding="utf-8").split()


def _path_distance(parts: Sequence[str], known: str) -> int | None:
    """How much is wrong in the parts, None if they are not near the known path."""
    total = 0
    for part, name in zip_longest(parts, known.split("/")[3:]):
        if part is None or name is None:
            return None
        if name.startswith("{"):
            # A route with the word itself fits better.
            total += 1
        elif part != name:
            if near(part, [name]) is None:
                return None
            total += 2
    return total
