"""ASGI's messages: read a request's body, send an answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from local.http_events import Answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def body_of(receive: Receive, kept: int, read: int) -> bytes | None:
    """The body. None if the caller disconnected.

    At most `kept` bytes of the body are returned, and after `read` bytes the rest is not read.
    """
    parts: list[bytes] = []
    held = seen = 0
    while True:
        part = await receive()
        if part["type"] == "http.disconnect":
            return None
        chunk = part.get("body", b"")
        seen += len(chunk)
        if held <= kept:
            parts.append(chunk)
            held += len(chunk)
        if not part.get("more_body") or seen > read:
            return b"".join(parts)


async def respond(send: Send, answer: Answer, *, head: bool = False) -> None:
    """Send the answer; without its body to a HEAD request."""
    headers = list(answer.headers)
    # RFC 9110, 8.6: a 204 has no length, and that of a 304 would be the length of the 200.
    if answer.status not in (204, 304):
        headers.append(("content-length", str(len(answer.body))))
    sent = [(name.encode(), _encoded(value)) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": sent})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


def _encoded(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
