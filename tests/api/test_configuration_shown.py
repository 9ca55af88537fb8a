"""Which configuration is live and which one is pending, as environments and deployments show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.aws import template_bodies
from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import change_sets, configuration_rollouts, rollouts
from slipway.store import deployment_records, environment_records, table
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation
from tests.support.store.configuring import configure, configure_project


@pytest.fixture
def running(ann: Client, project: ProjectId) -> EnvironmentId:
    made = world.environment(project, ann.principal, "production")
    world.comes_up(made)
    return made


def look(caller: Client, environment: EnvironmentId) -> Answer:
    return caller.get(f"/api/v1/environments/{environment}")


def goes_live(environment: EnvironmentId, number: int) -> None:
    world.becomes(environment, "running", live_configuration=number, live_version="v1")


def test_an_environment_without_variables_has_configuration_zero(
    ann: Client, running: EnvironmentId
) -> None:
    assert look(ann, running).json["configuration"] == {"live": 0, "pending": None}


def test_a_change_of_its_own_is_pending_until_it_is_live(
    ann: Client, running: EnvironmentId
) -> None:
    configure(running, {"LEVEL": "debug"})
    assert look(ann, running).json["configuration"] == {"live": 0, "pending": 1}

    goes_live(running, 1)
    assert look(ann, running).json["configuration"] == {"live": 1, "pending": None}


@pytest.mark.parametrize("way", ["its id", "the project's list", "all lists", "its external id"])
def test_a_change_of_the_project_is_pending_in_each_of_its_environments(
    ann: Client, project: ProjectId, way: str
) -> None:
    wanted = {"name": "pr-7", "type": "ephemeral"}
    there = f"/api/v1/projects/{project}/environments/by-external-id/7"
    made = ann.send("PUT", there, json.dumps(wanted)).json
    configure(ids.parse_environment(made["id"]), {"OWN": "1"})
    goes_live(ids.parse_environment(made["id"]), 1)
    configure_project(project, {"SHARED": "1"})

    found: Any = {
        "its id": lambda: ann.get(f"/api/v1/environments/{made['id']}").json,
        "the project's list": lambda: ann.get(f"/api/v1/environments/projects/{project}").json[0],
        "all lists": lambda: ann.get("/api/v1/environments").json[0],
        "its external id": lambda: ann.get(there).json,
    }[way]()

    assert found["configuration"] == {"live": 1, "pending": 2}


def test_the_etag_differs_with_a_change_of_the_project_and_still_allows_a_write(
    ann: Client, project: ProjectId, running: EnvironmentId
) -> None:
    before = look(ann, running).headers["etag"]
    configure_project(project, {"SHARED": "1"})
    after = look(ann, running)

    assert after.headers["etag"] != before
    path, tag = f"/api/v1/environments/{running}", after.headers["etag"]
    assert ann.with_headers(if_none_match=tag).get(path).status == 304
    assert ann.with_headers(if_none_match=before).get(path).status == 200
    seen = ann.with_headers(if_match=tag)
    assert seen.patch(path, {"labels": {"a": "b"}}).status == 200
    assert_refused(seen.patch(path, {"labels": {"a": "c"}}), 412, "precondition_failed")


def test_what_is_shown_can_be_sent_back_while_a_configuration_is_pending(
    ann: Client, project: ProjectId, running: EnvironmentId
) -> None:
    configure_project(project, {"SHARED": "1"})
    shown = look(ann, running).json

    answer = ann.send("PATCH", f"/api/v1/environments/{running}", json.dumps(shown))

    assert answer.status == 200, answer.json
    changed = {**shown, "configuration": {"live": 7, "pending": None}}
    refused = ann.send("PATCH", f"/api/v1/environments/{running}", json.dumps(changed))
    assert_refused(refused, 422, "invalid_request", "#/configuration")


def test_a_deployment_tells_its_configuration_once_it_has_begun(
    ann: Client, running: EnvironmentId
) -> None:
    configure(running, {"LEVEL": "debug"})
    path = f"/api/v1/deployments/environments/{running}"
    made = ann.post(path, {"version": "v1"}).json
    assert made["configuration"] is None

    rollouts.acquire_next(running)

    shown = ann.get(f"/api/v1/deployments/{made['id']}").json
    assert shown["configuration"] == 1


def test_a_dry_run_of_an_update_shows_what_the_newest_configuration_brings(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    asked: list[Any] = []

    def preview(would_be: Any, secrets: Any, *, creates: bool) -> Any:
        asked.append(would_be)
        return {"status": "ready", "changes": []}

    monkeypatch.setattr(change_sets, "preview", preview)
    ann.post("/api/v1/templates", {"name": "web"})
    declared = "Parameters: {Size: {Type: String, Default: small}, Version: {Type: String}}"
    body = f"{declared}\nResources: {{Jobs: {{Type: AWS::SQS::Queue}}}}"
    ann.send("POST", "/api/v1/templates/web/versions", body, media="application/yaml")
    ann.post("/api/v1/templates/web/versions/1.0/publish")
    made = world.environment(project, ann.principal, "pr-7", template="web@1.0")
    world.comes_up(made)
    configure(made, {"Size": "large", "OTHER": "x"})

    path = f"/api/v1/environments/{made}/update"
    answer = ann.post(path, {"inputs": {"Size": "medium"}}, query="dry_run=true")

    assert answer.status == 200, answer.text
    assert asked[0]["variables"] == {"Size": "large"}
    assert asked[0]["live_configuration"] == 1


# ── Deployments of a changed configuration ──────────────────────────────────────────────────


def queue(caller: Client, environment: EnvironmentId) -> Any:
    """Accept a deployment of what is live, as a change with `apply=now` does."""
    claim = configuration_rollouts.claim_for(environment, caller.principal)
    [record], slots = table.read([environment_records.key(environment)], *claim.queries)
    assert record
    claim.see(slots)
    shown, transaction = configuration_rollouts.draft(environment, record, caller.principal, claim)
    transaction.commit()
    return shown


def test_a_deployment_of_a_configuration_brings_what_is_live_when_it_begins(
    ann: Client, running: EnvironmentId
) -> None:
    goes_live(running, 0)
    configure(running, {"LEVEL": "debug"})

    made = queue(ann, running)
    world.becomes(running, "running", live_version="v2", live_artifact="s3://builds/v2.zip")
    rollouts.acquire_next(running)

    assert (made.trigger, made.version) == ("configuration", "v1")
    record = deployment_records.find(ids.parse_deployment(made.id))
    assert record
    assert (record["version"], record["artifact"]) == ("v2", "s3://builds/v2.zip")
    assert record["configuration"] == 1


def test_nothing_is_deployed_where_nothing_is_live(ann: Client, running: EnvironmentId) -> None:
    from slipway.errors import NothingLive

    configure(running, {"LEVEL": "debug"})

    with pytest.raises(NothingLive):
        queue(ann, running)


def test_it_waits_behind_a_version_and_does_not_take_its_place(
    ann: Client, running: EnvironmentId
) -> None:
    goes_live(running, 0)
    world.becomes(running, "running", on_conflict="supersede")
    path = f"/api/v1/deployments/environments/{running}"
    waiting = ann.post(path, {"version": "v2"}).json

    made = queue(ann, running)

    assert made.on_conflict == "queue"
    assert [each["id"] for each in ann.get(f"/api/v1/environments/{running}/queue").json] == [
        waiting["id"],
        made.id,
    ]
