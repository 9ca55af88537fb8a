"""The inbox in the console: requests of machines that wait for a person."""

from __future__ import annotations

import pytest

from slipway.domain import ids
from slipway.domain.ids import ProjectId
from slipway.services import confirmations
from slipway.store import confirmation_records
from tests.support.api.client import Client
from tests.support.api.machines import machine
from tests.support.console import Browser, texts
from tests.support.store import world

INBOX = "/console/confirmations"


@pytest.fixture
def waiting(ann: Browser, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of a request to destroy an environment of hers."""
    me = Client(ann.session.access).get("/api/v1/auth/me").json["id"]
    client = Client(ann.session.access, me)
    project: ProjectId = world.project(client.principal)
    environment = world.environment(project, client.principal)
    world.comes_up(environment)
    agent = machine(client, monkeypatch)
    answer = agent.client.delete(f"/api/v1/environments/{environment}")
    assert answer.status == 202
    deliver(answer.json["id"])
    return f"{INBOX}/{answer.json['id']}"


def deliver(confirmation_id: str) -> None:
    """What dispatch does after each change of it."""
    found = confirmation_records.find(ids.parse_confirmation(confirmation_id))
    assert found
    confirmations.deliver(found)


def status(page: str, ann: Browser) -> str:
    made = Client(ann.session.access).get(page.replace("/console", "/api/v1")).json
    return str(made["status"])


def test_what_waits_is_in_the_inbox_and_says_what_it_does(ann: Browser, waiting: str) -> None:
    inbox = ann.get(INBOX)
    assert waiting in inbox.text
    assert "a machine (agent)" in texts(inbox.text)

    said = texts(ann.get(waiting).text)

    assert "DELETE /api/v1/environments/env_" in said
    assert "environments:destroy" in said


def test_it_is_approved(ann: Browser, waiting: str) -> None:
    answer = ann.submit(waiting, f"{waiting}/approve")

    assert answer.headers["location"] == f"{waiting}?done=approved"
    assert status(waiting, ann) == "approved"
    deliver(waiting.rpartition("/")[2])
    assert "/approve" not in ann.get(waiting).text
    assert "Nothing waits for you." in texts(ann.get(INBOX).text)


def test_it_is_rejected_with_a_reason(ann: Browser, waiting: str) -> None:
    ann.submit(waiting, f"{waiting}/reject", {"reason": "The demo needs it."})

    assert status(waiting, ann) == "rejected"
    assert "The demo needs it." in texts(ann.get(waiting).text)


def test_another_request_than_the_one_that_was_read_is_not_approved(
    ann: Browser, waiting: str
) -> None:
    answer = ann.submit(waiting, f"{waiting}/approve", {"digest": "0" * 64})

    assert answer.status == 409
    assert status(waiting, ann) == "awaiting_confirmation"
    assert f"{waiting}/approve" in answer.text


def test_it_is_decided_once(ann: Browser, waiting: str) -> None:
    ann.submit(waiting, f"{waiting}/reject")
    page = ann.get(waiting).text
    assert "/approve" not in page
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]

    answer = ann.post(f"{waiting}/approve", {"csrf": csrf})

    assert answer.status == 409
    assert "confirmation_decided" in texts(answer.text)


def test_a_stranger_finds_nothing(waiting: str) -> None:
    eve = Browser()
    eve.sign_in("eve@example.com")

    assert eve.get(waiting).status == 404
    assert waiting not in eve.get(INBOX).text
