"""The secret can be changed at any time, and nobody has to sign in again for it."""

from __future__ import annotations

import time

import boto3
import jwt
import pytest

from slipway import auth
from slipway.store import keys
from tests.api.checks import assert_refused
from tests.api.client import Client

ME, JWKS = "/api/v1/auth/me", "/.well-known/jwks.json"


class Clock:
    """The present of everybody who signs or verifies."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return REAL() + self.ahead


REAL = time.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    present = Clock()
    monkeypatch.setattr("slipway.auth.time.time", present)
    return present


def rotate(secret: str) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="signing", SecretString=secret)


def kid(token: str | None) -> str:
    return str(jwt.get_unverified_header(token or "")["kid"])


def test_a_new_secret_signs_nobody_out(ann: Client) -> None:
    rotate("t" * 64)
    auth.forget_keys()

    fresh = Client(auth.mint(ann.user_id).access_token)

    assert kid(ann.token) != kid(fresh.token)
    assert (ann.get(ME).status, fresh.get(ME).status) == (200, 200)
    assert len(ann.get(JWKS).json["keys"]) == 2


def test_a_key_that_is_not_known_yet_is_looked_up_at_once(ann: Client) -> None:
    assert ann.get(ME).status == 200
    before = set(auth._known)
    rotate("t" * 64)
    auth._signing.clear()

    fresh = Client(auth.mint(ann.user_id).access_token)

    assert kid(fresh.token) not in before
    assert fresh.get(ME).status == 200


def test_a_new_secret_is_taken_up_within_minutes(ann: Client, clock: Clock) -> None:
    rotate("t" * 64)

    at_once = kid(auth.mint(ann.user_id).access_token)
    clock.ahead = 301
    later = kid(auth.mint(ann.user_id).access_token)

    assert at_once == kid(ann.token)
    assert later != at_once


def test_a_retired_key_lapses_when_its_last_token_has(ann: Client, clock: Clock) -> None:
    rotate("t" * 64)
    auth._signing.clear()
    auth.mint(ann.user_id)
    hour = 60 * 60

    clock.ahead = hour + 2 * 300 - 5
    auth._known.clear()
    assert kid(ann.token) in {item["kid"] for item in keys.every()}
    clock.ahead = hour + 2 * 300 + 5
    auth._known.clear()

    assert kid(ann.token) not in {item["kid"] for item in keys.every()}
    assert_refused(ann.get(ME), 401, "token_invalid")


def test_whoever_verifies_forgets_a_lapsed_key_within_minutes(ann: Client, clock: Clock) -> None:
    assert ann.get(ME).status == 200
    rotate("t" * 64)
    auth._signing.clear()
    auth.mint(ann.user_id)
    clock.ahead = 2 * 60 * 60

    assert_refused(ann.get(ME), 401, "token_invalid")
    assert kid(ann.token) not in auth._known


def test_an_unknown_kid_is_asked_for_but_never_believed(ann: Client) -> None:
    forged = jwt.encode({}, auth._derived("x"), algorithm="EdDSA", headers={"kid": "Z" * 16})

    assert_refused(Client(forged).get(ME), 401, "token_invalid")
    assert ann.get(ME).status == 200


def test_a_key_is_published_before_anything_is_signed_with_it(aws: None) -> None:
    assert keys.every() == []

    token = auth.mint("usr_1").access_token

    assert [item["kid"] for item in keys.every()] == [kid(token)]


def test_the_secret_itself_is_nowhere_in_the_table(ann: Client) -> None:
    [item] = keys.every()

    assert set(item) == {"pk", "sk", "kid", "x"}
    assert auth._unb64(item["x"]) == auth._derived("s" * 64).public_key().public_bytes_raw()
