"""What a user has in use of each quota."""

from __future__ import annotations

import pytest

from slipway.settings import limits
from slipway.store import quota_records, table
from slipway.store.table import Put, Update
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client
from tests.support.api.people import joins, signed_in
from tests.support.api.registering import administrator
from tests.support.store import world


def quotas(caller: Client, user_id: str) -> dict[str, tuple[int, int]]:
    """In use and allowed, by the quota's name."""
    answer = caller.get(f"/api/v1/users/{user_id}/quotas")
    assert answer.status == 200
    return {each["name"]: (each["used"], each["limit"]) for each in answer.json["quotas"]}


def test_each_quota_counts_what_has_not_ended(ann: Client) -> None:
    nothing = {name: used for name, (used, _) in quotas(ann, ann.user_id).items()}
    assert nothing == dict.fromkeys(("projects", "templates", "environments", "deployments"), 0)

    made = ann.post("/api/v1/projects", {"name": "payments"}).json["id"]
    ann.post("/api/v1/templates", {"name": "web"})
    body = {"name": "preview", "type": "ephemeral"}
    environment = ann.post(f"/api/v1/projects/{made}/environments", body).json["id"]
    ann.post(f"/api/v1/environments/{environment}/deployments", {"version": "v1"})

    assert quotas(ann, ann.user_id) == {
        "projects": (1, limits().projects_per_user),
        "templates": (1, limits().templates_per_user),
        "environments": (1, limits().environments_per_user),
        "deployments": (1, limits().deployments_per_user),
    }


def test_administrators_see_everyones(ann: Client) -> None:
    ann.post("/api/v1/projects", {"name": "payments"})

    assert quotas(administrator(), ann.user_id)["projects"][0] == 1


def test_nobody_else_sees_them(ann: Client) -> None:
    bob = signed_in("bob@example.com")
    joins(world.project(ann.principal), bob, "maintainer")

    for user_id in (ann.user_id, "usr_01kaq3h5x0c2m9f7r4tz", "usr_x"):
        assert_refused(bob.get(f"/api/v1/users/{user_id}/quotas"), 404, "not_found")


def test_more_than_a_page_of_slots_is_counted(ann: Client) -> None:
    for number in range(1005):
        key = quota_records.slot(ann.user_id, quota_records.DEPLOYMENT, f"{number:06d}")
        table.write(Put(key, {"holder": "dep_x"}))

    assert quotas(ann, ann.user_id)["deployments"][0] == 1005


@pytest.mark.parametrize("used", [-1, 0])
def test_a_counter_that_is_wrong_is_never_shown_below_zero(ann: Client, used: int) -> None:
    counter = quota_records.projects_of(ann.user_id)
    table.write(Update(counter, "SET used = :used, made = :used", {"used": used}, condition=""))

    assert quotas(ann, ann.user_id)["projects"][0] == 0
