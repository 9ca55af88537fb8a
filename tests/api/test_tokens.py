"""Only tokens that the platform signed, and that are valid now, are accepted."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from slipway.access import tokens
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.people import Stage
from tests.support.api.signing import KID, MINE, claims, signed
from tests.support.store import between

ME = "/api/v1/auth/me"


def b64(raw: bytes | dict[str, Any]) -> str:
    text = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def hs256(payload: dict[str, Any], secret: bytes) -> str:
    """By hand: pyjwt itself would not sign with what looks like a public key."""
    head = f"{b64({'alg': 'HS256', 'typ': 'JWT', 'kid': KID})}.{b64(payload)}"
    return f"{head}.{b64(hmac.digest(secret, head.encode(), 'sha256'))}"


def forgeries(user_id: str) -> dict[str, tuple[str, str]]:
    """By what they are: the token and the code it is refused with."""
    good = signed(claims(user_id))
    head, body, signature = good.split(".")
    other = Ed25519PrivateKey.generate()
    public = MINE.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    changed = b64(claims("usr_01kaq3h5x0c2m9f7r4tz"))
    tampered = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    past = int(time.time()) - 1
    bad: dict[str, str] = {
        "another key under our kid": signed(claims(user_id), other),
        "another key under its own kid": signed(claims(user_id), other, kid="A" * 16),
        "alg none": f"{b64({'alg': 'none', 'kid': KID})}.{body}.",
        "alg None": f"{b64({'alg': 'None', 'kid': KID})}.{body}.",
        "alg none with a signature": f"{b64({'alg': 'none', 'kid': KID})}.{body}.{signature}",
        "no alg": f"{b64({'kid': KID})}.{body}.{signature}",
        "HS256 by the public key": hs256(claims(user_id), public.public_bytes_raw()),
        "HS256 by the public key in PEM": hs256(claims(user_id), pem),
        "HS256 by the published text": hs256(
            claims(user_id), b64(public.public_bytes_raw()).encode()
        ),
        "HS256 by nothing": hs256(claims(user_id), b""),
        "another user, the same signature": f"{head}.{changed}.{signature}",
        "no signature": f"{head}.{body}.",
        "a signature that was touched": f"{head}.{body}.{tampered}",
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.x",
        "no kid": jwt.encode(claims(user_id), MINE, algorithm="EdDSA"),
        "a kid that is unknown": signed(claims(user_id), kid="B" * 16),
        "a kid that is a path": signed(claims(user_id), kid="../../dev/null"),
        "a kid that is a number": f"{b64({'alg': 'EdDSA', 'kid': 7})}.{body}.{signature}",
        "a kid that is a list": f"{b64({'alg': 'EdDSA', 'kid': [KID]})}.{body}.{signature}",
        "a kid that is very long": signed(claims(user_id), kid="C" * 5000),
        "a key in the token": signed(
            claims(user_id), other, jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"}
        ),
        "another issuer": signed(claims(user_id, iss="slipway-prod")),
        "another audience": signed(claims(user_id, aud="another")),
        "no issuer": signed(claims(user_id, iss=None)),
        "no audience": signed(claims(user_id, aud=None)),
        "no subject": signed(claims(user_id, sub=None)),
        "no end": signed(claims(user_id, exp=None)),
        "no beginning": signed(claims(user_id, iat=None)),
        "no name": signed(claims(user_id, jti=None)),
        "no session": signed(claims(user_id, sid=None)),
        "from the future": signed(claims(user_id, iat=int(time.time()) + 3600)),
        "not yet": signed(claims(user_id, nbf=int(time.time()) + 3600)),
        "an end that is a word": signed(claims(user_id, exp="never")),
        "a header that is no JSON": f"{b64(b'{')}.{body}.{signature}",
        "a header that is a list": f"{b64(b'[]')}.{body}.{signature}",
        "a body that is no JSON": _signed_raw(b"{"),
        "a body that is a list": _signed_raw(b"[]"),
        "a body that is deeply nested": _signed_raw(b"[" * 50_000),
        "what is no base64": "ü.ü.ü",
        "a word": "token",
        "dots": "...",
        "very long": "a" * 10_000,
        "a null": f"{head}.{body}.{signature}\0",
        "critical words that nobody knows": signed(claims(user_id), crit=["x"], x=1),
    }
    expired = {
        "a second too late": signed(claims(user_id, exp=past)),
        "a day too late": signed(claims(user_id, exp=past - 86_400)),
    }
    return {name: (token, "token_invalid") for name, token in bad.items()} | {
        name: (token, "token_expired") for name, token in expired.items()
    }


def _signed_raw(payload: bytes) -> str:
    head = f"{b64({'alg': 'EdDSA', 'kid': KID})}.{b64(payload)}"
    return f"{head}.{b64(MINE.sign(head.encode()))}"


@pytest.fixture(scope="module")
def ann(stage: Stage) -> Client:
    return stage.ann


@pytest.fixture(scope="module")
def forged(ann: Client) -> dict[str, tuple[str, str]]:
    return forgeries(ann.user_id)


@pytest.mark.parametrize("name", forgeries("x"))
def test_a_forged_token_is_refused(forged: dict[str, tuple[str, str]], name: str) -> None:
    token, code = forged[name]

    with nothing_changes():
        answer = Client(token).get(ME)

    assert_refused(answer, 401, code)
    assert answer.headers["www-authenticate"] == 'Bearer realm="slipway", error="invalid_token"'


def test_the_token_that_the_forgeries_are_based_on_is_accepted(ann: Client) -> None:
    """Else the table above would prove nothing."""
    assert Client(signed(claims(ann.user_id))).get(ME).status == 200


HEADERS = {
    "empty": "",
    "blank": "  ",
    "only the scheme": "Bearer",
    "the scheme and a space": "Bearer ",
    "Basic": "Basic YW5uOnNlY3JldA==",
    "the token alone": "eyJhbGciOiJFZERTQSJ9.e30.x",
    "another scheme": "Token abc",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_request_without_a_token_is_told_to_send_one(ann: Client, header: str) -> None:
    answer = Client().with_headers(authorization=header).get(ME)

    assert_refused(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="slipway"'


NEED_A_TOKEN = [
    ("GET", "/api/v1/auth/me"),
    ("GET", "/api/v1/projects"),
    ("POST", "/api/v1/projects"),
    ("GET", "/api/v1/projects/{project}"),
    ("PATCH", "/api/v1/projects/{project}"),
    ("DELETE", "/api/v1/projects/{project}"),
    ("GET", "/api/v1/environments/projects/{project}"),
    ("POST", "/api/v1/environments/projects/{project}"),
    ("GET", "/api/v1/environments/{environment}"),
    ("DELETE", "/api/v1/environments/{environment}"),
    ("GET", "/api/v1/deployments/environments/{environment}"),
    ("POST", "/api/v1/deployments/environments/{environment}"),
    ("GET", "/api/v1/deployments/{deployment}"),
    ("GET", "/api/v1/deployments/{deployment}/logs"),
]


@pytest.mark.parametrize("method,path", NEED_A_TOKEN, ids=lambda word: str(word))
def test_nothing_is_shown_or_changed_without_a_token(stage: Stage, method: str, path: str) -> None:
    here = path.format(**vars(stage))

    with nothing_changes():
        answer = Client().send(method, here, "{not even JSON")

    assert_refused(answer, 401, "token_missing")


def test_the_scheme_may_be_written_in_any_case(ann: Client) -> None:
    for scheme in ("bearer", "BEARER", "Bearer"):
        assert Client().with_headers(authorization=f"{scheme} {ann.token}").get(ME).status == 200


def test_a_token_is_valid_until_it_expires(ann: Client) -> None:
    payload = jwt.decode(ann.token or "", options={"verify_signature": False})

    assert payload["exp"] - payload["iat"] == 15 * 60
    assert set(payload) == {"iss", "aud", "sub", "iat", "exp", "jti", "sid", "gen", "fpk"}


def test_a_token_is_verified_without_another_read_of_the_table(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = f"Bearer {ann.token}"
    tokens.authenticate(header)
    made = between.counted(monkeypatch)

    assert tokens.authenticate(header).user_id == ann.user_id
    assert made == []
