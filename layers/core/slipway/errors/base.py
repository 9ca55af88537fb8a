"""The root of all errors, and of those which the caller can correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field.

    `pointer` is a JSON pointer into the body as a URI fragment (`#/ttl_hours`), `?name` for a
    query parameter, or the name of a header. `detail` completes the sentence that it begins.
    """

    pointer: str
    detail: str


class SlipwayError(Exception):
    """The root of the tree.

    `code` is stable and meant for programs. `title` and `detail` say what happened and what to do
    next. docs/errors.md explains each code.
    """

    code = "slipway_error"
    title = "An error in Slipway."
    oauth = ""
    """Its name in OAuth 2 (RFC 6749, 5.2), in whose form it is sent then; empty if it has none."""

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.title)
        self._extra = extra

    @property
    def detail(self) -> str:
        return str(self)

    @property
    def fields(self) -> Sequence[FieldError]:
        return ()

    @property
    def extra(self) -> Mapping[str, Any]:
        """Additional members of the problem document (RFC 9457, 3.2)."""
        return self._extra

    @property
    def headers(self) -> Mapping[str, str]:
        return {}


class Refused(SlipwayError):
    code = "refused"
    title = "The request was refused."


class BadRequest(Refused):
    """The parent of what is refused with 400."""


class Conflict(Refused):
    code = "conflict"
    title = "The current state does not allow this. Read the object, then decide."
