"""`GET /environments/{id}/metrics`: how an environment's own functions do, per deployment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway import aws
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import DriverFault
from slipway.services import known_secrets, rollouts
from slipway.settings import limits
from slipway.store import deployment_records, rates, table
from slipway.store.table import Update
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client
from tests.support.api.people import joins
from tests.support.cloudwatch import CloudWatch
from tests.support.store import world

STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/slipway-env-x/1"
NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def cloud(environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    """The environment has a stack with two functions, `Web` and `Worker`."""
    world.is_of_a_template(environment)
    world.becomes(environment, "running", stack_id=STACK)
    known_secrets.forget()
    made = CloudWatch(str(environment), int(NOW.timestamp() * 1000))
    made.add_function("Web")
    made.add_function("Worker")
    monkeypatch.setattr(aws, "call", made.call)
    monkeypatch.setattr("slipway.services.runtime_metrics.timestamps.now", lambda: NOW)
    return made


@pytest.fixture
def path(environment: EnvironmentId) -> str:
    return f"/api/v1/environments/{environment}/metrics"


def live(environment: EnvironmentId, ann: Client, version: str, ago: timedelta) -> DeploymentId:
    """A deployment that went live so long ago."""
    made = world.deployment(environment, ann.principal, version)
    rollouts.acquire_next(environment)
    world.succeeds(made)
    at = (NOW - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    change = Update(deployment_records.key(made), "SET finished_at = :at", {"at": at})
    table.write(change)
    return made


def test_each_deployment_has_what_was_counted_while_it_was_live(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    before = live(environment, ann, "v1", timedelta(hours=2))
    now = live(environment, ann, "v2", timedelta(minutes=10, seconds=30))
    for n in range(100):
        cloud.invoke("Web", NOW - timedelta(minutes=5), float(n), error=n % 10 == 0)
    cloud.invoke("Worker", NOW - timedelta(minutes=5), 1000.0)
    cloud.invoke("Web", NOW - timedelta(hours=1), 7.0, error=True)

    newest, older = ann.get(path).json["deployments"]

    assert (newest["deployment_id"], newest["version"]) == (str(now), "v2")
    assert (newest["invocations"], newest["errors"]) == (101, 10)
    assert newest["until"] is None
    assert newest["measured_minutes"] == 11
    web, worker = newest["sources"]
    assert (web["source"], web["duration_p50_ms"], web["duration_p95_ms"]) == ("Web", 50.0, 94.0)
    assert worker["duration_p95_ms"] == newest["duration_p95_ms"] == 1000.0
    assert (older["deployment_id"], older["until"]) == (str(before), "2026-11-23T11:50:00.000Z")
    assert (older["invocations"], older["errors"], older["duration_p50_ms"]) == (1, 1, 7.0)


def test_a_minute_in_which_two_were_live_counts_for_neither(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    live(environment, ann, "v1", timedelta(hours=2))
    live(environment, ann, "v2", timedelta(minutes=10, seconds=10))  # at 11:50:20
    for minute in (49, 50, 51):
        cloud.invoke("Web", datetime(2026, 11, 23, 11, minute, 40, tzinfo=UTC), 1.0)

    newest, older = ann.get(path).json["deployments"]

    assert (newest["since"], newest["invocations"]) == ("2026-11-23T11:51:00.000Z", 1)
    assert older["invocations"] == 1


def test_a_deployment_that_has_just_gone_live_has_nothing_measured(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    live(environment, ann, "v1", timedelta(seconds=10))

    [newest] = ann.get(path).json["deployments"]

    assert (newest["measured_minutes"], newest["invocations"]) == (0, 0)
    assert newest["duration_p95_ms"] is None


def test_the_newest_minutes_tell_of_all_functions(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    cloud.invoke("Web", NOW - timedelta(minutes=2), 1.0, error=True)
    cloud.invoke("Worker", NOW - timedelta(minutes=2), 1.0)
    cloud.invoke("Web", NOW - timedelta(hours=1), 1.0)

    both, one = ann.get(path).json["minutes"], ann.get(path, source="Worker").json["minutes"]

    assert len(both) == 15
    assert both[-3] == {"at": "2026-11-23T11:58:00.000Z", "invocations": 2, "errors": 1}
    assert sum(each["invocations"] for each in both) == 2
    assert sum(each["invocations"] for each in one) == 1


def test_only_the_newest_day_is_measured(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    live(environment, ann, "v1", timedelta(days=40))
    live(environment, ann, "v2", timedelta(days=30))

    answer = ann.get(path, deployments=5)

    [newest] = answer.json["deployments"]
    assert newest["measured_minutes"] == 24 * 60
    periods = [
        query["MetricStat"]["Period"] for each in cloud.asked for query in each["MetricDataQueries"]
    ]
    assert max(periods) == 86_400 and all(each % 60 == 0 for each in periods)


def test_a_simulated_environment_has_no_functions(ann: Client, environment: EnvironmentId) -> None:
    live(environment, ann, "v1", timedelta(0))

    answer = ann.get(f"/api/v1/environments/{environment}/metrics")

    assert answer.status == 200
    assert [each["invocations"] for each in answer.json["deployments"]] == [0]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"deployments": "0"}, "?deployments"),
        ({"deployments": "6"}, "?deployments"),
        ({"source": "Api"}, "?source"),
        ({"minutes": "5"}, "?minutes"),
    ],
)
def test_what_the_query_cannot_mean_is_refused(
    ann: Client, cloud: CloudWatch, path: str, query: dict[str, str], pointer: str
) -> None:
    assert_refused(ann.get(path, **query), 422, "invalid_request", pointer)
    assert cloud.asked == []


@pytest.mark.parametrize("role", ["viewer", "deployer", "maintainer"])
def test_every_member_may_read_them_and_nobody_else(
    role: Any, bob: Client, nobody: Client, project: ProjectId, cloud: CloudWatch, path: str
) -> None:
    assert_refused(bob.get(path), 404, "not_found")
    assert_refused(nobody.get(path), 401, "token_missing")
    joins(project, bob, role)
    assert bob.get(path).status == 200


def test_each_metric_counts_as_a_request_of_the_caller(
    ann: Client,
    cloud: CloudWatch,
    path: str,
    environment: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live(environment, ann, "v1", timedelta(hours=1))
    few = limits()._replace(requests_per_minute=60)
    monkeypatch.setattr(rates, "limits", lambda: few)
    rates.forget()

    answers = [ann.get(path) for _ in range(20)]

    served = [each for each in answers if each.status == 200]
    # Two functions with two metrics, and two for the deployment.
    assert 60 // 9 <= len(served) <= 60 // 9 + 3
    assert_refused(answers[-1], 429, "too_many_requests")


def test_a_fault_of_cloudwatch_is_a_503(
    ann: Client, cloud: CloudWatch, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> None:
        raise DriverFault("InternalServiceFault: role arn:aws:iam::123456789012:role/x")

    monkeypatch.setattr(cloud, "_get_metric_data", fails)

    answer = ann.get(path)

    assert_refused(answer, 503, "driver_fault")
    assert "123456789012" not in answer.text
