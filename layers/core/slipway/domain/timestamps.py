"""Times in UTC with millisecond precision. As text (2026-11-23T01:02:03.456Z) they sort by age."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, PlainSerializer, WithJsonSchema


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(written, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-23T01:02:03.456Z"]}
    ),
]


def _in_this_age(moment: datetime) -> datetime:
    # In UTC, the first and the last day of the calendar may not exist.
    if not 1970 <= moment.year <= 9998:
        raise ValueError("must be between the years 1970 and 9998")
    return moment.astimezone(UTC)


def _written_as_one(sent: Any) -> Any:
    # pydantic would read a number, even as text, as seconds since 1970.
    if isinstance(sent, str) and not re.match(r"\d{4}-\d\d-\d\d[Tt ]", sent, re.ASCII):
        raise ValueError("must be a date and a time, like 2026-11-23T01:02:03Z")
    return sent


Instant = Annotated[AwareDatetime, BeforeValidator(_written_as_one), AfterValidator(_in_this_age)]
"""A time that a caller names, with an offset from UTC."""


def now() -> datetime:
    """The current time, truncated to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def hours_after(moment: datetime, hours: float) -> datetime:
    return moment + timedelta(milliseconds=round(hours * 3_600_000))


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970, rounded up, as DynamoDB's TTL reads them."""
    return math.ceil(moment.timestamp())
