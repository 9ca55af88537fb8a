"""The client of an event stream, as WHATWG HTML 9.2 describes EventSource.

It parses bytes as they arrive, so that a test can cut a connection at any of them. What has arrived
of an event whose empty line has not is forgotten, as a browser does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Response:
    """The answer to one request: its status, its media type, and the bytes that arrived."""

    status: int
    media: str
    body: bytes


@dataclass
class EventSource:
    """Asks again and again, until it is told to stop.

    `ask` sends a request with these headers. `data` has the data of each event that arrived, and
    `retry` the milliseconds after which it would ask again. `is_open` is False once a response was
    no event stream: 204, or an error.
    """

    ask: Callable[[dict[str, str]], Response]
    data: list[str] = field(default_factory=list)
    last_id: str = ""
    retry: int = 3000
    is_open: bool = True
    asked: int = 0

    def connect(self) -> None:
        """One connection: a request, and all that arrives of its response."""
        headers = {"accept": "text/event-stream"}
        if self.last_id:
            headers["last-event-id"] = self.last_id
        self.asked += 1
        response = self.ask(headers)
        if response.status != 200 or response.media.partition(";")[0] != "text/event-stream":
            self.is_open = False
            return
        *blocks, _ = response.body.split(b"\n\n")
        for block in blocks:
            self._dispatch(block.decode())

    def _dispatch(self, block: str) -> None:
        data: list[str] = []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                self.last_id = value
            elif name == "retry" and value.isdecimal():
                self.retry = int(value)
        if data:
            self.data.append("\n".join(data))

    def follow(self, most: int = 10_000) -> None:
        """Connect until there is nothing to ask any more; `most` times at most."""
        for _ in range(most):
            if not self.is_open:
                return
            self.connect()
        raise AssertionError(f"The stream did not end within {most} requests")
