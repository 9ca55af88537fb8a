"""Members of a project: who joins, what a role gives and takes, who leaves, who owns."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain.ids import ProjectId
from slipway.settings import limits
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.members import (
    add,
    has_seats,
    is_disabled,
    is_of_an_earlier_release,
    members_of,
    roles,
    used,
)
from tests.support.api.registering import user
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws")
NOBODY = "usr_01kaq3h5x0c2m9f7r4tz"
PROJECTS = "/api/v1/projects"


@pytest.fixture
def ann(environ: None) -> Client:
    return user("ann@example.com")


@pytest.fixture
def bob(environ: None) -> Client:
    return user("bob@example.com")


@pytest.fixture
def eve(environ: None) -> Client:
    return user("eve@example.com")


@pytest.fixture
def project(ann: Client) -> ProjectId:
    return world.project(ann.principal)


def member(caller: Client, project: ProjectId, who: Client) -> Any:
    return caller.get(f"{members_of(project)}/{who.user_id}").json


# --- joining ----------------------------------------------------------------------------------


def test_a_project_has_its_creator_as_its_owner(ann: Client, project: ProjectId) -> None:
    [found] = ann.get(members_of(project)).json

    assert (found["user_id"], found["email"]) == (ann.user_id, "ann@example.com")
    assert (found["role"], found["status"]) == ("owner", "active")


def test_a_user_joins_at_once_and_sees_the_project(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    answer = add(ann, project, "Bob@Example.com", "deployer", production="viewer")

    assert answer.status == 201
    assert answer.headers["location"] == f"{members_of(project)}/{bob.user_id}"
    assert answer.json["user_id"] == bob.user_id
    assert answer.json["overrides"] == {"production": "viewer"}
    assert answer.json["invitation"] is None
    author = {"id": ann.user_id, "kind": "user", "name": "ann@example.com"}
    assert answer.json["added_by"] == author
    assert bob.get(PROJECTS).json == ann.get(PROJECTS).json
    assert bob.get(f"{PROJECTS}/{project}").status == 200
    assert bob.get(members_of(project)).json == ann.get(members_of(project)).json
    assert roles(bob, project) == {"ann@example.com": "owner", "bob@example.com": "deployer"}


def test_a_stranger_sees_nothing(ann: Client, bob: Client, eve: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "viewer")
    path = members_of(project)

    with nothing_changes():
        answers = [
            eve.get(path),
            eve.post(path, {"email": "eve@example.com", "role": "owner"}),
            eve.get(f"{path}/{bob.user_id}"),
            eve.patch(f"{path}/{bob.user_id}", {"role": "owner"}),
            eve.delete(f"{path}/{bob.user_id}"),
            eve.post(f"{PROJECTS}/{project}/leave"),
            eve.post(f"{PROJECTS}/{project}/transfer", {"user_id": eve.user_id}),
            eve.get(f"{PROJECTS}/{project}/permissions"),
        ]

    for answer in answers:
        assert_refused(answer, 404, "not_found")


def test_a_member_is_not_added_again(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "viewer")

    with nothing_changes():
        again = add(ann, project, "bob@example.com", "owner")
        oneself = add(ann, project, "ann@example.com", "owner")

    assert_refused(again, 409, "already_member")
    assert_refused(oneself, 409, "already_member")


def test_a_disabled_user_is_not_added(ann: Client, bob: Client, project: ProjectId) -> None:
    is_disabled(bob.user_id)

    with nothing_changes():
        answer = add(ann, project, "bob@example.com", "viewer")

    assert_refused(answer, 409, "user_disabled")


def test_a_project_has_at_most_forty_members_and_invitations(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    invited = add(ann, project, "n0@example.com", "viewer").json
    has_seats(project, 40)

    with nothing_changes():
        answers = [
            add(ann, project, "bob@example.com", "viewer"),
            add(ann, project, "one-more@example.com", "viewer"),
        ]

    for answer in answers:
        assert_refused(answer, 409, "project_full")
        assert answer.json["limit"] == 40
    # To invite somebody again takes no other seat, and a removed invitation frees one.
    assert add(ann, project, "n0@example.com", "deployer").status == 201
    assert ann.delete(f"{members_of(project)}/{invited['invitation_id']}").status == 204
    assert add(ann, project, "bob@example.com", "viewer").status == 201


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({"role": "viewer"}, "#/email"),
        ({"email": "bob@example.com"}, "#/role"),
        ({"email": "bob@example.com", "role": "admin"}, "#/role"),
        ({"email": "bob", "role": "viewer"}, "#/email"),
        (
            {"email": "bob@example.com", "role": "viewer", "overrides": {"production": "owner"}},
            "#/overrides/production",
        ),
        (
            {"email": "bob@example.com", "role": "viewer", "overrides": {"prod": "viewer"}},
            "#/overrides/prod",
        ),
    ],
)
def test_a_bad_member_is_refused_with_the_field(
    ann: Client, project: ProjectId, body: Any, pointer: str
) -> None:
    with nothing_changes():
        answer = ann.post(members_of(project), body)

    assert_refused(answer, 422, "invalid_request", pointer)


# --- who gives and takes which role -----------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "deployer"])
def test_viewers_and_deployers_change_no_members(
    ann: Client, bob: Client, eve: Client, project: ProjectId, role: str
) -> None:
    add(ann, project, "bob@example.com", role)
    add(ann, project, "eve@example.com", "viewer")
    path = members_of(project)

    with nothing_changes():
        answers = [
            bob.post(path, {"email": "x@example.com", "role": "viewer"}),
            bob.patch(f"{path}/{eve.user_id}", {"role": "deployer"}),
            bob.patch(f"{path}/{bob.user_id}", {"role": "owner"}),
            bob.delete(f"{path}/{eve.user_id}"),
            bob.post(f"{PROJECTS}/{project}/transfer", {"user_id": bob.user_id}),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")
    assert [each.json["required_role"] for each in answers] == [*["maintainer"] * 4, "owner"]


def test_maintainers_give_and_take_the_lower_roles_only(
    ann: Client, bob: Client, eve: Client, project: ProjectId
) -> None:
    add(ann, project, "bob@example.com", "maintainer")
    path = members_of(project)
    assert add(bob, project, "eve@example.com", "viewer").status == 201
    assert bob.patch(f"{path}/{eve.user_id}", {"role": "deployer"}).status == 200

    with nothing_changes():
        answers = [
            bob.post(path, {"email": "x@example.com", "role": "maintainer"}),
            bob.post(
                path,
                {
                    "email": "x@example.com",
                    "role": "viewer",
                    "overrides": {"production": "maintainer"},
                },
            ),
            bob.patch(f"{path}/{eve.user_id}", {"role": "owner"}),
            bob.patch(f"{path}/{eve.user_id}", {"overrides": {"preview": "maintainer"}}),
            bob.patch(f"{path}/{ann.user_id}", {"role": "viewer"}),
            bob.patch(f"{path}/{bob.user_id}", {"role": "owner"}),
            bob.delete(f"{path}/{ann.user_id}"),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")
        assert answer.json["required_role"] == "owner"
    assert bob.delete(f"{path}/{eve.user_id}").status == 204


def test_a_maintainer_replaces_no_invitation_of_an_owner(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    add(ann, project, "bob@example.com", "maintainer")
    made = add(ann, project, "new@example.com", "owner").json

    with nothing_changes():
        answers = [
            add(bob, project, "new@example.com", "viewer"),
            bob.delete(f"{members_of(project)}/{made['invitation_id']}"),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")


def test_a_change_is_shown_and_honours_if_match(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    add(ann, project, "bob@example.com", "viewer")
    path = f"{members_of(project)}/{bob.user_id}"
    seen = ann.get(path).headers["etag"]

    changed = ann.with_headers(if_match=seen).patch(path, {"role": "deployer"})
    stale = ann.with_headers(if_match=seen).patch(path, {"role": "owner"})
    overridden = ann.patch(path, {"overrides": {"staging": "maintainer"}})

    assert (changed.status, changed.json["role"]) == (200, "deployer")
    assert changed.json == {**member(ann, project, bob), "version": 2, "overrides": {}}
    assert_refused(stale, 412, "precondition_failed")
    assert (overridden.json["role"], overridden.json["version"]) == ("deployer", 3)
    assert ann.patch(path, {"overrides": {}}).json["overrides"] == {}


def test_a_change_of_nothing_writes_nothing(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "viewer")

    with nothing_changes():
        answer = ann.patch(f"{members_of(project)}/{bob.user_id}", {"role": "viewer"})

    assert (answer.status, answer.json["version"]) == (200, 1)


@pytest.mark.parametrize(
    "body,pointer",
    [
        ({}, "#"),
        ({"role": None}, "#"),
        ({"role": "admin"}, "#/role"),
        ({"email": "x@y.zz"}, "#/email"),
    ],
)
def test_a_bad_change_is_refused(ann: Client, project: ProjectId, body: Any, pointer: str) -> None:
    answer = ann.patch(f"{members_of(project)}/{ann.user_id}", body)

    assert_refused(answer, 422, "invalid_request", pointer)


def test_unknown_members_are_not_found(ann: Client, project: ProjectId) -> None:
    path = members_of(project)
    invitation = f"inv_{project.p}_{'0' * 20}"

    answers = [
        ann.get(f"{path}/{NOBODY}"),
        ann.patch(f"{path}/{NOBODY}", {"role": "viewer"}),
        ann.delete(f"{path}/{NOBODY}"),
        ann.delete(f"{path}/{invitation}"),
        ann.get(f"{path}/inv_{'0' * 20}_{'0' * 20}"),
        ann.get(f"{path}/inv_{'0' * 20}"),
        ann.get(f"{path}/trs_{'0' * 20}_{'0' * 20}"),
        ann.delete(f"{path}/x"),
        ann.post(f"{PROJECTS}/{project}/transfer", {"user_id": NOBODY}),
    ]

    for answer in answers:
        assert_refused(answer, 404, "not_found")
    bad = ann.post(f"{PROJECTS}/{project}/transfer", {"user_id": "bob"})
    assert_refused(bad, 422, "invalid_request", "#/user_id")


# --- leaving ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["leave", "delete"])
@pytest.mark.parametrize("role", ["viewer", "deployer", "maintainer", "owner"])
def test_a_member_who_leaves_sees_nothing_more(
    ann: Client, bob: Client, project: ProjectId, way: str, role: str
) -> None:
    add(ann, project, "bob@example.com", role)

    if way == "leave":
        answer = bob.post(f"{PROJECTS}/{project}/leave")
    else:
        answer = bob.delete(f"{members_of(project)}/{bob.user_id}")

    assert answer.status == 204
    assert bob.get(PROJECTS).json == []
    assert_refused(bob.get(f"{PROJECTS}/{project}"), 404, "not_found")
    assert roles(ann, project) == {"ann@example.com": "owner"}
    assert add(ann, project, "bob@example.com", role).status == 201


def test_a_removed_member_sees_nothing_more(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "maintainer")

    assert ann.delete(f"{members_of(project)}/{bob.user_id}").status == 204
    assert bob.get(PROJECTS).json == []
    assert_refused(bob.get(f"{PROJECTS}/{project}"), 404, "not_found")


def test_the_last_owner_stays(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "maintainer")
    path = f"{members_of(project)}/{ann.user_id}"

    with nothing_changes():
        answers = [
            ann.post(f"{PROJECTS}/{project}/leave"),
            ann.delete(path),
            ann.patch(path, {"role": "maintainer"}),
        ]

    for answer in answers:
        assert_refused(answer, 409, "last_owner")


@pytest.mark.parametrize("way", ["leave", "removed", "demoted"])
def test_another_owner_takes_over_the_name_and_the_quota(
    ann: Client, bob: Client, project: ProjectId, way: str
) -> None:
    add(ann, project, "bob@example.com", "owner")
    path = f"{members_of(project)}/{ann.user_id}"

    if way == "leave":
        assert ann.post(f"{PROJECTS}/{project}/leave").status == 204
    elif way == "removed":
        assert bob.delete(path).status == 204
    else:
        assert bob.patch(path, {"role": "viewer"}).status == 200

    taken = bob.post(PROJECTS, {"name": "payments"})
    assert_refused(taken, 409, "name_taken")
    assert ann.post(PROJECTS, {"name": "payments"}).status == 201
    assert (used(ann.user_id), used(bob.user_id)) == (1, 1)
    assert_refused(bob.post(f"{PROJECTS}/{project}/leave"), 409, "last_owner")
    assert bob.delete(f"{PROJECTS}/{project}").status == 204
    assert used(bob.user_id) == 0


# --- transferring -----------------------------------------------------------------------------


def test_a_transfer_moves_the_name_and_the_quota(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    add(ann, project, "bob@example.com", "viewer", production="maintainer")
    path = f"{PROJECTS}/{project}/transfer"

    answer = ann.post(path, {"user_id": bob.user_id})

    assert (answer.status, answer.json) == (200, bob.get(f"{PROJECTS}/{project}").json)
    assert roles(ann, project) == {"ann@example.com": "maintainer", "bob@example.com": "owner"}
    assert member(ann, project, bob)["overrides"] == {}
    assert (used(ann.user_id), used(bob.user_id)) == (0, 1)
    assert_refused(bob.post(PROJECTS, {"name": "Payments"}), 409, "name_taken")
    assert_refused(ann.post(path, {"user_id": ann.user_id}), 403, "forbidden")
    assert_refused(ann.delete(f"{PROJECTS}/{project}"), 403, "forbidden")
    assert ann.post(f"{PROJECTS}/{project}/leave").status == 204


def test_a_transfer_to_the_one_who_has_it_changes_nothing(ann: Client, project: ProjectId) -> None:
    with nothing_changes():
        answer = ann.post(f"{PROJECTS}/{project}/transfer", {"user_id": ann.user_id})

    assert answer.status == 200


def test_an_owner_may_take_a_project_over(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "owner")

    answer = bob.post(f"{PROJECTS}/{project}/transfer", {"user_id": bob.user_id})

    assert answer.status == 200
    assert roles(bob, project) == {"ann@example.com": "maintainer", "bob@example.com": "owner"}


def test_a_transfer_needs_a_free_name_and_a_place_in_the_quota(
    ann: Client, bob: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ann, project, "bob@example.com", "owner")
    path = f"{PROJECTS}/{project}/transfer"
    own = bob.post(PROJECTS, {"name": "Payments"}).json["id"]

    with nothing_changes():
        taken = ann.post(path, {"user_id": bob.user_id})
    bob.patch(f"{PROJECTS}/{own}", {"name": "something secret"})
    monkeypatch.setenv("LIMITS", "1,1,1,1,1,1,1,1,0")
    limits.cache_clear()
    with nothing_changes():
        full = ann.post(path, {"user_id": bob.user_id})

    assert_refused(taken, 409, "name_taken")
    assert_refused(full, 409, "quota_exceeded")
    assert "secret" not in full.text


def test_a_transfer_needs_an_active_user(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "owner")
    is_disabled(bob.user_id)

    with nothing_changes():
        answer = ann.post(f"{PROJECTS}/{project}/transfer", {"user_id": bob.user_id})

    assert_refused(answer, 409, "user_disabled")


# --- the project itself -----------------------------------------------------------------------


def test_a_change_of_the_project_is_shown_to_all_members(
    ann: Client, bob: Client, eve: Client, project: ProjectId
) -> None:
    add(ann, project, "bob@example.com", "viewer")
    add(ann, project, "eve@example.com", "maintainer")

    changed = eve.patch(f"{PROJECTS}/{project}", {"name": "billing", "description": "money"})

    assert changed.status == 200
    for caller in (ann, bob, eve):
        assert caller.get(PROJECTS).json == [changed.json]
    # The name is still one of ann's, who holds the project.
    assert eve.post(PROJECTS, {"name": "billing"}).status == 201
    assert_refused(ann.post(PROJECTS, {"name": "billing"}), 409, "name_taken")


def test_a_deleted_project_is_gone_for_all_members_and_invitations(
    ann: Client, bob: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ann, project, "bob@example.com", "owner")
    invited = add(ann, project, "new@example.com", "viewer").json

    assert bob.delete(f"{PROJECTS}/{project}").status == 204

    assert ann.get(PROJECTS).json == bob.get(PROJECTS).json == []
    here = [each for each in world.everything() if project.p in each["pk"]["S"]]
    # The audit is kept for ever, and dispatch removes the note that the project was deleted.
    left = [each for each in here if not each["pk"]["S"].startswith(("AUDIT#", "UNLINKED#"))]
    assert [each["sk"]["S"] for each in left] == ["ENDED"]
    body = {
        "email": "new@example.com",
        "password": "secret123",
        "invitation": invited["invitation"],
    }
    refused = ann.post("/api/v1/auth/register", body)
    assert_refused(refused, 403, "invitation_invalid")
    assert ann.post(PROJECTS, {"name": "payments"}).status == 201


def test_a_project_that_is_going_changes_no_members(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    add(ann, project, "bob@example.com", "owner")
    world.environment(project, ann.principal)
    assert ann.delete(f"{PROJECTS}/{project}", cascade="true").status == 202
    assert [each["status"] for each in bob.get(PROJECTS).json] == ["deleting"]
    path = members_of(project)

    with nothing_changes():
        answers = [
            add(ann, project, "eve@example.com", "viewer"),
            ann.patch(f"{path}/{bob.user_id}", {"role": "viewer"}),
            ann.delete(f"{path}/{bob.user_id}"),
            bob.post(f"{PROJECTS}/{project}/leave"),
            ann.post(f"{PROJECTS}/{project}/transfer", {"user_id": bob.user_id}),
        ]

    for answer in answers:
        assert_refused(answer, 409, "project_going")


# --- what may I do ----------------------------------------------------------------------------


def test_permissions_say_what_a_member_may_do(ann: Client, bob: Client, project: ProjectId) -> None:
    add(ann, project, "bob@example.com", "viewer", preview="maintainer")
    path = f"{PROJECTS}/{project}/permissions"

    mine, his = ann.get(path).json, bob.get(path).json

    assert (mine["role"], mine["overrides"]) == ("owner", {})
    assert {"projects:delete", "members:appoint", "environments:destroy"} <= set(mine["can"])
    assert his["role"] == "viewer"
    assert his["overrides"] == {"preview": "maintainer"}
    assert "environments:create" in his["can"]
    # An override is for environments of a tier, and gives nothing in the project itself.
    assert not {"projects:change", "members:change", "projects:delete"} & set(his["can"])


def test_a_project_of_an_earlier_release_reads_and_takes_members(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    is_of_an_earlier_release(project, ann.user_id)
    assert roles(ann, project) == {"ann@example.com": "owner"}
    assert ann.patch(f"{PROJECTS}/{project}", {"description": "old"}).status == 200
    assert_refused(ann.post(f"{PROJECTS}/{project}/leave"), 409, "last_owner")

    assert add(ann, project, "bob@example.com", "owner").status == 201

    assert roles(bob, project) == {"ann@example.com": "owner", "bob@example.com": "owner"}
    assert ann.post(f"{PROJECTS}/{project}/leave").status == 204
    assert bob.delete(f"{PROJECTS}/{project}").status == 204
    assert used(bob.user_id) == 0
