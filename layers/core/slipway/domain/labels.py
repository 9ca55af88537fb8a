"""Labels: key-value pairs of the caller's own, by which lists are filtered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from slipway.domain.fields import matching, printable
from slipway.errors import FieldError, Invalid

MOST_LABELS = 20

LabelKey = Annotated[
    str,
    StringConstraints(max_length=63),
    matching(
        r"[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?",
        "made of lower-case letters, digits and . _ / -, with a letter or digit at both ends",
    ),
]
LabelValue = Annotated[str, StringConstraints(max_length=255), AfterValidator(printable)]

Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(
        max_length=MOST_LABELS,
        description=f"Your own keys and values, at most {MOST_LABELS}. Lists are filtered by them.",
        examples=[{"team": "payments"}],
    ),
]

# Twice as many, so that one request can replace all of them.
LabelsPatch = Annotated[
    dict[LabelKey, LabelValue | None],
    Field(
        max_length=2 * MOST_LABELS,
        description="The labels to set. `null` removes a label; omitted ones stay. `null` in place "
        "of the object removes all of them.",
        examples=[{"team": "payments", "owner": None}],
    ),
]


def patched(
    labels: Mapping[str, str] | None, patch: Mapping[str, str | None] | None
) -> dict[str, str] | None:
    """The labels after the patch (RFC 7396); None if there are none.

    Raises Invalid if there are too many.
    """
    after = {**(labels or {}), **patch} if patch is not None else {}
    found = {key: value for key, value in after.items() if value is not None}
    if len(found) > MOST_LABELS:
        detail = f"would have {len(found)} labels: remove some, at most {MOST_LABELS} are allowed"
        raise Invalid([FieldError("#/labels", detail)])
    return found or None
