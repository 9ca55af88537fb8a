"""E-mail addresses are compared in one form; passwords have a minimum and a maximum length."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from slipway.domain.user import NewUser, SignIn, as_given
from slipway.errors import WrongCredentials

ONE_ADDRESS = {
    "as it is": "ann@example.com",
    "upper case": "ANN@EXAMPLE.COM",
    "full-width letters in the domain": "ann@\uff45xample.com",
    "upper case in the name": "Ann@example.com",
}
NO_ADDRESSES = {
    "empty": "",
    "a word": "ann",
    "no name": "@example.com",
    "no domain": "ann@",
    "two at signs": "ann@b@example.com",
    "a space": "ann @example.com",
    "a line break": "ann@example.com\n",
    "a header": "ann@example.com\r\nBcc: bob@example.com",
    "a null": "ann\0@example.com",
    "a lone surrogate": "ann\ud800@example.com",
    "two dots": "ann..b@example.com",
    "a display name": "Ann <ann@example.com>",
    "no dot in the domain": "ann@localhost",
    "too long": "a" * 250 + "@example.com",
}


@pytest.mark.parametrize("email", ONE_ADDRESS.values(), ids=ONE_ADDRESS.keys())
def test_one_address_has_one_form(email: str) -> None:
    assert NewUser(email=email, password="secret123").email == "ann@example.com"


def test_an_address_knows_how_it_was_given() -> None:
    assert as_given(NewUser(email="Ann@Example.com", password="secret123").email) == (
        "Ann@example.com"
    )
    assert as_given("ann@example.com") == "ann@example.com"


def test_addresses_of_an_internal_network_are_accepted() -> None:
    for email in ("ann@corp.local", "ann@slipway.test", "ann@bücher.example"):
        assert NewUser(email=email, password="secret123").email == email


@pytest.mark.parametrize("email", NO_ADDRESSES.values(), ids=NO_ADDRESSES.keys())
def test_a_malformed_address_is_refused(email: str) -> None:
    with pytest.raises(ValidationError):
        NewUser(email=email, password="secret123")


@pytest.mark.parametrize("length", [8, 128])
def test_a_password_has_8_to_128_characters(length: int) -> None:
    assert NewUser(email="ann@example.com", password="ü" * length)


@pytest.mark.parametrize("length", [0, 7, 129])
def test_a_password_out_of_bounds_is_refused(length: int) -> None:
    with pytest.raises(ValidationError):
        NewUser(email="ann@example.com", password="p" * length)


def test_signing_in_normalizes_the_address() -> None:
    form = {"username": "ANN@example.com", "password": "x", "grant_type": "password"}

    assert SignIn.model_validate(form).email == "ann@example.com"
    assert SignIn.model_validate({"email": "Ann@example.com", "password": "x"}).email == (
        "ann@example.com"
    )


def test_signing_in_with_a_malformed_address_has_wrong_credentials() -> None:
    with pytest.raises(WrongCredentials):
        _ = SignIn.model_validate({"username": "nobody", "password": "x"}).email


def test_another_kind_of_grant_is_refused() -> None:
    form = {"username": "ann@example.com", "password": "x", "grant_type": "client_credentials"}

    with pytest.raises(ValidationError):
        SignIn.model_validate(form)


BAD_PASSWORDS = {
    "seven characters": "1234567",
    "seven that are fourteen in NFD": "e\u0301" * 7,
    "eight nulls": "\0" * 8,
    "a null": "correct\0horse",
    "a line break": "correct\nhorse",
    "a control character of Latin-1": "correct\x85horse",
    "129 characters": "x" * 129,
}


@pytest.mark.parametrize("password", BAD_PASSWORDS.values(), ids=BAD_PASSWORDS)
def test_a_password_that_cannot_be_chosen(password: str) -> None:
    with pytest.raises(ValidationError):
        NewUser(email="ann@example.com", password=password)


def test_a_password_is_the_same_however_it_is_typed() -> None:
    composed, decomposed = "caf\u00e9 au lait", "cafe\u0301 au lait"

    chosen = NewUser(email="ann@example.com", password=decomposed).password
    given = SignIn.model_validate({"username": "ann@example.com", "password": decomposed}).password

    assert chosen == given == composed


def test_passwords_that_look_different_stay_different() -> None:
    """NFC, unlike NFKC, does not fold compatibility characters."""
    assert NewUser(email="ann@example.com", password="\ufb01ne words\u00b2").password == (
        "\ufb01ne words\u00b2"
    )


@pytest.mark.parametrize("password", ["x" * 128, "\U0001f680" * 8, "e\u0301" * 64, " " * 8])
def test_any_other_password_can_be_chosen(password: str) -> None:
    assert len(NewUser(email="ann@example.com", password=password).password) >= 8
