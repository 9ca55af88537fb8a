"""Signing in and out of the console, and the cookie."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from slipway.console import session
from tests.support.api.people import PASSWORD, signed_in
from tests.support.console import BASE, COOKIE, Browser, Handlers, form, texts


def test_somebody_signs_in_and_sees_the_projects(stranger: Browser) -> None:
    answer = stranger.sign_in("ann@example.com")

    assert (answer.status, answer.headers["location"]) == (303, "/console")
    page = stranger.get("/console")
    assert page.status == 200
    assert "ann@example.com" in texts(page.text)


def test_a_page_leads_to_the_sign_in_and_back(stranger: Browser) -> None:
    away = stranger.get("/console/projects/prj_1?cursor=a%26b")

    assert away.status == 303
    to = away.headers["location"]
    assert to == "/console/sign-in?next=%2Fconsole%2Fprojects%2Fprj_1%3Fcursor%3Da%2526b"
    signed_in("ann@example.com")
    fields = form(stranger.get(to).text, "/console/sign-in")
    fields |= {"username": "ann@example.com", "password": PASSWORD}
    back = stranger.post("/console/sign-in", fields)
    assert back.headers["location"] == "/console/projects/prj_1?cursor=a%26b"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/console/..//evil.example/\\",
        "/consolement",
        "/console@evil.example",
        "/console\r\nX-A: b",
        "javascript:alert(1)",
        "/console/" + "a" * 600,
        "/docs",
    ],
)
def test_the_sign_in_leads_to_no_other_place(stranger: Browser, wanted: str) -> None:
    signed_in("ann@example.com")

    answer = stranger.post(
        "/console/sign-in",
        {"username": "ann@example.com", "password": PASSWORD, "next": wanted},
    )

    assert (answer.status, answer.headers["location"]) == (303, "/console")


def test_a_wrong_password_is_refused_beside_the_form_and_not_repeated(stranger: Browser) -> None:
    signed_in("ann@example.com")

    answer = stranger.post(
        "/console/sign-in", {"username": "ann@example.com", "password": "wrong-one-1"}
    )

    assert answer.status == 401
    assert "wrong_credentials" in texts(answer.text)
    assert 'value="ann@example.com"' in answer.text
    assert "wrong-one-1" not in answer.text
    assert COOKIE not in stranger.cookies


def test_the_cookie_is_for_this_host_and_no_script(stranger: Browser) -> None:
    [cookie] = stranger.sign_in().cookies

    name, *attributes = cookie.split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert set(attributes) == {"Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Lax", "Secure"}
    assert len(cookie) < 2000


def test_nobody_can_read_the_tokens_in_the_cookie(ann: Browser) -> None:
    kept = ann.session

    assert kept.access.count(".") == 2 and kept.refresh.startswith("slr_")
    for secret in (kept.access, kept.refresh, "ann@example.com"):
        assert secret not in ann.cookies[COOKIE]
        assert secret == "ann@example.com" or secret not in ann.get("/console").text


@pytest.mark.parametrize("change", ["x", "A" * 30, "", "é", "a.b.c", "A" * 3000])
def test_a_cookie_that_the_console_did_not_seal_signs_nobody_in(
    stranger: Browser, change: str
) -> None:
    stranger.cookies[COOKIE] = change

    assert stranger.get("/console").status == 303


def test_each_byte_of_a_cookie_counts(ann: Browser) -> None:
    kept = ann.cookies[COOKIE]

    for place in range(0, len(kept) - 1, 40):
        other = "A" if kept[place] != "A" else "B"
        assert session.opened(kept[:place] + other + kept[place + 1 :]) is None
    assert session.opened(kept) is not None


def test_a_sign_in_begins_a_session_of_its_own(ann: Browser) -> None:
    before = ann.session
    ann.post("/console/sign-in", {"username": "ann@example.com", "password": PASSWORD})

    assert ann.session.id != before.id


def test_signing_out_ends_the_session_itself(ann: Browser, reached: Handlers) -> None:
    stolen = Browser(dict(ann.cookies))

    answer = ann.submit("/console", "/console/sign-out")

    assert (answer.status, answer.headers["location"]) == (303, "/console/sign-in?done=signed-out")
    assert COOKIE not in ann.cookies
    assert reached.paths("POST")[-1] == "/api/v1/auth/logout"
    away = stolen.get("/console")
    assert (away.status, away.headers["location"]) == (303, "/console/sign-in?done=ended")
    assert COOKIE not in stolen.cookies


def test_a_sign_out_that_the_api_did_not_carry_out_is_told(ann: Browser, reached: Handlers) -> None:
    problem = {"code": "store_unavailable", "title": "Not now", "detail": "Try again."}
    reached.answers["POST", "/api/v1/auth/logout"] = (503, problem)

    answer = ann.submit("/console", "/console/sign-out")

    assert answer.status == 503
    assert "Not now" in texts(answer.text)
    assert COOKIE in ann.cookies


def test_an_access_token_that_has_ended_is_refreshed(ann: Browser) -> None:
    before = ann.session
    _age(ann)

    page = ann.get("/console")

    assert page.status == 200
    assert ann.session.access != before.access
    assert ann.session.refresh != before.refresh
    assert ann.session.id == before.id
    assert ann.session.ends > time.time() + 800


def test_two_tabs_that_refresh_at_once_keep_the_session(ann: Browser) -> None:
    _age(ann)
    other = Browser(dict(ann.cookies))

    assert ann.get("/console").status == other.get("/console").status == 200
    assert ann.session.refresh == other.session.refresh
    # Whichever cookie came last, the session goes on.
    _age(other)
    assert other.get("/console").status == 200


def test_a_cookie_that_was_stolen_and_refreshed_later_ends_the_session(ann: Browser) -> None:
    stolen = Browser(dict(ann.cookies))
    for _ in range(2):
        _age(ann)
        ann.get("/console")
    _age(stolen)

    assert stolen.get("/console").headers["location"] == "/console/sign-in?done=ended"
    assert ann.get("/console").headers["location"] == "/console/sign-in?done=ended"


def test_a_live_request_that_refreshes_does_not_wait(ann: Browser, reached: Handlers) -> None:
    _age(ann)

    answer = ann.get("/console/projects/prj_1/environments", x_slipway_live="x")

    assert (answer.status, len(answer.cookies)) == (204, 1)
    assert reached.paths("GET")[-1] == "/api/v1/auth/me"


def test_a_session_that_cannot_be_refreshed_leads_to_the_sign_in(ann: Browser) -> None:
    _age(ann)
    ann.cookies[COOKIE] = session.sealed(replace(ann.session, refresh="slr_no"))

    assert ann.get("/console").headers["location"] == "/console/sign-in?done=ended"
    assert COOKIE not in ann.cookies


def test_somebody_registers_and_is_signed_in(stranger: Browser) -> None:
    answer = stranger.submit(
        "/console/register",
        "/console/register",
        {"email": "new@example.com", "password": PASSWORD},
    )

    assert (answer.status, answer.headers["location"]) == (303, "/console")
    assert "new@example.com" in texts(stranger.get("/console").text)


def test_a_password_that_is_too_short_is_refused_beside_its_field(stranger: Browser) -> None:
    answer = stranger.submit(
        "/console/register", "/console/register", {"email": "new@example.com", "password": "short"}
    )

    assert answer.status == 422
    assert 'aria-invalid="true"' in answer.text and 'id="password-error"' in answer.text
    assert "short" not in answer.text.replace("too short", "")


def _age(browser: Browser) -> None:
    """The access token has ended."""
    browser.cookies[COOKIE] = session.sealed(replace(browser.session, ends=0))


def test_the_base_of_the_tests_is_the_apis_own(ann: Browser) -> None:
    assert ann.get("/console").headers["strict-transport-security"]
    assert BASE.startswith("https://")
