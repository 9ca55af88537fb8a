"""Public keys are published once, and expire when no valid token can be signed with them."""

from __future__ import annotations

import time

import pytest

from slipway.store import verification_keys
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

SOON = int(time.time()) + 4000
PAST = int(time.time()) - 1


def known() -> set[str]:
    return {item["kid"] for item in verification_keys.list_()}


def test_a_key_is_known_once_it_is_published() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)

    [item] = verification_keys.list_()

    assert (item["kid"], item["x"]) == ("one", "x1")
    assert "ttl" not in item


def test_publishing_again_changes_nothing() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    before = world.everything()

    verification_keys.publish("one", "x1", others_until=SOON + 60)

    assert world.everything() == before


def test_a_new_key_makes_the_previous_one_expire() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    verification_keys.publish("two", "x2", others_until=SOON)

    lapses = {item["kid"]: item.get("ttl") for item in verification_keys.list_()}

    assert lapses == {"one": SOON, "two": None}


def test_a_later_key_does_not_extend_a_key_that_expires() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    verification_keys.publish("two", "x2", others_until=SOON)
    verification_keys.publish("three", "x3", others_until=SOON + 900)

    lapses = {item["kid"]: item.get("ttl") for item in verification_keys.list_()}

    assert lapses == {"one": SOON, "two": SOON + 900, "three": None}


def test_an_expired_key_is_unknown_before_ttl_deletes_it() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    verification_keys.publish("two", "x2", others_until=PAST)

    assert known() == {"two"}
    assert len(world.everything()) == 2


def test_publishing_one_key_twice_at_once_publishes_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    between.first(
        monkeypatch, "PutItem", lambda: verification_keys.publish("two", "x2", others_until=SOON)
    )

    verification_keys.publish("two", "x2", others_until=SOON)

    assert known() == {"one", "two"}


def test_a_secret_that_is_restored_has_its_key_again() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    verification_keys.publish("two", "x2", others_until=SOON)

    verification_keys.publish("one", "x1", others_until=SOON)

    lapses = {item["kid"]: item.get("ttl") for item in verification_keys.list_()}
    assert lapses == {"one": None, "two": SOON}


def test_a_secret_that_is_restored_late_has_its_key_again() -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    verification_keys.publish("two", "x2", others_until=PAST)

    verification_keys.publish("one", "x1", others_until=SOON)

    assert known() == {"one", "two"}


def test_publishing_again_after_a_crash_makes_the_previous_key_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    between.fails(monkeypatch, "UpdateItem", RuntimeError("died"))
    with pytest.raises(RuntimeError):
        verification_keys.publish("two", "x2", others_until=SOON)

    verification_keys.publish("two", "x2", others_until=SOON)

    lapses = {item["kid"]: item.get("ttl") for item in verification_keys.list_()}
    assert lapses == {"one": SOON, "two": None}


def test_publishing_a_known_key_is_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    verification_keys.publish("one", "x1", others_until=SOON)
    made = between.counted(monkeypatch)

    verification_keys.publish("one", "x1", others_until=SOON)

    assert made == ["Query"]
