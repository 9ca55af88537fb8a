"""Pictures of rollouts and environments, for those who may see them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.pictures import POLICY
from slipway.store import deployment_records, event_records
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.store import between, world
from tests.support.store.records import runs


def timeline(client: Client, of: DeploymentId | str) -> Answer:
    return client.get(f"/api/v1/deployments/{of}/timeline.svg")


def history(client: Client, of: EnvironmentId | str) -> Answer:
    return client.get(f"/api/v1/environments/{of}/history.svg")


def test_a_rollout_and_a_history_are_drawn(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    for answer, said in (
        (timeline(ann, deployment), "sha-1234567 to preview: pending"),
        (history(ann, environment), "preview: running"),
    ):
        assert answer.status == 200
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert said in "".join(ElementTree.fromstring(answer.text).itertext())


def test_the_steps_of_a_rollout_that_has_ended_are_those_of_its_timeline(
    ann: Client, deployment: DeploymentId
) -> None:
    runs(deployment.environment)
    world.succeeds(deployment)
    item = deployment_records.find(deployment)
    assert item
    moments = {"entered_at": item["started_at"], "left_at": item["finished_at"]}
    event_records.keep_timeline(item, [{"step": "Ship", "attempts": 1, **moments}])

    first = timeline(ann, deployment)
    again = ann.with_headers(if_none_match=first.headers["etag"])

    assert ">Ship</text>" in first.text
    assert timeline(again, deployment).status == 304


def test_each_is_one_round_trip(
    ann: Client,
    environment: EnvironmentId,
    deployment: DeploymentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ann.get("/api/v1/auth/me")  # Reads the public keys, which a process keeps.
    for path in (f"deployments/{deployment}/timeline", f"environments/{environment}/history"):
        with monkeypatch.context() as patch:
            made = between.counted(patch)
            assert ann.get(f"/api/v1/{path}.svg").status == 200
        assert [sorted(each.split(" + ")) for each in made] == [["BatchGetItem", "Query"]]


def test_nobody_else_sees_a_picture(
    bob: Client, nobody: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    assert_refused(timeline(bob, deployment), 404, "not_found")
    assert_refused(history(bob, environment), 404, "not_found")
    assert_refused(timeline(nobody, deployment), 401, "token_missing")
    assert_refused(history(nobody, environment), 401, "token_missing")
    assert_refused(history(bob, "env_x"), 404, "not_found")


def test_a_history_has_twenty_deployments_at_most(ann: Client, environment: EnvironmentId) -> None:
    for n in range(25):
        world.deployment(environment, ann.principal, f"v{n}")

    text = history(ann, environment).text

    assert text.count(">pending</text>") == 20
    assert ">v24</text>" in text
    assert ">v4</text>" not in text
