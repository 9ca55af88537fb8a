"""Protected environments: who deletes them, how, and what a cascade does."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import protection
from slipway.store import environment_records, project_records
from tests.support.api.client import Client
from tests.support.api.people import joins
from tests.support.store import world


def at(environment: EnvironmentId | str) -> str:
    return f"/api/v1/environments/{environment}"


@pytest.fixture
def protected(ann: Client, environment: EnvironmentId) -> str:
    """The name of the environment, which is protected."""
    answer = ann.patch(at(environment), {"protected": True})
    assert (answer.status, answer.json["protected"]) == (200, True)
    return str(answer.json["name"])


def status_of(environment: EnvironmentId) -> str:
    record = environment_records.find(environment)
    assert record
    return str(record["status"])


@pytest.mark.parametrize("sent", [None, "", "PREVIEW", "another"])
def test_it_is_not_deleted_without_its_name(
    sent: str | None, ann: Client, environment: EnvironmentId, protected: str
) -> None:
    client = ann if sent is None else ann.with_headers(x_confirm=sent)

    answer = client.delete(at(environment))

    assert (answer.status, answer.json["code"]) == (409, "confirmation_required")
    assert answer.json["name"] == protected
    assert status_of(environment) == "running"


def test_it_is_deleted_with_its_name(
    ann: Client, environment: EnvironmentId, protected: str
) -> None:
    assert ann.with_headers(x_confirm=protected).delete(at(environment)).status == 202
    assert ann.delete(at(environment)).status == 202, "a repetition shows the progress"


def test_its_protection_ends_only_with_its_name(
    ann: Client, environment: EnvironmentId, protected: str
) -> None:
    refused = ann.patch(at(environment), {"protected": False})
    assert (refused.status, refused.json["code"]) == (409, "confirmation_required")

    ended = ann.with_headers(x_confirm=protected).patch(at(environment), {"protected": False})

    assert (ended.status, ended.json["protected"]) == (200, False)
    assert ann.delete(at(environment)).status == 202


def test_a_deployer_does_not_delete_its_own_preview_once_it_is_protected(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, "deployer")
    wanted = {"name": "mine", "type": "ephemeral"}
    made = bob.post(f"/api/v1/environments/projects/{project}", wanted).json["id"]
    assert ann.patch(at(made), {"protected": True}).status == 200

    answer = bob.with_headers(x_confirm="mine").delete(at(made))

    assert (answer.status, answer.json["required_role"]) == (403, "maintainer")


def test_what_failed_to_go_is_not_forgotten_without_its_name(
    ann: Client, environment: EnvironmentId, protected: str
) -> None:
    assert ann.with_headers(x_confirm=protected).delete(at(environment)).status == 202
    world.becomes(environment, "teardown_failed")

    refused = ann.delete(at(environment), force="true")
    assert (refused.status, refused.json["code"]) == (409, "confirmation_required")

    named = ann.with_headers(x_confirm=protected)
    assert named.delete(at(environment), force="true").json["status"] == "destroyed"


def test_an_update_needs_its_name(ann: Client, environment: EnvironmentId, protected: str) -> None:
    world.is_of_a_template(environment)
    update, change = f"{at(environment)}/update", {"inputs": {"Size": "large"}}

    refused = ann.post(update, change)
    assert (refused.status, refused.json["code"]) == (409, "confirmation_required")

    assert ann.with_headers(x_confirm=protected).post(update, change).status == 201


def test_a_cascade_is_refused_with_the_list(
    ann: Client, project: ProjectId, environment: EnvironmentId, protected: str
) -> None:
    answer = ann.delete(f"/api/v1/projects/{project}", cascade="true")

    assert (answer.status, answer.json["code"]) == (409, "protected_environments")
    assert answer.json["environments"] == [{"id": str(environment), "name": protected}]
    assert status_of(environment) == "running"
    assert ann.get(f"/api/v1/projects/{project}").json["status"] == "active"


def test_a_cascade_goes_on_once_nothing_is_protected(
    ann: Client, project: ProjectId, environment: EnvironmentId, protected: str
) -> None:
    named = ann.with_headers(x_confirm=protected)
    assert named.patch(at(environment), {"protected": False}).status == 200

    assert ann.delete(f"/api/v1/projects/{project}", cascade="true").status == 202


def test_what_is_protected_when_created_stops_a_cascade(ann: Client, project: ProjectId) -> None:
    wanted = {"name": "live", "type": "persistent", "protected": True}
    made = ann.post(f"/api/v1/environments/projects/{project}", wanted)
    assert (made.status, made.json["protected"]) == (201, True)

    assert ann.delete(f"/api/v1/projects/{project}", cascade="true").status == 409
    assert ann.delete(at(made.json["id"])).status == 409


def test_a_cascade_sees_what_is_protected_after_it_looked(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.environment(project, ann.principal, "other")
    assert ann.patch(at(other), {"protected": True}).status == 200
    unprotect = ann.with_headers(x_confirm="other").patch(at(other), {"protected": False})
    assert unprotect.status == 200
    looked = project_records.protected_in

    def protect_meanwhile(of: ProjectId) -> list[dict[str, str]]:
        found = looked(of)
        monkeypatch.setattr(project_records, "protected_in", looked)
        assert ann.patch(at(environment), {"protected": True}).status == 200
        return found

    monkeypatch.setattr(project_records, "protected_in", protect_meanwhile)

    answer = ann.delete(f"/api/v1/projects/{project}", cascade="true")

    assert (answer.status, answer.json["code"]) == (409, "protected_environments")


def test_a_deletion_sees_what_is_protected_after_it_looked(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = protection.require_confirmed

    def protect_meanwhile(*arguments: Any) -> None:
        required(*arguments)
        monkeypatch.setattr(protection, "require_confirmed", required)
        assert ann.patch(at(environment), {"protected": True}).status == 200

    monkeypatch.setattr(protection, "require_confirmed", protect_meanwhile)

    answer = ann.delete(at(environment))

    assert (answer.status, answer.json["code"]) == (409, "confirmation_required")
    assert status_of(environment) == "running"


def test_a_change_has_an_event_and_a_new_version(ann: Client, environment: EnvironmentId) -> None:
    before = ann.get(at(environment)).json["version"]

    changed = ann.patch(at(environment), {"tier": "staging", "protected": True}).json

    assert (changed["tier"], changed["version"]) == ("staging", before + 1)
    record = environment_records.find(environment)
    assert record and record["change"]["action"] == "changed"
    assert record["change"]["reason"] == "protected: true, tier: staging"
    again = ann.patch(at(environment), {"tier": "staging", "protected": True})
    assert (again.status, again.json) == (200, changed)


def test_what_goes_does_not_change(ann: Client, environment: EnvironmentId) -> None:
    assert ann.delete(at(environment)).status == 202

    answer = ann.patch(at(environment), {"protected": True})

    assert (answer.status, answer.json["code"]) == (409, "environment_going")


@pytest.mark.parametrize(
    "body", [{}, {"tier": None}, {"protected": None}, {"tier": "test"}, {"protected": "yes"}]
)
def test_a_bad_change_is_refused(body: Any, ann: Client, environment: EnvironmentId) -> None:
    answer = ann.patch(at(environment), body)

    assert (answer.status, answer.json["code"]) == (422, "invalid_request")


def test_a_change_of_an_older_version_is_refused(ann: Client, environment: EnvironmentId) -> None:
    answer = ann.with_headers(if_match='"1"').patch(at(environment), {"tier": "staging"})

    assert (answer.status, answer.json["code"]) == (412, "precondition_failed")
