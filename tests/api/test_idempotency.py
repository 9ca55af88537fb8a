"""Idempotency-Key: what is sent again is answered again and carried out once."""

from __future__ import annotations

import json

import pytest

from slipway.ids import EnvironmentId
from slipway.store import projects
from tests.api.checks import assert_refused, nothing_changes
from tests.api.client import Client
from tests.store import between, world

PROJECTS = "/api/v1/projects"


def once(client: Client, key: str = "k-1") -> Client:
    return client.with_headers(idempotency_key=key)


def test_what_is_sent_again_gets_the_same_answer(ann: Client) -> None:
    first = once(ann).post(PROJECTS, {"name": "x"})
    with nothing_changes():
        again = once(ann).post(PROJECTS, {"name": "x"})

    assert (first.status, again.status) == (201, 201)
    assert again.raw == first.raw
    assert again.headers == first.headers | {"idempotent-replayed": "true"}
    assert "idempotent-replayed" not in first.headers


def test_ten_deployments_of_one_key_are_one(ann: Client, environment: EnvironmentId) -> None:
    here = f"/api/v1/deployments/environments/{environment}"

    answers = {once(ann).post(here, {"version": "v1"}).json["id"] for _ in range(10)}

    assert len(answers) == 1
    assert len(ann.get(here).json) == 1


def test_another_request_of_the_same_key_is_refused(
    ann: Client, environment: EnvironmentId
) -> None:
    once(ann).post(PROJECTS, {"name": "x"})

    with nothing_changes():
        body = once(ann).post(PROJECTS, {"name": "y"})
        path = once(ann).post(f"/api/v1/deployments/environments/{environment}", {"version": "v1"})

    assert_refused(body, 422, "idempotency_key_reused", "Idempotency-Key")
    assert_refused(path, 422, "idempotency_key_reused", "Idempotency-Key")


def test_another_key_or_another_caller_is_another_request(ann: Client, bob: Client) -> None:
    first = once(ann).post(PROJECTS, {"name": "x"})

    assert once(ann, "k-2").post(PROJECTS, {"name": "y"}).status == 201
    his = once(bob).post(PROJECTS, {"name": "x"})
    assert (his.status, his.json["id"] == first.json["id"]) == (201, False)


def test_a_refusal_is_not_remembered(ann: Client) -> None:
    project = world.project(ann.user_id, "x")
    with nothing_changes():
        refused = once(ann).post(PROJECTS, {"name": "x"})
        bad = once(ann).post(PROJECTS, {"name": ""})
    projects.remove(project, ann.user_id, None, cascade=False)

    assert_refused(refused, 409, "name_taken")
    assert_refused(bad, 422, "invalid_request", "#/name")
    assert once(ann).post(PROJECTS, {"name": "x"}).status == 201


def test_a_twin_in_flight_is_told_to_wait(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = []

    def twin() -> None:
        twins.append(once(ann).post(PROJECTS, {"name": "x"}))

    between.first(monkeypatch, "TransactWriteItems", twin)
    first = once(ann).post(PROJECTS, {"name": "x"})

    assert first.status == 201
    assert_refused(twins[0], 409, "request_in_progress")
    assert int(twins[0].headers["retry-after"]) > 0


def test_who_is_not_signed_in_is_known_by_the_address(
    nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.auth.hash_password", lambda password: "a hash")
    new = {"email": "new@example.com", "password": "secret123"}

    first = once(nobody).post("/api/v1/auth/register", new)
    again = once(nobody).post("/api/v1/auth/register", new)
    elsewhere = once(Client(source="198.51.100.9")).post("/api/v1/auth/register", new)

    assert (first.status, again.status, again.raw) == (201, 201, first.raw)
    assert_refused(elsewhere, 409, "email_taken")


def test_a_token_is_never_kept_to_be_given_again(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"username": "ann@example.com", "password": "secret123"}

    first, second = (once(Client()).form("/api/v1/auth/login", form) for _ in range(2))

    assert first.json["access_token"] != second.json["access_token"]
    assert "access_token" not in json.dumps(world.everything())


def test_no_password_is_kept_with_an_answer(
    nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.auth.hash_password", lambda password: "a hash")
    once(nobody).post(
        "/api/v1/auth/register", {"email": "a@example.com", "password": "hunter2-secret"}
    )

    assert "hunter2" not in json.dumps(world.everything())


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem"])
def test_a_table_that_does_not_answer_is_told(
    ann: Client, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    between.fails(monkeypatch, operation, *[between.error("ThrottlingException")] * 9)

    answer = once(ann).post(PROJECTS, {"name": "x"})

    assert_refused(answer, 503, "store_unavailable")


def test_a_key_means_nothing_to_a_read(ann: Client) -> None:
    for _ in range(2):
        answer = once(ann).get(PROJECTS)
        assert (answer.status, "idempotent-replayed" in answer.headers) == (200, False)
