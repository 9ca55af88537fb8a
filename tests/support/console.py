"""A browser, as far as the console sees one, and the API behind it: the real handlers."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from slipway.console import api, session
from slipway.console.session import Session
from tests.support.api.client import CONTEXT, FORM, HOST, Answer, app, call, event
from tests.support.api.people import PASSWORD, signed_in

BASE = f"https://{HOST}"
COOKIE = "__Host-slipway-console"
SAME_ORIGIN = {"sec-fetch-site": "same-origin", "origin": BASE}


@dataclass
class Handlers(api.Origin):
    """The API's handlers in this process. `asked` are the requests; `answers` replace some."""

    asked: list[tuple[str, str, Mapping[str, str], Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    one_at_a_time: Lock = field(default_factory=Lock)

    def request(
        self, method: str, address: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        where, _, query = address.partition("?")
        headers = {name.lower(): value for name, value in headers.items()}
        is_json = body is not None and "json" in headers["content-type"]
        self.asked.append((method, address, headers, json.loads(body or b"") if is_json else body))
        if (made := self.answers.get((method, where))) is not None:
            status, data = made
            return status, {"content-type": "application/json"}, json.dumps(data).encode()
        # A function serves one request at a time.
        with self.one_at_a_time:
            request = event(method, where, query, headers, body)
            request["cookies"] = request["headers"].pop("cookie", "").split("; ")
            answer = call(request)
        found = {**answer.headers, api.COOKIES: "\n".join(answer.cookies)}
        return answer.status, found, answer.raw

    def paths(self, method: str) -> list[str]:
        """What was asked for by this method."""
        return [address for how, address, _, _ in self.asked if how == method]


@contextmanager
def handlers() -> Iterator[Handlers]:
    """The API that the console reaches."""
    api_id = HOST.partition(".")[0]
    reached = Handlers("https", HOST, HOST)
    api._origins[api_id] = reached
    try:
        yield reached
    finally:
        api.forget()


class _Elements(HTMLParser):
    """The elements of a page: (name, attributes), and the texts in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@dataclass
class Browser:
    """Keeps cookies and fills in forms. `headers` are sent with each request."""

    cookies: dict[str, str] = field(default_factory=dict)
    source: str = "203.0.113.7"
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", path, headers=named)

    def send(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        where, _, query = path.partition("?")
        sent = {**self.headers, **(headers or {})}
        if body is not None:
            sent.setdefault("content-type", FORM)
        request = event(method, where, query, sent, body, self.source)
        request["cookies"] = [f"{name}={value}" for name, value in self.cookies.items()]
        answered = app("console").handler(json.loads(json.dumps(request)), CONTEXT)
        answer = self._answer(json.loads(json.dumps(answered)))
        for each in answer.cookies:
            for name, morsel in SimpleCookie(each).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        return answer

    def post(self, path: str, fields: Mapping[str, Any] = {}, **headers: str) -> Answer:
        """Send a form as it is, with what a browser says of one of the same origin."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = urlencode(fields, doseq=True)
        return self.send("POST", path, body, {**SAME_ORIGIN, **named})

    def submit(self, page: str, action: str, fields: Mapping[str, Any] = {}) -> Answer:
        """Open a page, fill in the form that is sent to `action`, and send it."""
        return self.post(action, {**form(self.get(page).text, action), **fields})

    def sign_in(self, email: str = "ann@example.com") -> Answer:
        """Sign in a user who is registered here."""
        signed_in(email)
        return self.post("/console/sign-in", {"username": email, "password": PASSWORD})

    @property
    def session(self) -> Session:
        """What the cookie seals."""
        found = session.opened(self.cookies[COOKIE])
        assert found is not None
        return found

    @staticmethod
    def _answer(answered: dict[str, Any]) -> Answer:
        body = answered.get("body") or ""
        raw = base64.b64decode(body) if answered["isBase64Encoded"] else body.encode()
        headers = {name.lower(): value for name, value in answered["headers"].items()}
        if headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        cookies = tuple(answered.get("cookies", ()))
        return Answer(answered["statusCode"], headers, raw, cookies)


def elements(text: str, name: str) -> list[dict[str, str | None]]:
    """The attributes of each element with this name."""
    return [found for tag, found in _Elements(text).elements if tag == name]


def texts(text: str) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\s+", " ", " ".join(_Elements(text).texts)).strip()


def form(text: str, action: str) -> dict[str, str]:
    """The fields of the form with this action, as the page has them."""
    found: dict[str, str] | None = None
    choice = ""
    for tag, attributes in _Elements(text).elements:
        if tag == "form":
            if found is not None:
                break
            is_it = attributes.get("action") == action and attributes.get("method") == "post"
            found = {} if is_it else None
        elif tag == "input" and found is not None and attributes.get("name"):
            is_box = attributes.get("type") == "checkbox"
            if not is_box or "checked" in attributes:
                found[str(attributes["name"])] = attributes.get("value") or ""
        elif tag == "select" and found is not None:
            choice = str(attributes["name"])
        elif (
            tag == "option"
            and found is not None
            and (choice not in found or "selected" in attributes)
        ):
            found[choice] = attributes.get("value") or ""
    assert found is not None, f"no form is sent to {action}"
    return found
