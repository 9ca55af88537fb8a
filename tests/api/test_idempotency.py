"""Idempotency-Key: what is sent again is answered again and carried out once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from slipway.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store import projects, queue, table
from tests.api.checks import assert_refused, nothing_changes
from tests.api.client import CONTEXT, Client
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


# --- a function that died before its answer was kept ----------------------------------------


Lost = Callable[..., None]


class Died(BaseException):
    """The process is gone: nothing of it is run any more."""


class Dying:
    """Powertools' client, of a function that dies when it is to keep its answer."""

    def __init__(self, real: Any) -> None:
        self.put_item = real.put_item

    def update_item(self, **request: Any) -> Any:
        raise Died


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Lost:
    """A request that is carried out, and nobody is told. Time passes until its key is free."""
    monkeypatch.setattr(CONTEXT, "get_remaining_time_in_millis", lambda: -1)

    def post(client: Client, path: str, body: Any = None) -> None:
        dying = Dying(table.client())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table, "client", lambda: dying)
            with pytest.raises(Died):
                client.post(path, body)

    return post


def test_a_deployment_whose_answer_was_lost_is_not_queued_twice(
    ann: Client, environment: EnvironmentId, lost: Lost
) -> None:
    here = f"/api/v1/deployments/environments/{environment}"
    lost(once(ann), here, {"version": "v1"})
    [made] = ann.get(here).json

    again = once(ann).post(here, {"version": "v1"})
    third = once(ann).post(here, {"version": "v1"})

    assert (again.status, again.json) == (201, made)
    assert again.headers["location"].endswith(made["id"])
    assert again.headers["idempotent-replayed"] == "true"
    assert third.raw == again.raw
    assert len(ann.get(here).json) == 1


def test_one_that_was_rejected_by_itself_is_not(
    ann: Client, environment: EnvironmentId, lost: Lost
) -> None:
    here = f"/api/v1/deployments/environments/{environment}"
    wanted = {"version": "v1", "on_conflict": "reject"}
    lost(once(ann), here, wanted)

    assert once(ann).post(here, wanted).status == 201
    assert_refused(once(ann, "k-2").post(here, wanted), 409, "queue_busy")


def test_what_was_made_is_shown_as_it_is_now(
    ann: Client, environment: EnvironmentId, lost: Lost
) -> None:
    here = f"/api/v1/deployments/environments/{environment}"
    lost(once(ann), here, {"version": "v1"})
    [made] = ann.get(here).json
    ann.post(f"/api/v1/deployments/{made['id']}/cancel")

    again = once(ann).post(here, {"version": "v1"})

    assert (again.status, again.json["status"]) == (201, "canceled")


def test_another_request_of_the_key_is_told_also_then(
    ann: Client, environment: EnvironmentId, lost: Lost
) -> None:
    here = f"/api/v1/deployments/environments/{environment}"
    lost(once(ann), here, {"version": "v1"})

    other = once(ann).post(here, {"version": "v2"})

    assert_refused(other, 422, "idempotency_key_reused", "Idempotency-Key")
    assert [each["version"] for each in ann.get(here).json] == ["v1"]
    assert once(ann).post(here, {"version": "v1"}).status == 201


def test_what_has_a_name_is_no_conflict_with_itself(
    ann: Client, nobody: Client, project: ProjectId, lost: Lost
) -> None:
    environments = f"/api/v1/environments/projects/{project}"
    new = {"email": "new@example.com", "password": "secret123"}
    requests = [
        (once(nobody), "/api/v1/auth/register", new),
        (once(ann, "k-1"), PROJECTS, {"name": "x"}),
        (once(ann, "k-2"), environments, {"name": "x", "type": "ephemeral"}),
    ]

    for client, path, body in requests:
        lost(client, path, body)
        before = world.everything()
        again = client.post(path, body)

        assert again.status == 201
        assert len(world.everything()) == len(before)
        taken = "email_taken" if client.token is None else "name_taken"
        assert_refused(once(client, "other").post(path, body), 409, taken)


def test_what_is_done_to_something_is_done_once(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, lost: Lost
) -> None:
    here = f"/api/v1/environments/{environment}"
    requests: list[tuple[str, Any]] = [
        (f"{here}/extend", {"ttl_hours": 48}),
        (f"{here}/pin", {"reason": "demo"}),
        (f"{here}/unpin", None),
        (f"/api/v1/deployments/{deployment}/cancel", None),
    ]

    for n, (path, body) in enumerate(requests):
        client = once(ann, f"k-{n}")
        lost(client, path, body)
        seen = ann.get(path.rpartition("/")[0])

        again = client.post(path, body)

        assert again.status in (200, 202)
        assert again.json == seen.json
        assert ann.get(path.rpartition("/")[0]).json == seen.json
    refused = once(ann, "another").post(f"{here}/unpin")
    assert_refused(refused, 409, "no_lease")


def test_a_rollout_that_ended_after_it_was_asked_to_stop_is_no_conflict(
    ann: Client, deployment: DeploymentId, lost: Lost
) -> None:
    path = f"/api/v1/deployments/{deployment}"
    queue.holder_or_next(deployment.environment)
    world.begins(deployment)
    lost(once(ann), f"{path}/cancel")
    world.succeeds(deployment)

    again = once(ann).post(f"{path}/cancel")

    assert (again.status, again.json["status"]) == (202, "succeeded")
    assert_refused(ann.post(f"{path}/cancel"), 409, "deployment_finished")


def test_a_teardown_is_retried_once(ann: Client, environment: EnvironmentId, lost: Lost) -> None:
    here = f"/api/v1/environments/{environment}"
    world.becomes(environment, "teardown_failed")
    lost(once(ann), f"{here}/teardown/retry")
    seen = ann.get(here).json

    again = once(ann).post(f"{here}/teardown/retry")

    assert (again.status, again.json) == (202, seen)
    assert (seen["status"], seen["teardown_attempts"]) == ("tearing_down", 2)


def a_day_passes() -> None:
    """TTL has not deleted the marks yet, as it may take its time to."""
    for item in world.everything():
        if item["sk"]["S"].startswith("DONE#"):
            key = table.Key(item["pk"]["S"], item["sk"]["S"])
            assert int(item["ttl"]["N"]) - time.time() == pytest.approx(86_400, abs=60)
            table.write(table.Update(key, "SET #ttl = :past", {"past": int(time.time()) - 1}))


def test_a_mark_is_forgotten_after_a_day(
    ann: Client, environment: EnvironmentId, lost: Lost
) -> None:
    here = f"/api/v1/deployments/environments/{environment}"
    lost(once(ann), here, {"version": "v1"})
    lost(once(ann, "k-2"), PROJECTS, {"name": "x"})
    a_day_passes()

    again = once(ann).post(here, {"version": "v2"})
    refused = once(ann, "k-2").post(PROJECTS, {"name": "x"})

    assert (again.status, again.json["version"]) == (201, "v2")
    assert len(ann.get(here).json) == 2
    assert_refused(refused, 409, "name_taken")


def test_a_request_without_a_key_leaves_no_mark_and_pays_nothing(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"/api/v1/deployments/environments/{environment}"
    assert ann.post(here, {"version": "v1"}).status == 201
    trips = between.counted(monkeypatch)

    plain = ann.post(here, {"version": "v1"})
    without = list(trips)
    trips.clear()
    named = once(ann).post(here, {"version": "v1"})

    assert (plain.status, named.status) == (201, 201)
    assert len(without) == 2
    assert [trip for trip in trips if trip in without] == without
    marks = [item for item in world.everything() if item["sk"]["S"].startswith("DONE#")]
    assert len(marks) == 1
