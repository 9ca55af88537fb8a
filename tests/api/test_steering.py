"""The queue, cancelling, history and failed teardowns over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.domain import ids
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.services import rollout_queue, rollouts
from slipway.store import deployment_records, environment_records, event_records
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import HOST, JSON, Answer, Client
from tests.support.store import between, world

DEPLOYMENTS = "/api/v1/deployments"
FAILURE = {
    "error": "DriverRefused",
    "reason": "the bucket is not empty",
    "step": "Retire",
    "remaining_resources": ["bucket"],
}
COMMITTED = "2026-11-23T01:02:03.456Z"


@pytest.fixture
def here(environment: EnvironmentId) -> str:
    return f"/api/v1/environments/{environment}"


@pytest.fixture
def ship(ann: Client, environment: EnvironmentId) -> Callable[..., Answer]:
    def send(version: str = "v1", **fields: Any) -> Answer:
        body = {"version": version, **fields}
        return ann.post(f"{DEPLOYMENTS}/environments/{environment}", body)

    return send


def runs(environment: EnvironmentId) -> None:
    item = rollouts.acquire_next(environment)
    assert item
    world.begins(ids.parse_deployment(item["id"]))


# --- the queue ------------------------------------------------------------------------------


def test_the_queue_is_read_in_order(
    ann: Client, here: str, environment: EnvironmentId, ship: Callable[..., Answer]
) -> None:
    made = [ship(f"v{n}").json["id"] for n in range(3)]
    runs(environment)

    answer = ann.get(f"{here}/queue")

    assert answer.status == 200
    assert [each["id"] for each in answer.json] == made
    assert [each["status"] for each in answer.json] == ["running", "pending", "pending"]
    assert answer.json[0]["logs_url"].startswith(f"https://{HOST}/")
    assert "link" not in answer.headers


def test_an_empty_queue_is_an_empty_list(ann: Client, here: str) -> None:
    answer = ann.get(f"{here}/queue")

    assert (answer.status, answer.json) == (200, [])


def test_a_deployment_shows_its_mode_and_order(ship: Callable[..., Answer]) -> None:
    plain = ship().json
    numbered = ship(on_conflict="supersede", sequence=0).json
    dated = ship(on_conflict="cancel_running", committed_at="2026-11-23T02:02:03.456+01:00").json

    assert (plain["on_conflict"], plain["sequence"], plain["committed_at"]) == ("queue", None, None)
    assert (numbered["on_conflict"], numbered["sequence"]) == ("supersede", 0)
    assert (dated["on_conflict"], dated["committed_at"]) == ("cancel_running", COMMITTED)
    assert dated["sequence"] is None


def test_the_mode_of_the_environment_is_the_default(ann: Client, here: str) -> None:
    project = ann.get(here).json["project_id"]
    made = ann.post(
        f"/api/v1/environments/projects/{project}",
        {"name": "previews", "type": "ephemeral", "on_conflict": "supersede"},
    ).json

    shipped = ann.post(f"{DEPLOYMENTS}/environments/{made['id']}", {"version": "v1"}).json

    assert (made["on_conflict"], shipped["on_conflict"]) == ("supersede", "supersede")


def test_reject_is_refused_behind_another_deployment(ship: Callable[..., Answer]) -> None:
    first = ship(on_conflict="reject")

    with nothing_changes():
        second = ship(on_conflict="reject")

    assert first.status == 201
    assert_refused(second, 409, "queue_busy")


def test_an_outdated_deployment_is_refused_with_the_newer_one(ship: Callable[..., Answer]) -> None:
    first = ship(sequence=10)

    with nothing_changes():
        older = ship(sequence=9)
    allowed = ship(sequence=9, allow_outdated=True)

    assert_refused(older, 409, "outdated_deployment")
    assert older.json["newer"] == first.json["id"]
    assert allowed.status == 201


def test_sequence_and_committed_at_exclude_each_other(ship: Callable[..., Answer]) -> None:
    with nothing_changes():
        answer = ship(sequence=1, committed_at=COMMITTED)

    assert_refused(answer, 422, "invalid_request", "#/committed_at")


def test_a_superseded_deployment_names_its_successor(
    ann: Client, ship: Callable[..., Answer]
) -> None:
    first, second = ship("v1").json["id"], ship("v2", on_conflict="supersede").json["id"]
    rollout_queue.make_way(ids.parse_deployment(second))

    shown = ann.get(f"{DEPLOYMENTS}/{first}").json

    assert (shown["status"], shown["superseded_by"]) == ("superseded", second)
    assert shown["failure"]["error"] == "Superseded"


# --- cancelling -----------------------------------------------------------------------------


def test_a_waiting_deployment_is_canceled_at_once(ann: Client, deployment: DeploymentId) -> None:
    answer = ann.post(f"{DEPLOYMENTS}/{deployment}/cancel")

    assert (answer.status, answer.json["status"]) == (202, "canceled")
    assert answer.json["failure"]["reason"] == "ann@example.com canceled it"
    assert ann.get(f"{DEPLOYMENTS}/{deployment}").json == answer.json


def test_a_running_deployment_is_asked_to_stop(ann: Client, deployment: DeploymentId) -> None:
    runs(deployment.environment)

    first = ann.post(f"{DEPLOYMENTS}/{deployment}/cancel")
    with nothing_changes():
        again = ann.post(f"{DEPLOYMENTS}/{deployment}/cancel")

    assert (first.status, first.json["status"]) == (202, "running")
    assert first.json["cancel_requested_at"]
    assert (again.status, again.json) == (202, first.json)


@pytest.mark.parametrize("status", ["succeeded", "canceled"])
def test_canceling_a_finished_deployment_says_how_it_ended(
    ann: Client, deployment: DeploymentId, status: str
) -> None:
    if status == "succeeded":
        runs(deployment.environment)
        world.succeeds(deployment)
    else:
        ann.post(f"{DEPLOYMENTS}/{deployment}/cancel")

    with nothing_changes():
        answer = ann.post(f"{DEPLOYMENTS}/{deployment}/cancel")

    assert_refused(answer, 409, "deployment_finished")
    assert answer.json["deployment_status"] == status


# --- history --------------------------------------------------------------------------------


def test_events_are_read_newest_first(ann: Client, here: str) -> None:
    for n, status in enumerate(["provisioning", "running"], start=1):
        at = f"2026-11-23T01:02:0{n}.000Z"
        before = {} if n == 1 else {"version": {"N": "1"}, "status": {"S": "provisioning"}}
        event_records.record(
            before,
            {
                "id": {"S": here.rpartition("/")[2]},
                "version": {"N": str(n)},
                "updated_at": {"S": at},
                "change": {
                    "M": {"action": {"S": status}, "actor": {"S": "somebody"}, "at": {"S": at}}
                },
                "status": {"S": status},
            },
        )

    first = ann.get(f"{here}/events", limit=1)
    link = first.headers["link"].removeprefix(f"<https://{HOST}").removesuffix('>; rel="next"')
    path, _, query = link.partition("?")
    second = ann.send("GET", path, query=query)

    assert (first.status, second.status) == (200, 200)
    [event] = first.json
    identity = here.rpartition("/")[2]
    assert event == {
        "id": f"evt_{identity[4:]}_2",
        "at": "2026-11-23T01:02:02.000Z",
        "subject": identity,
        "by": None,
        "actor": "somebody",
        "action": "running",
        "from": "provisioning",
        "to": "running",
        "reason": None,
    }
    assert [each["action"] for each in second.json] == ["provisioning"]


def test_the_timeline_of_a_rollout_is_read_once_it_has_ended(
    ann: Client, deployment: DeploymentId
) -> None:
    url = f"{DEPLOYMENTS}/{deployment}/timeline"
    before = ann.get(url)
    runs(deployment.environment)
    world.succeeds(deployment)
    item = deployment_records.find(deployment)
    assert item
    step = {
        "step": "Ship",
        "entered_at": "2026-11-23T01:02:03.000Z",
        "left_at": "2026-11-23T01:02:04.250Z",
        "attempts": 1,
    }
    event_records.keep_timeline(item, [step])

    after = ann.get(url)

    assert (before.status, before.json) == (200, [])
    assert after.json == [step | {"error": None, "seconds": 1.25}]


# --- teardowns that failed ------------------------------------------------------------------


def test_a_failed_teardown_shows_what_remains_and_is_retried(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE, next_retry_at=COMMITTED)
    shown = ann.get(here).json

    answer = ann.post(f"{here}/teardown/retry")

    assert shown["failure"] == FAILURE
    assert shown["next_retry_at"] == COMMITTED
    assert answer.status == 202
    assert (answer.json["status"], answer.json["teardown_attempts"]) == ("tearing_down", 2)
    assert answer.json["next_retry_at"] is None


REMAINS = {"stack: Data (AWS::S3::Bucket, data-1)"}


@pytest.mark.parametrize("body", [None, "", "null", "{}", '{"retain": []}'])
def test_a_retry_without_names_retains_nothing(
    ann: Client, here: str, environment: EnvironmentId, body: str | None
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)

    answer = ann.send("POST", f"{here}/teardown/retry", body, media=JSON if body else None)

    assert answer.status == 202
    assert answer.json["retained_resources"] is None


def test_a_resource_that_cannot_be_deleted_is_retained(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    fields = {"failure": FAILURE, "remains": REMAINS, "driver": "cloudformation"}
    world.becomes(environment, "teardown_failed", **fields)
    with nothing_changes():
        unknown = ann.post(f"{here}/teardown/retry", {"retain": ["Data", "Other"]})
        wrong = ann.post(f"{here}/teardown/retry", {"retain": ["Da-ta"]})

    answer = ann.post(f"{here}/teardown/retry", {"retain": ["Data"]})

    assert_refused(unknown, 422, "invalid_request", "#/retain/1")
    assert_refused(wrong, 422, "invalid_request", "#/retain/0")
    assert answer.status == 202
    assert answer.json["retained_resources"] == ["Data (AWS::S3::Bucket, data-1)"]
    assert ann.get(here).json["retained_resources"] == answer.json["retained_resources"]


def test_nothing_is_retained_if_no_stack_remains(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)

    with nothing_changes():
        refused = ann.post(f"{here}/teardown/retry", {"retain": ["Data"]})
    assert_refused(refused, 409, "nothing_to_retain")


def test_only_a_failed_teardown_is_retried_or_forgotten(ann: Client, here: str) -> None:
    with nothing_changes():
        retried = ann.post(f"{here}/teardown/retry")
        forgotten = ann.delete(here, force="true")

    assert_refused(retried, 409, "nothing_to_retry")
    assert_refused(forgotten, 409, "nothing_to_retry")


def test_a_failed_teardown_is_forgotten_with_force(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)

    answer = ann.delete(here, force="true")

    assert (answer.status, answer.json["status"]) == (202, "destroyed")
    assert answer.json["forgotten"] is True
    assert answer.json["failure"]["remaining_resources"] == ["bucket"]
    with nothing_changes():
        again = ann.delete(here, force="true")
    assert (again.status, again.json) == (202, answer.json)


def test_a_destroyed_environment_cannot_be_forgotten(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    world.is_destroyed(environment)

    with nothing_changes():
        assert_refused(ann.delete(here, force="true"), 409, "nothing_to_retry")


def test_without_force_nothing_is_forgotten(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)

    answer = ann.delete(here, force="false")

    assert (answer.status, answer.json["status"]) == (202, "tearing_down")


@pytest.mark.parametrize("force", ["", "x", "2", "null", "truee"])
def test_a_force_that_is_neither_true_nor_false_is_refused(
    ann: Client, here: str, force: str
) -> None:
    with nothing_changes():
        answer = ann.delete(here, force=force)

    assert_refused(answer, 422, "invalid_request", "?force")


# --- whose it is, and repeats ---------------------------------------------------------------


def test_objects_of_another_user_are_not_found(
    ann: Client, bob: Client, here: str, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)

    with nothing_changes():
        answers = [
            bob.get(f"{here}/queue"),
            bob.get(f"{here}/events"),
            bob.post(f"{here}/teardown/retry"),
            bob.delete(here, force="true"),
            bob.get(f"{DEPLOYMENTS}/{deployment}/timeline"),
            bob.post(f"{DEPLOYMENTS}/{deployment}/cancel"),
        ]

    for answer in answers:
        assert_refused(answer, 404, "not_found")


def test_a_repeated_cancel_gets_the_same_answer(ann: Client, deployment: DeploymentId) -> None:
    once = ann.with_headers(idempotency_key="k")

    first = once.post(f"{DEPLOYMENTS}/{deployment}/cancel")
    with nothing_changes():
        again = once.post(f"{DEPLOYMENTS}/{deployment}/cancel")

    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert again.headers["idempotent-replayed"] == "true"


def test_a_repeated_retry_is_one_attempt(
    ann: Client, here: str, environment: EnvironmentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)
    once = ann.with_headers(idempotency_key="k")

    first = once.post(f"{here}/teardown/retry")
    world.becomes(environment, "teardown_failed", failure=FAILURE)
    again = once.post(f"{here}/teardown/retry")

    assert (again.status, again.json) == (202, first.json)
    item = environment_records.find(environment)
    assert item and item["teardown_attempts"] == 2


def test_the_same_key_for_another_operation_is_refused(
    ann: Client, here: str, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)
    once = ann.with_headers(idempotency_key="k")
    once.post(f"{DEPLOYMENTS}/{deployment}/cancel")

    with nothing_changes():
        answer = once.post(f"{here}/teardown/retry")

    assert_refused(answer, 422, "idempotency_key_reused", "Idempotency-Key")


def test_a_simultaneous_duplicate_of_a_retry_gets_the_same_answer(
    ann: Client, here: str, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.becomes(environment, "teardown_failed", failure=FAILURE)
    once = ann.with_headers(idempotency_key="k")
    twins: list[Answer] = []
    between.first(
        monkeypatch, "BatchGetItem", lambda: twins.append(once.post(f"{here}/teardown/retry"))
    )

    first = once.post(f"{here}/teardown/retry")

    [twin] = twins
    assert (first.status, first.raw) == (202, twin.raw)
    assert [answer.headers.get("idempotent-replayed") for answer in (twin, first)] == [None, "true"]
