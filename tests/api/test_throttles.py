"""Guessing is throttled; the owner of an account, and an office, are not locked out."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from slipway.access import attempts, passwords
from slipway.aws.dynamodb import DynamoDBError
from slipway.domain import timestamps
from slipway.store.throttles import Rule, Throttle
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.api.people import PASSWORD, password_hash, signed_in
from tests.support.store import between, world

REGISTER, LOGIN = "/api/v1/auth/register", "/api/v1/auth/login"
HOME, OFFICE = "203.0.113.7", "198.51.100.1"
ANN = "ann@example.com"


@pytest.fixture(autouse=True)
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were tried against a hash; PASSWORD alone is right."""
    asked: list[str] = []
    right = password_hash()

    class Argon2:
        def verify(self, password: str, known: str) -> bool:
            asked.append(password)
            return password == PASSWORD and known == right

        def hash(self, password: str) -> str:
            return right

    monkeypatch.setattr(passwords, "_argon2", Argon2)
    monkeypatch.setattr(passwords, "_dummy_hash", lambda: "the dummy hash")
    return asked


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, aws: None) -> list[float]:
    """The present, to be set: the beginning of an hour."""
    present = [1_790_000_000.0 - 1_790_000_000 % 3600]
    monkeypatch.setattr("slipway.store.throttles.time.time", lambda: present[0])
    monkeypatch.setattr(timestamps, "now", lambda: datetime.fromtimestamp(present[0], UTC))
    return present


def guess(email: str = ANN, address: str = HOME, password: str = "wrong") -> Answer:
    return Client(source=address).form(LOGIN, {"username": email, "password": password})


def guesses(times: int, email: str = ANN, address: str = HOME) -> Counter[int]:
    return Counter(guess(email, address).status for _ in range(times))


def register(email: str = ANN, address: str = HOME) -> Answer:
    return Client(source=address).post(REGISTER, {"email": email, "password": PASSWORD})


# --- one account ------------------------------------------------------------------------------


def test_delays_double_and_retry_after_is_exact(clock: list[float], verified: list[str]) -> None:
    signed_in(ANN)
    assert guesses(5) == {401: 5}

    waits = []
    for _ in range(11):
        refused = guess()
        assert_refused(refused, 429, "too_many_attempts")
        waits.append(int(refused.headers["retry-after"]))
        clock[0] += waits[-1] - 0.01
        assert guess().status == 429
        clock[0] += 0.01
        assert guess().status == 401

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
    assert len(verified) == 5 + 11


def test_the_right_password_is_not_tried_while_one_has_to_wait(verified: list[str]) -> None:
    signed_in(ANN)
    guesses(5)

    assert guess(password=PASSWORD).status == 429
    assert len(verified) == 5


def test_a_success_forgets_the_guesses_of_its_address(verified: list[str]) -> None:
    signed_in(ANN)
    for _ in range(4):
        assert guesses(4) == {401: 4}
        assert guess(password=PASSWORD).status == 200


def test_a_new_hour_begins_anew(clock: list[float]) -> None:
    signed_in(ANN)
    guesses(5)
    assert guess().status == 429

    clock[0] += 3600

    assert guesses(5) == {401: 5}


def test_many_addresses_together_are_throttled() -> None:
    signed_in(ANN)

    tried = [guess(address=f"198.51.100.{n}").status for n in range(30)]

    assert tried == [401] * 10 + [429] * 20


def test_an_account_that_does_not_exist_is_throttled_alike() -> None:
    signed_in(ANN)
    known = [guess(ANN, f"198.51.100.{n % 3}") for n in range(20)]
    unknown = [guess("nobody@example.com", f"198.51.100.{n % 3}") for n in range(20)]

    def seen(answers: list[Answer]) -> list[tuple[int, str | None]]:
        return [(each.status, each.headers.get("retry-after")) for each in answers]

    assert seen(known) == seen(unknown)


@pytest.mark.parametrize("times", [1, 8])
def test_both_take_the_same_round_trips(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    signed_in(ANN)
    guess("warm@example.com", "192.0.2.1")
    made = between.counted(monkeypatch)

    for _ in range(times):
        guess(ANN)
    of_ann = made.copy()
    made.clear()
    for _ in range(times):
        guess("nobody@example.com", "192.0.2.9")

    assert made == of_ann


def test_every_spelling_of_an_account_counts() -> None:
    signed_in(ANN)

    spellings = ("ann@example.com", "ANN@example.com", "Ann@Example.Com")
    tried = [guess(spellings[n % 3]).status for n in range(6)]

    assert tried == [401] * 5 + [429]


# --- the owner --------------------------------------------------------------------------------


def test_strangers_elsewhere_never_delay_the_owner() -> None:
    register(ANN, HOME)
    for n in range(60):
        guess(address=f"198.51.100.{n}")

    assert guess(address="198.51.100.99").status == 429
    assert guess(ANN, HOME, PASSWORD).status == 200


def test_an_address_is_known_after_a_sign_in_from_it(clock: list[float]) -> None:
    signed_in(ANN)
    assert guess(ANN, OFFICE, PASSWORD).status == 200
    for n in range(60):
        guess(address=f"203.0.113.{n}")

    assert guess(ANN, OFFICE, PASSWORD).status == 200
    assert guess(ANN, "192.0.2.1", PASSWORD).status == 429


def test_strangers_at_the_owners_address_delay_by_a_few_seconds(clock: list[float]) -> None:
    register(ANN, OFFICE)

    for _ in range(60):
        answer = guess(ANN, OFFICE)
        if answer.status == 429:
            assert int(answer.headers["retry-after"]) <= 4
            clock[0] += 0.5
    while (last := guess(ANN, OFFICE, PASSWORD)).status == 429:
        clock[0] += int(last.headers["retry-after"])

    assert last.status == 200


def test_guessing_makes_no_address_known() -> None:
    signed_in(ANN)
    guesses(5, ANN, OFFICE)
    register(ANN, OFFICE)

    assert not [item for item in world.everything() if item["sk"]["S"] == "KNOWN"]


# --- an office --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [True, False])
def test_a_hundred_guesses_at_others_do_not_stop_the_owner(is_known: bool) -> None:
    register(ANN, OFFICE if is_known else HOME)
    for n in range(100):
        assert guess(f"user{n}@example.com", OFFICE).status == 401

    assert guess(ANN, OFFICE, PASSWORD).status == 200


def test_an_address_that_guesses_at_ever_more_accounts_is_slowed(clock: list[float]) -> None:
    register(ANN, OFFICE)
    tried = Counter(guess(f"user{n}@example.com", OFFICE).status for n in range(180))

    assert tried == {401: 120, 429: 60}
    assert guess(ANN, OFFICE, PASSWORD).status == 200
    assert guess("another@example.com", HOME).status == 401
    waits = []
    for n in range(8):
        refused = guess(f"more{n}@example.com", OFFICE)
        waits.append(int(refused.headers["retry-after"]))
        clock[0] += waits[-1]
        assert guess(f"more{n}@example.com", OFFICE).status == 401
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_one_users_typing_errors_count_once_for_the_address() -> None:
    for n in range(30):
        guesses(4, f"user{n}@example.com", OFFICE)

    assert guess("another@example.com", OFFICE).status == 401


def test_the_addresses_of_one_ipv6_subscriber_are_one() -> None:
    signed_in(ANN)

    tried = [guess(address=f"2001:db8:1:2::{n:x}").status for n in range(1, 7)]

    assert tried == [401] * 5 + [429]
    assert guess(address="2001:db8:1:3::1").status == 401


def test_a_header_does_not_change_the_address() -> None:
    signed_in(ANN)
    client = Client(source=HOME)

    tried = [
        client.with_headers(x_forwarded_for=f"192.0.2.{n}", forwarded=f"for=192.0.2.{n}")
        .form(LOGIN, {"username": ANN, "password": "wrong"})
        .status
        for n in range(6)
    ]

    assert tried == [401] * 5 + [429]


# --- registration -----------------------------------------------------------------------------


def test_forty_registrations_in_a_minute_pass_and_a_hundred_and_fifty_do_not(
    clock: list[float],
) -> None:
    made = [register(f"user{n}@example.com", OFFICE) for n in range(150)]

    statuses = [each.status for each in made]
    assert statuses[:40] == [201] * 40
    assert statuses.count(201) == 100
    assert_refused(made[-1], 429, "too_many_attempts")
    assert register("other@example.com", HOME).status == 201
    clock[0] += int(made[-1].headers["retry-after"])
    assert register("late@example.com", OFFICE).status == 201
    clock[0] += 60
    assert register("later@example.com", OFFICE).status == 201


# --- faults and races -------------------------------------------------------------------------


def test_a_guess_that_cannot_be_counted_is_not_made(
    monkeypatch: pytest.MonkeyPatch, verified: list[str]
) -> None:
    signed_in(ANN)
    guess("warm@example.com", "192.0.2.1")
    verified.clear()
    between.fails(monkeypatch, "UpdateItem", *[DynamoDBError("InternalServerError", {}, 500)] * 9)

    answer = guess(password=PASSWORD)

    assert_refused(answer, 503, "store_unavailable")
    assert verified == []


def test_a_registration_that_cannot_be_counted_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guess("warm@example.com", "192.0.2.1")
    between.fails(monkeypatch, "UpdateItem", *[DynamoDBError("InternalServerError", {}, 500)] * 9)

    assert_refused(register(), 503, "store_unavailable")
    assert not [item for item in world.everything() if item["pk"]["S"].startswith("EMAIL#")]


def test_of_fifty_guesses_at_once_only_a_few_are_tried(
    monkeypatch: pytest.MonkeyPatch, verified: list[str]
) -> None:
    signed_in(ANN)
    guess("warm@example.com", "192.0.2.1")
    verified.clear()

    answers = between.at_once(monkeypatch, *[lambda: guess().status] * 50)

    tried = Counter(answers)
    assert set(tried) == {401, 429}
    assert tried[401] == len(verified) <= 5


def test_nobody_can_read_from_the_table_who_signs_in_from_where() -> None:
    register(ANN, OFFICE)
    guess(ANN, OFFICE)
    guess(ANN, OFFICE, PASSWORD)

    kept = [item for item in world.everything() if item["pk"]["S"].startswith("ATTEMPTS#")]

    assert kept
    assert OFFICE not in str(kept)
    assert ANN not in str(kept)
    assert all(int(item["ttl"]["N"]) > 0 for item in kept)


def test_the_rules_are_those_that_the_documentation_promises() -> None:
    assert [attempts._PAIR.delay(n) for n in (4, 5, 6, 20)] == [0, 1, 2, 900]
    assert attempts._KNOWN_PAIR.longest == 4
    assert Rule(1, 10, 60).delay(10**6) == 10
    throttle = Throttle("x", Rule(1, 10, 60))
    assert throttle.wait({"next_at": 10**15}) <= 60
