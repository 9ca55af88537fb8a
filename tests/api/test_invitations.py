"""Administrators invite addresses, see the open invitations and revoke them."""

from __future__ import annotations

import json

import pytest

from slipway.store import account_records
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.registering import (
    INVITATIONS,
    NEW,
    register,
    set_parameters,
    user,
    with_mail,
)
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws", "hashed")


def test_an_invitation_is_returned_where_no_mail_is_sent(root: Client) -> None:
    answer = root.post(INVITATIONS, {"email": "New@Example.com", "platform_role": "publisher"})

    assert answer.status == 201
    assert answer.json["email"] == NEW
    assert (answer.json["platform_role"], answer.json["mailed"]) == ("publisher", False)
    assert answer.json["invited_by"] == root.user_id
    assert answer.json["invitation"].startswith(f"{answer.json['id']}.")
    assert answer.headers["location"] == f"{INVITATIONS}/{answer.json['id']}"


def test_an_invitation_is_for_a_member_unless_it_says_otherwise(root: Client) -> None:
    assert root.post(INVITATIONS, {"email": NEW}).json["platform_role"] == "member"


def test_the_table_has_only_the_hash_of_an_invitation(root: Client) -> None:
    answer = root.with_headers(idempotency_key="build-77").post(INVITATIONS, {"email": NEW})

    secret = answer.json["invitation"].partition(".")[2]
    assert secret not in json.dumps(world.everything())
    assert account_records.digest(secret) in json.dumps(world.everything())


def test_a_mail_that_cannot_be_sent_leaves_the_invitation_to_the_administrator(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_mail(monkeypatch).refuses = True

    answer = root.post(INVITATIONS, {"email": NEW})

    assert answer.json["mailed"] is False
    assert register(invitation=answer.json["invitation"]).json["email_verified_at"] is None


def test_open_invitations_are_listed(root: Client) -> None:
    for name in ("a", "b", "c"):
        root.post(INVITATIONS, {"email": f"{name}@example.com"})

    page = root.get(INVITATIONS, limit=2)
    more = root.send("GET", INVITATIONS, query=page.headers["link"].split("?")[1].split(">")[0])

    assert sorted(each["email"][0] for each in page.json + more.json) == ["a", "b", "c"]
    assert all("invitation" not in each for each in page.json)


def test_used_and_expired_invitations_are_not_listed(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(invitation=root.post(INVITATIONS, {"email": NEW}).json["invitation"])
    root.post(INVITATIONS, {"email": "late@example.com"})
    assert len(root.get(INVITATIONS).json) == 1

    monkeypatch.setattr("slipway.services.invitations.timestamps.written", lambda _: "2999")

    assert root.get(INVITATIONS).json == []


def test_another_invitation_of_an_address_replaces_the_first(root: Client) -> None:
    first = root.post(INVITATIONS, {"email": NEW, "platform_role": "admin"}).json
    second = root.post(INVITATIONS, {"email": NEW}).json

    assert [each["platform_role"] for each in root.get(INVITATIONS).json] == ["member"]
    assert_refused(register(invitation=first["invitation"]), 403, "invitation_invalid")
    assert register(invitation=second["invitation"]).json["platform_role"] == "member"


def test_a_revoked_invitation_is_gone(root: Client) -> None:
    made = root.post(INVITATIONS, {"email": NEW}).json
    path = f"{INVITATIONS}/{made['id']}"

    assert root.delete(path).status == 204
    assert_refused(root.delete(path), 404, "not_found")
    assert_refused(register(invitation=made["invitation"]), 403, "invitation_invalid")


@pytest.mark.parametrize("id_", ["inv_01kaq3h5x0c2m9f7r4tz", "x", "usr_01kaq3h5x0c2m9f7r4tz"])
def test_revoking_an_unknown_invitation_is_refused(root: Client, id_: str) -> None:
    assert_refused(root.delete(f"{INVITATIONS}/{id_}"), 404, "not_found")


def test_the_address_of_a_user_is_not_invited(root: Client) -> None:
    user("ann@example.com")

    with nothing_changes():
        answer = root.post(INVITATIONS, {"email": "ann@example.com"})

    assert_refused(answer, 409, "email_taken")


def test_a_closed_platform_invites_nobody(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    set_parameters(monkeypatch, REGISTRATION="closed")

    with nothing_changes():
        answer = root.post(INVITATIONS, {"email": NEW})

    assert_refused(answer, 403, "registration_closed")
    assert "Registration" in answer.json["detail"]


@pytest.mark.parametrize("role", ["member", "publisher"])
def test_only_administrators_invite(root: Client, role: str) -> None:
    made = root.post(INVITATIONS, {"email": NEW}).json
    caller = user("ann@example.com", role)

    with nothing_changes():
        answers = [
            caller.post(INVITATIONS, {"email": "x@example.com", "platform_role": "admin"}),
            caller.get(INVITATIONS),
            caller.delete(f"{INVITATIONS}/{made['id']}"),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")
        assert "admin" in answer.json["detail"]
