"""Administrators list users, change their roles, disable, enable and delete them."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.aws import template_bodies
from slipway.store import account_records
from tests.support.api import members
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.registering import ME, USERS, administrator, set_parameters, user
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture
def ann(root: Client) -> Client:
    return user("ann@example.com")


def test_users_are_listed_newest_first(root: Client, ann: Client) -> None:
    bob = user("bob@example.com", "publisher")

    page = root.get(USERS, limit=2)
    more = root.send("GET", USERS, query=page.headers["link"].split("?")[1].split(">")[0])

    found = page.json + more.json
    assert [each["id"] for each in found] == [bob.user_id, ann.user_id, root.user_id]
    assert [each["platform_role"] for each in found] == ["publisher", "member", "admin"]
    assert found[1] == root.get(f"{USERS}/{ann.user_id}").json == ann.get(ME).json


def test_a_role_is_changed_and_shown_everywhere(root: Client, ann: Client) -> None:
    answer = root.patch(f"{USERS}/{ann.user_id}", {"platform_role": "publisher"})

    assert answer.status == 200
    assert answer.json["platform_role"] == "publisher"
    assert ann.get(ME).json == answer.json
    assert answer.json in root.get(USERS).json


def test_a_change_of_nothing_writes_nothing(root: Client, ann: Client) -> None:
    with nothing_changes():
        answer = root.patch(f"{USERS}/{ann.user_id}", {"platform_role": "member"})

    assert answer.status == 200


def test_a_change_honours_if_match(root: Client, ann: Client) -> None:
    path = f"{USERS}/{ann.user_id}"
    seen = root.get(path).headers["etag"]
    root.patch(path, {"platform_role": "publisher"})

    stale = root.with_headers(if_match=seen).patch(path, {"platform_role": "admin"})
    fresh = root.with_headers(if_match=root.get(path).headers["etag"])

    assert_refused(stale, 412, "precondition_failed")
    assert fresh.patch(path, {"platform_role": "admin"}).status == 200


def test_a_disabled_user_is_shown_as_disabled_until_enabled(root: Client, ann: Client) -> None:
    disabled = root.post(f"{USERS}/{ann.user_id}/disable")
    again = root.post(f"{USERS}/{ann.user_id}/disable")
    enabled = root.post(f"{USERS}/{ann.user_id}/enable")

    assert [each.json["status"] for each in (disabled, again, enabled)] == [
        *("disabled", "disabled", "active")
    ]


def test_a_change_says_who_made_it(root: Client, ann: Client) -> None:
    root.post(f"{USERS}/{ann.user_id}/disable")

    [account] = [each for each in world.everything() if each["pk"]["S"] == f"ACCOUNT#{ann.user_id}"]
    change = account["change"]["M"]
    assert (change["action"]["S"], change["actor"]["S"]) == ("disabled", root.user_id)


# --- the last administrator -----------------------------------------------------------------

LESS: dict[str, Any] = {
    "demoted": lambda caller, id_: caller.patch(f"{USERS}/{id_}", {"platform_role": "member"}),
    "disabled": lambda caller, id_: caller.post(f"{USERS}/{id_}/disable"),
}


@pytest.mark.parametrize("way", LESS)
def test_the_last_administrator_stays(root: Client, way: str) -> None:
    with nothing_changes():
        answer = LESS[way](root, root.user_id)

    assert_refused(answer, 409, "last_administrator")


@pytest.mark.parametrize("way", LESS)
def test_one_of_two_administrators_may_go(root: Client, way: str) -> None:
    other = administrator("other@example.com")

    assert LESS[way](root, other.user_id).status == 200
    assert account_records.administrators() == 1
    assert_refused(LESS[way](root, root.user_id), 409, "last_administrator")


@pytest.mark.parametrize("way", LESS)
def test_two_administrators_cannot_remove_each_other_at_once(
    root: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    other = administrator("other@example.com")
    answers: list[Answer] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: answers.append(LESS[way](other, root.user_id)),
    )

    answers.append(LESS[way](root, other.user_id))

    assert answers[0].status == 200
    assert answers[1].status in (401, 409), answers[1].json
    assert account_records.administrators() == 1


def test_an_administrator_counts_again_when_enabled(root: Client) -> None:
    other = administrator("other@example.com")
    for way in ("disable", "disable", "enable", "enable"):
        root.post(f"{USERS}/{other.user_id}/{way}")

    assert account_records.administrators() == 2


# --- deleting -------------------------------------------------------------------------------


def test_a_disabled_user_without_projects_can_be_deleted(root: Client, ann: Client) -> None:
    root.post(f"{USERS}/{ann.user_id}/disable")

    assert root.delete(f"{USERS}/{ann.user_id}").status == 204
    assert_refused(root.get(f"{USERS}/{ann.user_id}"), 404, "not_found")
    assert [each["id"] for each in root.get(USERS).json] == [root.user_id]
    # The address can be registered again.
    assert user("ann@example.com").user_id != ann.user_id


def test_an_active_user_cannot_be_deleted(root: Client, ann: Client) -> None:
    with nothing_changes():
        answer = root.delete(f"{USERS}/{ann.user_id}")

    assert_refused(answer, 409, "user_active")


def test_a_user_with_projects_cannot_be_deleted(root: Client, ann: Client) -> None:
    world.project(ann.principal)
    root.post(f"{USERS}/{ann.user_id}/disable")

    with nothing_changes():
        answer = root.delete(f"{USERS}/{ann.user_id}")

    assert_refused(answer, 409, "user_not_empty")
    assert [each["name"] for each in answer.json["projects"]] == ["payments"]


def test_a_deleted_user_leaves_all_projects(root: Client, ann: Client) -> None:
    bob = user("bob@example.com")
    held = [world.project(bob.principal, name) for name in ("payments", "orders")]
    for project in held:
        members.add(bob, project, "ann@example.com", "owner")
    root.post(f"{USERS}/{ann.user_id}/disable")

    assert root.delete(f"{USERS}/{ann.user_id}").status == 204

    for project in held:
        assert members.roles(bob, project) == {"bob@example.com": "owner"}
        members.assert_sound(project)


@pytest.mark.parametrize("role", ["none", "viewer", "owner"])
def test_the_projects_of_a_disabled_user_are_handed_over(
    root: Client, ann: Client, role: str
) -> None:
    bob = user("bob@example.com")
    project = world.project(ann.principal)
    if role != "none":
        members.add(ann, project, "bob@example.com", role)
    root.post(f"{USERS}/{ann.user_id}/disable")
    path, to = f"{USERS}/{ann.user_id}/hand-over", {"user_id": bob.user_id}

    assert [root.post(path, to).status for _ in range(2)] == [204, 204]

    assert members.roles(bob, project) == {"bob@example.com": "owner"}
    assert (members.used(ann.user_id), members.used(bob.user_id)) == (0, 1)
    members.assert_sound(project)
    assert root.delete(f"{USERS}/{ann.user_id}").status == 204


def test_projects_are_handed_over_by_administrators_from_the_disabled_to_the_active(
    root: Client, ann: Client
) -> None:
    bob = user("bob@example.com")
    world.project(ann.principal)
    path = f"{USERS}/{ann.user_id}/hand-over"

    active = root.post(path, {"user_id": bob.user_id})
    root.post(f"{USERS}/{ann.user_id}/disable")
    with nothing_changes():
        stranger = bob.post(path, {"user_id": bob.user_id})
        oneself = root.post(path, {"user_id": ann.user_id})
        nobody = root.post(path, {"user_id": "usr_01kaq3h5x0c2m9f7r4tz"})
    world.project(bob.principal)
    with nothing_changes():
        taken = root.post(path, {"user_id": bob.user_id})

    assert_refused(active, 409, "user_active")
    assert_refused(stranger, 403, "forbidden")
    assert_refused(oneself, 422, "invalid_request", "#/user_id")
    assert_refused(nobody, 409, "user_disabled")
    assert_refused(taken, 409, "name_taken")


def test_a_user_who_is_enabled_meanwhile_is_not_deleted(
    root: Client, ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.post(f"{USERS}/{ann.user_id}/disable")
    between.first(
        monkeypatch, "TransactWriteItems", lambda: root.post(f"{USERS}/{ann.user_id}/enable")
    )

    assert_refused(root.delete(f"{USERS}/{ann.user_id}"), 429, "busy")
    assert root.get(f"{USERS}/{ann.user_id}").json["status"] == "active"


def test_a_user_reads_the_own_account(root: Client, ann: Client) -> None:
    answer = ann.get(f"{USERS}/{ann.user_id}")

    assert (answer.status, answer.json) == (200, ann.get(ME).json)


def test_users_who_share_a_project_see_little_of_each_other(root: Client, ann: Client) -> None:
    bob = user("bob@example.com")
    project = world.project(bob.principal)
    path = f"{USERS}/{bob.user_id}"
    before = ann.get(path)
    members.add(bob, project, "ann@example.com", "viewer")

    assert_refused(before, 404, "not_found")
    assert ann.get(path).json == {"id": bob.user_id, "email": "bob@example.com"}
    assert bob.get(f"{USERS}/{ann.user_id}").json == {
        "id": ann.user_id,
        "email": "ann@example.com",
    }
    # An administrator is a stranger, too, and one who leaves sees no more.
    assert_refused(ann.get(f"{USERS}/{root.user_id}"), 404, "not_found")
    ann.post(f"/api/v1/projects/{project}/leave")
    assert_refused(ann.get(path), 404, "not_found")


# --- who may --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["member", "publisher"])
def test_only_administrators_see_and_change_users(root: Client, role: str) -> None:
    caller = user("eve@example.com", role)
    path = f"{USERS}/{root.user_id}"

    with nothing_changes():
        answers = [
            caller.get(USERS),
            caller.patch(f"{USERS}/{caller.user_id}", {"platform_role": "admin"}),
            caller.post(f"{path}/disable"),
            caller.post(f"{USERS}/{caller.user_id}/enable"),
            caller.delete(path),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")


@pytest.mark.parametrize("id_", ["usr_01kaq3h5x0c2m9f7r4tz", "ALL", "usr_", "ann@example.com"])
def test_an_unknown_user_is_not_found(root: Client, id_: str) -> None:
    for answer in (
        root.get(f"{USERS}/{id_}"),
        root.patch(f"{USERS}/{id_}", {"platform_role": "member"}),
        root.post(f"{USERS}/{id_}/disable"),
        root.delete(f"{USERS}/{id_}"),
    ):
        assert_refused(answer, 404, "not_found")


def test_only_publishers_and_administrators_create_templates(
    root: Client, ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_parameters(monkeypatch, MEMBERS_MAY_PUBLISH="false")

    with nothing_changes():
        refused = ann.post("/api/v1/templates", {"name": "web"})
    root.patch(f"{USERS}/{ann.user_id}", {"platform_role": "publisher"})

    assert_refused(refused, 403, "forbidden")
    assert "publisher" in refused.json["detail"]
    assert ann.post("/api/v1/templates", {"name": "web"}).status == 201
    assert root.post("/api/v1/templates", {"name": "worker"}).status == 201


def test_a_publisher_who_became_a_member_publishes_nothing_any_more(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_parameters(monkeypatch, MEMBERS_MAY_PUBLISH="false")
    monkeypatch.setattr(template_bodies, "validate", lambda key: None)
    pat = user("pat@example.com", "publisher")
    body, media = "Resources: {Jobs: {Type: AWS::SQS::Queue}}", "application/yaml"
    versions = "/api/v1/templates/web/versions"
    pat.post("/api/v1/templates", {"name": "web"})
    assert pat.send("POST", versions, body, media=media).status == 201
    root.patch(f"{USERS}/{pat.user_id}", {"platform_role": "member"})

    with nothing_changes():
        answers = [
            pat.send("POST", versions, body, media=media),
            pat.send("PUT", f"{versions}/1.0", body, media=media),
            pat.post(f"{versions}/1.0/publish"),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")
