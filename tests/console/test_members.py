"""Members of a project in the console."""

from __future__ import annotations

import pytest

from tests.support.api.people import signed_in
from tests.support.console import Browser, form, texts


@pytest.fixture
def project(ann: Browser) -> str:
    """The page of a project of hers."""
    made = ann.submit("/console", "/console/projects", {"name": "payments"})
    return made.headers["location"].partition("?")[0]


@pytest.fixture
def bob(ann: Browser, project: str) -> Browser:
    """A deployer of the project."""
    browser = Browser()
    browser.sign_in("bob@example.com")
    fields = {"email": "bob@example.com", "role": "deployer"}
    answer = ann.submit(f"{project}/members", f"{project}/members", fields)
    assert answer.headers["location"] == f"{project}/members?done=added"
    return browser


def page_of(ann: Browser, project: str, email: str) -> str:
    """The page of a member."""
    text = ann.get(f"{project}/members").text
    start = text.index(f">{email}</a>")
    return text[:start].rpartition('href="')[2].rstrip('"')


def test_a_member_sees_the_project_and_what_the_role_allows(
    ann: Browser, bob: Browser, project: str
) -> None:
    said = texts(bob.get(f"{project}/members").text)

    assert "bob@example.com deployer" in said
    assert "Add somebody" not in said
    assert "Leave the project" in said
    assert "Add somebody" in texts(ann.get(f"{project}/members").text)


def test_a_role_changes_also_for_a_tier(ann: Browser, bob: Browser, project: str) -> None:
    where = page_of(ann, project, "bob@example.com")

    answer = ann.submit(where, where, {"role": "maintainer", "overrides.production": "viewer"})

    assert answer.headers["location"] == f"{project}/members?done=changed"
    assert "maintainer viewer in production" in texts(ann.get(f"{project}/members").text)


def test_a_member_is_removed(ann: Browser, bob: Browser, project: str) -> None:
    where = page_of(ann, project, "bob@example.com")

    assert ann.submit(where, f"{where}/remove").status == 303
    assert bob.get(project).status == 404


def test_the_last_owner_cannot_leave_and_is_told_why(
    ann: Browser, bob: Browser, project: str
) -> None:
    answer = ann.submit(f"{project}/members", f"{project}/leave")

    assert answer.status == 409
    assert "last_owner" in texts(answer.text)
    assert bob.submit(f"{project}/members", f"{project}/leave").status == 303
    assert bob.get(project).status == 404


def test_a_project_is_handed_over(ann: Browser, bob: Browser, project: str) -> None:
    where = page_of(ann, project, "bob@example.com")

    answer = ann.submit(where, f"{where}/transfer")

    assert answer.headers["location"] == f"{project}/members?done=handed-over"
    assert "bob@example.com owner" in texts(ann.get(f"{project}/members").text)


def test_an_invitation_is_shown_once_and_registers(ann: Browser, project: str) -> None:
    fields = {"email": "new@example.com", "role": "viewer"}

    answer = ann.submit(f"{project}/members", f"{project}/members", fields)

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    link = texts(answer.text).partition("address. ")[2].partition(" ")[0]
    assert "/console/register?invitation=inv_" in link
    new = Browser()
    where = link[link.index("/console") :]
    sent = form(new.get(where).text, "/console/register")
    sent |= {"email": "new@example.com", "password": "correct horse battery"}
    assert new.post("/console/register", sent).headers["location"] == "/console"
    assert new.get(project).status == 200
    assert "inv_" not in texts(ann.get(f"{project}/members").text)


def test_an_invitation_is_revoked(ann: Browser, project: str) -> None:
    fields = {"email": "new@example.com", "role": "viewer"}
    ann.submit(f"{project}/members", f"{project}/members", fields)
    where = page_of(ann, project, "new@example.com")

    assert ann.submit(where, f"{where}/remove").status == 303
    assert "new@example.com" not in texts(ann.get(f"{project}/members").text)


def test_a_refused_address_is_told_beside_its_field(ann: Browser, project: str) -> None:
    fields = {"email": "nobody", "role": "viewer"}

    answer = ann.submit(f"{project}/members", f"{project}/members", fields)

    assert answer.status == 422
    assert 'value="nobody"' in answer.text
    assert 'id="email-error"' in answer.text


def test_a_stranger_sees_no_members(project: str) -> None:
    stranger = Browser()
    stranger.sign_in("eve@example.com")

    assert stranger.get(f"{project}/members").status == 404


def test_a_trust_is_listed_and_deleted(ann: Browser, project: str) -> None:
    from tests.support.api.client import Client

    trust = {"preset": "github", "claims": {"repository_id": "456789"}, "scopes": ["read"]}
    client = Client(ann.session.access)
    made = client.post(f"/api/v1/projects/{project.rpartition('/')[2]}/trusts", trust).json

    assert "repository_id=456789" in texts(ann.get(f"{project}/members").text)
    where = f"{project}/trusts/{made['id']}/remove"
    assert ann.submit(f"{project}/members", where).status == 303
    assert "repository_id=456789" not in texts(ann.get(f"{project}/members").text)


def test_the_fields_of_a_project_change_and_it_is_deleted(ann: Browser, project: str) -> None:
    where = f"{project}/settings"
    fields = {"name": "orders", "policy.max_ttl_hours": "48", "policy.expiry_mode": "idle"}
    assert ann.submit(where, where, fields).headers["location"] == f"{project}?done=changed"
    seen = form(ann.get(where).text, where)
    assert (seen["name"], seen["policy.max_ttl_hours"]) == ("orders", "48")

    refused = ann.submit(where, where, {"policy.max_ttl_hours": "soon"})
    assert refused.status == 422
    assert 'id="policy.max_ttl_hours-error"' in refused.text
    assert ann.submit(where, f"{where}/delete", {"confirm": "payments"}).status == 409
    assert ann.submit(where, f"{where}/delete", {"confirm": "orders"}).status == 303
    assert ann.get(project).status == 404


def test_disabled_people_cannot_be_added(ann: Browser, project: str) -> None:
    from tests.support.api.members import is_disabled

    gone = signed_in("gone@example.com")
    is_disabled(gone.user_id)
    fields = {"email": "gone@example.com", "role": "viewer"}

    answer = ann.submit(f"{project}/members", f"{project}/members", fields)

    assert answer.status == 409
    assert "user_disabled" in texts(answer.text)
