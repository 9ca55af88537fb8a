"""Promotions: what is live in one environment goes into others, in one call."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.promotion import MOST_TARGETS
from slipway.domain.template import Version
from slipway.errors import DriverFault
from slipway.services import promotion_plans, promotion_progress, promotions, updates
from slipway.settings import limits
from slipway.store import (
    deployment_records,
    environment_records,
    promotion_records,
    table,
    template_records,
)
from slipway.store.table import Put, Update
from tests.support.api.checks import nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.people import joins
from tests.support.store import between, world
from tests.support.store.configuring import configure

PROMOTIONS = "/api/v1/promotions"
DRY = "dry_run=true"
SHA = "registry.example.com/team/web:v7@sha256:" + "0" * 64


def running(project: ProjectId, owner: Client, name: str, **fields: Any) -> EnvironmentId:
    made = world.environment(project, owner.principal, name, **fields)
    world.comes_up(made)
    return made


def is_live(environment: EnvironmentId, version: str = "v7", **fields: Any) -> str:
    """What a rollout leaves; returns the deployment's id."""
    deployment = ids.DeploymentId(environment.p, environment.e, ids.new_part())
    at = timestamps.written(timestamps.now())
    record = {
        "id": str(deployment),
        "project_id": str(environment.project),
        "environment_id": str(environment),
        "kind": "release",
        "version": version,
        "status": "succeeded",
        "on_conflict": "queue",
        "created_at": at,
        "created_by": "usr_x",
        "finished_at": at,
    }
    table.write(Put(deployment_records.key(deployment), record))
    live = {"live_version": version, "live_deployment_id": record["id"], "live_since": at}
    sets(environment, **{**live, **fields})
    return str(deployment)


def ends(deployment: str, status: str = "succeeded") -> None:
    """The deployment's record after its rollout."""
    at = timestamps.written(timestamps.now())
    fields = {"status": status, "finished_at": at}
    key = deployment_records.key(ids.parse_deployment(deployment))
    table.write(Update(key, *table.setting(fields)))


def sets(environment: EnvironmentId, **fields: Any) -> None:
    if fields:
        table.write(Update(environment_records.key(environment), *table.setting(fields)))


@pytest.fixture
def staging(project: ProjectId, ann: Client) -> EnvironmentId:
    made = running(project, ann, "staging", tier="staging", type="persistent")
    is_live(made)
    return made


@pytest.fixture
def production(project: ProjectId, ann: Client) -> EnvironmentId:
    return running(project, ann, "production", tier="production", type="persistent")


def body(source: object, *targets: object, **fields: Any) -> dict[str, Any]:
    return {"from": str(source), "to": [str(each) for each in targets], **fields}


def code(answered: Answer) -> tuple[int, str]:
    return answered.status, answered.json["code"]


def made(answered: Answer) -> dict[str, Any]:
    assert answered.status == 202, answered.text
    found: dict[str, Any] = answered.json
    return found


def outcomes(promotion: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["status"], each["code"]) for each in promotion["targets"]]


def test_what_is_live_is_deployed_into_each_target(
    ann: Client, staging: EnvironmentId, production: EnvironmentId, project: ProjectId
) -> None:
    sets(staging, live_artifact=SHA, live_order=7)
    other = running(project, ann, "other")
    live = environment_records.find(staging)
    assert live

    promotion = made(ann.post(PROMOTIONS, body(staging, production, other, reason="weekly")))

    assert promotion["from"] == {
        "environment_id": str(staging),
        "environment_name": "staging",
        "deployment_id": live["live_deployment_id"],
    }
    assert (promotion["version"], promotion["artifact"]) == ("v7", SHA)
    assert (promotion["pinned"], promotion["status"]) == (True, "running")
    assert outcomes(promotion) == [("pending", None), ("pending", None)]
    assert promotion["created_by"]["id"] == ann.user_id
    for target, environment in zip(promotion["targets"], (production, other), strict=True):
        assert target["environment_id"] == str(environment)
        deployment = ann.get(f"/api/v1/deployments/{target['deployment_id']}").json
        assert (deployment["version"], deployment["artifact"]) == ("v7", SHA)
        assert (deployment["trigger"], deployment["sequence"]) == ("promotion", 7)
        assert deployment["promotion_id"] == promotion["id"]
        assert deployment["promoted_from"] == live["live_deployment_id"]
        assert deployment["reason"] == "weekly"
    assert ann.get(f"{PROMOTIONS}/{promotion['id']}").json == promotion
    assert ann.get(f"/api/v1/projects/{project}/promotions").json == [promotion]


def test_the_live_deployment_can_be_named_and_no_other(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    live = environment_records.find(staging)
    assert live
    old = live["live_deployment_id"]

    assert made(ann.post(PROMOTIONS, body(old, production)))["version"] == "v7"

    is_live(staging, "v8")
    answered = ann.post(PROMOTIONS, body(old, production))
    assert code(answered) == (409, "source_not_ready")
    assert answered.json["environment_id"] == str(staging)


@pytest.mark.parametrize(
    "fields",
    [
        {"live_in_doubt": "dep_x"},
        {"status": "tearing_down"},
        {"status": "provisioning"},
        {"live_deployment_id": None},
        {"live_version": None},
        {"expires_at": "2020-01-01T00:00:00.000Z"},
    ],
)
def test_a_source_that_is_not_healthy_is_refused_before_anything_is_made(
    ann: Client, staging: EnvironmentId, production: EnvironmentId, fields: dict[str, Any]
) -> None:
    sets(staging, **fields)

    with nothing_changes():
        answered = ann.post(PROMOTIONS, body(staging, production))

    assert code(answered) == (409, "source_not_ready")


@pytest.mark.parametrize("which", ["staging", "production"])
def test_the_stages_say_how_long_it_must_have_been_live(
    ann: Client,
    project: ProjectId,
    staging: EnvironmentId,
    production: EnvironmentId,
    which: str,
) -> None:
    stages = [
        {
            "name": name,
            "environment_ids": [str(each)],
            "rules": {"min_soak": 3600 if name == which else 0},
        }
        for name, each in (("staging", staging), ("production", production))
    ]
    assert ann.put(f"/api/v1/projects/{project}/pipeline", {"stages": stages}).status == 200

    with nothing_changes():
        answered = ann.post(PROMOTIONS, body(staging, production))

    assert code(answered) == (409, "source_not_ready")
    since = timestamps.now() - timedelta(hours=1)
    assert answered.json["ready_at"] > timestamps.written(since + timedelta(minutes=50))
    assert 3500 < int(answered.headers["retry-after"]) <= 3601
    sets(staging, live_since=timestamps.written(since))
    assert ann.post(PROMOTIONS, body(staging, production)).status == 202


def test_an_environment_of_an_earlier_release_soaks_since_its_deployment_ended(
    ann: Client, project: ProjectId, staging: EnvironmentId, production: EnvironmentId
) -> None:
    rules = {"min_soak": 3600}
    stage = {"name": "staging", "environment_ids": [str(staging)], "rules": rules}
    ann.put(f"/api/v1/projects/{project}/pipeline", {"stages": [stage]})
    sets(staging, live_since=None)

    assert code(ann.post(PROMOTIONS, body(staging, production)))[1] == "source_not_ready"


def test_a_target_that_does_not_exist_or_is_anothers_refuses_the_whole_call(
    ann: Client, bob: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    foreign = running(world.project(bob.principal, "other"), bob, "live")
    missing = EnvironmentId(staging.p, ids.new_part())
    disguised = EnvironmentId(staging.p, foreign.e)

    for target in (foreign, missing, disguised, "production", f"env_{staging.p}"):
        with nothing_changes():
            answered = ann.post(PROMOTIONS, body(staging, production, target))
        assert code(answered) == (404, "not_found"), target
    for source in (foreign, missing, f"dep_{staging.p}_{staging.e}_{ids.new_part()}", "x"):
        with nothing_changes():
            assert code(ann.post(PROMOTIONS, body(source, production))) == (404, "not_found")


def test_a_stranger_learns_nothing_that_a_get_does_not_tell(
    bob: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    existing = bob.post(PROMOTIONS, body(staging, production))
    missing = bob.post(PROMOTIONS, body(EnvironmentId(staging.p, ids.new_part()), production))

    assert code(existing) == code(missing) == (404, "not_found")
    assert existing.json["detail"] == missing.json["detail"]


def test_a_target_that_i_may_not_deploy_to_refuses_the_whole_call(
    ann: Client, bob: Client, project: ProjectId, staging: EnvironmentId, production: EnvironmentId
) -> None:
    other = running(project, ann, "other", tier="staging", type="persistent")
    joins(project, bob, "deployer", {"production": "viewer"})

    with nothing_changes():
        answered = bob.post(PROMOTIONS, body(staging, other, production))

    assert code(answered) == (403, "forbidden")
    assert answered.json["required_role"] == "deployer"
    assert bob.post(PROMOTIONS, body(staging, other)).status == 202
    # It is enough to see the source.
    joins(project, bob, "viewer", {"production": "deployer"})
    assert bob.post(PROMOTIONS, body(staging, production)).status == 202


def test_a_token_promotes_within_its_limits(
    ann: Client, staging: EnvironmentId, production: EnvironmentId, project: ProjectId
) -> None:
    def token(**limits: Any) -> Client:
        wanted = {"name": "CI", "kind": "ci", "scopes": ["read", "deploy"], **limits}
        made_ = ann.post("/api/v1/auth/tokens", wanted).json
        return Client(made_["token"], made_["id"])

    limited = token(environment_ids=[str(staging)])
    assert code(limited.post(PROMOTIONS, body(staging, production))) == (404, "not_found")
    elsewhere = token(environment_ids=[str(production)])
    assert code(elsewhere.post(PROMOTIONS, body(staging, production))) == (404, "not_found")
    of_a_tier = token(tiers=["staging"])
    assert code(of_a_tier.post(PROMOTIONS, body(staging, production))) == (403, "forbidden")
    reading = token(scopes=["read"])
    assert code(reading.post(PROMOTIONS, body(staging, production))) == (403, "forbidden")
    promotion = made(token().post(PROMOTIONS, body(staging, production)))
    path = f"{PROMOTIONS}/{promotion['id']}"
    both = token(environment_ids=[str(staging), str(production)])
    assert both.get(path).status == 200
    assert len(both.get(f"/api/v1/projects/{project}/promotions").json) == 1
    for other in (limited, elsewhere, of_a_tier):
        assert code(other.get(path)) == (404, "not_found")
        assert other.get(f"/api/v1/projects/{project}/promotions").json == []


@pytest.mark.parametrize(
    "fields,pointer",
    [
        ({"to": []}, "#/to"),
        ({"to": "x"}, "#/to"),
        ({"to": ["x", "x"]}, "#/to"),
        ({"to": [f"x{n}" for n in range(MOST_TARGETS + 1)]}, "#/to"),
        ({"from": None}, "#/from"),
        ({"from": 7}, "#/from"),
        ({"reason": ""}, "#/reason"),
        ({"reason": "a\u202eb"}, "#/reason"),
        ({"on_conflict": "wait"}, "#/on_conflict"),
        ({"version": "v1"}, "#/version"),
        ({"template": "web@1.0"}, "#/template"),
    ],
)
def test_bad_input_is_refused_with_a_pointer(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    fields: dict[str, Any],
    pointer: str,
) -> None:
    with nothing_changes():
        answered = ann.post(PROMOTIONS, {**body(staging, production), **fields})

    assert code(answered) == (422, "invalid_request")
    assert [each["pointer"] for each in answered.json["errors"]] == [pointer]


def test_the_source_itself_and_another_project_are_no_targets(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    elsewhere = running(world.project(ann.principal, "another"), ann, "live")
    live = environment_records.find(staging)
    assert live

    for source in (str(staging), live["live_deployment_id"]):
        with nothing_changes():
            answered = ann.post(PROMOTIONS, body(source, production, staging, elsewhere))
        assert code(answered) == (422, "invalid_request")
        assert [each["pointer"] for each in answered.json["errors"]] == ["#/to/1", "#/to/2"]


def test_a_target_that_refuses_leaves_the_others_alone(
    ann: Client, staging: EnvironmentId, production: EnvironmentId, project: ProjectId
) -> None:
    going, newer = running(project, ann, "going"), running(project, ann, "newer")
    busy = running(project, ann, "busy", on_conflict="reject")
    world.deployment(busy, ann.principal)
    sets(going, status="tearing_down")
    is_live(newer, "v9", live_order=9)
    sets(staging, live_order=7)

    promotion = made(ann.post(PROMOTIONS, body(staging, going, production, newer, busy)))

    assert outcomes(promotion) == [
        ("refused", "environment_not_ready"),
        ("pending", None),
        ("refused", "outdated_deployment"),
        ("refused", "queue_busy"),
    ]
    assert all(each["reason"] for each in promotion["targets"] if each["status"] == "refused")
    assert promotion["status"] == "running"
    assert ann.get(f"/api/v1/environments/{going}/deployments").json == []
    outdated = made(ann.post(PROMOTIONS, body(staging, newer, allow_outdated=True)))
    assert outcomes(outdated) == [("pending", None)]


def test_a_promotion_that_every_target_refuses_has_failed(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    sets(production, status="destroyed")

    promotion = made(ann.post(PROMOTIONS, body(staging, production)))

    assert (promotion["status"], outcomes(promotion)) == (
        "failed",
        [("refused", "environment_not_ready")],
    )
    assert promotion["finished_at"]
    record = promotion_records.find(ids.parse_promotion(promotion["id"]))
    assert record and "due" not in record and record["ttl"]


def test_each_target_takes_slots_of_its_own_and_the_last_ones_are_told(
    ann: Client,
    staging: EnvironmentId,
    project: ProjectId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets = [running(project, ann, f"t{n}") for n in range(4)]
    limited = limits()._replace(deployments_per_user=3)
    monkeypatch.setattr("slipway.store.quota_records.limits", lambda: limited)

    promotion = made(ann.post(PROMOTIONS, body(staging, *targets)))

    assert [each["code"] for each in promotion["targets"]] == [None] * 3 + ["quota_exceeded"]
    accepted = [each["deployment_id"] for each in promotion["targets"][:3]]
    records = [deployment_records.find(ids.parse_deployment(each)) for each in accepted]
    slots = {each["slots"][ann.user_id] for each in records if each}
    assert len(slots) == 3


def test_as_many_targets_as_may_be_fit_into_one_transaction(
    ann: Client, staging: EnvironmentId, project: ProjectId
) -> None:
    targets = [running(project, ann, f"t{n}") for n in range(MOST_TARGETS)]
    sets(staging, live_order=7)

    keyed = ann.with_headers(idempotency_key="k")
    promotion = made(keyed.post(PROMOTIONS, body(staging, *targets)))

    assert outcomes(promotion) == [("pending", None)] * MOST_TARGETS


def test_a_repeated_key_gets_the_same_answer_and_makes_nothing_more(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    keyed = ann.with_headers(idempotency_key="k")
    first = keyed.post(PROMOTIONS, body(staging, production))
    # What is live has changed since.
    is_live(staging, "v8")

    with nothing_changes():
        second = keyed.post(PROMOTIONS, body(staging, production))

    assert made(first) == made(second)
    assert second.headers["idempotent-replayed"] == "true"
    assert len(ann.get(f"/api/v1/environments/{production}/queue").json) == 1


def test_twenty_promotions_at_once_are_all_made_one_after_the_other(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    project: ProjectId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = running(project, ann, "other")

    def promote() -> Answer:
        return ann.post(PROMOTIONS, body(staging, production, other))

    answers: list[Any] = between.at_once(monkeypatch, *[promote] * 20)

    assert [each.status for each in answers] == [202] * 20
    waiting = {target["deployment_id"] for each in answers for target in each.json["targets"]}
    assert len(waiting) == 40
    for environment in (production, other):
        queue = ann.get(f"/api/v1/environments/{environment}/queue").json
        assert len(queue) == 20
        record = environment_records.find(environment)
        assert record and record["waiting"] == 20


def test_a_source_that_changes_meanwhile_is_read_again(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is promoted was live at the moment at which it was promoted."""
    stock = promotions._transaction

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.undo()
        is_live(staging, "v8")
        return stock(*arguments)

    monkeypatch.setattr(promotions, "_transaction", overtaken)

    promotion = made(ann.post(PROMOTIONS, body(staging, production)))

    assert promotion["version"] == "v8"
    [queued] = ann.get(f"/api/v1/environments/{production}/queue").json
    assert queued["version"] == "v8"


@pytest.mark.parametrize(
    "change,outcome",
    [
        ({"status": "tearing_down"}, ("refused", "environment_not_ready")),
        ({"live_order": 9, "live_deployment_id": "dep_x"}, ("refused", "outdated_deployment")),
    ],
)
def test_a_target_that_changes_meanwhile_is_looked_at_again(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    outcome: tuple[str, str],
) -> None:
    sets(staging, live_order=7)
    stock = promotions._transaction

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.undo()
        # Another deployment was accepted, too, so that the first try fails.
        world.deployment(production, ann.principal)
        sets(production, **change)
        return stock(*arguments)

    monkeypatch.setattr(promotions, "_transaction", overtaken)

    assert outcomes(made(ann.post(PROMOTIONS, body(staging, production)))) == [outcome]


def test_a_role_that_is_lost_meanwhile_promotes_nothing(
    ann: Client,
    bob: Client,
    project: ProjectId,
    staging: EnvironmentId,
    production: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joins(project, bob, "deployer")
    stock = promotions._transaction

    def overtaken(*arguments: Any) -> Any:
        joins(project, bob, "deployer", {"production": "viewer"})
        return stock(*arguments)

    monkeypatch.setattr(promotions, "_transaction", overtaken)

    assert code(bob.post(PROMOTIONS, body(staging, production))) == (403, "forbidden")
    assert ann.get(f"/api/v1/environments/{production}/queue").json == []


def test_it_is_audited_once_in_its_project(
    ann: Client, staging: EnvironmentId, production: EnvironmentId, project: ProjectId
) -> None:
    promotion = made(ann.post(PROMOTIONS, body(staging, production)))

    audit = ann.get(f"/api/v1/projects/{project}/audit", action="promotions:create").json
    [entry] = audit
    assert entry["target"]["id"] == promotion["id"]
    assert entry["actor"]["id"] == ann.user_id
    assert entry["after"]["source"]["environment_id"] == str(staging)
    assert [each["environment_id"] for each in entry["after"]["targets"]] == [str(production)]


def test_a_promotion_of_another_project_is_not_found(
    ann: Client, bob: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    promotion = made(ann.post(PROMOTIONS, body(staging, production)))

    assert code(bob.get(f"{PROMOTIONS}/{promotion['id']}")) == (404, "not_found")
    other = world.project(ann.principal, "another")
    disguised = f"pro_{other.p}_{promotion['id'].rpartition('_')[2]}"
    for identity in (disguised, "pro_x", f"pro_{staging.p}_{ids.new_part()}"):
        assert code(ann.get(f"{PROMOTIONS}/{identity}")) == (404, "not_found")


# --- progress ---------------------------------------------------------------------------------


def test_the_status_follows_the_deployments(
    ann: Client, staging: EnvironmentId, production: EnvironmentId, project: ProjectId
) -> None:
    other = running(project, ann, "other")
    promotion = made(ann.post(PROMOTIONS, body(staging, production, other)))
    path, identity = f"{PROMOTIONS}/{promotion['id']}", ids.parse_promotion(promotion["id"])
    first, second = (each["deployment_id"] for each in promotion["targets"])

    ends(first)
    promotion_progress.refresh(identity, first)

    shown = ann.get(path).json
    assert (shown["status"], outcomes(shown)) == (
        "running",
        [("succeeded", None), ("pending", None)],
    )
    assert shown["finished_at"] is None
    assert ann.post(f"/api/v1/deployments/{second}/cancel").status == 202
    promotion_progress.refresh(identity, second)
    shown = ann.get(path).json
    assert (shown["status"], outcomes(shown)[1]) == ("partly_failed", ("canceled", None))
    assert shown["targets"][1]["reason"] == "ann@example.com canceled it"
    assert shown["finished_at"]
    record = promotion_records.find(identity)
    assert record and "due" not in record and record["ttl"]
    with nothing_changes():
        promotion_progress.refresh(identity, second)


def test_a_request_waits_for_the_end_and_not_for_what_cannot_be(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    sets(production, status="destroyed")
    promotion = made(ann.post(PROMOTIONS, body(staging, production)))
    waiting = ann.with_headers(prefer="wait=5")

    for goal in ("ended", "succeeded", "failed"):
        answered = waiting.get(f"{PROMOTIONS}/{promotion['id']}", wait_for=goal)
        assert answered.status == 200
        assert "preference-applied" not in answered.headers
    assert code(waiting.get(f"{PROMOTIONS}/{promotion['id']}", wait_for="soon"))[0] == 422


# --- templates --------------------------------------------------------------------------------


def of_template(environment: EnvironmentId, version: str = "1.0", **fields: Any) -> None:
    """As if it had been made from this version of `web`, which exists."""
    made_of = {
        "driver": "cloudformation",
        "template": f"web@{version}",
        "template_key": f"templates/web/{version}/0",
        "parameters": ["Size", "Version"],
        "defaults": ["Version"],
        "inputs": "{}",
        "secret_inputs": [],
    }
    sets(environment, **{**made_of, **fields})


def newer_version(**fields: Any) -> None:
    """Version 1.1 of `web`."""
    template_records.version_of.cache_clear()
    record = dict(template_records.find_version("web", Version(1, 0)))
    record = {name: each for name, each in record.items() if name not in ("pk", "sk")}
    record |= {"version": "1.1", "key": "templates/web/1.1/0", **fields}
    table.write(Put(template_records.version_key("web", Version(1, 1)), record, condition=None))


@pytest.fixture
def stacks(staging: EnvironmentId, production: EnvironmentId) -> None:
    """Staging has version 1.1 of a template of which production has 1.0."""
    world.is_of_a_template(production)
    newer_version()
    of_template(production, inputs='{"Size":"large"}')
    of_template(staging, "1.1", inputs='{"Size":"small"}')


@pytest.mark.usefixtures("stacks")
def test_the_template_version_goes_along_and_the_inputs_stay(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    promotion = made(ann.post(PROMOTIONS, body(staging, production)))

    assert promotion["template"] == "web@1.1"
    [target] = promotion["targets"]
    record = deployment_records.find(ids.parse_deployment(target["deployment_id"]))
    assert record
    assert (record["kind"], record["template"], record["inputs"]) == ("release", "web@1.1", "{}")
    kept = made(ann.post(PROMOTIONS, body(staging, production, template=False)))
    assert kept["template"] is None
    record = deployment_records.find(ids.parse_deployment(kept["targets"][0]["deployment_id"]))
    assert record and "template" not in record


@pytest.mark.usefixtures("stacks")
def test_the_targets_inputs_are_those_that_it_has_when_its_turn_comes(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    [target] = made(ann.post(PROMOTIONS, body(staging, production)))["targets"]
    # An update that was ahead of it has ended.
    sets(production, inputs='{"Size":"huge"}')

    deployment = deployment_records.find(ids.parse_deployment(target["deployment_id"]))
    environment = environment_records.find(production)
    assert deployment and environment
    fields = updates.updated_fields(deployment, environment)

    assert fields["template"] == "web@1.1"
    assert json.loads(fields["inputs"]) == {"Size": "huge"}
    assert deployment_records.changes_environment(deployment)


@pytest.mark.usefixtures("stacks")
def test_who_may_not_update_a_target_promotes_the_version_alone(
    ann: Client, bob: Client, project: ProjectId, staging: EnvironmentId, production: EnvironmentId
) -> None:
    joins(project, bob, "deployer")

    with nothing_changes():
        answered = bob.post(PROMOTIONS, body(staging, production))

    assert code(answered) == (403, "forbidden")
    assert answered.json["required_role"] == "maintainer"
    assert "template: false" in answered.json["detail"]
    assert bob.post(PROMOTIONS, body(staging, production, template=False)).status == 202
    wanted = {"name": "CI", "kind": "personal", "scopes": ["read", "deploy"]}
    token = Client(ann.post("/api/v1/auth/tokens", wanted).json["token"], ann.user_id)
    answered = token.post(PROMOTIONS, body(staging, production))
    assert (code(answered), answered.json["required_scope"]) == (
        (403, "forbidden"),
        "environments",
    )


@pytest.mark.usefixtures("stacks")
def test_a_protected_target_whose_template_changes_has_to_be_named(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    sets(production, protected=True)

    with nothing_changes():
        answered = ann.post(PROMOTIONS, body(staging, production))

    assert code(answered) == (409, "confirmation_required")
    assert answered.json["name"] == "production"
    with nothing_changes():
        wrong = ann.with_headers(x_confirm="live").post(PROMOTIONS, body(staging, production))
    assert wrong.status == 409
    for header in ("production", "live, production"):
        confirming = ann.with_headers(x_confirm=header)
        assert confirming.post(PROMOTIONS, body(staging, production)).status == 202
    # A version changes no resources.
    assert ann.post(PROMOTIONS, body(staging, production, template=False)).status == 202


@pytest.mark.parametrize(
    "version,target,outcome",
    [
        ({"state": "deprecated"}, {}, "invalid_request"),
        ({"parameters": [{"name": "Size", "type": "String"}]}, {}, "template_takes_no_version"),
        (
            {
                "parameters": [
                    {"name": "Version", "type": "String", "default": "none"},
                    {"name": "Zone", "type": "String"},
                ]
            },
            {},
            "invalid_request",
        ),
        (
            {
                "parameters": [
                    {"name": "Version", "type": "String", "default": "none"},
                    {"name": "Size", "type": "String", "no_echo": True},
                ]
            },
            {},
            "invalid_request",
        ),
        ({}, {"template": "other@1.0"}, "template_differs"),
        ({}, {"template": None}, "template_differs"),
    ],
)
@pytest.mark.usefixtures("stacks")
def test_a_target_that_the_template_does_not_fit_refuses(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    version: dict[str, Any],
    target: dict[str, Any],
    outcome: str,
) -> None:
    newer_version(**version)
    sets(production, **target)

    promotion = made(ann.post(PROMOTIONS, body(staging, production)))

    assert outcomes(promotion) == [("refused", outcome)]
    assert promotion["targets"][0]["reason"]


# --- machines ---------------------------------------------------------------------------------


def machine(ann: Client, *scopes: str) -> Client:
    wanted = {"name": "CI", "kind": "ci", "scopes": ["read", "deploy", *scopes]}
    token = ann.post("/api/v1/auth/tokens", wanted).json
    return Client(token["token"], token["id"])


def planned(monkeypatch: pytest.MonkeyPatch, *plans: dict[str, Any]) -> list[Any]:
    """Let CloudFormation plan this; returns what it was asked."""
    asked: list[Any] = []
    left = list(plans)

    def preview(would_be: Any, secrets: Any, *, creates: bool) -> dict[str, Any]:
        asked.append(would_be)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr("slipway.services.change_sets.preview", preview)
    return asked


def change(action: str, replacement: str | None = None) -> dict[str, Any]:
    one: dict[str, Any] = {
        "action": action,
        "logical_id": "Jobs",
        "type": "AWS::SQS::Queue",
        "scope": [],
        "properties": [],
        "replacement": replacement,
    }
    return {"status": "ready", "changes": [one]}


@pytest.mark.usefixtures("stacks")
def test_a_machine_replaces_nothing_by_a_promotion(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    project: ProjectId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = running(project, ann, "other")
    of_template(other, "1.1")
    promoting = body(staging, production, other)
    planned(monkeypatch, change("modify", "always"))

    for scopes in (("environments",), ("environments", "destroy")):
        promotion = made(machine(ann, *scopes).post(PROMOTIONS, promoting))
        assert outcomes(promotion) == [("refused", "forbidden"), ("pending", None)]
        assert "Jobs" in promotion["targets"][0]["reason"] or scopes == ("environments",)
    assert ann.get("/api/v1/confirmations").json == []


def test_a_promotion_is_no_way_around_a_hold(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    hold = {"at": timestamps.written(timestamps.now()), "by": {"id": ann.user_id, "kind": "user"}}
    sets(production, hold={**hold, "reason": "broken", "deployment_id": "dep_x"})

    promotion = made(machine(ann).post(PROMOTIONS, body(staging, production)))

    assert outcomes(promotion) == [("refused", "environment_held")]
    assert outcomes(made(ann.post(PROMOTIONS, body(staging, production)))) == [("pending", None)]


@pytest.mark.usefixtures("stacks")
def test_a_machine_changes_a_stack_only_while_nothing_is_ahead_of_it(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = machine(ann, "environments")
    asked = planned(monkeypatch, {"status": "pending", "reason": None}, change("modify", "never"))

    pending = job.post(PROMOTIONS, body(staging, production))
    assert code(pending) == (429, "plan_pending")
    assert ann.get(f"/api/v1/environments/{production}/queue").json == []
    assert outcomes(made(job.post(PROMOTIONS, body(staging, production)))) == [("pending", None)]
    assert [each["template"] for each in asked] == ["web@1.1"] * 2
    assert {each["inputs"] for each in asked} == {'{"Size": "large"}'}
    assert {each["live_version"] for each in asked} == {"v7"}
    again = made(job.post(PROMOTIONS, body(staging, production)))
    assert outcomes(again) == [("refused", "queue_busy")]


# --- dry runs ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("stacks")
def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    project: ProjectId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters = [
        {"name": "Version", "type": "String", "default": "none"},
        {"name": "Size", "type": "String", "default": "small"},
        {"name": "Zone", "type": "String", "default": "a"},
    ]
    newer_version(parameters=parameters)
    going = running(project, ann, "going")
    sets(going, status="tearing_down")
    same = running(project, ann, "same")
    is_live(same, "v7")
    planned(monkeypatch, change("modify", "never"))

    with nothing_changes():
        answered = ann.post(PROMOTIONS, body(staging, production, going), query=DRY)

    assert answered.status == 200, answered.text
    plan = answered.json
    assert (plan["version"], plan["template"]) == ("v7", "web@1.1")
    target, refused = plan["targets"]
    assert (target["status"], refused["status"]) == ("accepted", "refused")
    assert refused["code"] in ("environment_not_ready", "template_differs")
    assert target["version"] == {"before": None, "after": "v7"}
    assert target["template"] == {"before": "web@1.0", "after": "web@1.1"}
    assert target["artifact"] is None
    assert target["change_set"]["changes"][0]["logical_id"] == "Jobs"
    assert refused["change_set"] is None
    alone = ann.post(PROMOTIONS, body(staging, production, same, template=False), query=DRY).json
    assert [each["template"] for each in alone["targets"]] == [None, None]
    assert alone["targets"][1]["version"] is None
    assert alone["targets"][1]["change_set"] is None


@pytest.mark.usefixtures("stacks")
def test_a_dry_run_needs_the_rights_of_a_promotion(
    ann: Client, bob: Client, project: ProjectId, staging: EnvironmentId, production: EnvironmentId
) -> None:
    def asks(caller: Client) -> tuple[int, str]:
        return code(caller.post(PROMOTIONS, body(staging, production), query=DRY))

    assert asks(bob) == (404, "not_found")
    joins(project, bob, "viewer")
    assert asks(bob) == (403, "forbidden")
    joins(project, bob, "deployer")
    assert asks(bob) == (403, "forbidden")
    sets(staging, live_in_doubt="dep_x")
    assert asks(ann) == (409, "source_not_ready")


@pytest.mark.usefixtures("stacks")
def test_plans_that_would_take_too_long_are_not_begun(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promotion_plans, "_BEGIN_WITHIN_SECONDS", -1.0)
    asked = planned(monkeypatch, change("modify", "never"))

    answered = ann.post(PROMOTIONS, body(staging, production), query=DRY)

    assert answered.json["targets"][0]["change_set"]["status"] == "pending"
    assert asked == []


@pytest.mark.usefixtures("stacks")
def test_a_plan_that_does_not_answer_is_pending(
    ann: Client,
    staging: EnvironmentId,
    production: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise DriverFault("arn:aws:iam::123456789012:role/secret")

    monkeypatch.setattr("slipway.services.change_sets.preview", fails)

    answered = ann.post(PROMOTIONS, body(staging, production), query=DRY)

    assert answered.status == 200
    assert answered.json["targets"][0]["change_set"]["status"] == "pending"
    assert "arn:" not in answered.text


def test_a_dry_run_names_the_targets_variables_that_wait(
    ann: Client, staging: EnvironmentId, production: EnvironmentId
) -> None:
    configure(staging, {"OF_STAGING": "s"}, {})
    configure(production, {"LEVEL": "a value"}, {"TOKEN": "s3cret"})

    answered = ann.post(PROMOTIONS, body(staging, production), query=DRY)

    assert answered.status == 200, answered.text
    assert answered.json["targets"][0]["variables"] == {"LEVEL": "added", "TOKEN": "added"}
    assert "s3cret" not in answered.text and "a value" not in answered.text
