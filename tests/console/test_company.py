"""The company's sign-in, which the console completes on the browser's behalf."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode

import pytest

from slipway.console import session
from slipway.settings import console_settings
from tests.support.api import company as support
from tests.support.api.client import Client
from tests.support.api.company import Company
from tests.support.console import Browser, Handlers, texts

HTML = {"accept": "text/html,application/xhtml+xml"}
CALLBACK = "/console/sign-in/callback"


@pytest.fixture
def firm(reached: Handlers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    monkeypatch.setenv("COMPANY", "true")
    console_settings.cache_clear()
    with support.company(monkeypatch) as made:
        yield made


def begin(firm: Company, wanted: str) -> tuple[support.Browser, dict[str, str]]:
    """A browser on its way back from the provider, and what it brings."""
    away = Browser().get(f"/console/sign-in/company?{urlencode({'next': wanted})}")
    where, _, query = away.headers["location"].partition("?")
    assert (away.status, where) == (303, "/api/v1/auth/oidc/login")
    browser = support.Browser(firm, "ann", headers=HTML)
    [(name, value)] = parse_qs(query).items()
    assert name == "return_to"
    return browser, browser.authorize(browser.begin(return_to=value[0]))


def test_somebody_signs_in_with_the_company_and_goes_on(firm: Company) -> None:
    browser, brought = begin(firm, "/console/projects/prj_1?cursor=x")
    back = browser.come_back(brought)

    assert back.status == 302
    assert back.headers["location"].startswith(f"{CALLBACK}?")
    console = Browser(dict(each.split("=", 1) for each in browser.cookies))
    done = console.get(back.headers["location"])

    assert (done.status, done.headers["location"]) == (303, "/console/projects/prj_1?cursor=x")
    # The cookie of the sign-in is used up. This platform has no TLS, so its own has no prefix.
    assert list(console.cookies) == ["slipway-console"]
    opened = session.opened(console.cookies["slipway-console"])
    assert opened and opened.email == "ann@example.com"
    assert console.get("/console").status == 200
    assert "Sign in with your company" in texts(Browser().get("/console/sign-in").text)


def test_a_link_to_the_callback_signs_nobody_in(firm: Company) -> None:
    browser, brought = begin(firm, "/console")
    where = browser.come_back(brought).headers["location"]

    victim = Browser()
    answer = victim.get(where)

    assert answer.status in (400, 401, 403)
    assert "sign_in_invalid" in texts(answer.text)
    assert victim.cookies == {}


def test_the_callback_leads_to_no_other_place(firm: Company) -> None:
    browser, brought = begin(firm, "https://evil.example/")
    where = browser.come_back(brought).headers["location"]
    console = Browser(dict(each.split("=", 1) for each in browser.cookies))

    done = console.get(f"{where}&next=https%3A%2F%2Fevil.example")

    assert done.headers["location"] == "/console"


def test_programs_and_other_pages_complete_it_as_before(firm: Company) -> None:
    assert firm.sign_in().json["access_token"]
    page = support.Browser(firm, "ann", headers=HTML).sign_in(return_to="/docs")

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert Client().get("/console").status in (303, 404)
