"""PUT /projects/{id}/environments/by-external-id/{x}: for clients that keep no state."""

from __future__ import annotations

import json

import pytest

from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import environments, projects
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import between, world

X = "github:acme:payments:123"


def put(client: Client, project: ProjectId, external_id: str = X, **fields: object) -> Answer:
    body = {"name": "pr-123", "type": "ephemeral", **fields}
    path = f"/api/v1/projects/{project}/environments/by-external-id/{external_id}"
    return client.send("PUT", path, json.dumps(body))


def test_the_first_request_creates_the_environment(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, config={"region": "eu"}, ttl_hours=2)

    assert made.status == 201
    assert made.headers["location"] == f"/api/v1/environments/{made.json['id']}"
    assert made.json["external_id"] == X
    assert (made.json["status"], made.json["ttl_hours"]) == ("provisioning", 2)
    assert made.json["config"] == {"region": "eu"}
    assert ann.get(made.headers["location"]).json == made.json


def test_later_requests_find_the_environment(ann: Client, project: ProjectId) -> None:
    made = put(ann, project)

    with nothing_changes():
        found = [put(ann, project), put(ann, project, name="another")]

    assert [each.status for each in found] == [200, 200]
    assert [each.json for each in found] == [made.json, made.json]
    assert "location" not in found[0].headers
    assert found[0].headers["etag"] == made.headers["etag"]


def test_an_environment_created_by_post_is_found_by_its_external_id(
    ann: Client, project: ProjectId
) -> None:
    made = ann.post(
        f"/api/v1/environments/projects/{project}",
        {"name": "x", "type": "persistent", "external_id": X},
    )

    found = put(ann, project)

    assert (made.status, found.status) == (201, 200)
    assert found.json == made.json


def test_the_external_id_comes_from_the_path(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, external_id=X)

    assert (made.status, made.json["external_id"]) == (201, X)


def test_an_external_id_in_use_is_a_conflict(ann: Client, project: ProjectId) -> None:
    put(ann, project)

    with nothing_changes():
        second = ann.post(
            f"/api/v1/environments/projects/{project}",
            {"name": "x", "type": "ephemeral", "external_id": X},
        )

    assert_refused(second, 409, "external_id_taken")


def test_another_project_may_use_the_same_external_id(ann: Client, project: ProjectId) -> None:
    other = world.project(ann.principal, "other")

    made = [put(ann, project), put(ann, other)]

    assert [each.status for each in made] == [201, 201]


def test_the_name_of_another_environment_is_a_conflict(ann: Client, project: ProjectId) -> None:
    world.environment(project, ann.principal, "pr-123")

    with nothing_changes():
        assert_refused(put(ann, project), 409, "name_taken")


@pytest.mark.parametrize("bad", ["a%20b", "x" * 129, "%D0%BF", "a%2Cb"])
def test_a_malformed_external_id_is_refused(ann: Client, project: ProjectId, bad: str) -> None:
    with nothing_changes():
        answer = put(ann, project, bad)

    assert_refused(answer, 422, "invalid_request", "external_id")


def test_one_of_two_simultaneous_requests_creates_and_the_other_finds(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Answer] = []
    between.first(monkeypatch, "TransactWriteItems", lambda: first.append(put(ann, project)))

    second = put(ann, project)

    assert (first[0].status, second.status) == (201, 200)
    assert second.json == first[0].json


def test_exactly_one_of_many_simultaneous_requests_creates(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = world.wanted("pr-123", external_id=X)
    results = between.at_once(
        monkeypatch, *[lambda: environments.ensure(project, X, new, ann.principal)] * 6
    )

    assert [isinstance(each, tuple) for each in results] == [True] * 6
    pairs = [each for each in results if isinstance(each, tuple)]
    assert sum(made for _, made in pairs) == 1
    assert len({found.id for found, _ in pairs}) == 1


def test_an_environment_that_is_never_found_is_answered_as_busy(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ann, project)
    monkeypatch.setattr("slipway.store.environment_records.find", lambda environment: None)

    answer = put(ann, project)

    assert_refused(answer, 429, "busy")
    assert answer.headers["retry-after"] == "1"


def test_an_external_id_is_free_again_after_the_teardown(ann: Client, project: ProjectId) -> None:
    first = put(ann, project)
    environment = ids.parse_environment(first.json["id"])
    world.is_destroyed(environment)

    second = put(ann, project)

    assert second.status == 201
    assert second.json["id"] != first.json["id"]


def test_an_external_id_is_free_again_after_forgetting(ann: Client, project: ProjectId) -> None:
    first = put(ann, project)
    environment: EnvironmentId = ids.parse_environment(first.json["id"])
    world.becomes(environment, "teardown_failed")
    forgotten = ann.delete(f"/api/v1/environments/{environment}", force="true")

    second = put(ann, project)

    assert (forgotten.status, second.status) == (202, 201)


def test_an_environment_that_goes_is_found_with_its_status(ann: Client, project: ProjectId) -> None:
    first = put(ann, project)
    ann.delete(f"/api/v1/environments/{first.json['id']}")

    found = put(ann, project)

    assert (found.status, found.json["status"]) == (200, "tearing_down")


def test_a_project_that_is_being_deleted_takes_no_environment(
    ann: Client, project: ProjectId
) -> None:
    world.environment(project, ann.principal)
    projects.remove(project, ann.principal, None, cascade=True)

    with nothing_changes():
        assert_refused(put(ann, project), 409, "project_going")


def test_the_project_of_another_user_is_not_found(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    put(ann, project)

    with nothing_changes():
        assert_refused(put(bob, project), 404, "not_found")
        assert_refused(put(bob, project, "new"), 404, "not_found")


def test_what_is_found_can_be_sent_back(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, ttl_hours=24).json

    with nothing_changes():
        again = put(ann, project, **made)
        other = put(ann, project, **{**made, "status": "running"})

    assert (again.status, again.json) == (200, made)
    assert_refused(other, 422, "invalid_request", "#/status")


def test_what_does_not_exist_yet_has_no_read_only_fields(ann: Client, project: ProjectId) -> None:
    with nothing_changes():
        answer = put(ann, project, id="env_1")

    assert_refused(answer, 422, "invalid_request", "#/id")
