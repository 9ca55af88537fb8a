"""A password is changed by who knows it, or by a link that works once; sessions end then."""

from __future__ import annotations

import time
from typing import Any

import pytest

from slipway.settings import settings
from slipway.store import account_records, sessions, table
from slipway.store.table import Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.people import PASSWORD, signed_in
from tests.support.api.registering import Mailbox, prove
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("quick_argon2")

PASSWORD_, LOGIN, ME = "/api/v1/auth/password", "/api/v1/auth/login", "/api/v1/auth/me"
RESET = "/api/v1/auth/password-reset"
CONFIRM = f"{RESET}/confirm"
ANN, NEW = "ann@example.com", "correct horse battery"
HOUR = 3600


@pytest.fixture
def ann(aws: None) -> Client:
    return signed_in(ANN)


def sign_in(password: str, source: str = "203.0.113.7") -> Answer:
    return Client(source=source).form(LOGIN, {"username": ANN, "password": password})


def change(client: Client, current: str = PASSWORD, new: str = NEW) -> Answer:
    return client.post(PASSWORD_, {"current_password": current, "new_password": new})


def ask(email: str = ANN, source: str = "203.0.113.7") -> Answer:
    return Client(source=source).post(RESET, {"email": email})


def confirm(token: str, new: str = NEW) -> Answer:
    return Client().post(CONFIRM, {"token": token, "new_password": new})


def token_of(mailbox: Mailbox) -> str:
    return mailbox.link.partition("#reset=")[2]


def administrator() -> Client:
    client = signed_in("root@example.com")
    role = Update(
        account_records.key(client.user_id), "SET platform_role = :role", {"role": "admin"}
    )
    table.write(role)
    return client


# --- to change it -----------------------------------------------------------------------------


def test_a_changed_password_ends_all_sessions_and_begins_one(ann: Client) -> None:
    other = Client(sign_in(PASSWORD).json["access_token"])

    answer = change(ann)

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    for ended in (ann, other):
        assert_refused(ended.get(ME), 401, "session_ended")
    assert Client(answer.json["access_token"]).get(ME).status == 200
    assert sign_in(PASSWORD).status == 401
    assert sign_in(NEW).status == 200


def test_the_current_password_must_be_right(ann: Client) -> None:
    with nothing_changes():
        answer = change(ann, "wrong")

    assert_refused(answer, 401, "wrong_credentials")
    assert ann.get(ME).status == 200


def test_guesses_at_the_current_password_are_throttled_with_those_at_sign_in(ann: Client) -> None:
    tried = [change(ann, "wrong").status for _ in range(3)]
    tried += [sign_in("wrong").status for _ in range(2)]

    assert tried == [401] * 5
    assert_refused(change(ann), 429, "too_many_attempts")
    assert sign_in(PASSWORD).status == 429


@pytest.mark.parametrize("new", ["short", "eight\0nuls", "x" * 129])
def test_a_bad_new_password_is_refused_with_its_field(ann: Client, new: str) -> None:
    with nothing_changes():
        assert_refused(change(ann, new=new), 422, "invalid_request", "#/new_password")


def test_a_common_new_password_is_refused_everywhere(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REJECT_COMMON_PASSWORDS")
    settings.cache_clear()

    with nothing_changes():
        assert_refused(change(ann, new="password1"), 422, "invalid_request", "#/new_password")
        assert_refused(confirm("x", "password1"), 422, "invalid_request", "#/new_password")


@pytest.mark.parametrize("other", ["a change", "a sign-out"])
def test_one_of_two_simultaneous_changes_wins(
    ann: Client, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    another = Client(sign_in(PASSWORD).json["access_token"], ann.user_id)

    def meanwhile() -> None:
        if other == "a change":
            assert change(another, new="another password").status == 200
        else:
            assert another.post("/api/v1/auth/logout-everywhere").status == 204

    between.first(monkeypatch, "TransactWriteItems", meanwhile)

    assert_refused(change(ann), 401, "session_ended")
    assert sign_in(NEW).status == 401


# --- by a link --------------------------------------------------------------------------------


def test_a_mailed_link_sets_the_password_once(ann: Client, mailbox: Mailbox) -> None:
    answer = ask()

    assert (answer.status, answer.json) == (202, {"email": ANN, "status": "accepted"})
    [(to, _, text)] = mailbox.mails
    assert to == ANN
    assert "#reset=" in text
    token = token_of(mailbox)
    assert confirm(token).status == 204
    assert_refused(ann.get(ME), 401, "session_ended")
    assert sign_in(NEW).status == 200
    with nothing_changes():
        assert_refused(confirm(token, "yet another one"), 403, "link_invalid")


def test_an_unknown_address_gets_the_same_answer_the_same_work_and_one_mail(
    ann: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("warm@example.com", "192.0.2.1")
    made = between.counted(monkeypatch)

    known, of_known = ask(ANN, "192.0.2.2"), made.copy()
    made.clear()
    unknown = ask("nobody@example.com", "192.0.2.3")

    assert (unknown.status, unknown.text.replace("nobody", "ann")) == (202, known.text)
    assert made == of_known
    assert [to for to, _, _ in mailbox.mails[1:]] == [ANN, "nobody@example.com"]
    assert "#reset=" not in mailbox.mails[-1][2]


def test_without_mail_the_answer_is_the_same_and_nothing_is_kept(ann: Client) -> None:
    for email in (ANN, "nobody@example.com"):
        answer = ask(email)
        assert (answer.status, answer.json) == (202, {"email": email, "status": "accepted"})

    assert not [item for item in world.everything() if item["sk"]["S"] == "RESET"]


def test_a_mail_that_is_not_accepted_is_not_told(ann: Client, mailbox: Mailbox) -> None:
    mailbox.refuses = True

    assert ask().status == 202


def test_a_link_is_valid_for_an_hour(
    ann: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    token = token_of(mailbox)
    [item] = [each for each in world.everything() if each["sk"]["S"] == "RESET"]
    assert abs(int(item["ttl"]["N"]) - time.time() - HOUR) < 10
    later = "9999-01-01T00:00:00.000Z"
    monkeypatch.setattr("slipway.services.new_passwords._now", lambda: later)

    assert_refused(confirm(token), 403, "link_invalid")


@pytest.mark.parametrize("token", ["x", "0" * 200, "../../x", "é"])
def test_a_wrong_token_is_refused(ann: Client, token: str) -> None:
    with nothing_changes():
        assert_refused(confirm(token), 403, "link_invalid")


def test_the_link_of_no_account_is_refused(
    aws: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.store.account_records.new_secret", lambda: "known")
    ask("nobody@example.com")

    assert_refused(confirm("known"), 403, "link_invalid")


def test_a_new_password_ends_all_other_links(ann: Client, mailbox: Mailbox) -> None:
    ask()
    first = token_of(mailbox)
    ask()
    second = token_of(mailbox)

    assert change(ann).status == 200

    for token in (first, second):
        assert_refused(confirm(token), 403, "link_invalid")


def test_the_link_of_a_disabled_or_deleted_user_is_refused(ann: Client, mailbox: Mailbox) -> None:
    ask()
    token = token_of(mailbox)
    key = sessions.account_key(ann.user_id)
    table.write(Update(key, "SET #status = :it", {"it": "disabled"}))
    assert_refused(confirm(token), 403, "link_invalid")

    table.write(table.Delete(key))

    with nothing_changes():
        assert_refused(confirm(token), 403, "link_invalid")


def test_one_of_two_who_use_a_link_at_once_sets_the_password(
    ann: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    token = token_of(mailbox)

    answers: list[Any] = between.at_once(
        monkeypatch,
        lambda: confirm(token, "the first password"),
        lambda: confirm(token, "the second password"),
    )

    assert sorted(each.status for each in answers) == [204, 403]


def test_the_table_does_not_have_the_token(ann: Client, mailbox: Mailbox) -> None:
    ask()

    assert token_of(mailbox) not in str(world.everything())


def test_resets_are_throttled_and_the_owner_is_not_locked_out(
    ann: Client, mailbox: Mailbox
) -> None:
    prove(ann.user_id)
    assert sign_in(PASSWORD, "198.51.100.77").status == 200
    strangers = [ask(ANN, f"192.0.2.{n}").status for n in range(30)]
    unknown = [ask("nobody@example.com", f"192.0.2.{n}").status for n in range(30)]

    assert strangers == unknown == [202] * 10 + [429] * 20
    assert ask(ANN, "198.51.100.77").status == 202
    again = [ask(ANN, "203.0.113.9") for _ in range(2)][-1]
    assert_refused(again, 429, "too_many_attempts")


# --- an administrator's link ------------------------------------------------------------------


def test_an_administrator_makes_a_link_where_no_mail_is_sent(ann: Client) -> None:
    answer = administrator().post(f"/api/v1/users/{ann.user_id}/password-reset")

    assert answer.status == 200
    assert answer.json["mailed"] is False
    assert confirm(answer.json["reset"]).status == 204
    assert sign_in(NEW).status == 200
    assert_refused(ann.get(ME), 401, "session_ended")


def test_an_administrators_link_is_mailed_where_mail_is_sent(ann: Client, mailbox: Mailbox) -> None:
    answer = administrator().post(f"/api/v1/users/{ann.user_id}/password-reset")

    assert (answer.json["mailed"], answer.json["reset"]) == (True, None)
    assert confirm(token_of(mailbox)).status == 204


def test_only_administrators_make_links(ann: Client) -> None:
    other = signed_in("bob@example.com")

    with nothing_changes():
        answer = ann.post(f"/api/v1/users/{other.user_id}/password-reset")
        missing = administrator_missing(ann)

    assert_refused(answer, 403, "forbidden")
    assert_refused(missing, 403, "forbidden")


def administrator_missing(ann: Client) -> Answer:
    return ann.post("/api/v1/users/usr_01kaq3h5x0c2m9f7r4tz/password-reset")


def test_a_link_for_nobody_is_not_found(ann: Client) -> None:
    answer = administrator().post("/api/v1/users/usr_01kaq3h5x0c2m9f7r4tz/password-reset")

    assert_refused(answer, 404, "not_found")
