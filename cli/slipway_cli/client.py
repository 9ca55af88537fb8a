"""Requests to the API.

Each request may be sent again: a POST carries an idempotency key, and the other methods are
idempotent. So a cut connection, a restart of the platform and a throttle are got over, until
`PATIENCE_SECONDS` have passed without any answer.
"""

from __future__ import annotations

import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from slipway_cli import __version__, contexts
from slipway_cli.failures import NoAnswer, NotSignedIn, Refused

PATIENCE_SECONDS = 120.0
# More than the 20 s for which a GET may wait.
_READ_SECONDS = 35.0
_CUT = (urllib.error.URLError, ConnectionError, TimeoutError, EOFError, OSError)
# What to do about a refusal, by its code.
_HINTS = {
    "ambiguous_name": "Use the id: slipway projects list",
    "busy": "Repeat the command.",
    "confirmation_required": "Add --confirm with its name.",
    "environment_going": "slipway envs list",
    "environment_held": "slipway hold show, slipway hold release",
    "environment_not_ready": "slipway envs list",
    "forbidden": "slipway members list",
    "name_taken": "slipway envs list, slipway projects list",
    "name_in_use": "slipway variables list, slipway secrets list",
    "no_template": "slipway templates list",
    "not_found": "slipway projects list, slipway envs list",
    "plan_pending": "Repeat the command in a minute.",
    "queue_busy": "slipway queue",
}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API never redirects, and a redirect must not carry the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    """`body` is the JSON, None if there is none."""

    status: int
    headers: Message
    body: Any

    @property
    def etag(self) -> str | None:
        return self.headers.get("ETag")

    @property
    def next(self) -> str | None:
        """The path of the next page, from `Link: <…>; rel="next"`."""
        for link in (self.headers.get("Link") or "").split(","):
            target, _, rest = link.strip().partition(">")
            if 'rel="next"' in rest:
                parts = urllib.parse.urlsplit(target.lstrip("<"))
                return f"{parts.path}?{parts.query}" if parts.query else parts.path
        return None


class Client:
    """Requests to one platform, with the tokens of its context or with `SLIPWAY_TOKEN`."""

    def __init__(self, url: str, patience: float | None = None) -> None:
        self.url = url
        self.patience = PATIENCE_SECONDS if patience is None else patience
        self._given = os.environ.get("SLIPWAY_TOKEN")
        self._token = self._given or contexts.read_tokens(url).get("access_token")
        self._opener = urllib.request.build_opener(_NoRedirects)

    def get(self, path: str, **query: Any) -> Any:
        """The object. Raises as ask."""
        return self.ask("GET", path, query=query).body

    def all(self, path: str, most: int | None = None, **query: Any) -> list[Any]:
        """All items of a list, or the first `most`. Raises as ask."""
        return list(self.each(path, most, **query))

    def each(self, path: str, most: int | None = None, **query: Any) -> Iterator[Any]:
        """The items of a list, page by page. Raises as ask."""
        query.setdefault("limit", min(most or 100, 100))
        answer = self.ask("GET", path, query=query)
        sent = 0
        while True:
            for item in answer.body:
                if most is not None and sent == most:
                    return
                sent += 1
                yield item
            if not answer.next or sent == most:
                return
            answer = self.ask("GET", answer.next)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        media: str = "application/json",
        signed_in: bool = True,
    ) -> Answer:
        """The answer, also 304.

        `body` is sent as JSON, and a text as it is. A `query` value of None is left out, True is
        `true`, and a list is repeated. Raises Refused, NotSignedIn, NoAnswer.
        """
        if signed_in and not self._token:
            raise NotSignedIn(
                f"You are not signed in to {self.url}.", hint=f"slipway login {self.url}"
            )
        pairs = [pair for name, value in (query or {}).items() for pair in _pairs(name, value)]
        if pairs:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode(pairs)
        data = body.encode() if isinstance(body, str) else body
        sent = {"User-Agent": f"slipway-cli/{__version__}", "Accept": "application/json"}
        if body is not None:
            data = data if isinstance(data, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = media
        if method == "POST":
            sent["Idempotency-Key"] = str(uuid.uuid4())
        return self._until_answered(method, path, data, {**sent, **(headers or {})}, signed_in)

    def _until_answered(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], signed_in: bool
    ) -> Answer:
        began, pause, tries, refreshed = time.monotonic(), 0.5, 0, False
        while True:
            tries += 1
            # Jitter needs no secure randomness.
            problem, wait = "", pause * random.uniform(0.5, 1.5)  # nosec B311
            try:
                answer = self._once(method, path, data, headers, signed_in)
            except _CUT as error:
                problem = f"{self.url} does not answer: {getattr(error, 'reason', error)}."
            else:
                if answer.status < 400:
                    return answer
                if answer.status == 401 and signed_in and not refreshed and self._refresh():
                    refreshed = True
                    continue
                # It was carried out, and the answer was lost.
                if answer.status == 404 and method == "DELETE" and tries > 1:
                    return answer
                if answer.status not in (429, 502, 503, 504):
                    raise _refusal(answer, self.url)
                problem = f"{self.url} is busy: {_said(answer)}"
                wait = max(wait, _retry_after(answer))
            if time.monotonic() + wait - began > self.patience:
                raise NoAnswer(problem, hint=_is_it_running(self.url))
            time.sleep(wait)
            pause = min(pause * 2, 8.0)

    def _once(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], signed_in: bool
    ) -> Answer:
        if signed_in:
            headers = {**headers, "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            # The scheme is the user's own choice.
            with self._opener.open(request, timeout=_READ_SECONDS) as answer:  # nosec B310
                return Answer(answer.status, answer.headers, _json(answer.read()))
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.headers, _json(refused.read()))

    def _refresh(self) -> bool:
        """Get a new access token; False if that is not possible.

        A refresh token is good for one use, so only one process at a time may send it.
        """
        if self._given:
            return False
        with contexts.locked("refresh"):
            tokens = contexts.read_tokens(self.url)
            if tokens.get("access_token") not in (None, self._token):
                self._token = tokens["access_token"]  # Another process was first.
                return True
            if not tokens.get("refresh_token"):
                return False
            sent = {"refresh_token": tokens["refresh_token"]}
            try:
                answer = self.ask("POST", "/api/v1/auth/refresh", sent, signed_in=False)
            except (Refused, NotSignedIn):
                return False
            contexts.write_tokens(self.url, kept_tokens(answer.body))
            self._token = answer.body["access_token"]
            return True


def kept_tokens(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the answer to a sign-in or a refresh that is kept."""
    return {name: body[name] for name in ("access_token", "refresh_token") if body.get(name)}


def quoted(part: str) -> str:
    """The text as one part of a path."""
    return urllib.parse.quote(part, safe="")


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _pairs(name, each)
    elif isinstance(value, bool):
        yield name, str(value).lower()
    elif value is not None:
        yield name, str(value)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


def _said(answer: Answer) -> str:
    body = answer.body
    return str(body.get("detail", "")) if isinstance(body, dict) else f"status {answer.status}"


def _retry_after(answer: Answer) -> float:
    try:
        return min(float(answer.headers.get("Retry-After") or 0), 60.0)
    except ValueError:
        return 0.0


def _is_it_running(url: str) -> str:
    laptop = url.startswith(("http://127.0.0.1", "http://localhost"))
    return "Start the platform with `make local`." if laptop else "slipway doctor"


def _refusal(answer: Answer, url: str) -> Exception:
    """The error for an answer that refuses the request."""
    body = answer.body if isinstance(answer.body, dict) else {}
    code = str(body.get("code", ""))
    message = str(body.get("detail") or body.get("title") or f"It answered {answer.status}.")
    if answer.status == 401:
        return NotSignedIn(message, code=code, hint=f"slipway login {url}")
    if answer.status >= 500:
        request_id = body.get("request_id")
        where = f" Its request id is {request_id}." if request_id else ""
        return NoAnswer(f"{message}{where}", code=code, hint="slipway doctor")
    fields = tuple(each for each in body.get("errors") or () if isinstance(each, dict))
    return Refused(message, code=code, hint=_HINTS.get(code, ""), fields=fields)
