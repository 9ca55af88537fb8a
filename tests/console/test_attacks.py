"""What a page of another site, a name, or a sender can try."""

from __future__ import annotations

import re

import pytest

from slipway.console import session
from tests.support.api.client import HOST, event
from tests.support.api.people import PASSWORD, signed_in
from tests.support.console import BASE, COOKIE, Browser, Handlers, elements, form, texts

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
SIGN_IN = {"username": "ann@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    "sent",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": BASE},
        {"sec-fetch-site": "none", "origin": BASE},
        {"sec-fetch-site": "cross-site", "origin": BASE},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}"},
        {},
    ],
)
def test_a_form_of_another_site_is_refused_before_anything_is_asked(
    ann: Browser, reached: Handlers, sent: dict[str, str]
) -> None:
    token = form(ann.get("/console").text, "/console/projects")["csrf"]
    before = len(reached.asked)

    for path in ("/console/projects", "/console/sign-in", "/console/sign-out"):
        body = f"name=x&csrf={token}&username=ann%40example.com&password={PASSWORD}"
        answer = ann.send("POST", path, body, sent)
        assert answer.status == 403, path
        assert answer.cookies == ()
    assert len(reached.asked) == before


@pytest.mark.parametrize("sent", [{"sec-fetch-site": "same-origin"}, {"origin": BASE}])
def test_a_form_of_the_console_is_accepted_from_old_browsers_too(
    ann: Browser, sent: dict[str, str]
) -> None:
    token = form(ann.get("/console").text, "/console/projects")["csrf"]

    assert ann.send("POST", "/console/projects", f"name=x&csrf={token}", sent).status == 303


def test_a_form_needs_the_token_of_its_own_session(ann: Browser, reached: Handlers) -> None:
    bob = Browser()
    bob.sign_in("bob@example.com")
    foreign = form(bob.get("/console").text, "/console/projects")["csrf"]
    own = form(ann.get("/console").text, "/console/projects")["csrf"]

    for token in ("", "x", ".", foreign, own[:-1], own.replace(".", ""), f"{own}x", "é.é"):
        assert ann.post("/console/projects", {"name": "x", "csrf": token}).status == 403, token
    assert "/api/v1/projects" not in reached.paths("POST")


def test_tokens_of_forms_differ_in_each_page(ann: Browser) -> None:
    pages = [ann.get("/console").text for _ in range(2)]
    found = [form(page, "/console/projects")["csrf"] for page in pages]

    assert found[0] != found[1]
    assert all(session.is_form_token(ann.session, each) for each in found)


def test_names_are_shown_as_text(ann: Browser) -> None:
    for name in (EVIL, "{0.__class__}", "&lt;b&gt;"):
        fields = {"name": name, "description": EVIL}
        made = ann.submit("/console", "/console/projects", fields)
        assert made.status == 303
        for path in ("/console", made.headers["location"]):
            page = ann.get(path)
            assert name in texts(page.text)
            assert elements(page.text, "img") == []
            assert all(each.get("src") for each in elements(page.text, "script"))
            assert "<script>" not in page.text


def test_what_was_sent_is_shown_again_as_text(ann: Browser) -> None:
    fields = {"name": "x" * 200, "description": EVIL, "repo_url": '" autofocus onfocus="alert(1)'}

    page = ann.submit("/console", "/console/projects", fields)

    assert page.status == 422
    values = {each.get("name"): each.get("value") for each in elements(page.text, "input")}
    assert values["description"] == EVIL
    assert values["repo_url"] == fields["repo_url"]
    assert not [each for each in elements(page.text, "input") if "onfocus" in each]


@pytest.mark.parametrize("query", [f"done={EVIL}", f"next={EVIL}", f"cursor={EVIL}", f"{EVIL}=1"])
def test_the_address_puts_nothing_into_a_page(ann: Browser, query: str) -> None:
    for path in ("/console", "/console/register"):
        page = ann.get(f"{path}?{query}")
        assert "alert(1)</script>" not in page.text
        assert elements(page.text, "img") == []


def test_every_page_has_a_strict_policy_and_is_kept_nowhere(ann: Browser) -> None:
    for path in ("/console", "/console/register", "/console/nothing", "/console/projects/prj_x"):
        headers = ann.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        page = ann.get(path).text
        assert not re.search(r"<style|style=|<script(?! src=)|\son\w+=|javascript:", page)


def test_the_host_header_and_the_domain_decide_nothing_about_where_tokens_go(
    ann: Browser, reached: Handlers
) -> None:
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil"}

    page = ann.get("/console", **{name.replace("-", "_"): each for name, each in evil.items()})

    assert page.status == 200
    assert reached.asked[-1][1].startswith("/api/v1/projects")


def test_an_api_id_that_is_none_sends_nothing(ann: Browser, reached: Handlers) -> None:
    from tests.support.api.client import CONTEXT, app

    before = len(reached.asked)
    for api_id in ("evil.example/", "evil.example", "a1b2c3d4e5.evil", "", "A1B2C3D4E5"):
        request = event("GET", "/console")
        request["cookies"] = [f"{COOKIE}={ann.cookies[COOKIE]}"]
        request["requestContext"]["apiId"] = api_id
        answer = app("console").handler(request, CONTEXT)
        assert answer["statusCode"] in (400, 500)
    assert len(reached.asked) == before


def test_ids_in_paths_lead_nowhere_else_in_the_api(ann: Browser, reached: Handlers) -> None:
    for part in ("..", "%2e%2e", "prj_1?x=1", "prj_1#x", "a;b", "é"):
        ann.get(f"/console/projects/{part}")

    for address in reached.paths("GET"):
        assert address.startswith(("/api/v1/projects", "/api/v1/auth/me")), address
        assert "/../" not in address and "#" not in address


def test_a_fixed_session_is_not_used_after_the_sign_in(reached: Handlers) -> None:
    attacker, victim = Browser(), Browser()
    attacker.sign_in("bob@example.com")
    victim.cookies = dict(attacker.cookies)

    signed_in("ann@example.com")
    victim.post("/console/sign-in", SIGN_IN)

    assert victim.session.id != attacker.session.id
    assert attacker.session.email == "bob@example.com"
    assert "bob@example.com" in texts(attacker.get("/console").text)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(ann: Browser, method: str) -> None:
    answer = ann.send(method, "/console", "", {"origin": "https://evil.example"})

    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("body", "status"),
    [("%", 403), ("&".join(["a=1"] * 600), 400), ("a=%ff", 400), ("x" * 2_000_001, 413)],
)
def test_a_body_that_is_no_form_is_refused(ann: Browser, body: str, status: int) -> None:
    sent = {"sec-fetch-site": "same-origin", "origin": BASE}

    assert ann.send("POST", "/console/projects", body, sent).status in (status, 400)
