"""Users and invitations in the console, for administrators."""

from __future__ import annotations

import re

import pytest

from slipway.console import session
from slipway.settings import limits
from tests.support.api.registering import administrator
from tests.support.console import Browser, form, texts

USERS = "/console/users"


@pytest.fixture
def root(ann: Browser) -> Browser:
    """An administrator."""
    browser = Browser()
    token = administrator().token
    assert token
    browser.cookies = _signed_in(token)
    return browser


def _signed_in(token: str) -> dict[str, str]:
    tokens = {"access_token": token, "refresh_token": "", "expires_in": 900}
    made = session.new(tokens, "root@example.com", is_admin=True)
    name, _, value = session.cookie("https://x", made).partition(";")[0].partition("=")
    return {name: value}


def page_of(root: Browser, email: str) -> str:
    """The page of a user."""
    text = root.get(USERS).text
    return text[: text.index(f">{email}</a>")].rpartition('href="')[2].rstrip('"')


def test_users_are_listed_and_get_a_role(root: Browser) -> None:
    where = page_of(root, "ann@example.com")

    answer = root.submit(where, f"{where}/role", {"platform_role": "publisher"})

    assert answer.headers["location"] == f"{where}?done=changed"
    assert "ann@example.com publisher" in texts(root.get(USERS).text)


def test_a_users_quotas_are_shown(root: Browser, ann: Browser) -> None:
    ann.submit("/console", "/console/projects", {"name": "payments"})

    said = texts(root.get(page_of(root, "ann@example.com")).text)

    assert f"projects 1 of {limits().projects_per_user} MaxProjectsPerUser" in said
    assert f"environments 0 of {limits().environments_per_user} MaxEnvironmentsPerUser" in said


def test_a_user_is_disabled_and_enabled(root: Browser, ann: Browser) -> None:
    where = page_of(root, "ann@example.com")

    assert root.submit(where, f"{where}/disable").status == 303
    assert ann.get("/console").status == 303
    assert root.submit(where, f"{where}/enable").status == 303
    assert "active" in texts(root.get(where).text)


def test_a_user_with_projects_is_deleted_after_handing_them_over(
    root: Browser, ann: Browser
) -> None:
    ann.submit("/console", "/console/projects", {"name": "payments"})
    bob = Browser()
    bob.sign_in("bob@example.com")
    where, other = page_of(root, "ann@example.com"), page_of(root, "bob@example.com")
    root.submit(where, f"{where}/disable")

    refused = root.submit(where, f"{where}/delete")
    assert refused.status == 409 and "user_not_empty" in texts(refused.text)
    over = root.submit(where, f"{where}/hand-over", {"user_id": other.rpartition("/")[2]})
    assert over.headers["location"] == f"{where}?done=handed-over"
    assert root.submit(where, f"{where}/delete").headers["location"] == f"{USERS}?done=deleted"
    assert "payments" in texts(bob.get("/console").text)


def test_a_link_for_a_new_password_is_shown_once(root: Browser) -> None:
    where = page_of(root, "ann@example.com")

    answer = root.submit(where, f"{where}/password")

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert re.search(r"It works once", texts(answer.text))


def test_an_invitation_is_made_and_revoked(root: Browser) -> None:
    made = root.submit(USERS, "/console/invitations", {"email": "new@example.com"})
    assert "/console/register?invitation=inv_" in made.text
    page = root.get(USERS).text
    [where] = re.findall(r'action="(/console/invitations/[^"]+/revoke)"', page)

    assert root.submit(USERS, where).headers["location"] == f"{USERS}?done=revoked"
    assert "No invitation is open." in texts(root.get(USERS).text)


def test_only_administrators_see_them(ann: Browser) -> None:
    assert ann.get(USERS).status == 403
    assert USERS not in ann.get("/console").text


def test_a_cookie_cannot_make_an_administrator(ann: Browser) -> None:
    """`is_admin` decides about what is shown, and nothing else."""
    ann.cookies = _signed_in(ann.session.access)

    assert USERS in ann.get("/console").text
    assert ann.get(USERS).status == 403
    token = form(ann.get("/console").text, "/console/projects")["csrf"]
    fields = {"email": "new@example.com", "platform_role": "admin", "csrf": token}
    assert ann.post("/console/invitations", fields).status == 403
