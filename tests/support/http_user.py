"""A user who sends requests to a running platform over HTTP."""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """`body` is what the JSON says; None if there is none."""

    status: int
    headers: Message
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


# None of the most common ones, which a stack refuses.
PASSWORD = "correct horse battery"


@dataclass
class Person:
    """A user who sends requests, signed in or not."""

    url: str
    token: str | None = None
    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        text: str | None = None,
        media: str = "application/json",
    ) -> Answer:
        """The answer; `text` is a body as it stands, of the media type."""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None
        if text is not None:
            data = text.encode()
            headers["Content-Type"] = media
        elif form is not None:
            data = urllib.parse.urlencode(form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with DIRECT.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.headers, refused.read())

    def sign_in(self, **invitation: str) -> Person:
        """Register, with an invitation where registration is not open, and sign in."""
        person = {"email": self.email, "password": PASSWORD, **invitation}
        self.ask("POST", "/api/v1/auth/register", person)
        form = {"username": self.email, "password": PASSWORD}
        self.token = self.ask("POST", "/api/v1/auth/login", form=form).body["access_token"]
        return self

    def project(self, name: str = "payments") -> str:
        return str(self.ask("POST", "/api/v1/projects/", {"name": name}).body["id"])

    def environment(self, project: str, name: str = "preview", **more: Any) -> dict[str, Any]:
        wanted = {"name": name, "type": "persistent", **more}
        made = self.ask("POST", f"/api/v1/environments/projects/{project}", wanted).body
        assert isinstance(made, dict)
        return made

    def deploy(self, environment: str, version: str) -> Answer:
        path = f"/api/v1/deployments/environments/{environment}"
        return self.ask("POST", path, {"version": version})

    def see(self, identity: str) -> dict[str, Any]:
        """The object as it is now, by its id."""
        nouns = {"prj": "projects", "env": "environments", "dep": "deployments"}
        answer = self.ask("GET", f"/api/v1/{nouns[identity[:3]]}/{identity}")
        assert answer.status == 200, answer.raw
        seen: dict[str, Any] = answer.body
        return seen

    def wait_for(self, identity: str, *states: str, seconds: float = 30) -> dict[str, Any]:
        """The object, once it is in one of the states."""
        found: dict[str, Any] = until(
            lambda: seen if (seen := self.see(identity))["status"] in states else None, seconds
        )
        return found


def until(ready: Callable[[], Any], seconds: float = 30) -> Any:
    """Call `ready` until its result is true, and return it."""
    end = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < end, f"still not so after {seconds} s"
        time.sleep(0.05)
    return value


def send(owner: Person, path: str, body: str) -> Answer:
    headers = {"Authorization": f"Bearer {owner.token}", "Content-Type": "application/yaml"}
    request = urllib.request.Request(owner.url + path, body.encode(), headers, method="POST")
    try:
        with DIRECT.open(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.headers, refused.read())
