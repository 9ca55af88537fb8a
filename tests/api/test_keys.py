"""The signing secret can be rotated at any time, and all users stay signed in."""

from __future__ import annotations

import time
from typing import Any

import boto3
import jwt
import pytest

from slipway.access import signing, tokens
from slipway.store import table, verification_keys
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client
from tests.support.api.signing import KID, claims, signed

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
    monkeypatch.setattr("slipway.access.tokens.time.time", present)
    return present


def rotate(secret: str) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="signing", SecretString=secret)


def kid(token: str | None) -> str:
    return str(jwt.get_unverified_header(token or "")["kid"])


def test_a_new_secret_keeps_all_users_signed_in(ann: Client) -> None:
    rotate("t" * 64)
    tokens.forget()
    signing.forget()

    fresh = Client(signing.mint(ann.user_id).access_token)

    assert kid(ann.token) != kid(fresh.token)
    assert (ann.get(ME).status, fresh.get(ME).status) == (200, 200)
    assert len(ann.get(JWKS).json["keys"]) == 2


def test_an_unknown_key_is_looked_up_at_once(ann: Client) -> None:
    assert ann.get(ME).status == 200
    before = set(tokens._known)
    rotate("t" * 64)
    signing._keys.clear()

    fresh = Client(signing.mint(ann.user_id).access_token)

    assert kid(fresh.token) not in before
    assert fresh.get(ME).status == 200


def test_a_new_secret_is_used_within_minutes(ann: Client, clock: Clock) -> None:
    rotate("t" * 64)

    at_once = kid(signing.mint(ann.user_id).access_token)
    clock.ahead = 301
    later = kid(signing.mint(ann.user_id).access_token)

    assert at_once == kid(ann.token)
    assert later != at_once


def test_a_retired_key_expires_with_its_last_token(ann: Client, clock: Clock) -> None:
    rotate("t" * 64)
    signing._keys.clear()
    signing.mint(ann.user_id)
    lifetime = 15 * 60

    clock.ahead = lifetime + 2 * 300 - 5
    tokens._known.clear()
    assert kid(ann.token) in {item["kid"] for item in verification_keys.list_()}
    clock.ahead = lifetime + 2 * 300 + 5
    tokens._known.clear()

    assert kid(ann.token) not in {item["kid"] for item in verification_keys.list_()}
    assert_refused(ann.get(ME), 401, "token_invalid")


def test_an_expired_key_is_no_longer_accepted_within_minutes(ann: Client, clock: Clock) -> None:
    assert ann.get(ME).status == 200
    rotate("t" * 64)
    signing._keys.clear()
    signing.mint(ann.user_id)
    clock.ahead = 2 * 60 * 60

    assert_refused(ann.get(ME), 401, "token_invalid")
    assert kid(ann.token) not in tokens._known


def test_a_token_with_an_unknown_kid_is_refused(ann: Client) -> None:
    forged = jwt.encode({}, signing._private_key("x"), algorithm="EdDSA", headers={"kid": "Z" * 16})

    assert_refused(Client(forged).get(ME), 401, "token_invalid")
    assert ann.get(ME).status == 200


def test_a_key_is_published_before_anything_is_signed_with_it(aws: None) -> None:
    assert verification_keys.list_() == []

    token = signing.mint("usr_1").access_token

    assert [item["kid"] for item in verification_keys.list_()] == [kid(token)]


def test_the_secret_is_not_in_the_table(ann: Client) -> None:
    [item] = verification_keys.list_()

    assert set(item) == {"pk", "sk", "kid", "x"}
    assert (
        tokens._unb64(item["x"]) == signing._private_key("s" * 64).public_key().public_bytes_raw()
    )


def test_a_signature_is_verified_once_while_the_keys_are_cached(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    real = jwt.decode

    def decode(token: str, *of: Any, **more: Any) -> Any:
        looked_at.append(token)
        return real(token, *of, **more)

    monkeypatch.setattr(jwt, "decode", decode)

    assert [ann.get(ME).status for _ in range(3)] == [200] * 3
    assert looked_at == [ann.token]


def test_a_verified_token_expires_on_time(ann: Client) -> None:
    token = signed(claims(ann.user_id, exp=int(time.time()) + 2))
    assert Client(token).get(ME).status == 200

    time.sleep(2.1)

    assert_refused(Client(token).get(ME), 401, "token_expired")


def test_a_token_whose_key_is_withdrawn_is_refused_within_minutes(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ann.get(ME).status == 200
    table.write(table.Delete(table.Key("KEYS", f"KEY#{KID}")))
    now = time.time()

    monkeypatch.setattr("slipway.access.tokens.time.time", lambda: now + 299)
    assert ann.get(ME).status == 200
    monkeypatch.setattr("slipway.access.tokens.time.time", lambda: now + 301)
    assert_refused(ann.get(ME), 401, "token_invalid")


def test_the_number_of_cached_tokens_is_limited(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_MOST_VERIFIED", 2)

    for _ in range(5):
        assert Client(signed(claims(ann.user_id))).get(ME).status == 200
        assert len(tokens._verified) <= 2


def test_a_refused_token_is_not_cached(ann: Client) -> None:
    assert ann.token
    for _ in range(2):
        assert_refused(Client(ann.token[:-4] + "AAAA").get(ME), 401, "token_invalid")
    assert tokens._verified == {}
