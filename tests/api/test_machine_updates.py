"""An update of a machine waits for a person if it may delete or replace a resource."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import ids
from slipway.domain.ids import EnvironmentId
from slipway.services import change_sets
from slipway.store import confirmation_records
from tests.support.api.client import CONTEXT, Answer, Client, app
from tests.support.api.machines import machine
from tests.support.store import world

KEPT = {"action": "modify", "logical_id": "Jobs", "replacement": "never"}


@pytest.fixture
def running(environment: EnvironmentId) -> EnvironmentId:
    """An environment of a template, without deployments."""
    world.is_of_a_template(environment)
    return environment


def plan(patch: pytest.MonkeyPatch, status: str = "ready", *changes: dict[str, Any]) -> list[Any]:
    """Let CloudFormation plan so; the plans that are asked for."""
    asked: list[Any] = []
    answer: dict[str, Any] = {"status": status, "changes": list(changes)}

    def preview(would_be: Any, secrets: Any, *, creates: bool) -> Any:
        asked.append(would_be)
        return answer

    patch.setattr(change_sets, "preview", preview)
    return asked


def update(client: Client, environment: EnvironmentId, **body: Any) -> Answer:
    return client.post(f"/api/v1/environments/{environment}/update", {"inputs": {}, **body})


@pytest.mark.parametrize("changes", [[], [KEPT], [{"action": "add", "logical_id": "New"}]])
def test_what_keeps_every_resource_waits_for_nobody(
    ann: Client,
    running: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[dict[str, Any]],
) -> None:
    plan(monkeypatch, "ready", *changes)
    agent = machine(ann, monkeypatch)

    answer = update(agent.client, running)

    assert (answer.status, answer.json["status"]) == (201, "pending")


@pytest.mark.parametrize(
    "change",
    [
        {"action": "remove", "logical_id": "Jobs"},
        {"action": "dynamic", "logical_id": "Jobs"},
        {"action": "modify", "logical_id": "Jobs", "replacement": "always"},
        {"action": "modify", "logical_id": "Jobs", "replacement": "conditional"},
        {"action": "modify", "logical_id": "Jobs", "replacement": None},
    ],
)
def test_what_may_delete_or_replace_waits_and_is_then_queued(
    ann: Client,
    running: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
) -> None:
    plan(monkeypatch, "ready", KEPT, change)
    agent = machine(ann, monkeypatch)

    answer = update(agent.client, running)

    assert (answer.status, answer.json["status"]) == (202, "awaiting_confirmation")
    assert "Jobs" in answer.json["reason"]
    where = f"/api/v1/confirmations/{answer.json['id']}"
    assert ann.get(f"/api/v1/environments/{running}/queue").json == []
    assert ann.post(f"{where}/approve").status == 200
    carry_out = {"confirmation": answer.json["id"]}
    assert app("environments").handler(carry_out, CONTEXT) == {"status": "carried_out"}
    [queued] = ann.get(f"/api/v1/environments/{running}/queue").json
    assert agent.client.get(where).json["result"]["body"]["id"] == queued["id"]


def test_a_plan_that_fails_is_taken_for_the_worst(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(monkeypatch, "failed")

    answer = update(machine(ann, monkeypatch).client, running)

    assert (answer.status, answer.json["status"]) == (202, "awaiting_confirmation")


def test_until_the_plan_is_known_the_machine_asks_again(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(monkeypatch, "pending")

    answer = update(machine(ann, monkeypatch).client, running)

    assert (answer.status, answer.json["code"]) == (429, "plan_pending")
    assert answer.headers["retry-after"] == "3"


def test_a_plan_says_nothing_while_another_deployment_is_ahead(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(monkeypatch)
    agent = machine(ann, monkeypatch)
    world.deployment(running, ann.principal)

    answer = update(agent.client, running)

    assert (answer.status, answer.json["code"]) == (429, "plan_pending")


def test_without_the_scope_destroy_only_harmless_updates_are_accepted(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = machine(ann, monkeypatch, "ci", ["read", "environments"])

    plan(monkeypatch, "ready", {"action": "remove", "logical_id": "Jobs"})
    refused = update(agent.client, running)
    plan(monkeypatch, "ready", KEPT)
    accepted = update(agent.client, running)

    assert (refused.status, refused.json["required_scope"]) == (403, "destroy")
    assert accepted.status == 201


def test_nobody_plans_the_updates_of_people(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plan(monkeypatch, "ready", {"action": "remove", "logical_id": "Jobs"})

    assert update(ann, running).status == 201
    assert update(machine(ann, monkeypatch, "personal").client, running).status == 201
    assert asked == []


def test_a_dry_run_of_a_machine_is_no_update(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(monkeypatch, "pending")
    agent = machine(ann, monkeypatch)
    path = f"/api/v1/environments/{running}/update"

    answer = agent.client.send("POST", path, '{"inputs": {}}', query="dry_run=true")

    assert answer.status == 200


def test_what_waits_is_what_was_sent(
    ann: Client, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(monkeypatch, "failed")

    answer = update(machine(ann, monkeypatch).client, running, on_conflict="queue")

    assert answer.json["request"]["body"] == {"inputs": {}, "on_conflict": "queue"}
    assert confirmation_records.find(ids.parse_confirmation(answer.json["id"]))
