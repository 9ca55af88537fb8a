"""Invitations to a project: by its members, for addresses that nobody has registered."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from slipway.access import attempts
from slipway.domain.ids import ProjectId
from slipway.store import account_records, throttles
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.members import add, counted, counters, has_seats, members_of, roles
from tests.support.api.registering import (
    INVITATIONS,
    NEW,
    administrator,
    quick_passwords,
    register,
    set_parameters,
    user,
    with_mail,
)
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws")
PROJECTS = "/api/v1/projects"


@pytest.fixture(autouse=True)
def _quick(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_passwords(monkeypatch)
    set_parameters(monkeypatch, REGISTRATION="invite")


@pytest.fixture
def ann() -> Client:
    return user("ann@example.com")


@pytest.fixture
def bob() -> Client:
    return user("bob@example.com")


@pytest.fixture
def project(ann: Client) -> ProjectId:
    return world.project(ann.principal)


def test_an_address_without_an_account_is_invited(ann: Client, project: ProjectId) -> None:
    answer = add(ann, project, "New@Example.com", "deployer", production="viewer")

    assert answer.status == 201
    made = answer.json
    assert (made["status"], made["user_id"], made["email"]) == ("invited", None, NEW)
    assert made["invitation"].startswith(f"{made['invitation_id']}.")
    assert answer.headers["location"] == f"{members_of(project)}/{made['invitation_id']}"
    [_, shown] = ann.get(members_of(project)).json
    assert shown == {name: made[name] for name in shown}
    assert ann.get(answer.headers["location"]).json == shown
    assert made["invitation"].partition(".")[2] not in json.dumps(world.everything())


@pytest.mark.parametrize("mode", ["invite", "open", "domains"])
def test_who_registers_with_it_is_a_member_of_the_platform_and_of_the_project(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    set_parameters(monkeypatch, REGISTRATION=mode)
    made = add(ann, project, NEW, "maintainer", production="viewer").json

    answer = register(invitation=made["invitation"])

    assert (answer.status, answer.json["platform_role"]) == (201, "member")
    assert answer.json["email_verified_at"] is None
    found = ann.get(f"{members_of(project)}/{answer.json['id']}").json
    assert (found["role"], found["overrides"]) == ("maintainer", {"production": "viewer"})
    assert found["added_by"]["name"] == "ann@example.com"
    assert roles(ann, project) == {"ann@example.com": "owner", NEW: "maintainer"}
    assert counters(project) == counted(project) == (2, 2, 1)
    assert [each["status"] for each in ann.get(members_of(project)).json] == ["active", "active"]


def test_an_invitation_works_once(ann: Client, project: ProjectId) -> None:
    made = add(ann, project, NEW, "viewer").json
    register(invitation=made["invitation"])

    with nothing_changes():
        again = register(invitation=made["invitation"])

    assert_refused(again, 403, "invitation_invalid")


def test_a_removed_invitation_no_longer_works(ann: Client, project: ProjectId) -> None:
    made = add(ann, project, NEW, "viewer").json

    assert ann.delete(f"{members_of(project)}/{made['invitation_id']}").status == 204

    assert_refused(register(invitation=made["invitation"]), 403, "invitation_invalid")
    assert counters(project) == counted(project) == (1, 1, 1)


def test_another_invitation_of_an_address_replaces_the_first(
    ann: Client, project: ProjectId
) -> None:
    first = add(ann, project, NEW, "owner").json
    second = add(ann, project, NEW, "viewer").json

    assert_refused(register(invitation=first["invitation"]), 403, "invitation_invalid")
    assert register(invitation=second["invitation"]).status == 201
    assert roles(ann, project)[NEW] == "viewer"
    assert counters(project) == counted(project) == (2, 2, 1)


def test_an_invitation_to_a_project_replaces_none_to_the_platform(
    ann: Client, project: ProjectId
) -> None:
    """Otherwise any member could take an administrator's invitation over."""
    root = administrator()
    first = root.post(INVITATIONS, {"email": NEW, "platform_role": "admin"}).json

    second = add(ann, project, NEW, "viewer").json

    assert second["invitation_id"] != first["id"]
    assert register(invitation=first["invitation"]).json["platform_role"] == "admin"
    assert roles(ann, project) == {"ann@example.com": "owner"}
    # The address has an account now: it is added at once, in the invitation's seat.
    assert add(ann, project, NEW, "deployer").json["status"] == "active"
    assert counters(project) == counted(project) == (2, 2, 1)


@pytest.mark.parametrize("way", ["removed", "demoted", "left"])
def test_an_invitation_gives_no_more_than_its_maker_still_may(
    ann: Client, bob: Client, project: ProjectId, way: str
) -> None:
    add(ann, project, "bob@example.com", "owner")
    made = add(bob, project, NEW, "maintainer").json
    path = f"{members_of(project)}/{bob.user_id}"
    if way == "removed":
        ann.delete(path)
    elif way == "demoted":
        ann.patch(path, {"role": "maintainer"})
    else:
        bob.post(f"{PROJECTS}/{project}/leave")

    with nothing_changes():
        answer = register(invitation=made["invitation"])

    assert_refused(answer, 403, "invitation_invalid")


def test_an_invitation_is_for_its_address_alone(ann: Client, project: ProjectId) -> None:
    made = add(ann, project, NEW, "viewer").json
    body = {"email": "x@example.com", "password": "secret123", "invitation": made["invitation"]}

    with nothing_changes():
        answer = Client().post("/api/v1/auth/register", body)

    assert_refused(answer, 403, "invitation_invalid")


def test_a_closed_platform_adds_users_and_invites_nobody(
    ann: Client, bob: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add(ann, project, NEW, "viewer").json
    set_parameters(monkeypatch, REGISTRATION="closed")

    with nothing_changes():
        answers = [
            add(ann, project, "x@example.com", "viewer"),
            register(invitation=made["invitation"]),
        ]

    for answer in answers:
        assert_refused(answer, 403, "registration_closed")
    assert add(ann, project, "bob@example.com", "viewer").status == 201


def test_an_expired_invitation_is_shown_until_it_is_removed(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add(ann, project, NEW, "viewer").json
    monkeypatch.setattr("slipway.services.members._now", lambda: "2999")
    monkeypatch.setattr("slipway.services.registration._now", lambda: "2999")

    assert [each["status"] for each in ann.get(members_of(project)).json] == ["active", "expired"]
    assert_refused(register(invitation=made["invitation"]), 403, "invitation_invalid")
    assert ann.delete(f"{members_of(project)}/{made['invitation_id']}").status == 204


def test_an_administrator_sees_and_revokes_it(ann: Client, project: ProjectId) -> None:
    root = administrator()
    made = add(ann, project, NEW, "viewer").json
    [listed] = root.get(INVITATIONS).json

    assert (listed["id"], listed["project_id"]) == (made["invitation_id"], str(project))
    assert root.delete(f"{INVITATIONS}/{listed['id']}").status == 204
    assert_refused(register(invitation=made["invitation"]), 403, "invitation_invalid")
    assert counters(project) == counted(project) == (1, 1, 1)
    assert_refused(root.delete(f"{INVITATIONS}/{listed['id']}"), 404, "not_found")


def test_an_administrator_revokes_one_to_a_project_that_is_gone(
    ann: Client, project: ProjectId
) -> None:
    root = administrator()
    made = add(ann, project, NEW, "viewer").json
    ann.delete(f"{PROJECTS}/{project}")

    assert root.delete(f"{INVITATIONS}/{made['invitation_id']}").status == 204
    assert root.get(INVITATIONS).json == []


# --- by mail ----------------------------------------------------------------------------------


def test_an_invitation_is_mailed_and_proves_the_address(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = with_mail(monkeypatch)

    answer = add(ann, project, NEW, "viewer")

    assert (answer.json["mailed"], answer.json["invitation"]) == (True, None)
    assert register(invitation=mailbox.secret).json["email_verified_at"] is not None


def test_one_address_gets_few_mails_whoever_invites(
    ann: Client, bob: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = with_mail(monkeypatch)
    monkeypatch.setattr(throttles, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))
    other = world.project(bob.principal)

    answers = [add(ann, project, NEW, "viewer") for _ in range(4)]
    answers += [add(bob, other, NEW, "viewer") for _ in range(4)]

    assert_refused(answers[-1], 429, "too_many_attempts")
    assert "retry-after" in answers[-1].headers
    assert len(mailbox.mails) < 7


def test_one_member_mails_few_addresses(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = with_mail(monkeypatch)
    monkeypatch.setattr(throttles, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))
    monkeypatch.setattr(attempts, "_INVITATIONS", throttles.Rule(free=3, longest=900, window=3600))

    answers = [add(ann, project, f"n{n}@example.com", "viewer") for n in range(4)]

    assert [each.status for each in answers] == [201, 201, 201, 429]
    assert len(mailbox.mails) == 3


def test_no_mail_is_sent_into_a_full_project(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_seats(project, 40)
    mailbox = with_mail(monkeypatch)

    assert_refused(add(ann, project, NEW, "viewer"), 409, "project_full")
    assert mailbox.mails == []


def test_the_table_keeps_no_secret_under_an_idempotency_key(
    ann: Client, project: ProjectId
) -> None:
    made = add(ann.with_headers(idempotency_key="build-77"), project, NEW, "viewer").json

    secret = made["invitation"].partition(".")[2]
    assert secret not in json.dumps(world.everything())
    assert account_records.digest(secret) in json.dumps(world.everything())
