"""Users are unique by their e-mail address."""

from __future__ import annotations

import time
from typing import Any

import pytest

from slipway.domain.user import User
from slipway.errors import EmailTaken, Unauthenticated
from slipway.store import table, user_records
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")


def entry(email: str) -> Any:
    [found] = table.get(user_records.email_key(email))
    return found


def test_a_user_is_found_by_id_and_by_address() -> None:
    added = user_records.add("ann@example.com", "a hash")

    assert user_records.get(added.id) == added
    found = entry("ann@example.com")
    assert (found["user_id"], found["password_hash"]) == (added.id, "a hash")


def test_an_unknown_user_is_not_signed_in() -> None:
    assert entry("nobody@example.com") is None
    with pytest.raises(Unauthenticated):
        user_records.get("usr_01kaq3h5x0c2m9f7r4tz")


def test_an_address_is_registered_once() -> None:
    added = user_records.add("ann@example.com", "a hash")
    before = world.everything()

    with pytest.raises(EmailTaken):
        user_records.add("ann@example.com", "another hash")

    assert world.everything() == before
    found = entry("ann@example.com")
    assert (found["user_id"], found["password_hash"]) == (added.id, "a hash")


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
    assert len(world.everything()) == 3


def test_a_registration_is_written_completely_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between.first(
        monkeypatch, "TransactWriteItems", lambda: user_records.add("ann@example.com", "hers")
    )

    with pytest.raises(EmailTaken):
        user_records.add("ann@example.com", "his")

    assert entry("ann@example.com")["password_hash"] == "hers"
    assert len(world.everything()) == 3


def test_the_time_of_registration_is_kept() -> None:
    before = time.time()

    added = user_records.add("ann@example.com", "a hash")

    assert abs(added.created_at.timestamp() - before) < 5
