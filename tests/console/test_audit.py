"""The audit in the console."""

from __future__ import annotations

import pytest

from tests.support.console import Browser, Handlers, texts


@pytest.fixture
def audit(ann: Browser) -> str:
    """The page of a project's audit."""
    made = ann.submit("/console", "/console/projects", {"name": "payments"})
    project = made.headers["location"].partition("?")[0]
    ann.submit(f"{project}/settings", f"{project}/settings", {"name": "orders"})
    return f"{project}/audit"


def test_changes_are_listed_with_who_and_from_what_to_what(ann: Browser, audit: str) -> None:
    said = texts(ann.get(audit).text)

    assert "ann@example.com user" in said
    assert "projects:change" in said
    assert "name: payments to orders" in said
    assert said.index("projects:change") < said.index("projects:create")


def test_a_filter_stays_and_selects(ann: Browser, audit: str) -> None:
    page = ann.get(f"{audit}?action=projects%3Acreate").text

    assert 'value="projects:create"' in page
    assert "name: payments to orders" not in texts(page)
    assert "Nothing was changed." in texts(ann.get(f"{audit}?actor=bob%40example.com").text)


def test_a_malformed_filter_is_told_beside_its_field(ann: Browser, audit: str) -> None:
    answer = ann.get(f"{audit}?since=yesterday")

    assert answer.status == 200
    assert 'value="yesterday"' in answer.text
    assert "must be a date and a time, like 2026-11-23T01:02:03Z" in texts(answer.text)


def test_the_chain_is_checked(ann: Browser, audit: str, reached: Handlers) -> None:
    project = audit.split("/")[3]
    whole = {"ok": True, "entries": 2, "unlinked": 0, "broken_at": None, "reason": None}
    where = ("GET", f"/api/v1/projects/{project}/audit/verify")
    reached.answers[where] = (200, {**whole, "next": None, "head": "3c5f"})
    assert "No entry was changed" in texts(ann.submit(audit, f"{audit}/verify").text)

    broken = {**whole, "ok": False, "broken_at": 2, "reason": "It was changed.", "next": None}
    reached.answers[where] = (200, {**broken, "head": "3c5f"})
    said = texts(ann.submit(audit, f"{audit}/verify").text)
    assert "The chain is broken at entry 2. It was changed." in said


def test_the_real_chain_is_in_order(ann: Browser, audit: str) -> None:
    said = texts(ann.submit(audit, f"{audit}/verify").text)

    assert "No entry was changed, removed or moved." in said


def test_strangers_and_members_without_the_right_see_nothing(audit: str) -> None:
    eve = Browser()
    eve.sign_in("eve@example.com")

    assert eve.get(audit).status == 404
    assert eve.get("/console/audit").status == 403
