"""A company's sign-in: the provider of local/company in this process, and people with browsers.

The platform's requests to the provider go through `provider.send`, which this replaces; everything
above it is as in production. `Wire` is where tests disturb them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from werkzeug.test import Client as Sender

from local.company.app import App
from local.company.provider import Client as Registered
from local.company.provider import Provider, new_key
from slipway.access import provider as access
from slipway.settings import settings
from tests.support.api.client import Answer, Client

ISSUER = "http://127.0.0.1:9400"
PUBLIC = "http://127.0.0.1:8000"
CALLBACK = "/api/v1/auth/oidc/callback"
LOGIN = "/api/v1/auth/oidc/login"
SECRET = "a client's secret: with/odd characters"
PAGE = {"accept": "text/html,application/xhtml+xml"}
ANN = {"email": "ann@example.com", "email_verified": True}

Sent = tuple[int, bytes]
Send = Callable[[str, str, bytes | None, Mapping[str, str]], Sent]


@dataclass
class Wire:
    """What the platform sends to the provider. `disturb` may answer in the provider's place, or
    change its answer; it is given the path, and how to ask the provider."""

    app: App
    paths: list[str] = field(default_factory=list)
    disturb: Callable[[str, Callable[[], Sent]], Sent] | None = None

    def send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Sent:
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == ISSUER
        self.paths.append(parts.path)

        def ask() -> Sent:
            answer = Sender(self.app).open(
                parts.path, ISSUER, method=method, data=body, headers=dict(headers)
            )
            return answer.status_code, answer.data

        return self.disturb(parts.path, ask) if self.disturb else ask()


@dataclass
class Company:
    provider: Provider
    app: App
    wire: Wire

    def browser(self, subject: str = "ann") -> Browser:
        """The browser of somebody who is signed in at the provider."""
        return Browser(self, subject)

    def sign_in(self, subject: str = "ann") -> Answer:
        """The platform's answer to somebody who signs in."""
        return self.browser(subject).sign_in()

    def session(self, subject: str = "ann") -> Client:
        """Somebody who has signed in."""
        return Client(self.sign_in(subject).json["access_token"])


@dataclass
class Browser:
    """Somebody's browser: it follows redirections and keeps the platform's cookie."""

    company: Company
    subject: str
    cookies: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def sign_in(self, **query: str) -> Answer:
        return self.come_back(self.authorize(self.begin(**query)))

    def begin(self, **query: str) -> str:
        """Where the platform sends the browser."""
        answer = self.open(**query)
        assert answer.status == 302, answer.text
        return answer.headers["location"]

    def open(self, **query: str) -> Answer:
        """The platform's first answer."""
        answer = self._client().get(LOGIN, **query)
        self.keep(answer)
        return answer

    def authorize(self, location: str) -> dict[str, str]:
        """The query with which the provider sends the browser back."""
        self.company.app.signs_in = self.subject
        parts = urlsplit(location)
        answer = Sender(self.company.app).get(parts.path, ISSUER, query_string=parts.query)
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == PUBLIC + CALLBACK
        return {name: value for name, [value] in parse_qs(back.query).items()}

    def come_back(self, query: Mapping[str, str]) -> Answer:
        answer = self._client().get(CALLBACK, **query)
        self.keep(answer)
        return answer

    def keep(self, answer: Answer) -> None:
        """Set the cookies of the answer, and remove those whose time is up."""
        for cookie in answer.cookies:
            pair, *attributes = cookie.split("; ")
            name = pair.partition("=")[0]
            others = [each for each in self.cookies if not each.startswith(f"{name}=")]
            self.cookies = (*others, *([] if "Max-Age=0" in attributes else [pair]))

    def _client(self) -> Client:
        return Client(headers=self.headers, cookies=self.cookies)


def configuration(**changes: str) -> dict[str, str]:
    """The company's sign-in as the stack keeps it in its secret."""
    return {
        "issuer": ISSUER,
        "client_id": "slipway",
        "client_secret": SECRET,
        "scopes": "openid email profile",
        "groups_claim": "groups",
        "groups": "",
        "trust_emails": "false",
        **changes,
    }


def configure(**changes: str) -> None:
    """Change the secret, as an update of the stack does, and start the functions anew."""
    boto3.client("secretsmanager").put_secret_value(
        SecretId="company", SecretString=json.dumps(configuration(**changes))
    )
    access.forget()


@contextmanager
def company(patch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A stack with a company's sign-in, and its provider."""
    boto3.client("secretsmanager").create_secret(
        Name="company", SecretString=json.dumps(configuration())
    )
    with provided(patch) as made:
        yield made


@contextmanager
def without_secrets_manager(patch: pytest.MonkeyPatch, **changes: str) -> Iterator[Company]:
    """The same where there is no Secrets Manager."""
    patch.setattr(access, "configuration", lambda: configuration(**changes))
    with provided(patch) as made:
        yield made


# It takes a while to make one.
_key = functools.cache(new_key)


@contextmanager
def provided(patch: pytest.MonkeyPatch) -> Iterator[Company]:
    """The provider of a stack with a company's sign-in."""
    patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    patch.setenv("OIDC_SECRET", "company")
    patch.setenv("PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    access.forget()
    made = Provider(ISSUER, Registered("slipway", SECRET, {PUBLIC + CALLBACK}), _key())
    made.people["ann"] = dict(ANN)
    app = App(made)
    wire = Wire(app)
    patch.setattr(access, "send", wire.send)
    yield Company(made, app, wire)
    access.forget()


def changed(answer: Sent, **members: Any) -> Sent:
    """The provider's answer with other members; None removes one."""
    status, raw = answer
    found = {**json.loads(raw), **members}
    return status, json.dumps({k: v for k, v in found.items() if v is not None}).encode()
