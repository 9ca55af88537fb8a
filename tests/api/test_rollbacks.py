"""Rollbacks as callers ask for them: who may, what is told before, what needs a confirmation."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import change_sets
from tests.support.api.client import CONTEXT, Answer, Client, app
from tests.support.api.machines import machine
from tests.support.api.people import joins
from tests.support.store import world

REMOVED = {"action": "remove", "logical_id": "Jobs"}


def at(environment: EnvironmentId, below: str = "") -> str:
    return f"/api/v1/environments/{environment}{below}"


def roll_back(client: Client, environment: EnvironmentId, **body: Any) -> Answer:
    return client.post(at(environment, "/rollback"), {"reason": "checkout answers 500", **body})


def goes_live(client: Client, environment: EnvironmentId, **body: Any) -> str:
    """Deploy a version, or update the environment, and let it be live."""
    below = "/update" if "inputs" in body else "/deployments"
    made = client.post(at(environment, below), body)
    assert made.status == 201, made.json
    world.goes_live(ids.parse_deployment(made.json["id"]))
    return str(made.json["id"])


@pytest.fixture
def lives(ann: Client, environment: EnvironmentId) -> list[str]:
    """Two versions that went live in the simulated environment."""
    return [goes_live(ann, environment, version=version) for version in ("v1", "v2")]


@pytest.fixture
def templated(ann: Client, environment: EnvironmentId) -> EnvironmentId:
    """An environment of a template, which is large since v1 went live."""
    world.is_of_a_template(environment)
    goes_live(ann, environment, version="v1")
    goes_live(ann, environment, inputs={"Size": "large"})
    return environment


def planned(
    patch: pytest.MonkeyPatch, *changes: dict[str, Any], status: str = "ready"
) -> list[Any]:
    """Let CloudFormation plan so; the records that are asked about."""
    asked: list[Any] = []

    def preview(would_be: Any, secrets: Any, *, creates: bool) -> Any:
        asked.append(would_be)
        return {"status": status, "changes": list(changes)}

    patch.setattr(change_sets, "preview", preview)
    return asked


def test_it_is_a_deployment_that_says_what_and_why(
    ann: Client, environment: EnvironmentId, lives: list[str]
) -> None:
    answer = roll_back(ann, environment)

    told = ann.get(f"/api/v1/deployments/{answer.json['id']}").json
    assert (answer.status, told) == (201, answer.json)
    assert (told["trigger"], told["rolls_back_to"]) == ("rollback", lives[0])
    assert (told["version"], told["reason"]) == ("v1", "checkout answers 500")
    hold = ann.get(at(environment)).json["hold"]
    assert (hold["deployment_id"], hold["reason"]) == (told["id"], "checkout answers 500")
    assert (hold["by"]["id"], hold["by"]["kind"]) == (ann.user_id, "user")


def test_asked_again_it_is_the_same(
    ann: Client, environment: EnvironmentId, lives: list[str]
) -> None:
    first = roll_back(ann, environment)

    again, keyed = roll_back(ann, environment), ann.with_headers(idempotency_key="k")
    with_key = [roll_back(keyed, environment, to=lives[0]) for _ in range(2)]

    assert [each.status for each in (again, *with_key)] == [200, 200, 200]
    assert {each.json["id"] for each in (again, *with_key)} == {first.json["id"]}


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({"reason": ""}, "#/reason"),
        ({"reason": None}, "#/reason"),
        ({"reason": "x" * 201}, "#/reason"),
        ({"to": ""}, "#/to"),
        ({"to": 7}, "#/to"),
        ({"to": "v1"}, "#/to"),
        ({"to": "dep_0000000000000000000a_0000000000000000000b_0000000000000000000c"}, "#/to"),
        ({"force": True}, "#/force"),
    ],
)
def test_bad_requests_change_nothing(
    ann: Client, environment: EnvironmentId, lives: list[str], body: Any, pointer: str
) -> None:
    before = world.everything()

    answer = roll_back(ann, environment, **body)

    assert answer.status == 422
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]
    assert world.everything() == before


def test_what_cannot_be_gone_back_to_is_told_with_what_can(
    ann: Client, environment: EnvironmentId, lives: list[str]
) -> None:
    nothing = roll_back(ann, environment, to=lives[1])
    assert (nothing.status, nothing.json["code"]) == (409, "nothing_to_roll_back_to")
    assert nothing.json["eligible"] == [lives[0]]
    unknown = lives[0][:-20] + "0" * 20
    assert roll_back(ann, environment, to=unknown).status == 404


def test_strangers_viewers_and_tokens_without_the_scope_cannot(
    ann: Client,
    bob: Client,
    project: ProjectId,
    environment: EnvironmentId,
    lives: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert roll_back(bob, environment).status == 404
    assert bob.delete(at(environment, "/hold")).status == 404
    joins(project, bob, "viewer")
    assert roll_back(bob, environment).status == 403
    assert bob.delete(at(environment, "/hold")).status == 403
    reader = machine(ann, monkeypatch, "ci", ["read", "config", "environments"])
    assert roll_back(reader.client, environment).status == 403
    assert roll_back(ann, environment).status == 201


@pytest.mark.parametrize("kind", ["personal", "ci", "agent"])
def test_a_token_rolls_back_and_is_then_held_off_itself(
    ann: Client,
    environment: EnvironmentId,
    lives: list[str],
    kind: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = machine(ann, monkeypatch, kind).client
    assert roll_back(token, environment).status == 201

    deploying = token.post(at(environment, "/deployments"), {"version": "v3"})
    releasing = token.delete(at(environment, "/hold"))

    assert (deploying.status, deploying.json["code"]) == (409, "environment_held")
    assert releasing.status == 403
    assert ann.post(at(environment, "/deployments"), {"version": "v3"}).status == 201
    released = ann.delete(at(environment, "/hold"))
    assert (released.status, released.json["hold"]) == (200, None)
    assert token.post(at(environment, "/deployments"), {"version": "v4"}).status == 201


def test_updates_of_machines_are_held_off_too(
    ann: Client, templated: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch)
    assert roll_back(ann, templated).status == 201

    agent = machine(ann, monkeypatch).client
    answer = agent.post(at(templated, "/update"), {"inputs": {"Size": "small"}})

    assert (answer.status, answer.json["code"]) == (409, "environment_held")


def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    ann: Client, templated: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {**REMOVED, "type": "AWS::SQS::Queue", "scope": [], "properties": []}
    asked = planned(monkeypatch, whole)
    goes_live(ann, templated, version="v2")
    before = world.everything()

    [first, _, _] = ann.get(at(templated, "/deployments")).json[::-1]
    body = {"reason": "?", "to": first["id"]}
    answer = ann.post(at(templated, "/rollback"), body, query="dry_run=true")

    assert (answer.status, world.everything()) == (200, before)
    plan = answer.json
    assert (plan["rolls_back_to"], plan["stops"]) == (first["id"], None)
    assert plan["version"] == {"before": "v2", "after": "v1"}
    assert plan["template"] == {"before": "web@1.0", "after": "web@1.0"}
    assert plan["inputs"] == {"Size": {"before": "large", "after": None}}
    assert plan["variables"] == {}
    assert [each["action"] for each in plan["change_set"]["changes"]] == ["remove"]
    [would_be] = asked
    assert (would_be["live_version"], would_be["inputs"]) == ("v1", "{}")


def test_a_protected_one_wants_its_name_for_more_than_a_version(
    ann: Client, templated: EnvironmentId
) -> None:
    name = ann.patch(at(templated), {"protected": True}).json["name"]
    goes_live(ann, templated, version="v2")

    assert roll_back(ann, templated).status == 201
    [_, large, v1] = [each["id"] for each in ann.get(at(templated, "/deployments")).json[1:]]
    assert large != v1
    refused = roll_back(ann, templated, to=v1)
    assert (refused.status, refused.json["code"]) == (409, "confirmation_required")
    assert roll_back(ann.with_headers(x_confirm=name), templated, to=v1).status == 201


def test_a_machine_that_would_delete_something_waits_for_a_person(
    ann: Client, templated: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch, REMOVED)
    agent = machine(ann, monkeypatch)

    answer = roll_back(agent.client, templated)

    assert (answer.status, answer.json["status"]) == (202, "awaiting_confirmation")
    assert "Jobs" in answer.json["reason"]
    assert ann.get(at(templated)).json["hold"] is None
    where = f"/api/v1/confirmations/{answer.json['id']}"
    assert ann.post(f"{where}/approve").status == 200
    carry_out = {"confirmation": answer.json["id"]}
    assert app("environments").handler(carry_out, CONTEXT) == {"status": "carried_out"}
    [queued] = ann.get(at(templated, "/queue")).json
    assert (queued["trigger"], queued["created_by"]["id"]) == ("rollback", agent.id)


def test_a_pipeline_with_the_scope_deploy_alone_goes_back_but_destroys_nothing(
    ann: Client, templated: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = machine(ann, monkeypatch, "ci", ["read", "deploy"]).client
    planned(monkeypatch, REMOVED)
    refused = roll_back(pipeline, templated)
    planned(monkeypatch, status="pending")
    unknown = roll_back(pipeline, templated)
    planned(monkeypatch)
    harmless = roll_back(pipeline, templated)

    assert (refused.status, refused.json["required_scope"]) == (403, "destroy")
    assert (unknown.status, unknown.json["code"]) == (429, "plan_pending")
    assert harmless.status == 201


def test_a_version_alone_needs_no_plan(
    ann: Client, templated: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = planned(monkeypatch, REMOVED)
    goes_live(ann, templated, version="v2")

    answer = roll_back(machine(ann, monkeypatch, "ci", ["deploy"]).client, templated)

    assert (answer.status, asked) == (201, [])
