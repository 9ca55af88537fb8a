"""Updates of environments over HTTP: the answers, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from slipway import aws
from slipway.aws import template_bodies
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import DriverFault
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

VERSIONS = "/api/v1/templates/web/versions"
BODY = """
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true, Default: none}
Resources:
  Jobs: {Type: AWS::SQS::Queue}
"""


@pytest.fixture(autouse=True)
def _versions(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    ann.post("/api/v1/templates", {"name": "web"})
    for version in ("1.0", "1.1", "1.2"):
        body = BODY + f"# {version}"
        ann.send("POST", VERSIONS, body, media="application/yaml", query=f"version={version}")
        if version != "1.2":
            assert ann.post(f"{VERSIONS}/{version}/publish").status == 200


@pytest.fixture
def web(ann: Client, project: ProjectId) -> EnvironmentId:
    inputs = {"Password": "hunter22"}
    made = world.environment(project, ann.principal, "web", template="web@1.0", inputs=inputs)
    world.comes_up(made)
    return made


def update(caller: Client, environment: EnvironmentId, query: str = "", **wanted: Any) -> Answer:
    return caller.post(f"/api/v1/environments/{environment}/update", wanted, query=query)


def test_an_update_is_a_deployment(ann: Client, web: EnvironmentId) -> None:
    made = update(ann, web, template="web@1", inputs={"Size": "large", "Password": "hunter33"})

    assert made.status == 201
    assert made.headers["location"] == f"/api/v1/deployments/{made.json['id']}"
    assert (made.json["version"], made.json["template"]) == (None, "web@1.1")
    assert made.json["inputs"] == {"Size": "large", "Password": "****"}
    assert ann.get(made.headers["location"]).json == made.json
    assert ann.get(f"/api/v1/environments/{web}/queue").json == [made.json]
    canceled = ann.post(f"{made.headers['location']}/cancel")
    assert (canceled.status, canceled.json["status"]) == (202, "canceled")


@pytest.mark.parametrize(
    "wanted,pointer",
    [
        ({}, "#"),
        ({"template": None, "inputs": None}, "#"),
        ({"template": 1}, "#/template"),
        ({"template": ""}, "#/template"),
        ({"template": "other@1.0"}, "#/template"),
        ({"template": "web@1.2"}, "#/template"),
        ({"template": "web@2"}, "#/template"),
        ({"inputs": []}, "#/inputs"),
        ({"inputs": {"Size": "huge"}}, "#/inputs/Size"),
        ({"inputs": {"Size": 1}}, "#/inputs/Size"),
        ({"inputs": {"Nope": "x"}}, "#/inputs/Nope"),
        ({"inputs": {"a/b~c": None}}, "#/inputs/a~1b~0c"),
        ({"inputs": {"Version": "v1"}}, "#/inputs/Version"),
        ({"inputs": {"Size": "{{resolve:ssm:/x}}"}}, "#/inputs/Size"),
        ({"inputs": {}, "on_conflict": "supersede"}, "#/on_conflict"),
        ({"inputs": {}, "version": "v1"}, "#/version"),
    ],
)
@pytest.mark.parametrize("query", ["", "dry_run=true"])
def test_an_invalid_update_is_refused_and_changes_nothing(
    ann: Client, web: EnvironmentId, wanted: dict[str, Any], pointer: str, query: str
) -> None:
    with nothing_changes():
        answer = update(ann, web, query, **wanted)

    assert_refused(answer, 422, "invalid_request", pointer)


def test_a_preview_waits_until_the_stack_exists(ann: Client, project: ProjectId) -> None:
    inputs = {"Password": "hunter22"}
    made = world.environment(project, ann.principal, "web", template="web@1.0", inputs=inputs)

    plan = update(ann, made, "dry_run=true", inputs={"Size": "large"})

    assert plan.status == 200
    assert isinstance(plan.json["warnings"], list)
    assert plan.json["change_set"]["status"] == "pending"
    assert plan.json["change_set"]["reason"] == "The environment is provisioning"


@pytest.mark.parametrize("query", ["dry_run=maybe", "dry=true"])
def test_an_invalid_query_is_refused(ann: Client, web: EnvironmentId, query: str) -> None:
    assert_refused(
        update(ann, web, query, inputs={}),
        422,
        "invalid_request",
        f"?{query.partition('=')[0]}",
    )


@pytest.mark.parametrize("query", ["", "dry_run=true"])
def test_an_environment_that_cannot_be_updated_is_refused(
    ann: Client, bob: Client, web: EnvironmentId, environment: EnvironmentId, query: str
) -> None:
    with nothing_changes():
        assert_refused(update(bob, web, query, inputs={}), 404, "not_found")
        assert_refused(update(ann, environment, query, inputs={}), 409, "no_template")
    world.becomes(web, "tearing_down")
    refused = update(ann, web, query, inputs={})
    assert_refused(refused, 409, "environment_not_ready")
    assert refused.json["environment_status"] == "tearing_down"


def test_a_rejecting_update_is_refused_behind_another(ann: Client, web: EnvironmentId) -> None:
    assert update(ann, web, inputs={"Size": "large"}).status == 201

    with nothing_changes():
        answer = update(ann, web, inputs={"Size": "large"}, on_conflict="reject")

    assert_refused(answer, 409, "queue_busy")


def test_an_update_whose_secrets_cannot_be_stored_is_a_temporary_fault(
    ann: Client, web: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DriverFault("throttled")

    monkeypatch.setattr(aws, "call", fails)

    # The note that reconcile has of what was perhaps stored is not the caller's.
    with nothing_changes("SECRETS#"):
        assert_refused(update(ann, web, inputs={"Password": "hunter33"}), 503, "driver_fault")
        assert_refused(update(ann, web, "dry_run=true", inputs={}), 503, "driver_fault")


def test_the_same_request_is_carried_out_once(ann: Client, web: EnvironmentId) -> None:
    named = ann.with_headers(idempotency_key="k-1")

    first = update(named, web, inputs={"Size": "large"})
    again = update(named, web, inputs={"Size": "large"})
    other = update(named, web, inputs={"Size": "small"})

    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert_refused(other, 422, "idempotency_key_reused", "Idempotency-Key")
    assert len(ann.get(f"/api/v1/environments/{web}/queue").json) == 1


def test_a_plan_is_answered_and_may_be_repeated(
    ann: Client, web: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, Any]] = [
        {"status": "pending", "reason": None},
        {"status": "ready", "changes": []},
    ]
    monkeypatch.setattr("slipway.drivers.preview", lambda record, secrets: states.pop(0))

    named = ann.with_headers(idempotency_key="k-1")
    with nothing_changes():
        plans = [
            update(named, web, "dry_run=true", template="web@1.1", inputs={"Size": "large"})
            for _ in range(2)
        ]

    assert [plan.status for plan in plans] == [200, 200]
    assert "location" not in plans[0].headers
    shown = plans[0].json
    assert [each["code"] for each in shown.pop("warnings")] == ["takes_no_version"]
    assert shown == {
        "environment_id": str(web),
        "from_template": "web@1.0",
        "to_template": "web@1.1",
        "inputs": {"Size": {"before": None, "after": "large"}},
        "change_set": {"status": "pending", "reason": None, "changes": None},
    }
    assert plans[1].json["change_set"] == {"status": "ready", "reason": None, "changes": []}
