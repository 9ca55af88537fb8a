"""PATCH of an environment: its name, configuration, labels, tier and `on_conflict`."""

from __future__ import annotations

from typing import Any

import pytest

from slipway import drivers
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import environments
from slipway.store import environment_records, project_records, table
from slipway.store.table import Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.people import joins
from tests.support.store import between, world


def at(environment: EnvironmentId | str) -> str:
    return f"/api/v1/environments/{environment}"


def names_of(project: ProjectId) -> dict[str, str]:
    """The ids of the project's environments by their reserved names."""
    return {each["name"]: each["id"] for each in project_records.living_in(project)}


def test_all_fields_change_in_one_request(ann: Client, environment: EnvironmentId) -> None:
    wanted = {
        "name": "renamed",
        "on_conflict": "supersede",
        "config": {"region": "eu"},
        "labels": {"team": "payments"},
        "tier": "staging",
        "protected": True,
    }
    before = ann.get(at(environment)).json

    answer = ann.patch(at(environment), wanted)

    moved = {"version": before["version"] + 1, "updated_at": answer.json["updated_at"]}
    assert (answer.status, answer.json) == (200, {**before, **wanted, **moved})
    assert ann.get(at(environment)).json == answer.json


def test_a_change_costs_two_round_trips(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.get(at(environment))
    made = between.counted(monkeypatch)

    assert ann.patch(at(environment), {"name": "renamed", "protected": True}).status == 200

    assert len(made) == 2


def test_a_renamed_environment_gives_its_old_name_back(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert ann.patch(at(environment), {"name": "Renamed"}).json["name"] == "Renamed"

    again = world.environment(project, ann.principal, "preview")

    assert names_of(project) == {"preview": str(again), "Renamed": str(environment)}
    world.is_destroyed(environment)
    assert names_of(project) == {"preview": str(again)}


def test_a_name_changes_its_letters_only(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert ann.patch(at(environment), {"name": "PREVIEW"}).json["name"] == "PREVIEW"

    assert names_of(project) == {"PREVIEW": str(environment)}


def test_a_protected_environment_stays_protected_under_its_new_name(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.patch(at(environment), {"protected": True})

    ann.patch(at(environment), {"name": "renamed"})

    assert project_records.protected_in(project) == [{"id": str(environment), "name": "renamed"}]
    assert ann.with_headers(x_confirm="preview").delete(at(environment)).status == 409
    assert ann.with_headers(x_confirm="renamed").delete(at(environment)).status == 202


def test_the_name_of_another_environment_is_refused(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    world.environment(project, ann.principal, "other")

    with nothing_changes():
        answer = ann.patch(at(environment), {"name": "OTHER", "tier": "staging"})

    assert_refused(answer, 409, "name_taken")


def test_the_stack_keeps_the_name_with_which_it_was_created(
    ann: Client, environment: EnvironmentId
) -> None:
    ann.patch(at(environment), {"name": "second"})
    ann.patch(at(environment), {"name": "third"})
    item = environment_records.find(environment)
    assert item

    event = {"execution": "x", "started_at": item["created_at"]}
    operation = drivers._operation(item, event)

    assert (item["name"], operation.environment_name) == ("third", "preview")


def test_what_is_going_has_given_up_its_new_name(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.patch(at(environment), {"name": "renamed"})
    item = environment_records.find(environment)
    assert item

    keys = environment_records.execution_input(item)["keys"]

    assert keys["name"] == project_records.environment_name(project, "renamed").wire()


@pytest.mark.parametrize("status", ["expiring", "tearing_down", "destroyed"])
def test_what_is_going_or_gone_no_longer_changes(
    ann: Client, environment: EnvironmentId, status: Any
) -> None:
    world.becomes(environment, status)

    with nothing_changes():
        answers = [
            ann.patch(at(environment), body)
            for body in (
                {"name": "renamed"},
                {"config": {"x": 1}},
                {"labels": {"x": "1"}},
                {"on_conflict": "reject"},
                {"tier": "staging"},
            )
        ]

    for answer in answers:
        assert_refused(answer, 409, "environment_going")
        assert answer.json["environment_status"] == status


@pytest.mark.parametrize("status", ["provisioning", "running", "failed", "teardown_failed"])
def test_what_stays_can_be_renamed(ann: Client, environment: EnvironmentId, status: Any) -> None:
    world.becomes(environment, status)

    assert ann.patch(at(environment), {"name": "renamed"}).json["name"] == "renamed"


def test_an_overdue_environment_is_not_renamed(ann: Client, environment: EnvironmentId) -> None:
    change = Update(
        environment_records.key(environment),
        "SET expires_at = :past",
        {"past": "2026-01-01T00:00:00.000Z"},
    )
    table.write(change)

    with nothing_changes():
        answer = ann.patch(at(environment), {"name": "renamed"})

    assert_refused(answer, 409, "environment_going")


def test_nothing_is_renamed_in_a_project_that_is_being_deleted(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert ann.delete(f"/api/v1/projects/{project}", cascade="true").status == 202

    with nothing_changes():
        answer = ann.patch(at(environment), {"name": "renamed"})

    assert_refused(answer, 409, "project_going")


MERGED: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({"a": True}, {"a": 1}, {"a": 1}),
    ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}),
    (None, {"a": 1}, {"a": 1}),
    ({"a": 1}, None, None),
]


@pytest.mark.parametrize(("before", "patch", "after"), MERGED)
def test_the_configuration_is_merged_as_rfc_7396_says(
    ann: Client, project: ProjectId, before: Any, patch: Any, after: Any
) -> None:
    made = world.environment(project, ann.principal, config=before)

    answer = ann.patch(at(made), {"config": patch})

    assert (answer.status, answer.json["config"]) == (200, after)
    assert ann.get(at(made)).json["config"] == after


def test_labels_are_merged_and_cleared(ann: Client, environment: EnvironmentId) -> None:
    ann.patch(at(environment), {"labels": {"a": "1", "b": "2"}})

    merged = ann.patch(at(environment), {"labels": {"b": None, "c": "3"}})

    assert merged.json["labels"] == {"a": "1", "c": "3"}
    assert ann.patch(at(environment), {"labels": None}).json["labels"] == {}
    found = environment_records.find(environment)
    assert found and "labels" not in found


def test_a_configuration_that_grows_too_large_is_refused(
    ann: Client, environment: EnvironmentId
) -> None:
    assert ann.patch(at(environment), {"config": {"a": "x" * 16_000}}).status == 200

    with nothing_changes():
        answer = ann.patch(at(environment), {"config": {"b": "x" * 1000}})

    assert_refused(answer, 422, "invalid_request", "#/config")


@pytest.mark.parametrize("name", ["name", "on_conflict", "tier", "protected"])
def test_a_field_that_always_has_a_value_is_not_cleared(
    ann: Client, environment: EnvironmentId, name: str
) -> None:
    with nothing_changes():
        answer = ann.patch(at(environment), {name: None, "labels": {"a": "b"}})

    assert_refused(answer, 422, "invalid_request", f"#/{name}")


def test_the_next_deployment_has_the_new_default(ann: Client, environment: EnvironmentId) -> None:
    ann.patch(at(environment), {"on_conflict": "supersede"})

    made = ann.post(f"/api/v1/deployments/environments/{environment}", {"version": "v1"})

    assert made.json["on_conflict"] == "supersede"


def test_a_change_says_what_it_changed_but_not_what_was_configured(
    ann: Client, environment: EnvironmentId
) -> None:
    ann.patch(at(environment), {"name": "new", "config": {"key": "value"}, "protected": True})

    item = environment_records.find(environment)

    assert item
    assert item["change"]["action"] == "changed"
    assert item["change"]["reason"] == "config, name: new, protected: true"


@pytest.mark.parametrize("role", ["viewer", "deployer"])
def test_a_change_needs_a_maintainer(
    bob: Client, project: ProjectId, environment: EnvironmentId, role: str
) -> None:
    joins(project, bob, role)

    with nothing_changes():
        answer = bob.patch(at(environment), {"name": "mine"})

    assert_refused(answer, 403, "forbidden")


def test_a_name_that_is_taken_meanwhile_is_refused(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: world.environment(project, ann.principal, "wanted"),
    )

    answer = ann.patch(at(environment), {"name": "wanted"})

    assert_refused(answer, 409, "name_taken")
    assert environments.get(environment, ann.principal).name == "preview"


def test_an_environment_that_ends_meanwhile_keeps_its_name(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(
        monkeypatch, "TransactWriteItems", lambda: world.becomes(environment, "tearing_down")
    )

    answer = ann.patch(at(environment), {"name": "renamed"})

    assert_refused(answer, 409, "environment_going")
    assert names_of(project) == {"preview": str(environment)}
