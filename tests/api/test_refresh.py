"""A refresh token is used once, for new tokens; one that is used twice ends its session."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from slipway.access import passwords
from slipway.domain import credentials, timestamps
from slipway.domain.credentials import REFRESH_TOKEN, Credential
from slipway.store import sessions, table
from slipway.store.table import Delete, Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.people import PASSWORD, signed_in
from tests.support.api.registering import prove, with_mail
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("quick_argon2")

LOGIN, REFRESH, ME = "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/me"
ANN, NEW = "ann@example.com", "correct horse battery"


@pytest.fixture
def ann(aws: None) -> Client:
    return signed_in(ANN)


class Clock:
    """The time for code that makes or checks a refresh token."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta()
        real = timestamps.now
        monkeypatch.setattr(timestamps, "now", lambda: real() + self.ahead)


def sign_in(email: str = ANN, password: str = PASSWORD) -> dict[str, Any]:
    answer = Client().post(LOGIN, {"username": email, "password": password})
    assert answer.status == 200, answer.json
    tokens: dict[str, Any] = answer.json
    return tokens


def refresh(text: Any) -> Answer:
    return Client().post(REFRESH, {"refresh_token": text})


def works(tokens: dict[str, Any]) -> bool:
    return Client(tokens["access_token"]).get(ME).status == 200


def parsed(tokens: dict[str, Any]) -> Credential:
    found = credentials.parse(tokens["refresh_token"], REFRESH_TOKEN)
    assert found
    return found


def families() -> list[Any]:
    return [item for item in world.everything() if item["sk"]["S"].startswith("FAMILY#")]


# --- a session that goes on -------------------------------------------------------------------


def test_a_refresh_token_gives_new_tokens_of_the_same_session(ann: Client) -> None:
    first = sign_in()

    answer = refresh(first["refresh_token"])

    second = answer.json
    assert answer.status == 200
    assert (
        set(second) == set(first) == {"access_token", "token_type", "expires_in", "refresh_token"}
    )
    assert answer.headers["cache-control"] == "no-store"
    assert second["refresh_token"] != first["refresh_token"]
    assert parsed(second).part == parsed(first).part
    assert works(first) and works(second)
    assert len(families()) == 1


def test_a_session_can_be_refreshed_many_times(ann: Client) -> None:
    tokens = sign_in()

    for _ in range(20):
        tokens = refresh(tokens["refresh_token"]).json

    assert works(tokens)


def test_a_new_password_comes_with_a_refresh_token_of_a_new_session(ann: Client) -> None:
    before = sign_in()
    wanted = {"current_password": PASSWORD, "new_password": NEW}

    after = Client(before["access_token"]).post("/api/v1/auth/password", wanted).json

    assert works(refresh(after["refresh_token"]).json)
    assert not works(before)


def test_refreshing_takes_two_round_trips(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    token = sign_in()["refresh_token"]
    made = between.counted(monkeypatch)

    refresh(token)

    assert made == ["BatchGetItem", "TransactWriteItems"]


# --- a token that is used twice ---------------------------------------------------------------


def test_a_refresh_token_that_is_used_twice_ends_its_session(ann: Client) -> None:
    first = sign_in()
    other = sign_in()
    second = refresh(first["refresh_token"]).json

    replayed = refresh(first["refresh_token"])

    assert_refused(replayed, 401, "refresh_token_reused")
    assert_refused(refresh(second["refresh_token"]), 401, "refresh_token_invalid")
    for tokens in (first, second):
        assert_refused(Client(tokens["access_token"]).get(ME), 401, "session_ended")
    assert works(other) and works(refresh(other["refresh_token"]).json)


def test_any_earlier_token_ends_the_session(ann: Client) -> None:
    first = tokens = sign_in()
    for _ in range(5):
        tokens = refresh(tokens["refresh_token"]).json

    assert_refused(refresh(first["refresh_token"]), 401, "refresh_token_reused")

    assert not works(tokens)


@pytest.mark.parametrize("many", [2, 5])
def test_of_concurrent_refreshes_one_wins_and_the_session_ends(
    ann: Client, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    token = sign_in()["refresh_token"]

    answers: list[Any] = between.at_once(monkeypatch, *[lambda: refresh(token)] * many)

    won = [each for each in answers if each.status == 200]
    assert len(won) == 1
    assert {each.status for each in answers} == {200, 401}
    assert {each.json["code"] for each in answers if each.status == 401} <= {
        *("refresh_token_reused", "refresh_token_invalid")
    }
    assert not works(won[0].json)
    assert_refused(refresh(won[0].json["refresh_token"]), 401, "refresh_token_invalid")


def test_a_refresh_that_is_overtaken_by_another_ends_the_session(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_in()["refresh_token"]
    overtaking: list[Answer] = []
    between.first(monkeypatch, "TransactWriteItems", lambda: overtaking.append(refresh(token)))

    overtaken = refresh(token)

    assert overtaking[0].status == 200
    assert_refused(overtaken, 401, "refresh_token_reused")
    assert not works(overtaking[0].json)


def test_there_is_no_grace_for_an_answer_that_was_lost(ann: Client) -> None:
    token = sign_in()["refresh_token"]
    lost = refresh(token).json

    again = refresh(token)

    assert_refused(again, 401, "refresh_token_reused")
    assert not works(lost)


# --- sessions that have ended -----------------------------------------------------------------


def sign_out(tokens: dict[str, Any]) -> None:
    assert Client(tokens["access_token"]).post("/api/v1/auth/logout").status == 204


def sign_out_everywhere(tokens: dict[str, Any]) -> None:
    other = Client(sign_in()["access_token"])
    assert other.post("/api/v1/auth/logout-everywhere").status == 204


def change_the_password(tokens: dict[str, Any]) -> None:
    wanted = {"current_password": PASSWORD, "new_password": NEW}
    other = Client(sign_in()["access_token"])
    assert other.post("/api/v1/auth/password", wanted).status == 200


def set_the_status(tokens: dict[str, Any], status: str) -> None:
    key = sessions.account_key(parsed(tokens).user_id)
    table.write(Update(key, "SET #status = :it", {"it": status}))


def disable(tokens: dict[str, Any]) -> None:
    root = signed_in("root@example.com")
    role = Update(
        sessions.account_key(root.user_id), "SET platform_role = :role", {"role": "admin"}
    )
    table.write(role)
    assert root.post(f"/api/v1/users/{parsed(tokens).user_id}/disable").status == 200


def delete(tokens: dict[str, Any]) -> None:
    table.write(Delete(sessions.account_key(parsed(tokens).user_id)))


ENDINGS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "signed out": (sign_out, "refresh_token_invalid"),
    "signed out everywhere": (sign_out_everywhere, "session_ended"),
    "a new password": (change_the_password, "session_ended"),
    "disabled": (disable, "account_disabled"),
    "deleted": (delete, "unauthenticated"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_session_that_has_ended_cannot_be_refreshed(ann: Client, name: str) -> None:
    end, code = ENDINGS[name]
    tokens = sign_in()
    end(tokens)

    with nothing_changes():
        answer = refresh(tokens["refresh_token"])

    assert_refused(answer, 401, code)
    assert not works(tokens)


def test_a_new_password_by_a_link_ends_the_session(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = sign_in()
    mailbox = with_mail(monkeypatch)
    prove(ann.user_id)
    assert Client().post("/api/v1/auth/password-reset", {"email": ANN}).status == 202
    wanted = {"token": mailbox.link.partition("#reset=")[2], "new_password": NEW}
    assert Client().post("/api/v1/auth/password-reset/confirm", wanted).status == 204

    assert_refused(refresh(tokens["refresh_token"]), 401, "session_ended")


def test_a_session_does_not_come_back_when_its_user_is_enabled(ann: Client) -> None:
    tokens = sign_in()
    disable(tokens)
    set_the_status(tokens, "active")

    assert_refused(refresh(tokens["refresh_token"]), 401, "session_ended")


@pytest.mark.parametrize("name", ["signed out everywhere", "a new password", "disabled"])
def test_what_ends_sessions_while_a_refresh_is_under_way_also_ends_this_one(
    ann: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    end, code = ENDINGS[name]
    tokens = sign_in()
    between.first(monkeypatch, "TransactWriteItems", lambda: end(tokens))

    answer = refresh(tokens["refresh_token"])

    assert_refused(answer, 401, code if name == "disabled" else "session_ended")
    assert not works(tokens)


def test_signing_out_while_a_refresh_is_under_way_ends_the_session(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = sign_in()
    between.first(monkeypatch, "TransactWriteItems", lambda: sign_out(tokens))

    assert_refused(refresh(tokens["refresh_token"]), 401, "refresh_token_invalid")


# --- how long ---------------------------------------------------------------------------------


def test_an_unused_refresh_token_expires_after_seven_days(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    early, late = sign_in(), sign_in()

    clock.ahead = timedelta(days=7, seconds=-5)
    assert refresh(early["refresh_token"]).status == 200
    clock.ahead = timedelta(days=7, seconds=1)
    with nothing_changes():
        answer = refresh(late["refresh_token"])

    assert_refused(answer, 401, "refresh_token_invalid")


def test_no_session_is_older_than_the_stack_allows(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    tokens = sign_in()
    for day in range(6, 30, 6):
        clock.ahead = timedelta(days=day)
        tokens = refresh(tokens["refresh_token"]).json

    clock.ahead = timedelta(days=30, seconds=1)

    assert_refused(refresh(tokens["refresh_token"]), 401, "refresh_token_invalid")


def test_a_session_is_forgotten_when_its_last_token_has_expired(ann: Client) -> None:
    sign_in()

    [family] = families()

    ends = timestamps.epoch(timestamps.now() + timedelta(days=30))
    assert 0 <= int(family["ttl"]["N"]) - ends - 15 * 60 <= 2


# --- attacks ----------------------------------------------------------------------------------


def with_checksum(body: str) -> str:
    return f"{body}_{credentials.checksum(body)}"


def forgeries(mine: Credential, another: Credential) -> dict[str, str]:
    """Texts with a right checksum that must not be taken for one of mine."""
    guess = credentials.new_secret(64)
    return {
        "a guess": mine._replace(secret=guess).text,
        "a guess at the shared half": mine._replace(secret=guess[:32] + mine.secret[32:]).text,
        "another user's part": mine._replace(user_id=another.user_id).text,
        "another session's part": mine._replace(part=another.part).text,
        "another user's session with my secret": another._replace(secret=mine.secret).text,
        "my ids with another's secret": mine._replace(secret=another.secret).text,
        "an unknown user": mine._replace(user_id="usr_01kaq3h5x0c2m9f7r4tz").text,
    }


@pytest.mark.parametrize("name", forgeries(*[Credential("slr", "usr_1", "2", "3" * 64)] * 2))
def test_a_forged_refresh_token_changes_nothing(ann: Client, bob: Client, name: str) -> None:
    """Otherwise anyone who knows the ids of a session could end it."""
    tokens, another = sign_in(), sign_in("bob@example.com")
    forged = forgeries(parsed(tokens), parsed(another))[name]

    with nothing_changes():
        answer = refresh(forged)

    assert_refused(answer, 401, "refresh_token_invalid")
    assert works(refresh(tokens["refresh_token"]).json)
    assert works(refresh(another["refresh_token"]).json)


def malformed(text: str) -> dict[str, str]:
    flipped = text[:60] + ("A" if text[60] != "A" else "B") + text[61:]
    return {
        "cut off": text[:-1],
        "without its checksum": text[:-7],
        "a letter too many": text + "0",
        "one letter changed": flipped,
        "another checksum": text[:-6] + ("000000" if text[-6:] != "000000" else "000001"),
        "in upper case": text.upper(),
        "with a blank": f" {text}",
        "with a line feed": f"{text}\n",
        "of another kind": with_checksum("slw" + text[3:-7]),
        "a word": "token",
        "a NUL": "\0",
        "letters of another script": "\uff53\uff4c\uff52_" + text[4:],
        "only the prefix": "slr_",
        "a secret that is too short": with_checksum(text[:-8]),
    }


@pytest.mark.parametrize("name", malformed("slr_" + "a" * 111))
def test_what_cannot_be_a_refresh_token_costs_no_call(
    ann: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = malformed(sign_in()["refresh_token"])[name]
    made = between.counted(monkeypatch)

    answer = refresh(text)

    assert_refused(answer, 401, "refresh_token_invalid")
    assert made == []
    assert text.strip("\0") == "" or text not in answer.text or text in ("slr_", "token")


@pytest.mark.parametrize("value", [None, "", 7, ["a"], "a" * 201, {"token": "a"}])
def test_a_body_without_a_refresh_token_is_refused(aws: None, value: Any) -> None:
    with nothing_changes():
        answer = refresh(value)

    assert_refused(answer, 422, "invalid_request", "#/refresh_token")


def test_an_access_token_is_no_refresh_token_and_the_reverse(ann: Client) -> None:
    tokens = sign_in()

    as_access = Client(tokens["refresh_token"]).get(ME)
    # It is longer than a refresh token can be.
    as_refresh = refresh(tokens["access_token"])

    assert_refused(as_access, 401, "token_invalid")
    assert_refused(as_refresh, 422, "invalid_request", "#/refresh_token")
    assert works(tokens)


def test_the_table_has_no_refresh_token(ann: Client) -> None:
    first = sign_in()
    keyed = Client().with_headers(idempotency_key="once")
    second = keyed.post(REFRESH, {"refresh_token": first["refresh_token"]}).json

    held = json.dumps(world.everything())

    for tokens in (first, second):
        secret = parsed(tokens).secret
        assert secret not in held and secret[:32] not in held and secret[32:] not in held
    assert "IDEMPOTENCY#" not in held


def test_a_refresh_token_is_in_no_answer_to_a_refusal(ann: Client) -> None:
    token = sign_in()["refresh_token"]
    secret = token[44:108]
    refresh(token)

    answers = [refresh(token), refresh(token), Client(token).get(ME), Client().get(f"/{token}")]

    assert {each.status for each in answers} == {401, 404}
    assert not [each for each in answers if secret in each.text + json.dumps(each.headers)]


# --- a sign-in that meets what ends sessions --------------------------------------------------


def meets(monkeypatch: pytest.MonkeyPatch, action: Callable[[], Any]) -> Answer:
    """The answer to a sign-in during which this happens after the password was read."""
    between.first(monkeypatch, "UpdateItem", action)
    return Client().post(LOGIN, {"username": ANN, "password": PASSWORD})


def test_a_sign_in_with_a_password_that_changes_meanwhile_is_refused(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = sign_in()

    answer = meets(monkeypatch, lambda: change_the_password(tokens))

    assert_refused(answer, 401, "wrong_credentials")
    assert sign_in(password=NEW)


def test_a_sign_in_during_which_all_sessions_end_gives_no_session_that_goes_on(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = passwords.verify_password

    def meanwhile(password: str, password_hash: str | None) -> bool:
        monkeypatch.setattr(passwords, "verify_password", verify)
        sign_out_everywhere({})
        return verify(password, password_hash)

    monkeypatch.setattr(passwords, "verify_password", meanwhile)

    answer = Client().post(LOGIN, {"username": ANN, "password": PASSWORD})

    assert_refused(answer, 401, "wrong_credentials")


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
def test_a_refresh_that_the_table_does_not_answer_can_be_sent_again(
    ann: Client, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    token = sign_in()["refresh_token"]
    between.no_sleep(monkeypatch)
    between.fails(monkeypatch, operation, between.error("InternalServerError", 500))

    first = refresh(token)
    again = refresh(token)

    assert_refused(first, 503, "store_unavailable")
    assert works(again.json)


# --- a refresh that may be repeated -------------------------------------------------------------

KEY = "k" * 40


def repeat(tokens: dict[str, Any], key: str = KEY) -> Answer:
    body = {"refresh_token": tokens["refresh_token"], "repeat_key": key}
    return Client().post(REFRESH, body)


def test_a_refresh_with_a_key_is_repeated_with_the_same_key(ann: Client) -> None:
    first = sign_in()

    answers = [repeat(first) for _ in range(3)]

    assert [each.status for each in answers] == [200, 200, 200]
    assert len({each.json["refresh_token"] for each in answers}) == 1
    assert answers[0].json["refresh_token"] != first["refresh_token"]
    assert all(works(each.json) for each in answers)
    assert refresh(answers[2].json["refresh_token"]).status == 200


@pytest.mark.parametrize("many", [2, 5])
def test_of_refreshes_with_a_key_at_once_all_get_the_same_token(
    ann: Client, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    first = sign_in()

    answers: list[Any] = between.at_once(monkeypatch, *[lambda: repeat(first)] * many)

    assert {each.status for each in answers} == {200}
    assert len({each.json["refresh_token"] for each in answers}) == 1
    assert all(works(each.json) for each in answers)


@pytest.mark.parametrize("key", ["x" * 40, None])
def test_a_thief_of_the_token_alone_cannot_repeat_a_refresh(ann: Client, key: str | None) -> None:
    first = sign_in()
    fresh = repeat(first).json

    stolen = repeat(first, key) if key else refresh(first["refresh_token"])

    assert_refused(stolen, 401, "refresh_token_reused")
    assert not works(fresh)


def test_a_refresh_is_not_repeated_once_its_token_was_used(ann: Client) -> None:
    first = sign_in()
    second = repeat(first).json
    third = repeat(second).json

    assert_refused(repeat(first), 401, "refresh_token_reused")
    assert not works(third)


def test_a_refresh_is_not_repeated_later(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, first = Clock(monkeypatch), sign_in()
    repeat(first)
    clock.ahead = timedelta(seconds=29)
    assert repeat(first).status == 200
    clock.ahead = timedelta(seconds=31)

    assert_refused(repeat(first), 401, "refresh_token_reused")


def test_a_refresh_of_a_session_that_has_ended_is_not_repeated(ann: Client) -> None:
    first = sign_in()
    fresh = repeat(first).json
    Client(fresh["access_token"]).post("/api/v1/auth/logout")

    assert_refused(repeat(first), 401, "refresh_token_invalid")


@pytest.mark.parametrize("key", ["", "short", "x" * 201, 7])
def test_a_key_that_could_be_guessed_is_refused(ann: Client, key: Any) -> None:
    first = sign_in()

    with nothing_changes():
        assert_refused(repeat(first, key), 422, "invalid_request", "#/repeat_key")


def test_the_table_has_neither_the_key_nor_the_next_token(ann: Client) -> None:
    fresh = parsed(repeat(sign_in()).json)

    text = json.dumps(world.everything())
    assert KEY not in text and fresh.secret not in text
