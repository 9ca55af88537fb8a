"""/environments/{id}/extend, /touch, /pin and /unpin over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from slipway.domain.ids import EnvironmentId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.store import world

HOUR = timedelta(hours=1)


@pytest.fixture
def here(environment: EnvironmentId) -> str:
    return f"/api/v1/environments/{environment}"


def test_a_lease_is_extended(ann: Client, here: str) -> None:
    before = datetime.fromisoformat(ann.get(here).json["expires_at"])

    answer = ann.post(f"{here}/extend", {"ttl_hours": 48.5})

    assert (answer.status, answer.headers["etag"]) == (200, '"3"')
    after = datetime.fromisoformat(answer.json["expires_at"])
    assert abs(after - before - 24.5 * HOUR) < timedelta(minutes=1)
    assert ann.get(here).json == answer.json


@pytest.mark.parametrize("hours", [721, 1e9, 10**30, 1e308])
def test_an_extension_past_the_policy_is_refused_with_the_latest_end(
    ann: Client, here: str, hours: float
) -> None:
    with nothing_changes():
        answer = ann.post(f"{here}/extend", {"ttl_hours": hours})

    assert_refused(answer, 422, "ttl_exceeds_policy", "#/ttl_hours")
    assert answer.json["max_expires_at"] == ann.get(here).json["max_expires_at"]


def test_an_environment_is_pinned_and_unpinned(ann: Client, here: str) -> None:
    pinned = ann.post(f"{here}/pin", {"reason": "  demo on Friday "})
    again = ann.post(f"{here}/pin", {"reason": "another"})
    refused = ann.post(f"{here}/extend", {"ttl_hours": 48})
    unpinned = ann.post(f"{here}/unpin")

    assert (pinned.status, again.status, unpinned.status) == (200, 200, 200)
    assert pinned.json["pinned"]["reason"] == "demo on Friday"
    assert pinned.json["pinned"]["by"]["id"] == ann.user_id
    assert (pinned.json["expires_at"], again.json) == (None, pinned.json)
    assert_refused(refused, 409, "no_lease")
    assert (unpinned.json["pinned"], unpinned.json["expires_at"] is None) == (None, False)


def test_a_touch_is_only_for_idle_leases(ann: Client, here: str) -> None:
    with nothing_changes():
        absolute = ann.post(f"{here}/touch")
    policy = {"expiry_mode": "idle", "default_ttl_hours": 4}
    project = world.project(ann.principal, "idle", policy=policy)
    idle = world.environment(project, ann.principal)

    answer = ann.send("POST", f"/api/v1/environments/{idle}/touch")

    assert_refused(absolute, 409, "no_lease")
    assert (answer.status, answer.json["expiry_mode"]) == (200, "idle")


def test_the_lease_of_an_environment_that_goes_cannot_be_changed(ann: Client, here: str) -> None:
    ann.delete(here)

    with nothing_changes():
        answers = [
            ann.post(f"{here}/extend", {"ttl_hours": 48}),
            ann.post(f"{here}/pin", {"reason": "demo"}),
        ]

    for answer in answers:
        assert_refused(answer, 409, "environment_going")
        assert answer.json["environment_status"] == "tearing_down"


def test_a_policy_is_a_part_of_its_project(ann: Client) -> None:
    made = ann.post(
        "/api/v1/projects", {"name": "x", "policy": {"max_ttl_hours": 72, "expiry_mode": "idle"}}
    )

    path = made.headers["location"]
    assert made.json["policy"]["max_ttl_hours"] == 72
    assert made.json["policy"]["expiry_mode"] == "idle"
    assert ann.get(path).json == made.json
    assert ann.patch(path, {"policy": None}).json["policy"] is None


def test_warnings_of_the_end_follow_the_policy(ann: Client) -> None:
    policy = {"warn_before_hours": [48, 2, 0.5]}
    project = ann.post("/api/v1/projects", {"name": "x", "policy": policy}).json

    made = ann.post(
        f"/api/v1/environments/projects/{project['id']}", {"name": "x", "type": "ephemeral"}
    ).json
    extended = ann.post(f"/api/v1/environments/{made['id']}/extend", {"ttl_hours": 72}).json

    assert project["policy"]["warn_before_hours"] == [48, 2, 0.5]
    for shown, hours in ((made, 2), (extended, 48)):
        ends, warned = (
            datetime.fromisoformat(shown[name]) for name in ("expires_at", "next_warning_at")
        )
        assert ends - warned == hours * HOUR
    ann.delete(f"/api/v1/environments/{made['id']}")
    assert ann.get(f"/api/v1/environments/{made['id']}").json["next_warning_at"] is None
