"""/deployments over HTTP."""

from __future__ import annotations

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store import log_records
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import HOST, Client
from tests.support.store import world

DEPLOYMENTS = "/api/v1/deployments"
AT = "2026-11-23T01:02:0{}.456Z"


def test_a_version_is_deployed_and_found(ann: Client, environment: EnvironmentId) -> None:
    made = ann.post(f"{DEPLOYMENTS}/environments/{environment}", {"version": "sha-1234567"})

    assert made.status == 201
    assert made.headers["location"] == f"{DEPLOYMENTS}/{made.json['id']}"
    assert (made.json["status"], made.json["version"]) == ("pending", "sha-1234567")
    assert made.json["environment_id"] == str(environment)
    found = ann.get(made.headers["location"])
    assert (found.status, found.json) == (200, made.json)
    assert found.headers["etag"] == made.headers["etag"]


def test_a_deployment_shows_its_execution(ann: Client, deployment: DeploymentId) -> None:
    shown = ann.get(f"{DEPLOYMENTS}/{deployment}").json

    assert shown["execution_arn"].endswith(f":slipway-roll_out_deployment:{deployment}")
    assert shown["execution_url"].endswith(shown["execution_arn"])


def test_the_url_of_the_log_is_absolute_and_works(ann: Client, deployment: DeploymentId) -> None:
    log_records.write(deployment, "ship", AT.format(1), "shipping")
    [listed] = ann.get(f"{DEPLOYMENTS}/environments/{deployment.environment}").json

    url = ann.get(f"{DEPLOYMENTS}/{deployment}").json["logs_url"]

    assert url == listed["logs_url"] == f"https://{HOST}{DEPLOYMENTS}/{deployment}/logs"
    assert ann.get(url.removeprefix(f"https://{HOST}")).json == [
        {"ts": AT.format(1), "step": "ship", "level": "info", "message": "shipping"}
    ]


def test_a_log_can_be_followed(ann: Client, deployment: DeploymentId) -> None:
    log_records.write(deployment, "ship", AT.format(1), "one", "two")
    here = f"{DEPLOYMENTS}/{deployment}/logs"

    first = ann.get(here)
    more = first.headers["link"].removeprefix(f"<https://{HOST}").removesuffix('>; rel="next"')
    path, _, query = more.partition("?")
    nothing_yet = ann.send("GET", path, query=query)
    log_records.write(deployment, "ship", AT.format(2), "three")
    third = ann.send("GET", path, query=query)

    assert [line["message"] for line in first.json] == ["one", "two"]
    assert nothing_yet.json == []
    assert nothing_yet.headers["link"] == first.headers["link"]
    assert [line["message"] for line in third.json] == ["three"]


def test_deployments_wait_in_the_order_they_were_accepted(
    ann: Client, environment: EnvironmentId
) -> None:
    here = f"{DEPLOYMENTS}/environments/{environment}"

    made = [ann.post(here, {"version": f"v{n}"}).json["id"] for n in range(10)]

    assert made == sorted(made)
    assert [each["id"] for each in ann.get(here).json] == made[::-1]


def test_a_deployment_may_wait_for_an_environment_that_is_being_made(
    ann: Client, project: ProjectId
) -> None:
    coming = world.environment(project, ann.principal)

    made = ann.post(f"{DEPLOYMENTS}/environments/{coming}", {"version": "v1"})

    assert (made.status, made.json["status"]) == (201, "pending")


@pytest.mark.parametrize(
    "status", ["failed", "expiring", "tearing_down", "destroyed", "teardown_failed"]
)
def test_deploying_to_an_environment_that_failed_or_goes_is_a_conflict(
    ann: Client, environment: EnvironmentId, status: str
) -> None:
    world.becomes(environment, status)  # type: ignore[arg-type]

    with nothing_changes():
        answer = ann.post(f"{DEPLOYMENTS}/environments/{environment}", {"version": "v1"})

    assert_refused(answer, 409, "environment_not_ready")
    assert answer.json["environment_status"] == status


def test_the_deployment_of_another_user_is_not_found(
    ann: Client, bob: Client, deployment: DeploymentId
) -> None:
    own = world.environment(world.project(bob.principal), bob.principal)
    log_records.write(deployment, "ship", AT.format(1), "secret")
    with nothing_changes():
        answers = [
            bob.get(f"{DEPLOYMENTS}/{deployment}"),
            bob.get(f"{DEPLOYMENTS}/{deployment}/logs"),
            bob.get(f"{DEPLOYMENTS}/environments/{deployment.environment}"),
            bob.post(f"{DEPLOYMENTS}/environments/{deployment.environment}", {"version": "v1"}),
            bob.get(f"{DEPLOYMENTS}/{DeploymentId(own.p, deployment.e, deployment.d)}"),
            bob.get(f"{DEPLOYMENTS}/{DeploymentId(own.p, deployment.e, deployment.d)}/logs"),
            bob.get(f"{DEPLOYMENTS}/{DeploymentId(own.p, own.e, deployment.d)}/logs"),
        ]

    for answer in answers:
        assert_refused(answer, 404, "not_found")
