"""Register, sign in, and read your own user."""

from __future__ import annotations

import pytest

from slipway.access import passwords, signing
from slipway.store import table, user_records
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import HOST, Client
from tests.support.api.people import PASSWORD, password_hash

REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/me"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that argon2 was asked to verify; each says yes to PASSWORD alone."""
    asked: list[str] = []

    class Argon2:
        def verify(self, password: str, known: str) -> bool:
            asked.append(known)
            return password == PASSWORD and known == password_hash()

        def hash(self, password: str) -> str:
            return password_hash()

    monkeypatch.setattr(passwords, "_argon2", Argon2)
    monkeypatch.setattr(passwords, "_dummy_hash", lambda: "the dummy hash")
    return asked


# --- to register ----------------------------------------------------------------------------


def test_a_registered_user_can_sign_in_and_read_their_user(nobody: Client) -> None:
    """The seed's first three commands, with the real argon2."""
    made = nobody.post(REGISTER, {"email": "Ann@Example.com", "password": PASSWORD})
    token = nobody.form(LOGIN, {"username": "ann@example.com", "password": PASSWORD})
    me = Client(token.json["access_token"]).get(ME)

    assert (made.status, token.status, me.status) == (201, 200, 200)
    assert set(made.json) == {
        *("id", "email", "platform_role", "status", "email_verified_at", "created_at")
    }
    assert made.json["email"] == "Ann@example.com", "as it was given"
    assert token.json | {"access_token": "", "refresh_token": ""} == {
        "access_token": "",
        "token_type": "bearer",
        "expires_in": 900,
        "refresh_token": "",
    }
    assert me.json == made.json
    assert made.headers["location"] == ME


def test_a_password_is_kept_as_argon2id_at_owasps_parameters(nobody: Client) -> None:
    nobody.post(REGISTER, {"email": "ann@example.com", "password": PASSWORD})

    [found] = table.get(user_records.email_key("ann@example.com"))

    assert found["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in str(found)


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.com", "ann@EXAMPLE.com"])
def test_an_address_is_registered_once_in_any_spelling(
    ann: Client, verified: list[str], email: str
) -> None:
    with nothing_changes():
        answer = ann.post(REGISTER, {"email": email, "password": "another123"})

    assert_refused(answer, 409, "email_taken")


def test_an_address_is_shown_as_it_was_given_and_compared_in_lower_case(nobody: Client) -> None:
    given = "Jörg.Weiß@Straße.example"
    made = nobody.post(REGISTER, {"email": given, "password": PASSWORD})
    token = nobody.form(LOGIN, {"username": given.upper(), "password": PASSWORD})
    other = nobody.form(LOGIN, {"username": given.lower(), "password": PASSWORD})
    foreign = nobody.post(REGISTER, {"email": "jörg.weiss@straße.example", "password": PASSWORD})

    assert made.json["email"] == "Jörg.Weiß@straße.example"
    # In upper case, ß is SS, which is another letter.
    assert (token.status, other.status, foreign.status) == (401, 200, 201)
    assert Client(other.json["access_token"]).get(ME).json == made.json


# --- to sign in -----------------------------------------------------------------------------


def test_signing_in_accepts_json(ann: Client, verified: list[str]) -> None:
    for name in ("username", "email"):
        answer = Client().post(LOGIN, {name: "ann@example.com", "password": PASSWORD})

        assert answer.status == 200
        assert Client(answer.json["access_token"]).get(ME).json["email"] == "ann@example.com"


def test_signing_in_accepts_all_fields_of_oauth(ann: Client, verified: list[str]) -> None:
    form = {
        "grant_type": "password",
        "username": "ANN@example.com",
        "password": PASSWORD,
        "scope": "",
        "client_id": "",
        "client_secret": "",
    }

    assert Client().form(LOGIN, form).status == 200


@pytest.mark.parametrize("password", ["p&=+ %ü€\U0001f680", " leading and trailing ", "a+b%2Bc%25"])
def test_a_password_in_a_form_may_have_any_character(nobody: Client, password: str) -> None:
    nobody.post(REGISTER, {"email": "ann@example.com", "password": password})

    answer = nobody.form(LOGIN, {"username": "ann@example.com", "password": password})

    assert answer.status == 200


WRONG: dict[str, dict[str, str]] = {
    "a wrong password": {"username": "ann@example.com", "password": "secret124"},
    "an empty password": {"username": "ann@example.com", "password": ""},
    "nobody's account": {"username": "nobody@example.com", "password": PASSWORD},
    "what is no address": {"username": "nobody", "password": PASSWORD},
    "an empty name": {"username": "", "password": PASSWORD},
}


@pytest.mark.parametrize("form", WRONG.values(), ids=WRONG.keys())
def test_a_failed_sign_in_never_says_what_is_wrong(
    ann: Client, verified: list[str], form: dict[str, str]
) -> None:
    answer = Client().form(LOGIN, form)

    assert_refused(answer, 401, "wrong_credentials")
    assert (
        answer.json["detail"]
        == "The e-mail address or password is wrong. Check both and try again."
    )
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_signing_in_to_an_unknown_account_takes_the_same_work(
    ann: Client, verified: list[str]
) -> None:
    Client().form(LOGIN, {"username": "ann@example.com", "password": "wrong"})
    Client().form(LOGIN, {"username": "nobody@example.com", "password": "wrong"})

    assert verified == [password_hash(), "the dummy hash"]


def test_the_dummy_hash_costs_what_a_real_one_costs() -> None:
    real, dummy = password_hash(), passwords._dummy_hash()

    assert dummy.split("$")[:4] == real.split("$")[:4]
    assert passwords._dummy_hash() == dummy


def test_registering_a_taken_address_takes_the_work_of_hashing(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def hash_password(password: str) -> str:
        hashed.append(password)
        return "a hash"

    monkeypatch.setattr(passwords, "hash_password", hash_password)

    for email in ("ann@example.com", "new@example.com"):
        Client().post(REGISTER, {"email": email, "password": PASSWORD})

    assert len(hashed) == 2


# --- who you are ----------------------------------------------------------------------------


def test_the_token_of_a_user_who_no_longer_exists_is_refused(aws: None) -> None:
    token = signing.mint("usr_01kaq3h5x0c2m9f7r4tz").access_token

    answer = Client(token).get(ME)

    assert_refused(answer, 401, "unauthenticated")


def test_the_public_keys_need_no_token(nobody: Client) -> None:
    answer = nobody.get("/.well-known/jwks.json")

    [key] = answer.json["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
    assert HOST not in answer.text


def test_responses_never_contain_secrets(ann: Client, verified: list[str]) -> None:
    shown = [ann.get(ME).text, ann.get("/.well-known/jwks.json").text]

    assert not [text for text in shown if "argon2" in text or "s" * 64 in text]
