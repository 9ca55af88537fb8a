"""What lists of environments and of deployments have in common: filters, order, and cursors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from slipway.domain.paging import Paging
from slipway.domain.timestamps import Instant

_Word = Annotated[str, StringConstraints(min_length=1, max_length=320)]


def _split(sent: Any) -> Any:
    """`a,b` is the same as two values."""
    return [part for value in sent for part in value.split(",")] if isinstance(sent, list) else sent


def _label(text: str) -> str:
    if not text.partition(":")[0] or ":" not in text:
        raise ValueError("must be a key and a value, as in team:payments")
    return text


Words = BeforeValidator(_split)
"""For a list of words: each value can have several, with commas between them."""

Label = Annotated[str, StringConstraints(max_length=319), AfterValidator(_label)]


class Listing(Paging):
    """Which entries to return, and in which order. Filters are combined."""

    repeatable: ClassVar[frozenset[str]] = frozenset({"status", "type", "tier", "label"})

    label: list[Label] = Field(
        [],
        max_length=10,
        description="A label that it must have, as `key:value`. Repeat it to require several.",
        examples=[["team:payments"]],
    )
    created_by: _Word | None = Field(
        None,
        description="The id of the user, token or trust that created it, a user's e-mail address, "
        "or `me`. A user's id also finds what the user's tokens created.",
        examples=["me"],
    )
    since: Instant | None = Field(
        None,
        strict=False,
        description="The earliest time of creation.",
        examples=["2026-11-23T00:00:00Z"],
    )
    until: Instant | None = Field(
        None,
        strict=False,
        description="The time before which it was created.",
        examples=["2026-11-24T00:00:00Z"],
    )
    sort: Literal["created_at", "-created_at"] = Field(
        "-created_at", description="Oldest first, or newest first."
    )

    @model_validator(mode="after")
    def _ends_after_its_beginning(self) -> Listing:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since must be before until")
        return self

    @property
    def newest_first(self) -> bool:
        return self.sort == "-created_at"

    def labels(self) -> Iterable[tuple[str, str]]:
        """The keys and values of the labels."""
        for each in self.label:
            key, _, value = each.partition(":")
            yield key, value
