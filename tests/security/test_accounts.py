"""Strangers and members who try to get in, to learn who is in, or to become more than they are."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.access import passwords
from slipway.store import account_records, table, user_records
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.people import PASSWORD
from tests.support.api.registering import (
    INVITATIONS,
    ME,
    NEW,
    REGISTER,
    USERS,
    VERIFY,
    Mailbox,
    administrator,
    register,
    set_parameters,
    user,
    with_mail,
)
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws", "hashed")


def told(answer: Answer) -> tuple[int, Any, set[str]]:
    """An answer without the times, ids and addresses, which always differ."""
    body = {k: v for k, v in answer.json.items() if k not in ("email", "request_id")}
    return answer.status, body, set(answer.headers) - {"etag"}


# --- who is in ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["invite", "closed", "domains"])
def test_a_refused_registration_does_not_tell_who_has_an_account(
    monkeypatch: pytest.MonkeyPatch, hashed: list[str], mode: str
) -> None:
    user("ann@example.com")
    set_parameters(monkeypatch, REGISTRATION=mode, ALLOWED_EMAIL_DOMAINS="corp.example")
    made = between.counted(monkeypatch)

    answers = [register("ann@example.com"), register(NEW)]

    assert told(answers[0]) == told(answers[1])
    # No call and no hash was made, so the answers take the same time.
    assert (made, hashed) == ([], [])


def test_where_mail_is_sent_registering_does_not_tell_who_has_an_account(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox, hashed: list[str]
) -> None:
    user("ann@example.com")
    work = []
    for email in ("ann@example.com", NEW):
        made = between.counted(monkeypatch)
        answer = register(email)
        work.append((told(answer), list(made), len(mailbox.mails), len(hashed)))
        mailbox.mails.clear()
        hashed.clear()

    assert work[0] == work[1]
    assert work[0][2:] == (1, 1)


def test_an_invitation_does_not_tell_who_has_an_account() -> None:
    root = administrator()
    invitation = root.post(INVITATIONS, {"email": NEW}).json["invitation"]
    user("ann@example.com")
    user(NEW)

    answers = [
        register(NEW, invitation=invitation),
        register("ann@example.com", invitation=invitation),
        register("nobody@example.com", invitation=invitation),
    ]

    for answer in answers:
        assert_refused(answer, 403, "invitation_invalid")
        assert told(answer) == told(answers[0])


# --- other people's addresses -----------------------------------------------------------------

SPELLINGS = [
    "eve@evil.example@corp.example",
    '"eve@evil.example"@corp.example',
    "eve@corp.example.evil.example",
    "eve@evilcorp.example",
    "eve@sub.corp.example",
    "eve@corp.example.",
    "eve@corp.exampl\u0435",  # a Cyrillic letter
    "eve@evil.example,corp.example",
    "eve@evil.example corp.example",
    "eve@evil.example%00@corp.example",
    "eve@corp.example\n@evil.example",
    "<eve@corp.example>@evil.example",
    "eve@[corp.example]",
    "eve@strasse.example.evil.example",
]


@pytest.mark.parametrize("email", SPELLINGS)
def test_no_spelling_makes_a_stranger_a_member_of_the_domain(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox, email: str
) -> None:
    set_parameters(monkeypatch, REGISTRATION="domains", ALLOWED_EMAIL_DOMAINS="corp.example")

    with nothing_changes():
        answer = register(email)

    assert answer.status in (403, 422), answer.text
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("email", "allowed"),
    [
        ("Ann@CORP.Example", "corp.example"),
        ("ann@corp.example", "CORP.EXAMPLE, other.example"),
        ("ann@b\u00fccher.example", "xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "b\u00fccher.example"),
    ],
)
def test_every_spelling_of_the_domain_itself_is_allowed(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox, email: str, allowed: str
) -> None:
    set_parameters(monkeypatch, REGISTRATION="domains", ALLOWED_EMAIL_DOMAINS=allowed)

    assert register(email).status == 202


def test_one_domain_is_not_taken_for_another_that_looks_alike(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    """Lower case makes no other domain of it, as case folding does."""
    set_parameters(monkeypatch, REGISTRATION="domains", ALLOWED_EMAIL_DOMAINS="strasse.example")

    assert_refused(register("eve@stra\u00dfe.example"), 403, "registration_closed")


def test_nobody_takes_an_address_without_receiving_its_mail(mailbox: Mailbox) -> None:
    """The stranger comes first, and the owner has the account all the same."""
    register("ceo@example.com", "the stranger's")
    strangers_link = mailbox.secret
    register("ceo@example.com", "the owner's")

    made = Client().post(VERIFY, {"token": mailbox.secret, "password": "the owner's"})

    assert made.status == 201
    [entry] = table.get(user_records.email_key("ceo@example.com"))
    assert entry["password_hash"] == "hash of the owner's"
    late = Client().post(VERIFY, {"token": strangers_link, "password": "the stranger's"})
    assert_refused(late, 409, "email_taken")


def test_an_owner_who_opens_a_strangers_link_does_not_let_the_stranger_in(
    mailbox: Mailbox,
) -> None:
    register("ceo@example.com", "the stranger's")

    answer = Client().post(VERIFY, {"token": mailbox.secret, "password": "the owner's"})

    assert_refused(answer, 401, "wrong_credentials")
    assert table.get(user_records.email_key("ceo@example.com")) == [None]


def test_who_took_an_address_before_there_was_mail_loses_it_when_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    squatter = register("ceo@example.com", "the squatter's")
    mailbox = with_mail(monkeypatch)

    with_the_old = {"username": "ceo@example.com", "password": "the squatter's"}
    refused = Client().form("/api/v1/auth/login", with_the_old)
    Client().post("/api/v1/auth/password-reset", {"email": "ceo@example.com"})
    new = {"token": mailbox.link.partition("reset=")[2], "new_password": "the owner's"}
    done = Client().post("/api/v1/auth/password-reset/confirm", new)
    late = Client().form("/api/v1/auth/login", with_the_old)
    token = Client().form("/api/v1/auth/login", {**with_the_old, "password": "the owner's"})

    assert_refused(refused, 403, "email_unverified")
    assert (done.status, token.status) == (204, 200)
    assert_refused(late, 401, "wrong_credentials")
    me = Client(token.json["access_token"]).get(ME).json
    assert me["id"] == squatter.json["id"]
    assert me["email_verified_at"] is not None
    assert me in administrator().get(USERS).json


def test_a_wrong_password_does_not_tell_that_an_address_is_unproven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register("ann@example.com")
    with_mail(monkeypatch)

    form = {"username": "ann@example.com", "password": "wrong password"}

    assert_refused(Client().form("/api/v1/auth/login", form), 401, "wrong_credentials")


def test_links_in_mail_do_not_lead_where_a_header_says(mailbox: Mailbox) -> None:
    client = Client().with_headers(host="evil.example", x_forwarded_host="evil.example")

    client.post(REGISTER, {"email": NEW, "password": PASSWORD})

    assert "evil.example" not in mailbox.mails[0][2]


# --- invitations ------------------------------------------------------------------------------


def invitation(**fields: str) -> str:
    return str(administrator().post(INVITATIONS, {"email": NEW, **fields}).json["invitation"])


def test_an_invitation_is_used_once() -> None:
    once = invitation()
    assert register(invitation=once).status == 201

    with nothing_changes():
        for email in (NEW, "eve@example.com"):
            assert_refused(register(email, invitation=once), 403, "invitation_invalid")


def test_of_two_who_use_an_invitation_at_once_one_gets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = invitation()
    results = between.at_once(
        monkeypatch, *[lambda: register(invitation=once).status for _ in range(6)]
    )

    assert sorted(map(str, results)) == ["201", *["403"] * 5]
    assert len([each for each in world.everything() if each["sk"]["S"] == "ACCOUNT"]) == 2


def test_an_invitation_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    once = invitation()
    [item] = table.get(account_records.invitation_key(once.partition(".")[0]))
    monkeypatch.setattr("slipway.services.registration._now", lambda: item["expires_at"])

    assert_refused(register(invitation=once), 403, "invitation_invalid")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.partition(".")[0],
        lambda text: text.partition(".")[0] + ".",
        lambda text: "." + text.partition(".")[2],
        lambda text: "inv_01kaq3h5x0c2m9f7r4tz." + text.partition(".")[2],
        lambda text: account_records.digest(text.partition(".")[2]),
        lambda text: "",
        lambda text: "ADMINISTRATORS",
    ],
)
def test_an_invitation_cannot_be_guessed_or_bent(change: Any) -> None:
    bent = change(invitation())

    with nothing_changes():
        assert_refused(register(invitation=bent), 403, "invitation_invalid")


def test_the_table_alone_invites_nobody() -> None:
    """A reader of the table has only hashes, which register nobody."""
    once = invitation()
    [item] = table.get(account_records.invitation_key(once.partition(".")[0]))

    answer = register(invitation=f"{item['id']}.{item['token_hash']}")

    assert_refused(answer, 403, "invitation_invalid")


def test_an_invitation_of_a_user_who_was_invited_again_is_dead() -> None:
    root = administrator()
    first = root.post(INVITATIONS, {"email": NEW, "platform_role": "admin"}).json["invitation"]
    root.post(INVITATIONS, {"email": NEW})

    assert_refused(register(invitation=first), 403, "invitation_invalid")


# --- more than they are -----------------------------------------------------------------------

MORE: list[dict[str, Any]] = [
    {"platform_role": "admin"},
    {"role": "admin"},
    {"status": "disabled"},
    {"email_verified_at": "2026-11-29T00:00:00.000Z"},
    {"id": "usr_01kaq3h5x0c2m9f7r4tz"},
    {"generation": 7},
    {"mailed": True},
    {"invited_by": "operator"},
]


@pytest.mark.parametrize("more", MORE, ids=lambda more: next(iter(more)))
def test_a_body_gives_nobody_more_than_it_should(more: dict[str, Any]) -> None:
    root, eve = administrator(), user("eve@example.com")
    name = next(iter(more))
    path = f"{USERS}/{eve.user_id}"

    with nothing_changes():
        answers = [register(**more), Client().post(VERIFY, {"token": "x", "password": "x", **more})]
        if name != "platform_role":
            answers.append(root.post(INVITATIONS, {"email": NEW, **more}))
            answers.append(root.patch(path, {"platform_role": "member", **more}))

    for answer in answers:
        assert_refused(answer, 422, "invalid_request", f"#/{name}")


def test_a_member_becomes_nothing_by_asking() -> None:
    eve = user("eve@example.com")

    with nothing_changes():
        for answer in (
            eve.patch(f"{USERS}/{eve.user_id}", {"platform_role": "admin"}),
            eve.post(INVITATIONS, {"email": NEW, "platform_role": "admin"}),
        ):
            assert_refused(answer, 403, "forbidden")

    assert eve.get(ME).json["platform_role"] == "member"


def test_a_role_that_was_taken_away_ends_at_the_next_request() -> None:
    root, eve = administrator(), user("eve@example.com", "admin")
    assert eve.get(USERS).status == 200

    root.patch(f"{USERS}/{eve.user_id}", {"platform_role": "member"})

    assert_refused(eve.get(USERS), 403, "forbidden")


@pytest.mark.parametrize("path", [ME, "/api/v1/projects", "/api/v1/templates", USERS])
def test_a_disabled_users_next_request_is_refused(path: str) -> None:
    root, eve = administrator(), user("eve@example.com", "admin")
    assert eve.get(path).status == 200

    root.post(f"{USERS}/{eve.user_id}/disable")
    refused = eve.get(path)
    root.post(f"{USERS}/{eve.user_id}/enable")

    assert_refused(refused, 401, "account_disabled")
    # The token that was stolen, perhaps, does not come back.
    assert_refused(eve.get(path), 401, "session_ended")


def test_a_deleted_users_next_request_is_refused() -> None:
    root, eve = administrator(), user("eve@example.com")
    root.post(f"{USERS}/{eve.user_id}/disable")
    root.delete(f"{USERS}/{eve.user_id}")

    with nothing_changes():
        answer = eve.post("/api/v1/projects", {"name": "x"})

    assert_refused(answer, 401, "unauthenticated")


def test_many_administrators_at_once_leave_one(monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = [administrator(f"root{n}@example.com") for n in range(4)]
    ring = zip(everyone, [*everyone[1:], everyone[0]], strict=True)

    between.at_once(
        monkeypatch,
        *[
            lambda caller=caller, other=other: caller.post(f"{USERS}/{other.user_id}/disable")
            for caller, other in ring
        ],
    )

    assert account_records.administrators() >= 1


def test_an_account_without_a_password_lets_nobody_in() -> None:
    account = account_records.new("ceo@example.com", "admin", proven=True)
    account_records.make(account, None)
    [entry] = table.get(user_records.email_key("ceo@example.com"))

    assert "password_hash" not in entry
    assert not passwords.verify_password("", entry.get("password_hash"))
    for password in ("", "None", "null"):
        form = {"username": "ceo@example.com", "password": password}
        assert_refused(Client().form("/api/v1/auth/login", form), 401, "wrong_credentials")
