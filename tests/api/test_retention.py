"""What the API answers once something has ended for long enough: as if it had never been there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from slipway.domain import timestamps
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.services import retention
from slipway.store import environment_records
from tests.support.api.client import Client
from tests.support.store import world


@pytest.fixture
def gone(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[EnvironmentId, DeploymentId]]:
    """An environment that was destroyed 400 days ago, and its deployment; TTL has deleted neither.

    Another one of the project lives.
    """
    real, ahead = timestamps.now, timedelta(days=-401)
    with monkeypatch.context() as patch:
        patch.setattr(timestamps, "now", lambda: real() + ahead)
        environment = world.environment(project, ann.principal, "gone")
        world.comes_up(environment)
        deployment = world.deployment(environment, ann.principal)
        assert ann.post(f"/api/v1/deployments/{deployment}/cancel").status == 202
        world.is_destroyed(environment)
        record = environment_records.find(environment)
        assert record
        retention.settle(record)
        ahead = timedelta(days=-2)
        assert ann.get(f"/api/v1/deployments/{deployment}").status == 200
        shown = ann.get(f"/api/v1/environments/projects/{project}", include="ended")
        assert [each["name"] for each in shown.json] == ["gone"]
    yield environment, deployment


def test_every_path_to_it_is_404(ann: Client, gone: tuple[EnvironmentId, DeploymentId]) -> None:
    environment, deployment = gone
    for path in (
        f"environments/{environment}",
        f"environments/{environment}/events",
        f"environments/{environment}/logs",
        f"environments/{environment}/queue",
        f"environments/{environment}/deployments",
        f"deployments/{deployment}",
        f"deployments/{deployment}/logs",
        f"deployments/{deployment}/timeline",
    ):
        answer = ann.get(f"/api/v1/{path}")
        assert (answer.status, answer.json["code"]) == (404, "not_found"), path
    # As an id that never was.
    unknown = str(environment)[:-4] + "zzzz"
    never = ann.get(f"/api/v1/environments/{unknown}").json
    found = ann.get(f"/api/v1/environments/{environment}").json
    varying = ("instance", "request_id")
    assert {k: v for k, v in found.items() if k not in varying} == {
        k: v for k, v in never.items() if k not in varying
    }


def test_no_write_brings_it_back(ann: Client, gone: tuple[EnvironmentId, DeploymentId]) -> None:
    environment, deployment = gone
    before = world.everything()

    answers = [
        ann.post(f"/api/v1/deployments/environments/{environment}", {"version": "v9"}),
        ann.post(f"/api/v1/deployments/{deployment}/cancel"),
        ann.patch(f"/api/v1/environments/{environment}", {"name": "back"}),
        ann.delete(f"/api/v1/environments/{environment}"),
        ann.post(f"/api/v1/environments/{environment}/extend", {"ttl_hours": 2}),
    ]

    assert [answer.status for answer in answers] == [404] * 5
    assert world.everything() == before


def test_lists_skip_it_and_what_is_counted_is_right(
    ann: Client, project: ProjectId, gone: tuple[EnvironmentId, DeploymentId]
) -> None:
    living = world.environment(project, ann.principal, "living")

    listed = ann.get(f"/api/v1/environments/projects/{project}", include="ended")
    deployments = ann.get(f"/api/v1/projects/{project}/deployments")

    assert [each["id"] for each in listed.json] == [str(living)]
    assert deployments.json == []
    assert ann.get("/api/v1/deployments").json == []
    counted = [item["environments"] for item in world.everything() if "protections" in item]
    assert counted in ([], [{"N": "1"}])
    # The name can be used again, and the project can be deleted once it is empty.
    assert world.environment(project, ann.principal, "gone")
