"""Variables and secrets in the console."""

from __future__ import annotations

import pytest

from tests.support.api.client import Client
from tests.support.console import Browser, form, texts

SECRET = "postgres://ann:hunter22@db/payments"


@pytest.fixture
def project(ann: Browser) -> str:
    """The page of a project of hers."""
    made = ann.submit("/console", "/console/projects", {"name": "payments"})
    return made.headers["location"].partition("?")[0]


@pytest.fixture
def page(ann: Browser, project: str) -> str:
    """The page of an environment's variables."""
    body = {"name": "preview", "type": "ephemeral"}
    where = project.replace("/console", "/api/v1") + "/environments"
    made = Client(ann.session.access).post(where, body).json
    return f"/console/environments/{made['id']}/variables"


def test_variables_are_set_from_lines_and_removed(ann: Browser, page: str) -> None:
    answer = ann.submit(page, page, {"lines": "LOG_LEVEL=debug\r\nREGION='eu <west>'\r\n"})

    assert answer.headers["location"] == f"{page}?done=changed"
    said = texts(ann.get(page).text)
    assert "LOG_LEVEL debug environment" in said and "REGION eu <west> environment" in said
    assert "Live configuration none yet Pending 1" in said
    assert ann.submit(page, f"{page}/remove", {"name": "LOG_LEVEL"}).status == 303
    assert "LOG_LEVEL debug" not in texts(ann.get(page).text)


def test_a_refused_line_is_told_and_what_was_sent_stays(ann: Browser, page: str) -> None:
    answer = ann.submit(page, page, {"lines": "1BAD=x"})

    assert answer.status == 422
    assert "1BAD=x" in answer.text
    assert "1BAD=x" not in texts(ann.get(page).text)


def test_a_secret_is_set_and_never_shown(ann: Browser, page: str) -> None:
    fields = {"name": "DATABASE_URL", "value": SECRET}

    answer = ann.submit(page, f"{page}/secrets", fields)

    assert answer.headers["location"] == f"{page}?done=changed"
    shown = ann.get(page).text
    assert "DATABASE_URL 1 environment" in texts(shown)
    assert SECRET not in shown and "hunter22" not in shown
    assert ann.submit(page, f"{page}/secrets/remove", {"name": "DATABASE_URL"}).status == 303
    assert "DATABASE_URL 1" not in texts(ann.get(page).text)


def test_a_refused_secret_is_not_shown_either(ann: Browser, page: str) -> None:
    ann.submit(page, page, {"lines": "DATABASE_URL=none"})

    answer = ann.submit(page, f"{page}/secrets", {"name": "DATABASE_URL", "value": SECRET})

    assert answer.status == 409
    assert "name_in_use" in texts(answer.text)
    assert "hunter22" not in answer.text


def test_an_environment_inherits_and_restores(ann: Browser, page: str, project: str) -> None:
    ann.submit(f"{project}/variables/all", f"{project}/variables/all", {"lines": "LEVEL=project"})
    where = f"{project}/variables/preview"
    ann.submit(where, where, {"lines": "TIER=preview"})
    said = texts(ann.get(page).text)
    assert "LEVEL project project" in said and "TIER preview tier" in said
    ann.submit(page, page, {"lines": "LEVEL=own"})
    ann.submit(page, page, {"lines": "LEVEL=other"})

    answer = ann.submit(page, f"{page}/restore/1")

    assert answer.headers["location"] == f"{page}?done=changed"
    assert "LEVEL own environment" in texts(ann.get(page).text)


def test_a_change_that_cannot_be_deployed_now_says_why(ann: Browser, page: str) -> None:
    answer = ann.submit(page, page, {"lines": "LEVEL=own", "apply": "now"})

    assert answer.status == 409
    assert "nothing_live" in texts(answer.text)


@pytest.mark.parametrize("tier", ["nowhere", "..%2f..", "preview&x=1"])
def test_a_tier_that_does_not_exist_has_no_page(ann: Browser, project: str, tier: str) -> None:
    assert ann.get(f"{project}/variables/{tier}").status == 404


def test_a_stranger_sees_nothing(page: str, project: str) -> None:
    eve = Browser()
    eve.sign_in("eve@example.com")

    assert eve.get(page).status == 404
    assert eve.get(f"{project}/variables/all").status == 404


def test_a_viewer_reads_and_is_refused(ann: Browser, page: str, project: str) -> None:
    bob = Browser()
    bob.sign_in("bob@example.com")
    fields = {"email": "bob@example.com", "role": "viewer"}
    ann.submit(f"{project}/members", f"{project}/members", fields)
    sent = form(bob.get(page).text, page)

    answer = bob.post(page, {**sent, "lines": "A=b"})

    assert answer.status == 403
    assert "forbidden" in texts(answer.text)
