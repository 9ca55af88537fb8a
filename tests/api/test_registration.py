"""Registration: its four modes, invitations, and the proof of an address by mail."""

from __future__ import annotations

import pytest

from slipway.aws import mail
from slipway.store import account_records, table, user_records
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import HOST, Client
from tests.support.api.people import PASSWORD
from tests.support.api.registering import (
    INVITATIONS,
    ME,
    NEW,
    REGISTER,
    VERIFY,
    Mailbox,
    administrator,
    register,
    set_parameters,
    user,
)
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws", "hashed")


def invited(email: str = NEW, **fields: str) -> str:
    """The secret of an invitation of the address, as an administrator receives it."""
    answer = administrator().post(INVITATIONS, {"email": email, **fields})
    return str(answer.json["invitation"])


# --- the modes ------------------------------------------------------------------------------


def test_where_registration_is_open_everyone_may_register() -> None:
    answer = register()

    assert answer.status == 201
    assert answer.json["platform_role"] == "member"
    assert answer.json["email_verified_at"] is None


@pytest.mark.parametrize("mode", ["invite", "closed", "domains", "anything else"])
def test_other_modes_refuse_a_stranger(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    set_parameters(monkeypatch, REGISTRATION=mode)

    with nothing_changes():
        answer = register()

    assert_refused(answer, 403, "registration_closed")
    assert "an administrator of this platform" in answer.json["detail"]


def test_a_refusal_says_whom_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = "platform-team@example.com"
    set_parameters(monkeypatch, REGISTRATION="invite", REGISTRATION_CONTACT=contact)

    assert contact in register().json["detail"]


def test_without_a_mode_registration_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRATION")
    set_parameters(monkeypatch)

    assert_refused(register(), 403, "registration_closed")


def test_a_domain_that_is_allowed_may_register_once_the_address_is_proven(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    domains = " example.org, Example.com"
    set_parameters(monkeypatch, REGISTRATION="domains", ALLOWED_EMAIL_DOMAINS=domains)

    answer = register()
    made = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert (answer.status, made.status) == (202, 201)


def test_domains_admit_nobody_where_no_mail_can_prove_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_parameters(monkeypatch, REGISTRATION="domains", ALLOWED_EMAIL_DOMAINS="example.com")

    assert_refused(register(), 403, "registration_closed")


# --- invitations ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["invite", "domains", "open"])
def test_an_invitation_registers_with_its_role(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    set_parameters(monkeypatch, REGISTRATION=mode)

    answer = register(invitation=invited(platform_role="publisher"))

    assert answer.status == 201
    assert answer.json["platform_role"] == "publisher"
    # It went through the administrator's hands.
    assert answer.json["email_verified_at"] is None


def test_an_invitation_that_was_mailed_proves_the_address(
    monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    set_parameters(monkeypatch, REGISTRATION="invite")
    assert administrator().post(INVITATIONS, {"email": NEW}).json["invitation"] is None

    answer = register(invitation=mailbox.secret)

    assert answer.status == 201
    assert answer.json["email_verified_at"] is not None
    assert mailbox.mails[-1][0] == NEW
    assert mailbox.link.startswith(f"https://{HOST}/docs/account#invitation=")


def test_an_invited_administrator_is_counted() -> None:
    made = register(invitation=invited(platform_role="admin"))

    assert (made.json["platform_role"], account_records.administrators()) == ("admin", 2)


def test_a_closed_platform_accepts_no_invitation(monkeypatch: pytest.MonkeyPatch) -> None:
    invitation = invited()
    set_parameters(monkeypatch, REGISTRATION="closed")

    with nothing_changes():
        answer = register(invitation=invitation)

    assert_refused(answer, 403, "registration_closed")


# --- the proof of an address ----------------------------------------------------------------


def test_an_account_exists_only_when_its_address_is_proven(mailbox: Mailbox) -> None:
    asked = register()
    assert table.get(user_records.email_key(NEW)) == [None]

    made = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert (asked.status, asked.json) == (202, {"email": NEW, "status": "unverified"})
    assert "location" not in asked.headers
    assert made.status == 201
    assert made.json["email_verified_at"] is not None
    assert made.headers["location"] == ME
    [entry] = table.get(user_records.email_key(NEW))
    assert entry["user_id"] == made.json["id"]
    assert entry["password_hash"] == f"hash of {PASSWORD}"


def test_a_proven_address_is_shown_and_mailed_as_it_was_given(mailbox: Mailbox) -> None:
    given = "New.Person@example.com"
    asked = register(given)
    made = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert (asked.status, asked.json["email"]) == (202, given)
    assert mailbox.mails[-1][0] == given
    assert (made.status, made.json["email"]) == (201, given)


def test_an_invited_address_is_shown_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    set_parameters(monkeypatch, REGISTRATION="invite")

    made = register("New.Person@example.com", invitation=invited("new.person@example.com"))

    assert (made.status, made.json["email"]) == (201, "New.Person@example.com")


def test_a_link_works_once(mailbox: Mailbox) -> None:
    register()
    body = {"token": mailbox.secret, "password": PASSWORD}
    Client().post(VERIFY, body)

    with nothing_changes():
        answer = Client().post(VERIFY, body)

    assert_refused(answer, 403, "link_invalid")


def test_a_link_needs_the_password_of_its_registration(mailbox: Mailbox) -> None:
    register(password="the stranger's")

    answer = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert_refused(answer, 401, "wrong_credentials")
    assert table.get(user_records.email_key(NEW)) == [None]


def test_a_link_takes_ten_tries(mailbox: Mailbox) -> None:
    register()

    wrong = {"token": mailbox.secret, "password": "another password"}
    statuses = [Client().post(VERIFY, wrong).status for _ in range(11)]
    late = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert statuses == [401] * 10 + [403]
    assert_refused(late, 403, "link_invalid")


def test_a_link_expires_after_a_day(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    monkeypatch.setattr("slipway.services.registration._now", lambda: "2999-01-01T00:00:00.000Z")

    answer = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert_refused(answer, 403, "link_invalid")


def test_a_platform_that_has_closed_makes_no_account_any_more(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    set_parameters(monkeypatch, REGISTRATION="invite")

    answer = Client().post(VERIFY, {"token": mailbox.secret, "password": PASSWORD})

    assert_refused(answer, 403, "registration_closed")


def test_of_two_registrations_of_an_address_the_first_proven_one_counts(mailbox: Mailbox) -> None:
    register(password="first password")
    first = mailbox.secret
    register(password="second password")
    second = mailbox.secret

    assert Client().post(VERIFY, {"token": second, "password": "second password"}).status == 201
    answer = Client().post(VERIFY, {"token": first, "password": "first password"})

    assert_refused(answer, 409, "email_taken")


def test_the_owner_of_an_account_is_told_that_somebody_registers_its_address(
    mailbox: Mailbox,
) -> None:
    user("ann@example.com")

    answer = register("ann@example.com")

    assert answer.status == 202
    [(to, subject, text)] = mailbox.mails
    assert (to, subject) == ("ann@example.com", "You already have an account at Slipway")
    assert "#" not in text


def test_a_mail_that_cannot_be_sent_is_not_told(mailbox: Mailbox) -> None:
    mailbox.refuses = True

    assert register().status == 202


def test_a_repeated_registration_replays_its_answer(mailbox: Mailbox) -> None:
    once = Client().with_headers(idempotency_key="build-77")
    body = {"email": NEW, "password": PASSWORD}

    first, second = once.post(REGISTER, body), once.post(REGISTER, body)

    assert (first.status, second.status) == (202, 202)
    assert second.headers["idempotent-replayed"] == "true"
    assert len(mailbox.mails) == 1


def test_a_stranger_cannot_fill_a_mailbox(mailbox: Mailbox) -> None:
    user("ann@example.com")

    for email in (NEW, "ann@example.com"):
        statuses = [
            Client(source=f"198.51.100.{n}").post(REGISTER, {"email": email, "password": PASSWORD})
            for n in range(6)
        ]
        assert [answer.status for answer in statuses] == [202] * 5 + [429]
    assert len(mailbox.mails) == 10


def test_of_two_who_use_a_link_at_once_one_makes_the_account(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    body = {"token": mailbox.secret, "password": PASSWORD}
    answers = []
    between.first(
        monkeypatch, "TransactWriteItems", lambda: answers.append(Client().post(VERIFY, body))
    )

    answers.append(Client().post(VERIFY, body))

    assert [answer.status for answer in answers] == [201, 403]
    assert len([each for each in world.everything() if each["sk"]["S"] == "ACCOUNT"]) == 1


def test_mail_is_sent_only_if_there_is_a_sender() -> None:
    assert not mail.is_set_up()
    assert register().status == 201
