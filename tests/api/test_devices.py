"""A device signs in by a code that a person approves in a session (RFC 8628)."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest

from slipway.domain import device, timestamps
from slipway.store import account_records, table, wire
from slipway.store import device_records as records
from slipway.store.table import Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import HOST, Answer, Client
from tests.support.api.people import PASSWORD
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("quick_argon2")

BEGIN, COMPLETE = "/api/v1/auth/device", "/api/v1/auth/device/token"
APPROVE, DENY = f"{BEGIN}/approve", f"{BEGIN}/deny"
ME, REFRESH, LOGIN = "/api/v1/auth/me", "/api/v1/auth/refresh", "/api/v1/auth/login"
LAPTOP, PHONE = "198.51.100.23", "203.0.113.7"


@pytest.fixture
def ann(aws: None) -> Client:
    return signed_in_as("ann@example.com")


@pytest.fixture
def bob(aws: None) -> Client:
    return signed_in_as("bob@example.com")


def signed_in_as(email: str) -> Client:
    """A user in a session with a refresh token, as a sign-in begins it."""
    made = Client().post("/api/v1/auth/register", {"email": email, "password": PASSWORD})
    tokens = Client().form(LOGIN, {"username": email, "password": PASSWORD})
    return Client(tokens.json["access_token"], made.json["id"])


def begin(source: str = LAPTOP, **more: str) -> Answer:
    return Client(source=source).form(BEGIN, {"client_id": "slipway-cli", **more})


def complete(device_code: str, **more: str) -> Answer:
    form = {"grant_type": device.GRANT_TYPE, "device_code": device_code, "client_id": "slipway-cli"}
    return Client(source=LAPTOP).form(COMPLETE, {**form, **more})


def look(client: Client, user_code: str) -> Answer:
    return client.get(BEGIN, user_code=user_code)


def decide(client: Client, path: str, user_code: str) -> Answer:
    return client.post(path, {"user_code": user_code})


class Clock:
    """The time as the platform sees it, for what it writes and compares."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta()
        real = timestamps.now
        monkeypatch.setattr(timestamps, "now", lambda: real() + self.ahead)

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def items() -> list[Any]:
    return [wire.decode(item) for item in world.everything()]


def assert_grant_refused(answer: Answer, error: str, code: str = "") -> None:
    assert_refused(answer, 400, code or error)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"] == error
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", answer.json["error_description"])


# --- the way of RFC 8628 ----------------------------------------------------------------------


def test_a_device_gets_a_session_of_the_person_who_approves_its_code(ann: Client) -> None:
    codes = begin()

    pending = complete(codes.json["device_code"])
    seen = look(ann, codes.json["user_code"])
    approved = decide(ann, APPROVE, codes.json["user_code"])
    tokens = complete(codes.json["device_code"])

    assert codes.status == 200
    assert codes.headers["cache-control"] == "no-store"
    page = f"https://{HOST}/console/device"
    assert codes.json["verification_uri"] == page
    assert codes.json["verification_uri_complete"] == (
        f"{page}?user_code={codes.json['user_code']}"
    )
    assert (codes.json["expires_in"], codes.json["interval"]) == (600, 5)
    assert_grant_refused(pending, "authorization_pending")
    assert seen.json["status"] == "pending"
    assert seen.json["asked_from"] == LAPTOP
    assert seen.json["client_id"] == "slipway-cli"
    assert (approved.status, approved.json["status"]) == (200, "approved")
    assert (tokens.status, tokens.json["token_type"]) == (200, "bearer")
    assert tokens.headers["cache-control"] == "no-store"
    of_device = Client(tokens.json["access_token"], ann.user_id)
    assert of_device.get(ME).json["email"] == "ann@example.com"
    again = Client().post(REFRESH, {"refresh_token": tokens.json["refresh_token"]})
    assert again.status == 200


def test_the_code_may_be_typed_in_any_case_with_dashes_or_without(ann: Client) -> None:
    code = begin().json["user_code"]

    typed = (code.lower(), code.replace("-", ""), f" {code} ", code.replace("-", " \N{EN DASH} "))

    for each in typed:
        assert look(ann, each).json["user_code"] == code


def test_codes_have_no_letters_that_make_words_or_look_alike(aws: None) -> None:
    codes = [begin(f"198.51.100.{n}").json["user_code"] for n in range(20)]

    assert len({*codes}) == 20
    assert all(
        re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", c) for c in codes
    )
    assert len({letter for code in codes for letter in code}) > 15


def test_a_denied_device_gets_nothing(ann: Client) -> None:
    codes = begin().json

    denied = decide(ann, DENY, codes["user_code"])

    assert denied.json["status"] == "denied"
    assert_grant_refused(complete(codes["device_code"]), "access_denied")
    assert_refused(decide(ann, APPROVE, codes["user_code"]), 409, "device_decided")
    assert_grant_refused(complete(codes["device_code"]), "access_denied")


def test_what_was_approved_can_be_denied_until_the_device_has_its_session(ann: Client) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])

    assert decide(ann, DENY, codes["user_code"]).json["status"] == "denied"

    assert_grant_refused(complete(codes["device_code"]), "access_denied")


def test_deciding_twice_is_the_same_as_once(ann: Client) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])

    with nothing_changes():
        again = decide(ann, APPROVE, codes["user_code"])

    assert again.json["status"] == "approved"
    assert complete(codes["device_code"]).status == 200


def test_a_code_is_over_after_ten_minutes(ann: Client, clock: Clock) -> None:
    approved, pending = begin().json, begin().json
    decide(ann, APPROVE, approved["user_code"])

    clock.advance(601)

    assert_grant_refused(complete(approved["device_code"]), "expired_token")
    assert_grant_refused(complete(pending["device_code"]), "expired_token")
    assert_refused(look(ann, pending["user_code"]), 404, "not_found")
    assert_refused(decide(ann, APPROVE, pending["user_code"]), 404, "not_found")


# --- asking too often -------------------------------------------------------------------------


def test_a_device_that_asks_too_soon_has_to_wait_longer_each_time(aws: None, clock: Clock) -> None:
    code = begin().json["device_code"]

    def after(seconds: float) -> str:
        clock.advance(seconds)
        return str(complete(code).json["error"])

    assert after(0) == "authorization_pending"
    assert after(5.1) == "authorization_pending"
    assert after(1) == "slow_down"
    assert after(5.1) == "slow_down"
    assert complete(code).json["interval"] == 20
    assert after(20.1) == "authorization_pending"


def test_an_approved_device_need_not_wait(ann: Client) -> None:
    codes = begin().json
    complete(codes["device_code"])
    decide(ann, APPROVE, codes["user_code"])

    assert complete(codes["device_code"]).status == 200


def test_an_address_cannot_begin_any_number_of_sign_ins(aws: None, clock: Clock) -> None:
    answers = [begin() for _ in range(31)]

    assert [each.status for each in answers[:30]] == [200] * 30
    assert_refused(answers[30], 429, "too_many_attempts")
    assert int(answers[30].headers["retry-after"]) >= 1
    assert begin("198.51.100.99").status == 200


def test_codes_that_no_device_shows_are_counted_for_each_user(ann: Client, bob: Client) -> None:
    shown = begin().json["user_code"]
    wrong = [look(ann, f"BBBB-BBB{letter}") for letter in device.ALPHABET[:10]]

    assert [each.status for each in wrong] == [404] * 10
    for guess in (
        look(ann, "CCCC-CCCC"),
        decide(ann, APPROVE, "CCCC-CCCC"),
        decide(ann, DENY, "CCCC-CCCC"),
        # Not even the right one is told from a wrong one any more.
        look(ann, shown),
        decide(ann, APPROVE, shown),
    ):
        assert_refused(guess, 429, "too_many_attempts")
    assert look(bob, shown).status == 200


def test_what_a_person_types_right_is_not_counted(ann: Client) -> None:
    code = begin().json["user_code"]

    assert [look(ann, code).status for _ in range(30)] == [200] * 30


# --- used again -------------------------------------------------------------------------------


def test_a_code_that_is_used_twice_ends_the_session_that_it_began(ann: Client) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])
    tokens = complete(codes["device_code"]).json

    assert_grant_refused(complete(codes["device_code"]), "invalid_grant")

    ended = Client(tokens["access_token"], ann.user_id)
    assert_refused(ended.get(ME), 401, "session_ended")
    refused = Client().post(REFRESH, {"refresh_token": tokens["refresh_token"]})
    assert_refused(refused, 401, "refresh_token_invalid")
    assert ann.get(ME).status == 200


def test_of_two_requests_at_once_one_gets_the_session_and_both_lose_it(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])
    first: list[Answer] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: first.append(complete(codes["device_code"])),
    )

    second = complete(codes["device_code"])

    assert_grant_refused(second, "invalid_grant")
    assert first[0].status == 200
    ended = Client(first[0].json["access_token"], ann.user_id)
    assert_refused(ended.get(ME), 401, "session_ended")


def test_a_used_code_is_no_longer_shown(ann: Client) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])
    complete(codes["device_code"])

    assert_refused(look(ann, codes["user_code"]), 404, "not_found")
    assert_refused(decide(ann, DENY, codes["user_code"]), 404, "not_found")


def test_a_decision_of_another_user_is_not_seen_and_cannot_be_changed(
    ann: Client, bob: Client
) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])

    assert_refused(look(bob, codes["user_code"]), 404, "not_found")
    for path in (APPROVE, DENY):
        assert_refused(decide(bob, path, codes["user_code"]), 404, "not_found")
    tokens = complete(codes["device_code"]).json
    assert Client(tokens["access_token"]).get(ME).json["email"] == "ann@example.com"


# --- whose session it is, and how long --------------------------------------------------------


@pytest.mark.parametrize("how", ["logout-everywhere", "disabled"])
def test_an_approval_ends_with_its_users_sessions(ann: Client, how: str) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])

    if how == "disabled":
        disable = Update(account_records.key(ann.user_id), "SET #status = :is", {"is": "disabled"})
        table.write(disable)
    else:
        ann.post(f"/api/v1/auth/{how}")

    assert_grant_refused(complete(codes["device_code"]), "access_denied")


def test_a_session_ends_no_later_than_the_one_that_began_it(ann: Client, clock: Clock) -> None:
    clock.advance(100 * 3600)
    login = {"username": "ann@example.com", "password": PASSWORD}
    young = Client(Client().form(LOGIN, login).json["access_token"], ann.user_id)
    clock.advance(600)
    codes = begin().json
    decide(young, APPROVE, codes["user_code"])
    complete(codes["device_code"])

    [of_young, of_device] = sorted(
        (each for each in items() if each["sk"].startswith("FAMILY#")),
        key=lambda each: str(each["created_at"]),
    )[1:]

    assert of_device["ends_at"] == of_young["ends_at"]
    assert of_device["created_at"] > of_young["created_at"]


def test_a_session_without_a_refresh_token_begins_one_without(ann: Client) -> None:
    # So is that of a user of the company's sign-in whose provider cannot be asked again.
    [family] = [each for each in items() if each["sk"].startswith("FAMILY#")]
    key = table.Key(family["pk"], family["sk"])
    kept = Update(key, "SET company = :kept", {"kept": "the provider's, encrypted"})
    for change in (kept, table.Delete(key)):
        table.write(change)
        codes = begin().json
        decide(ann, APPROVE, codes["user_code"])

        tokens = complete(codes["device_code"]).json

        assert tokens["refresh_token"] is None
        assert Client(tokens["access_token"], ann.user_id).get(ME).status == 200


def test_only_a_person_in_a_session_sees_and_decides(ann: Client) -> None:
    codes = begin().json
    scopes = ["read", "members", "tokens"]
    made = ann.post("/api/v1/auth/tokens", {"name": "mine", "kind": "personal", "scopes": scopes})
    program = Client(made.json["token"])

    for answer in (
        look(program, codes["user_code"]),
        decide(program, APPROVE, codes["user_code"]),
        decide(program, DENY, codes["user_code"]),
    ):
        assert_refused(answer, 403, "forbidden")
    assert_refused(look(Client(), codes["user_code"]), 401, "token_missing")
    assert_grant_refused(complete(codes["device_code"]), "authorization_pending")


def test_a_device_that_waits_cannot_approve_itself(aws: None) -> None:
    codes = begin().json

    assert_refused(decide(Client(), APPROVE, codes["user_code"]), 401, "token_missing")
    as_bearer = Client(codes["device_code"])
    assert_refused(decide(as_bearer, APPROVE, codes["user_code"]), 401, "token_invalid")


# --- what the table and the audit have --------------------------------------------------------


def test_the_table_has_neither_code(ann: Client) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])

    kept = str(world.everything())

    part, _, secret = codes["device_code"].partition(".")
    assert secret not in kept
    assert codes["user_code"] not in kept
    assert codes["user_code"].replace("-", "") not in kept
    # Nor anything from which all codes could be tried without the signing secret.
    digests = [account_records.digest(codes[name]) for name in ("device_code", "user_code")]
    assert not any(digest in kept for digest in digests)
    assert records.key(part).pk in kept


def test_a_record_goes_a_day_after_its_code(aws: None) -> None:
    begin()

    [record] = [each for each in items() if each["sk"] == "DEVICE"]

    assert 24 * 3600 < record["ttl"] - time.time() < 25 * 3600


def test_the_audit_says_who_approved_which_device_and_who_signed_in(ann: Client) -> None:
    codes = begin().json
    decide(ann, APPROVE, codes["user_code"])
    complete(codes["device_code"])

    entries = [each for each in items() if each["pk"].startswith("AUDIT#")]
    told = {each["action"]: each for each in entries}

    approved, came = told["account:approve-device"], told["account:sign-in"]
    assert approved["actor"] == came["actor"] == ann.user_id
    assert approved["address"] == PHONE
    assert came["address"] == LAPTOP
    assert f'"device": "{LAPTOP}"' in approved["after"]
    assert not any(codes[name] in str(entries) for name in ("device_code", "user_code"))


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("client_id", ["", "slipway", "slipway-cli "])
def test_another_client_is_refused(aws: None, client_id: str) -> None:
    with nothing_changes():
        assert_grant_refused(begin(client_id=client_id), "invalid_client")
        assert_grant_refused(complete("x", client_id=client_id), "invalid_client")


def test_scopes_are_refused_because_a_session_has_none(aws: None) -> None:
    assert_grant_refused(begin(scope="read"), "invalid_scope")
    assert begin(scope="").status == 200


@pytest.mark.parametrize("grant_type", ["", "password", "device_code"])
def test_another_kind_of_grant_is_refused(aws: None, grant_type: str) -> None:
    refused = complete(begin().json["device_code"], grant_type=grant_type)

    assert_grant_refused(refused, "unsupported_grant_type")


def test_what_is_no_code_of_a_device_is_refused(aws: None) -> None:
    real = begin().json["device_code"]
    part, _, secret = real.partition(".")
    other = begin().json["device_code"].partition(".")[2]

    for code in ("", "x", part, f"{part}.", f"{part}.{secret[:-1]}", f"{part}.{other}", "ü" * 68):
        assert_grant_refused(complete(code), "invalid_grant")
    assert_grant_refused(complete(real), "authorization_pending")


def test_unknown_parameters_are_ignored_and_repeated_ones_refused(aws: None) -> None:
    assert begin(resource="x").status == 200

    for path in (BEGIN, COMPLETE):
        twice = Client().form(path, "client_id=slipway-cli&client_id=slipway-cli")
        assert_grant_refused(twice, "invalid_request", "malformed_grant")
        long = Client().form(path, {"client_id": "x" * 300})
        assert_grant_refused(long, "invalid_request", "malformed_grant")


def test_the_device_sends_forms_and_no_json(aws: None) -> None:
    for path in (BEGIN, COMPLETE):
        assert_refused(Client().post(path, {}), 415, "unsupported_media_type")


@pytest.mark.parametrize("code", ["", "BCDF", "BCDF-GHJK-LMNP", "AEIO-UAEI", "1234-5678", "ß" * 8])
def test_what_cannot_be_a_code_is_refused_with_its_field(ann: Client, code: str) -> None:
    assert_refused(look(ann, code), 422, "invalid_request", "?user_code")
    for path in (APPROVE, DENY):
        refused = decide(ann, path, code)
        assert_refused(refused, 422, "invalid_request", "#/user_code")


def test_a_code_that_another_sign_in_has_is_not_given_twice(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: Any = iter(["BCDFGHJK", "BCDFGHJK", "CCDFGHJK"])
    monkeypatch.setattr(device, "new_user_code", lambda: next(codes))

    assert [begin().json["user_code"] for _ in range(2)] == ["BCDF-GHJK", "CCDF-GHJK"]


def test_a_platform_where_every_code_is_taken_says_so(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "new_user_code", lambda: "BCDFGHJK")
    begin()

    assert_refused(begin(), 429, "busy")
