"""Paging. Lists are newest first; logs are oldest first, so that they can be followed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints

from slipway.domain.fields import QueryModel
from slipway.errors import FieldError, Invalid


def bad_cursor() -> Invalid:
    return Invalid(
        [FieldError("?cursor", "is not a cursor of this list; use the URL in the Link header")]
    )


def parse_cursor(cursor: str | None) -> str | None:
    """What the cursor stands for. Raises Invalid for a malformed one."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "==", altchars=b"-_").decode()
    except (binascii.Error, ValueError):
        raise bad_cursor() from None


class Paging(QueryModel):
    """Which page of a list to return."""

    limit: int = Field(
        20, ge=1, le=100, strict=False, description="The maximum number of entries.", examples=[20]
    )
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="Where to continue, from the `Link` header."
    )

    @property
    def after(self) -> str | None:
        """The sort key at the end of the previous page.

        Raises Invalid for a malformed cursor.
        """
        return parse_cursor(self.cursor)


Item = TypeVar("Item")


class Page(list[Item]):
    """One page. `cursor` leads to the next page; None at the end.

    `last` is what the cursor stands for. In a log, `places` has the same for each item, so that
    a reader can go on after any of them, and `more` says that the next page need not be waited for,
    even if this one is empty.
    """

    def __init__(
        self,
        items: list[Item],
        last: str | None = None,
        places: Sequence[str] = (),
        *,
        more: bool = False,
    ) -> None:
        super().__init__(items)
        self.cursor = last and as_cursor(last)
        self.cursors = [as_cursor(place) for place in places]
        self.more = more


def as_cursor(place: str) -> str:
    """The cursor that stands for a place in a list."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
