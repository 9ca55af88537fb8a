"""/environments over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.store import world
from tests.support.store.records import overdue

ENVIRONMENTS = "/api/v1/environments"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_an_environment_is_created_and_found(ann: Client, project: ProjectId) -> None:
    made = ann.post(
        f"{ENVIRONMENTS}/projects/{project}",
        {"name": "preview-pr-123", "type": "ephemeral", "ttl_hours": 24},
    )

    assert made.status == 201
    assert made.headers["location"] == f"{ENVIRONMENTS}/{made.json['id']}"
    assert made.headers["etag"] == '"1"'
    assert (made.json["status"], made.json["ttl_hours"]) == ("provisioning", 24)
    assert (made.json["base_url"], made.json["config"]) == (None, None)
    found = ann.get(made.headers["location"])
    assert (found.status, found.json) == (200, made.json)


@pytest.mark.parametrize(
    "hours,seconds", [(0.002, 7.2), (0.5, 1800), (720, 2_592_000), (1e-6, 0.004)]
)
def test_an_environment_ends_after_ttl_hours(
    ann: Client, project: ProjectId, hours: float, seconds: float
) -> None:
    made = ann.post(
        f"{ENVIRONMENTS}/projects/{project}",
        {"name": "preview", "type": "ephemeral", "ttl_hours": hours},
    ).json

    assert moment(made["expires_at"]) - moment(made["created_at"]) == timedelta(seconds=seconds)


def test_an_environment_lives_a_day_by_default(ann: Client, project: ProjectId) -> None:
    here = f"{ENVIRONMENTS}/projects/{project}"

    said_nothing = ann.post(here, {"name": "a", "type": "ephemeral"}).json
    said_null = ann.post(here, {"name": "b", "type": "ephemeral", "ttl_hours": None}).json

    assert (said_nothing["ttl_hours"], said_null["ttl_hours"]) == (24, 24)


def test_a_persistent_environment_has_no_end(ann: Client, project: ProjectId) -> None:
    made = ann.post(
        f"{ENVIRONMENTS}/projects/{project}",
        {"name": "prod", "type": "persistent", "config": {"region": "eu", "n": [1.5, None]}},
    )

    assert (made.status, made.json["ttl_hours"], made.json["expires_at"]) == (201, None, None)
    assert made.json["config"] == {"region": "eu", "n": [1.5, None]}


def test_an_environment_shows_its_execution(ann: Client, environment: EnvironmentId) -> None:
    shown = ann.get(f"{ENVIRONMENTS}/{environment}").json

    assert shown["execution_arn"].endswith(f"execution:slipway-provision_environment:{environment}")
    assert shown["execution_url"].startswith("https://eu-central-1.console.aws.amazon.com/states/")
    assert shown["execution_url"].endswith(shown["execution_arn"])


def test_a_running_environment_shows_its_url(ann: Client, environment: EnvironmentId) -> None:
    shown = ann.get(f"{ENVIRONMENTS}/{environment}").json

    assert (shown["status"], shown["base_url"]) == ("running", "https://preview.example.com")


def test_a_list_has_the_environments_of_one_project(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    other = world.project(ann.principal, "other")
    world.environment(other, ann.principal)

    listed = ann.get(f"{ENVIRONMENTS}/projects/{project}").json

    assert [each["id"] for each in listed] == [str(environment)]


def test_a_name_in_use_is_a_conflict(ann: Client, environment: EnvironmentId) -> None:
    with nothing_changes():
        answer = ann.post(
            f"{ENVIRONMENTS}/projects/{environment.project}",
            {"name": "PREVIEW", "type": "persistent"},
        )

    assert_refused(answer, 409, "name_taken")


def test_an_overdue_environment_is_never_shown_running(
    ann: Client, environment: EnvironmentId
) -> None:
    overdue(environment)

    alone = ann.get(f"{ENVIRONMENTS}/{environment}").json
    [listed] = ann.get(f"{ENVIRONMENTS}/projects/{environment.project}").json

    assert (alone["status"], listed["status"]) == ("expiring", "expiring")


def test_giving_back_begins_at_once_and_may_be_repeated(
    ann: Client, environment: EnvironmentId
) -> None:
    answer = ann.delete(f"{ENVIRONMENTS}/{environment}")

    assert (answer.status, answer.json["status"]) == (202, "tearing_down")
    assert answer.json["execution_arn"].endswith(f":slipway-retire_environment:{environment}")
    with nothing_changes():
        again = ann.delete(f"{ENVIRONMENTS}/{environment}")
    assert (again.status, again.json) == (202, answer.json)


def test_a_destroyed_environment_stays_readable(ann: Client, environment: EnvironmentId) -> None:
    ann.delete(f"{ENVIRONMENTS}/{environment}")
    world.is_destroyed(environment)

    shown = ann.get(f"{ENVIRONMENTS}/{environment}")

    assert (shown.status, shown.json["status"]) == (200, "destroyed")
    assert ann.delete(f"{ENVIRONMENTS}/{environment}").json["status"] == "destroyed"


def test_the_environment_of_another_user_is_not_found(
    bob: Client, environment: EnvironmentId
) -> None:
    own = world.project(bob.principal)
    forged = EnvironmentId(own.p, environment.e)
    new = {"name": "x", "type": "persistent"}
    with nothing_changes():
        answers = [
            bob.get(f"{ENVIRONMENTS}/{environment}"),
            bob.get(f"{ENVIRONMENTS}/{forged}"),
            bob.delete(f"{ENVIRONMENTS}/{environment}"),
            bob.delete(f"{ENVIRONMENTS}/{forged}"),
            bob.get(f"{ENVIRONMENTS}/projects/{environment.project}"),
            bob.post(f"{ENVIRONMENTS}/projects/{environment.project}", new),
        ]

    for answer in answers:
        assert_refused(answer, 404, "not_found")
