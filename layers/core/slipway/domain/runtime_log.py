"""The lines that an environment's own functions write, as the API returns them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import Field, StringConstraints, model_validator

from slipway.domain.fields import LogicalId, QueryModel, ResponseModel
from slipway.domain.paging import parse_cursor
from slipway.domain.timestamps import Instant, Moment

# Longer messages and lines are cut: an answer of Lambda has at most 6 MB.
_LONGEST = 16_000
CUT = "… (cut)"
# A line that is longer is not parsed, and what is nested deeper not shown.
_LONGEST_JSON = 64_000
_DEEPEST = 10

_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
    "fatal": "error",
}
_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What Lambda itself writes about an invocation, and the two forms in which its loggers write.
_OF_LAMBDA = re.compile(rf"(?:START|END|REPORT) RequestId: ({_ID})\b|RequestId: ({_ID})\b")
_OF_PYTHON = re.compile(rf"\[([A-Z]+)\]\t[^\t]{{1,40}}\t({_ID})\t", re.ASCII)
_OF_NODE = re.compile(rf"[^\t]{{1,40}}\t({_ID})\t([A-Z]+)\t", re.ASCII)
# The names that libraries give to the same things in JSON.
_MESSAGES = ("message", "msg", "event")
_LEVEL_NAMES = ("level", "log_level", "severity", "levelname")
_REQUESTS = ("request_id", "requestId", "function_request_id", "AWSRequestId", "aws_request_id")


class RuntimeLogQuery(QueryModel):
    """Which lines to return."""

    limit: int = Field(
        100, ge=1, le=100, strict=False, description="The maximum number of lines.", examples=[100]
    )
    cursor: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        None, description="Where to continue, from the `Link` header."
    )
    since: Instant | None = Field(
        None,
        strict=False,
        description="The earliest time of a line. An hour ago by default.",
        examples=["2026-11-23T00:00:00Z"],
    )
    until: Instant | None = Field(
        None,
        strict=False,
        description="The latest time of a line.",
        examples=["2026-11-24T00:00:00Z"],
    )
    source: LogicalId | None = Field(
        None, description="The logical id of a function in the template.", examples=["Web"]
    )
    filter: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None,
        description="A text that the line must contain, in this case.",
        examples=["timed out"],
    )

    @model_validator(mode="after")
    def _ends_after_its_beginning(self) -> RuntimeLogQuery:
        if self.since and self.until and self.since > self.until:
            raise ValueError("since must not be after until")
        return self

    @property
    def after(self) -> str | None:
        """What the cursor stands for. Raises Invalid for a malformed one."""
        return parse_cursor(self.cursor)

    def accepts(self, line: RuntimeLine, text: str) -> bool:
        """Whether the line, or its text as it was written, contains what is looked for."""
        return self.filter is None or self.filter in text or self.filter in line.message


class RuntimeLine(ResponseModel):
    ts: Moment
    source: str = Field(
        description="The logical id of the function that wrote it.", examples=["Web"]
    )
    level: str | None = Field(
        None,
        description="`debug`, `info`, `warning` or `error`, if the line says so.",
        examples=["info"],
    )
    message: str = Field(
        description="The line, or the message of one in JSON. A known secret is `****`.",
        examples=["An order was placed"],
    )
    request_id: str | None = Field(
        None,
        description="The invocation, if the line says so.",
        examples=["8f507cfc-xmpl-4697-b07a-ac58fc914c95"],
    )
    deployment_id: str | None = Field(
        None, description="The deployment that was live when the line was written."
    )
    fields: dict[str, Any] | None = Field(
        None, description="What else a line in JSON has.", examples=[{"order": 1042}]
    )


class Parsed(NamedTuple):
    message: str
    level: str | None = None
    request_id: str | None = None
    fields: dict[str, Any] | None = None


def parse(text: str) -> Parsed:
    """A line with its level and the invocation that it belongs to, as far as it says so."""
    text = text.rstrip("\n")
    found = _of_json(text) if text.startswith("{") and len(text) <= _LONGEST_JSON else None
    return found or _of_text(text)


def _of_text(text: str) -> Parsed:
    message = cut(text)
    if found := _OF_PYTHON.match(text):
        return Parsed(message, _LEVELS.get(found[1].lower()), found[2])
    if found := _OF_NODE.match(text):
        return Parsed(message, _LEVELS.get(found[2].lower()), found[1])
    if found := _OF_LAMBDA.match(text):
        return Parsed(message, None, found[1] or found[2])
    return Parsed(message)


def _of_json(text: str) -> Parsed | None:
    """The line of a logger that writes JSON; None if it is no object of JSON."""
    try:
        fields = json.loads(text)
        # Halves of surrogate pairs, which JSON can escape, cannot be sent on.
        text.encode() if "\\" not in text else json.dumps(fields, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    message = _taken(fields, _MESSAGES)
    level = _taken(fields, _LEVEL_NAMES)
    request = _taken(fields, _REQUESTS)
    if request is None and isinstance(fields.get("record"), dict):
        # An event of Lambda itself, such as platform.report.
        request = _taken(dict(fields["record"]), _REQUESTS)
    if message is None:
        message, fields = text, {}
    return Parsed(cut(message), level and _LEVELS.get(level.lower()), request, fields or None)


def _taken(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that is a text, which is taken out."""
    name = next((name for name in names if isinstance(fields.get(name), str)), None)
    return fields.pop(name) if name else None


def cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(CUT)] + CUT


def moment(milliseconds: int) -> datetime:
    """The time, which CloudWatch has in milliseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def mapped(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    """The value of a field with each text in it changed, names too."""
    if isinstance(value, str):
        return change(value)
    if depth == _DEEPEST and isinstance(value, dict | list):
        return CUT
    if isinstance(value, dict):
        return {change(name): mapped(each, change, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [mapped(each, change, depth + 1) for each in value]
    return value
