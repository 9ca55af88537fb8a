"""The client of the API: requests over HTTP with the token of the person who is signed in."""

from __future__ import annotations

import json
import re
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Thread
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from slipway.domain.forwarded import signed
from slipway.settings import endpoint, settings

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
WAIT_SECONDS = 20
COOKIES = "set-cookie"
_SECONDS = 26.0
# API Gateway keeps idle connections longer.
_IDLE_SECONDS = 20.0
_KEEP_SECRET_SECONDS = 300
_API_ID = re.compile(r"[a-z0-9]{10}")


class Problem(Exception):
    """A refusal of the API (RFC 9457). `errors` are (pointer, detail) of the fields at fault."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(title)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.errors, self.request_id = errors, request_id


@dataclass(frozen=True)
class Answer:
    """What the API has answered; header names in lower case.

    `data` is its JSON, None if it is something else, and `text` the whole of it.
    """

    status: int
    headers: Mapping[str, str]
    data: Any
    text: str = ""
    cookies: Sequence[str] = ()

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page of a list."""
        found = re.search(r"[?&]cursor=([^&>]+)[^>]*>;\s*rel=\"?next", self.headers.get("link", ""))
        return unquote_plus(found[1]) if found else None


@dataclass(frozen=True)
class Client:
    """Sends requests for one caller. `token` is empty for somebody who is not signed in.

    `agent` is the browser's, and `address` its IP address.
    """

    origin: Origin
    token: str = ""
    agent: str = ""
    address: str = ""

    def get(
        self,
        where: str,
        *,
        query: Mapping[str, Any] | None = None,
        tag: str = "",
        wait: int = WAIT_SECONDS,
    ) -> Answer:
        """The answer to a GET. With `tag`, an ETag, it waits until there is another.

        The status is 304 if there is none within `wait` seconds. Raises Problem.
        """
        headers = {"If-None-Match": tag, "Prefer": f"wait={wait}"} if tag else {}
        return self.send("GET", where, query=query, headers=headers)

    def get_all(self, *wheres: str) -> list[Answer | Problem]:
        """The answers to several GETs at the same time; a Problem in the place of a refused one."""
        found: list[Answer | Problem] = [UNREACHABLE] * len(wheres)

        def fetch(place: int, where: str) -> None:
            try:
                found[place] = self.get(where)
            except Problem as problem:
                found[place] = problem

        threads = [Thread(target=fetch, args=each) for each in enumerate(wheres)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def send(
        self,
        method: str,
        where: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str = "",
        media: str = JSON,
    ) -> Answer:
        """The answer to a request with this body: JSON, or bytes of the type `media`.

        `key` is its Idempotency-Key. Raises Problem for every refusal, also without an answer.
        """
        sent = {
            "Accept": f"{JSON}, */*;q=0.5",
            "User-Agent": self.agent or "slipway-console",
            **(headers or {}),
        }
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if key:
            sent["Idempotency-Key"] = key
        if method != "GET" and self.address:
            sent["X-Slipway-Client"] = signed(_secret(), self.address, method, time.time())
        raw = None
        if body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = media
        try:
            address = _address(where, query or {})
            status, answered, content = self.origin.request(method, address, raw, sent)
            data = json.loads(content) if content and "json" in answered["content-type"] else None
        except (OSError, HTTPException, ValueError, KeyError):
            raise UNREACHABLE from None
        if status < 400:
            text, cookies = content.decode(errors="replace"), answered.get(COOKIES, "").splitlines()
            return Answer(status, answered, data, text, cookies)
        raise _problem(status, data)


def _address(where: str, query: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{where}?{urlencode(kept)}" if kept else where


def required(answer: Answer | Problem) -> Answer:
    """An answer that the page cannot do without. Raises Problem."""
    if isinstance(answer, Problem):
        raise answer
    return answer


UNREACHABLE = Problem(
    502,
    "api_unreachable",
    "The API does not answer",
    "The console has got no answer from the platform's API. Try again in a moment; what you asked "
    "for may have happened.",
)


def _problem(status: int, data: Any) -> Problem:
    if not isinstance(data, dict) or "code" not in data:
        # API Gateway's own refusals, such as 429 of its throttle, are no problems.
        busy = status in (429, 503)
        detail = "Too many requests came at once. Try again in a moment." if busy else ""
        return Problem(status, "refused", f"The API has answered {status}", detail)
    errors = [(each["pointer"], each["detail"]) for each in data.get("errors", ())]
    return Problem(
        status, data["code"], data["title"], data["detail"], errors, data.get("request_id", "")
    )


def path(pattern: str, *parts: str) -> str:
    """A path of the API with these parts, each encoded, in the places of `{}`."""
    return pattern.format(*(quote(part, safe="") for part in parts))


@dataclass
class Origin:
    """Where the API is, and the open connections to it.

    `connects_to` has the host and port; `host` is what the Host header says.
    """

    scheme: str
    connects_to: str
    host: str
    _idle: list[tuple[HTTPConnection, float]] = field(default_factory=list)

    def request(
        self, method: str, address: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer. Raises OSError, HTTPException."""
        connection = self._connection()
        try:
            connection.request(method, address, body, {"Host": self.host, **headers})
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        found = {
            name.lower(): value
            for name, value in response.getheaders()
            if name.lower() != "set-cookie"
        }
        # A cookie can have no newline.
        found[COOKIES] = "\n".join(response.headers.get_all("set-cookie", ()))
        if not response.will_close:
            self._idle.append((connection, time.time()))
        return response.status, found, content

    def _connection(self) -> HTTPConnection:
        while self._idle:
            connection, since = self._idle.pop()
            if time.time() - since < _IDLE_SECONDS and not _is_closed(connection):
                return connection
            connection.close()
        if self.scheme == "https":
            return HTTPSConnection(self.connects_to, timeout=_SECONDS, context=_tls())
        return HTTPConnection(self.connects_to, timeout=_SECONDS)


def _is_closed(connection: HTTPConnection) -> bool:
    """Readable without a pending request: the other end has closed the connection."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


_secrets: list[tuple[bytes, float]] = []


def _secret() -> bytes:
    """The platform's secret, read again every few minutes. Raises StoreUnavailable."""
    from slipway.aws import secrets_manager

    now = time.time()
    if not _secrets or now - _secrets[0][1] > _KEEP_SECRET_SECONDS:
        _secrets[:] = [(secrets_manager.read(settings().token_secret).encode(), now)]
    return _secrets[0][0]


@cache
def _tls() -> Any:
    import ssl

    return ssl.create_default_context()


_origins: dict[str, Origin] = {}


def origin(api_id: str) -> Origin:
    """Where the API with this id is. The id is API Gateway's, from the event's request context.

    Tokens are sent there, so nothing that a caller can choose, such as the Host header or the name
    of a domain, decides about it. Elsewhere than on AWS it is the stack's PublicUrl, at the host
    where AWS is. Raises ValueError for what is no id.
    """
    known = settings()
    if known.on_aws and not _API_ID.fullmatch(api_id):
        raise ValueError("There is no API with such an id.")
    if api_id not in _origins:
        _origins[api_id] = _on_aws(api_id) if known.on_aws else _elsewhere(known.public_url)
    return _origins[api_id]


def _on_aws(api_id: str) -> Origin:
    host = f"{api_id}.{urlsplit(endpoint('execute-api')).netloc}"
    return Origin("https", host, host)


def _elsewhere(public_url: str) -> Origin:
    public = urlsplit(public_url)
    # In a container, loopback is the container's own.
    aws = urlsplit(endpoint("execute-api"))
    port = public.port or (443 if public.scheme == "https" else 80)
    return Origin(public.scheme, f"{aws.hostname}:{port}", public.netloc)


def forget() -> None:
    """Forget what is cached, as a new process would start; for tests."""
    _origins.clear()
    _secrets.clear()
