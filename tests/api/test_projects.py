"""/projects over HTTP."""

from __future__ import annotations

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.store import world

PROJECTS = "/api/v1/projects"


def test_a_project_is_created_and_found(ann: Client) -> None:
    made = ann.post(PROJECTS, {"name": "payments", "description": "payment service"})

    assert made.status == 201
    assert made.headers["content-type"] == "application/json"
    assert made.headers["location"] == f"{PROJECTS}/{made.json['id']}"
    assert made.headers["etag"] == '"1"'
    assert made.headers["cache-control"] == "no-store"
    assert made.json["description"] == "payment service"
    assert made.json["repo_url"] is None
    found = ann.get(made.headers["location"])
    assert (found.status, found.json) == (200, made.json)
    assert found.headers["etag"] == made.headers["etag"]


def test_a_project_does_not_show_its_owner(ann: Client, project: ProjectId) -> None:
    assert set(ann.get(f"{PROJECTS}/{project}").json) == {
        "id",
        "name",
        "description",
        "repo_url",
        "labels",
        "policy",
        "status",
        "created_at",
        "updated_at",
        "version",
    }


def test_a_list_has_only_the_callers_projects(ann: Client, bob: Client, project: ProjectId) -> None:
    assert [each["id"] for each in ann.get(PROJECTS).json] == [str(project)]
    assert bob.get(PROJECTS).json == []


def test_a_name_in_use_is_a_conflict(ann: Client, bob: Client, project: ProjectId) -> None:
    with nothing_changes():
        answer = ann.post(PROJECTS, {"name": "Payments"})

    assert_refused(answer, 409, "name_taken")
    assert bob.post(PROJECTS, {"name": "payments"}).status == 201


def test_a_change_is_answered_with_the_new_etag(ann: Client, project: ProjectId) -> None:
    answer = ann.patch(f"{PROJECTS}/{project}", {"name": "billing", "repo_url": "https://x.io/y"})

    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert answer.json["name"] == "billing"
    assert answer.json == ann.get(f"{PROJECTS}/{project}").json


def test_a_change_to_a_name_in_use_is_a_conflict(ann: Client, project: ProjectId) -> None:
    world.project(ann.principal, "billing")

    with nothing_changes():
        answer = ann.patch(f"{PROJECTS}/{project}", {"name": "billing"})

    assert_refused(answer, 409, "name_taken")


def test_an_empty_project_is_deleted_at_once(ann: Client, project: ProjectId) -> None:
    answer = ann.delete(f"{PROJECTS}/{project}")

    assert (answer.status, answer.raw) == (204, b"")
    assert_refused(ann.get(f"{PROJECTS}/{project}"), 404, "not_found")
    assert_refused(ann.delete(f"{PROJECTS}/{project}"), 404, "not_found")


def test_a_project_with_environments_is_kept_and_lists_them(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    with nothing_changes():
        answer = ann.delete(f"{PROJECTS}/{project}")

    assert_refused(answer, 409, "project_not_empty")
    assert answer.json["environments"] == [{"id": str(environment), "name": "preview"}]


@pytest.mark.parametrize("word", ["true", "1", "yes", "on"])
def test_a_cascade_begins_and_may_be_repeated(
    ann: Client, project: ProjectId, environment: EnvironmentId, word: str
) -> None:
    answer = ann.delete(f"{PROJECTS}/{project}", cascade=word)

    assert (answer.status, answer.json["status"]) == (202, "deleting")
    with nothing_changes():
        again = ann.delete(f"{PROJECTS}/{project}", cascade=word)
    assert (again.status, again.json) == (202, answer.json)


def test_a_missing_cascade_parameter_means_no(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert_refused(ann.delete(f"{PROJECTS}/{project}", cascade="false"), 409, "project_not_empty")


def test_a_project_that_is_being_deleted_takes_no_change_and_no_environment(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.delete(f"{PROJECTS}/{project}", cascade="true")
    new = {"name": "late", "type": "persistent"}

    with nothing_changes():
        change = ann.patch(f"{PROJECTS}/{project}", {"name": "late"})
        late = ann.post(f"/api/v1/environments/projects/{project}", new)

    assert_refused(change, 409, "project_going")
    assert_refused(late, 409, "project_going")


def test_the_project_of_another_user_is_not_found(bob: Client, project: ProjectId) -> None:
    here = f"{PROJECTS}/{project}"
    with nothing_changes():
        answers = [bob.get(here), bob.patch(here, {"name": "mine"}), bob.delete(here)]

    for answer in answers:
        assert_refused(answer, 404, "not_found")
        assert (
            answer.json["detail"]
            == "There is no such project, or you have no access to it. Check its id."
        )


def test_repeating_a_change_changes_nothing(ann: Client, project: ProjectId) -> None:
    path = f"/api/v1/projects/{project}"
    wanted = {"name": "billing", "policy": {"max_ttl_hours": 72, "warn_before_hours": [2, 0.5]}}
    first = ann.patch(path, wanted)

    with nothing_changes():
        again = ann.patch(path, wanted)

    assert (again.status, again.raw) == (200, first.raw)
    assert again.headers["etag"] == first.headers["etag"] == '"2"'
