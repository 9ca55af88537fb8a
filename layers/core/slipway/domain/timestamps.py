"""Times in UTC with millisecond precision. As text (2026-11-23T01:02:03.456Z) they sort by age."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(written, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-23T01:02:03.456Z"]}
    ),
]


def now() -> datetime:
    """The current time, truncated to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def hours_after(moment: datetime, hours: float) -> datetime:
    return moment + timedelta(milliseconds=round(hours * 3_600_000))


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970, rounded up, as DynamoDB's TTL reads them."""
    return math.ceil(moment.timestamp())
