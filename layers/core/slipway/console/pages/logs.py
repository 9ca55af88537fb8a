"""Logs: the lines of a rollout or an environment, and where to go on when they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from slipway.console import moments
from slipway.console.markup import Markup, html
from slipway.console.request import Request

DEPLOYMENT = "/api/v1/deployments/{}/logs"
ENVIRONMENT = "/api/v1/environments/{}/logs"
_PAGE, _PAGES = 100, 10


class Log(NamedTuple):
    """Lines of a log. `tag` says how far they go; it is empty when the log has ended."""

    lines: Sequence[Mapping[str, Any]]
    tag: str


def read(request: Request, where: str) -> Log:
    """The log so far, its first thousand lines at most. Raises Problem."""
    lines: list[Mapping[str, Any]] = []
    cursor, tag = "", ""
    for _ in range(_PAGES):
        answer = request.api.get(where, query={"limit": _PAGE, "cursor": cursor})
        lines += answer.data
        if not answer.next_cursor:
            return Log(lines, "")
        tag = f"{cursor} {answer.etag}"
        if len(answer.data) < _PAGE:
            break
        cursor = answer.next_cursor
    return Log(lines, tag)


def wait(request: Request, where: str, tag: str, seconds: int) -> None:
    """Wait until the log has more than this tag says, for so many seconds. Raises Problem."""
    cursor, _, etag = tag.partition(" ")
    request.api.get(where, query={"limit": _PAGE, "cursor": cursor}, tag=etag, wait=seconds)


def shown(lines: Sequence[Mapping[str, Any]], name: str, empty: str) -> Markup:
    """The lines. Their texts are what programs have written."""
    if not lines:
        return html('<p class="quiet">{empty}</p>', empty=empty)
    rows = [
        html(
            '<li class="{kind}">{at}<span class="step">{step}</span> {level}'
            "<bdi>{message}</bdi></li>",
            kind=_KINDS.get(line["level"], ""),
            at=moments.clock(line["ts"]),
            step=line["step"],
            level=html("<b>{level}</b> ", level=line["level"]) if line["level"] != "info" else "",
            message=line["message"],
        )
        for line in lines
    ]
    return html(
        '<div class="log" tabindex="0" role="log" aria-label="{name}"><ol>{rows}</ol></div>',
        name=name,
        rows=rows,
    )


_KINDS = {"error": "error", "warning": "warning"}
