"""A change of an environment that is applied at once: it queues a deployment of what is live."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import rollouts
from slipway.store import deployment_records, environment_records, table
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.store import world
from tests.support.store.configuring import configure_project


@pytest.fixture
def live(ann: Client, project: ProjectId) -> EnvironmentId:
    """An environment in which v1 is live."""
    made = world.environment(project, ann.principal, "production")
    world.comes_up(made)
    world.becomes(made, "running", live_version="v1", live_artifact="s3://builds/v1.zip")
    return made


def variables(environment: EnvironmentId) -> str:
    return f"/api/v1/environments/{environment}/variables"


def patch(caller: Client, environment: EnvironmentId, body: Any, apply: str = "now") -> Any:
    return caller.send("PATCH", variables(environment), json.dumps(body), query=f"apply={apply}")


def deployments(caller: Client, environment: EnvironmentId) -> Any:
    return caller.get(f"/api/v1/environments/{environment}/deployments").json


def test_a_change_queues_a_deployment_of_what_is_live(ann: Client, live: EnvironmentId) -> None:
    answer = patch(ann, live, {"LEVEL": "debug"})

    assert answer.status == 200, answer.text
    [made] = deployments(ann, live)
    assert answer.json["deployment_id"] == made["id"]
    assert (made["trigger"], made["version"]) == ("configuration", "v1")
    assert made["artifact"] == "s3://builds/v1.zip"
    assert answer.json["configuration"] == 1
    rollouts.acquire_next(live)
    record = deployment_records.find(ids.parse_deployment(made["id"]))
    assert record and record["configuration"] == 1


def test_without_it_nothing_is_deployed(ann: Client, live: EnvironmentId) -> None:
    answer = patch(ann, live, {"LEVEL": "debug"}, "next")

    assert answer.json["deployment_id"] is None
    assert deployments(ann, live) == []
    shown = ann.get(f"/api/v1/environments/{live}").json
    assert shown["configuration"] == {"live": 0, "pending": 1}


def test_secrets_and_restored_configurations_are_applied_too(
    ann: Client, live: EnvironmentId
) -> None:
    here = f"/api/v1/environments/{live}"
    made = [
        patch(ann, live, {"LEVEL": "one"}),
        ann.send("PUT", f"{here}/secrets/TOKEN", json.dumps({"value": "x"}), query="apply=now"),
        ann.send("DELETE", f"{here}/secrets/TOKEN", query="apply=now"),
        ann.send("POST", f"{here}/configurations/2/restore", query="apply=now"),
    ]

    assert [each.status for each in made] == [200, 200, 200, 200], [each.text for each in made]
    found = [each.json["deployment_id"] for each in made]
    assert found == [each["id"] for each in reversed(deployments(ann, live))]


def test_a_change_that_changes_nothing_deploys_what_is_pending(
    ann: Client, project: ProjectId, live: EnvironmentId
) -> None:
    patch(ann, live, {"LEVEL": "debug"}, "next")
    assert patch(ann, live, {"LEVEL": "debug"}).json["deployment_id"]
    world.becomes(live, "running", live_configuration=1)
    assert patch(ann, live, {"LEVEL": "debug"}).json["deployment_id"] is None
    configure_project(project, {"SHARED": "x"})
    assert patch(ann, live, {"LEVEL": "debug"}).json["deployment_id"]


def test_where_nothing_is_live_nothing_is_changed(ann: Client, project: ProjectId) -> None:
    made = world.environment(project, ann.principal, "new")
    world.comes_up(made)

    with nothing_changes():
        answer = patch(ann, made, {"LEVEL": "debug"})

    assert_refused(answer, 409, "nothing_live")


def test_an_environment_that_rejects_refuses_it_while_another_one_waits(
    ann: Client, live: EnvironmentId
) -> None:
    world.becomes(live, "running", on_conflict="reject")
    assert patch(ann, live, {"LEVEL": "debug"}).status == 200

    with nothing_changes():
        answer = patch(ann, live, {"LEVEL": "info"})

    assert_refused(answer, 409, "queue_busy")


def test_a_request_that_is_repeated_queues_one_deployment(ann: Client, live: EnvironmentId) -> None:
    first, second = (patch(ann, live, {"LEVEL": "debug"}) for _ in range(2))

    assert first.json == second.json
    assert len(deployments(ann, live)) == 1
    keyed = ann.with_headers(idempotency_key="once")
    path = f"/api/v1/environments/{live}/configurations/1/restore"
    patch(ann, live, {"LEVEL": "info"}, "next")
    restored = [keyed.send("POST", path, query="apply=now") for _ in range(2)]
    assert restored[0].json == restored[1].json
    assert restored[1].headers["idempotent-replayed"] == "true"
    assert len(deployments(ann, live)) == 2


def test_a_token_that_may_not_deploy_changes_nothing(ann: Client, live: EnvironmentId) -> None:
    wanted = {"name": "config", "scopes": ["read", "config"], "kind": "ci"}
    token = ann.post("/api/v1/auth/tokens", wanted)
    assert token.status == 201, token.text
    program = ann.with_headers(authorization=f"Bearer {token.json['token']}")

    answer = patch(program, live, {"LEVEL": "debug"})

    assert_refused(answer, 403, "forbidden")
    assert answer.json["required_scope"] == "deploy"
    assert ann.get(variables(live)).json == deployments(ann, live) == []
    assert patch(program, live, {"LEVEL": "debug"}, "next").status == 200


def test_a_hold_keeps_programs_from_it_and_no_person(ann: Client, live: EnvironmentId) -> None:
    hold = {"at": "2026-11-29T01:02:03.456Z", "by": {"id": "usr_1"}, "reason": "It is broken"}
    held = {"hold": {**hold, "deployment_id": "dep_1"}}
    change, values = table.setting(held)
    table.write(table.Update(environment_records.key(live), change, values))
    wanted = {"name": "ci", "scopes": ["read", "config", "deploy"], "kind": "ci"}
    token = ann.post("/api/v1/auth/tokens", wanted).json["token"]
    program = ann.with_headers(authorization=f"Bearer {token}")

    answer = patch(program, live, {"LEVEL": "debug"})

    assert_refused(answer, 409, "environment_held")
    assert ann.get(variables(live)).json == deployments(ann, live) == []
    assert patch(ann, live, {"LEVEL": "debug"}).json["deployment_id"]


@pytest.mark.parametrize("query", ["apply=later", "apply=", "apply=now&apply=now"])
def test_another_word_is_refused(ann: Client, live: EnvironmentId, query: str) -> None:
    body = json.dumps({"LEVEL": "debug"})

    answer = ann.send("PATCH", variables(live), body, query=query)

    assert_refused(answer, 422, "invalid_request", "?apply")


def test_a_project_is_not_applied_at_once(ann: Client, project: ProjectId) -> None:
    path = f"/api/v1/projects/{project}/variables"

    answer = ann.send("PATCH", path, json.dumps({"LEVEL": "debug"}), query="apply=now")

    assert_refused(answer, 422, "invalid_request", "?apply")


def test_of_two_changes_at_once_none_is_lost(ann: Client, live: EnvironmentId) -> None:
    """Both read the same; the second finds the queue and the configuration changed."""
    assert patch(ann, live, {"ONE": "1"}).status == 200
    assert patch(ann, live, {"TWO": "2"}).status == 200

    record = environment_records.find(live)
    assert record
    assert (record["configuration"], record["waiting"]) == (2, 2)
