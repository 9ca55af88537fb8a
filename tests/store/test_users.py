"""Users are unique by their e-mail address; failed sign-ins are counted for a while."""

from __future__ import annotations

import time

import pytest

from slipway.domain.user import User
from slipway.errors import EmailTaken, TooManyAttempts, Unauthenticated
from slipway.store import user_records
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

HOME = "203.0.113.7"


def fail(times: int, email: str = "ann@example.com", address: str = HOME) -> None:
    for _ in range(times):
        user_records.count_failure(email, address)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present, to be set: 100 s into a window of counting."""
    present = [1_790_000_100.0 - 1_790_000_100 % 900 + 100]
    monkeypatch.setattr("slipway.store.user_records.time.time", lambda: present[0])
    return present


def test_a_user_is_found_by_id_and_by_address() -> None:
    added = user_records.add("ann@example.com", "a hash")

    assert user_records.get(added.id) == added
    assert user_records.for_sign_in("ann@example.com", HOME) == (added.id, "a hash")


def test_an_unknown_user_is_not_signed_in() -> None:
    assert user_records.for_sign_in("nobody@example.com", HOME) is None
    with pytest.raises(Unauthenticated):
        user_records.get("usr_01kaq3h5x0c2m9f7r4tz")


def test_an_address_is_registered_once() -> None:
    added = user_records.add("ann@example.com", "a hash")
    before = world.everything()

    with pytest.raises(EmailTaken):
        user_records.add("ann@example.com", "another hash")

    assert world.everything() == before
    assert user_records.for_sign_in("ann@example.com", HOME) == (added.id, "a hash")


def test_one_of_many_simultaneous_registrations_of_an_address_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = between.at_once(
        monkeypatch, *[lambda: user_records.add("ann@example.com", "a hash") for _ in range(8)]
    )

    won = [result for result in results if isinstance(result, User)]
    lost = [result for result in results if isinstance(result, EmailTaken)]
    assert (len(won), len(lost)) == (1, 7)
    assert user_records.get(won[0].id) == won[0]
    assert len(world.everything()) == 2


def test_a_registration_is_written_completely_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between.first(
        monkeypatch, "TransactWriteItems", lambda: user_records.add("ann@example.com", "hers")
    )

    with pytest.raises(EmailTaken):
        user_records.add("ann@example.com", "his")

    found = user_records.for_sign_in("ann@example.com", HOME)
    assert found
    assert found[1] == "hers"
    assert len(world.everything()) == 2


def test_the_eleventh_attempt_on_an_account_must_wait(clock: list[float]) -> None:
    user_records.add("ann@example.com", "a hash")
    fail(9)
    assert user_records.for_sign_in("ann@example.com", HOME)

    fail(1)
    with pytest.raises(TooManyAttempts) as refused:
        user_records.for_sign_in("ann@example.com", "198.51.100.1")

    assert refused.value.seconds == 800


def test_attempts_on_an_unknown_account_are_counted_too(clock: list[float]) -> None:
    fail(10, "nobody@example.com")

    with pytest.raises(TooManyAttempts):
        user_records.for_sign_in("nobody@example.com", HOME)


def test_an_address_that_tries_many_accounts_must_wait(clock: list[float]) -> None:
    user_records.add("ann@example.com", "a hash")
    for n in range(100):
        fail(1, f"user{n}@example.com")

    with pytest.raises(TooManyAttempts):
        user_records.for_sign_in("ann@example.com", HOME)
    assert user_records.for_sign_in("ann@example.com", "198.51.100.1")


def test_attempts_are_allowed_again_after_the_wait(clock: list[float]) -> None:
    user_records.add("ann@example.com", "a hash")
    fail(10)
    with pytest.raises(TooManyAttempts) as refused:
        user_records.for_sign_in("ann@example.com", HOME)

    clock[0] += refused.value.seconds

    assert user_records.for_sign_in("ann@example.com", HOME)


def test_ttl_deletes_counts_only_after_their_window(clock: list[float]) -> None:
    fail(1)

    counts = [item for item in world.everything() if item["sk"]["S"] == "ATTEMPTS"]

    assert len(counts) == 2
    for item in counts:
        assert int(item["ttl"]["N"]) >= clock[0] + 900


def test_signing_in_is_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    user_records.add("ann@example.com", "a hash")
    made = between.counted(monkeypatch)

    user_records.for_sign_in("ann@example.com", HOME)

    assert made == ["BatchGetItem"]


def test_the_time_of_registration_is_kept() -> None:
    before = time.time()

    added = user_records.add("ann@example.com", "a hash")

    assert abs(added.created_at.timestamp() - before) < 5
