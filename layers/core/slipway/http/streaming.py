"""Logs as event streams (server-sent events, WHATWG HTML 9.2): short answers, one after another.

A function cannot keep a response open, and need not: the client of an event stream asks again when
a response ends, after the time in `retry`, and sends the id of the last event that it has got in
`Last-Event-ID`. Each line is an event whose id is the cursor behind it, so that a client whose
connection is cut goes on after the last line that arrived whole. An answer without lines, for which
the request has waited (slipway.http.waiting), keeps the place by an event that has an id alone.

When the log has ended, the answer is an empty 204: the client does not ask again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from slipway.domain.paging import Page

# Milliseconds after which the client asks again.
_AT_ONCE = 50
_SOON = 1000


def resume(event: dict[str, Any]) -> None:
    """Let the query continue after `Last-Event-ID`, whatever cursor the address has.

    The client of an event stream always asks for the address that it began with. `event` is API
    Gateway's; its query string changes.
    """
    last = event["headers"]["last-event-id"]
    if last:
        sent = (event.get("rawQueryString") or "").split("&")
        others = [pair for pair in sent if pair and pair.partition("=")[0] != "cursor"]
        event["rawQueryString"] = "&".join([*others, f"cursor={quote(last, safe='')}"])


def events(page: Page[Any], base: str) -> str:
    """The page of a log as events. A page without lines has a cursor."""
    lines = (item.with_absolute_urls(base).model_dump_json() for item in page)
    blocks = [f"retry: {_AT_ONCE if page.more else _SOON}"]
    blocks += [f"id: {at}\ndata: {line}" for at, line in zip(page.cursors, lines, strict=True)]
    if not page:
        blocks.append(f"id: {page.cursor}")
    return "\n\n".join([*blocks, ""])
