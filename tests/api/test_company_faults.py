"""The company's sign-in when its provider is slow, down, wrong, or somebody else's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from slipway.access import id_tokens
from slipway.access import provider as access
from slipway.errors.company import SignInInvalid
from tests.support.api import company as support
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client
from tests.support.api.company import ISSUER, LOGIN, Company, Sent, changed
from tests.support.store import world

CONFIGURATION, TOKEN, JWKS = "/.well-known/openid-configuration", "/token", "/jwks"


@pytest.fixture
def firm(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with support.company(monkeypatch) as made:
        yield made


def raising(error: Exception) -> Callable[[Callable[[], Sent]], Sent]:
    def answer(ask: Callable[[], Sent]) -> Sent:
        raise error

    return answer


FAULTS: dict[str, Callable[[Callable[[], Sent]], Sent]] = {
    "is slow": raising(TimeoutError("timed out")),
    "is down": raising(ConnectionRefusedError("refused")),
    "has a certificate of another host": raising(OSError("certificate verify failed")),
    "answers nothing": raising(ValueError("RemoteDisconnected")),
    "fails": lambda ask: (500, b"oops"),
    "is busy": lambda ask: (429, b"{}"),
    "answers a page": lambda ask: (200, b"<html>"),
    "answers a list": lambda ask: (200, b"[]"),
    "redirects": lambda ask: (302, b"{}"),
    "does not know it": lambda ask: (404, b"{}"),
    "answers half": lambda ask: (ask()[0], ask()[1][:20]),
}


@pytest.mark.parametrize("path", [CONFIGURATION, TOKEN, JWKS])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_does_not_work_is_told_apart_from_a_refusal(
    firm: Company, path: str, fault: str
) -> None:
    firm.wire.disturb = lambda asked, ask: FAULTS[fault](ask) if asked == path else ask()
    browser = firm.browser()

    answer = Client().get(LOGIN) if path == CONFIGURATION else browser.sign_in()

    assert_refused(answer, 503, "provider_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert not any("ACCOUNT#" in str(each) for each in world.everything())
    assert "127.0.0.1:9400" not in answer.text

    firm.wire.disturb = None
    assert firm.sign_in().status == 200


def test_a_wrong_client_secret_is_the_operators_to_correct(firm: Company) -> None:
    support.configure(client_secret="wrong")

    assert_refused(firm.sign_in(), 503, "provider_unavailable")


def test_a_client_without_a_secret_proves_itself_by_the_verifier(firm: Company) -> None:
    support.configure(client_secret="")
    asked: list[str] = []
    firm.provider.client.secret = ""
    firm.provider.metadata = lambda: {  # type: ignore[method-assign]
        **type(firm.provider).metadata(firm.provider),
        "token_endpoint_auth_methods_supported": ["none"],
    }
    send = firm.wire.send

    def noting(method: str, url: str, body: bytes | None, headers: Any) -> Sent:
        if url.endswith(TOKEN):
            asked.append(f"{body!r} {headers}")
        return send(method, url, body, headers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "send", noting)
        firm.sign_in()

    [sent] = asked
    assert "client_id=slipway" in sent
    assert "client_secret" not in sent
    assert "Authorization" not in sent


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": "http://169.254.169.254/latest"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"token_endpoint": 7},
    ],
)
def test_metadata_that_lead_elsewhere_are_not_followed(
    firm: Company, members: dict[str, Any]
) -> None:
    firm.wire.disturb = lambda path, ask: (
        changed(ask(), **members) if path == CONFIGURATION else ask()
    )

    assert_refused(Client().get(LOGIN), 503, "provider_unavailable")
    assert firm.wire.paths == [CONFIGURATION]


def test_an_issuer_on_https_leads_to_nothing_on_http(firm: Company) -> None:
    support.configure(issuer="https://id.example.com")
    here = {"authorization_endpoint": "http://127.0.0.1/authorize"}
    metadata = {**firm.provider.metadata(), "issuer": "https://id.example.com", **here}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "send", lambda *_: (200, json.dumps(metadata).encode()))

        assert_refused(Client().get(LOGIN), 503, "provider_unavailable")


# --- keys ---------------------------------------------------------------------------------------


def test_rotated_keys_are_found_without_a_restart(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert firm.sign_in().status == 200
    firm.provider.rotate_keys()
    monkeypatch.setattr(id_tokens, "_AGAIN_SECONDS", 0)

    assert firm.sign_in().status == 200
    assert firm.wire.paths.count(JWKS) == 2


def test_keys_and_metadata_are_read_once(firm: Company) -> None:
    for _ in range(3):
        firm.sign_in()

    assert firm.wire.paths.count(JWKS) == 1
    assert firm.wire.paths.count(CONFIGURATION) == 1


def test_unknown_keys_are_not_looked_up_for_every_token(firm: Company) -> None:
    firm.sign_in()
    firm.provider.rotate_keys()

    for _ in range(5):
        assert_refused(firm.sign_in(), 403, "sign_in_invalid")

    assert firm.wire.paths.count(JWKS) == 1


# --- ID tokens ----------------------------------------------------------------------------------

RSA = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)  # nosec B505
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
KEYS: list[dict[str, Any]] = [
    {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa", "use": "sig"},
    {**json.loads(RSAAlgorithm.to_jwk(WEAK.public_key())), "kid": "weak"},
    {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "encrypts", "use": "enc"},
    {**json.loads(ECAlgorithm.to_jwk(EC.public_key())), "kid": "ec", "alg": "ES256"},
    {**json.loads(OKPAlgorithm.to_jwk(ED.public_key())), "kid": "ed"},
    {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(b"s" * 32).decode()},
    {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
    "not a key",  # type: ignore[list-item]
]
EXPECTED = id_tokens.Expected(ISSUER, "slipway", "the nonce", "the access token")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "aud": "slipway",
        "sub": "ann",
        "iat": now,
        "exp": now + 300,
        "nonce": "the nonce",
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def token(
    payload: dict[str, Any] | None = None,
    key: Any = RSA,
    algorithm: str = "RS256",
    kid: str | None = "rsa",
    **header: Any,
) -> str:
    headers = {**header, **({"kid": kid} if kid else {})}
    with warnings.catch_warnings():
        # One of the keys is too short.
        warnings.simplefilter("ignore")
        return jwt.encode(claims() if payload is None else payload, key, algorithm, headers)


def by_hand(header: dict[str, Any], secret: bytes | None) -> str:
    """A token that no library would make."""

    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims()).encode())}"
    signature = hmac.digest(secret, signed.encode(), "sha256") if secret else b""
    return f"{signed}.{part(signature)}"


def verified(text: str, expected: id_tokens.Expected = EXPECTED) -> dict[str, Any]:
    id_tokens.forget()
    return id_tokens.verified(text, expected, lambda: (ISSUER, {"keys": KEYS}))


def half_hash(text: str, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(),
        lambda: token(algorithm="PS256"),
        lambda: token(algorithm="RS512"),
        lambda: token(key=EC, algorithm="ES256", kid="ec"),
        lambda: token(key=EC, algorithm="ES256", kid=None),
        lambda: token(key=ED, algorithm="EdDSA", kid="ed"),
        lambda: token(claims(aud=["slipway"], azp="slipway")),
        lambda: token(claims(aud=["other", "slipway"], azp="slipway")),
        lambda: token(claims(exp=int(time.time()) - 30)),
        lambda: token(claims(iat=int(time.time()) + 30)),
        lambda: token(claims(at_hash=half_hash("the access token"))),
        lambda: token(
            claims(at_hash=half_hash("the access token", "sha512")),
            key=ED,
            algorithm="EdDSA",
            kid="ed",
        ),
    ],
)
def test_a_valid_id_token_is_accepted(make: Callable[[], str]) -> None:
    assert verified(make())["sub"] == "ann"


@pytest.mark.parametrize(
    "make",
    [
        lambda: by_hand({"alg": "none", "kid": "rsa"}, None),
        lambda: by_hand({"alg": "None"}, None),
        lambda: by_hand({"kid": "rsa"}, None),
        lambda: by_hand({"alg": "HS256", "kid": "rsa"}, PEM),
        lambda: by_hand({"alg": "HS256"}, PEM),
        lambda: by_hand({"alg": "HS256", "kid": "oct"}, b"s" * 32),
        lambda: by_hand({"alg": ["RS256"], "kid": "rsa"}, None),
        lambda: by_hand({"alg": "RS256", "kid": 7}, None),
        lambda: token(key=EC, algorithm="ES256", kid="rsa"),
        lambda: token(key=rsa.generate_private_key(65537, 2048)),
        lambda: token(key=WEAK, kid="weak"),
        lambda: token(kid="encrypts"),
        lambda: token(kid="broken"),
        lambda: token(kid="unknown"),
        lambda: token(kid=None),
        lambda: token(claims(iss="https://other.example")),
        lambda: token(claims(iss=ISSUER + "/")),
        lambda: token(claims(iss=None)),
        lambda: token(claims(aud="other")),
        lambda: token(claims(aud=None)),
        lambda: token(claims(aud=["other", "slipway"])),
        lambda: token(claims(azp="other")),
        lambda: token(claims(exp=int(time.time()) - 61)),
        lambda: token(claims(exp=None)),
        lambda: token(claims(exp="soon")),
        lambda: token(claims(iat=int(time.time()) + 300)),
        lambda: token(claims(iat=None)),
        lambda: token(claims(nbf=int(time.time()) + 300)),
        lambda: token(claims(nonce="another")),
        lambda: token(claims(nonce=None)),
        lambda: token(claims(nonce=7)),
        lambda: token(claims(at_hash="another")),
        lambda: token(claims(sub=None)),
        lambda: token(claims(sub="")),
        lambda: token(claims(sub="a" * 256)),
        lambda: token()[:-4] + "AAAA",
        lambda: token().rpartition(".")[0] + ".",
        lambda: "",
        lambda: "a.b.c",
        lambda: "ä",
    ],
)
def test_any_other_id_token_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(SignInInvalid):
        verified(make())


def test_the_nonce_of_a_sign_in_is_not_asked_for_when_it_is_refreshed() -> None:
    again = EXPECTED._replace(nonce=None)

    assert verified(token(), again)["sub"] == "ann"
    assert verified(token(claims(nonce=None)), again)["sub"] == "ann"


@pytest.mark.parametrize("keys", [{}, {"keys": None}, {"keys": "x"}, {"keys": [1]}])
def test_a_key_set_without_keys_verifies_nothing(keys: dict[str, Any]) -> None:
    id_tokens.forget()

    with pytest.raises(SignInInvalid):
        id_tokens.verified(token(), EXPECTED, lambda: (ISSUER, keys))


# --- the userinfo endpoint ----------------------------------------------------------------------


def test_claims_that_the_id_token_lacks_are_asked_for(firm: Company) -> None:
    firm.provider.claims_in = "userinfo"

    assert firm.sign_in().status == 200
    assert firm.wire.paths[-1] == "/userinfo"


def test_the_userinfo_of_somebody_else_is_not_taken(firm: Company) -> None:
    firm.provider.claims_in = "userinfo"
    firm.wire.disturb = lambda path, ask: (
        changed(ask(), sub="bob") if path == "/userinfo" else ask()
    )

    assert_refused(firm.sign_in(), 503, "provider_unavailable")


def test_the_id_token_outweighs_the_userinfo(firm: Company) -> None:
    support.configure(groups="platform=admin")
    firm.wire.disturb = lambda path, ask: (
        changed(ask(), email="root@example.com", groups=[]) if path == "/userinfo" else ask()
    )

    answer = firm.sign_in()

    me = Client(answer.json["access_token"]).get("/api/v1/auth/me").json
    assert "/userinfo" in firm.wire.paths
    assert me["email"] == "ann@example.com"


# --- what is sent over the network --------------------------------------------------------------


@contextmanager
def listening(answer: Callable[[Callable[[bytes], Any]], Any]) -> Iterator[str]:
    """The URL of a server that reads one request, answers it thus, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                answer(connection.sendall)
                if answer is not silent:
                    connection.shutdown(socket.SHUT_WR)
                done.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            done.set()
            thread.join(10)


def silent(send: Callable[[bytes], Any]) -> None:
    """Answer nothing."""


def test_an_answer_without_an_id_token_is_none(firm: Company) -> None:
    firm.wire.disturb = lambda path, ask: changed(ask(), id_token=None) if path == TOKEN else ask()

    assert_refused(firm.sign_in(), 503, "provider_unavailable")


def test_a_response_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a real connection, like the next ones."""
    long = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 700_000
    with listening(lambda send: send(long)) as url, pytest.raises(ValueError, match="too long"):
        access.send("GET", url, None, {})


def test_a_provider_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_CALL_SECONDS", 0.1)
    with listening(silent) as url, pytest.raises(OSError):
        access.send("GET", url, None, {})


def test_what_is_no_http_is_a_fault_of_the_provider() -> None:
    mail = b"220 mail.example.com ESMTP\r\n"
    with listening(lambda send: send(mail)) as url, pytest.raises(ValueError):
        access.send("GET", url, None, {})


def test_a_redirection_is_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\n{}"
    with listening(lambda send: send(head)) as url:
        assert access.send("POST", url, b"a=b", {})[0] == 302
