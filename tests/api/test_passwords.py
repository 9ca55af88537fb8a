"""Which passwords can be chosen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from slipway.access import passwords
from slipway.settings import settings
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.repository import ROOT, template

REGISTER, LOGIN = "/api/v1/auth/register", "/api/v1/auth/login"


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch, aws: None) -> None:
    monkeypatch.delenv("REJECT_COMMON_PASSWORDS")
    settings.cache_clear()


@pytest.mark.parametrize("password", ["secret123", "password", "12345678", "PassWord1", "iloveyou"])
def test_a_common_password_is_refused(strict: None, nobody: Client, password: str) -> None:
    with nothing_changes(but="KEY#"):
        answer = nobody.post(REGISTER, {"email": "ann@example.com", "password": password})

    assert_refused(answer, 422, "invalid_request", "#/password")


def test_another_password_is_accepted(strict: None, nobody: Client) -> None:
    wanted = {"email": "ann@example.com", "password": "correct horse battery"}

    assert nobody.post(REGISTER, wanted).status == 201


def test_common_passwords_are_accepted_where_the_stack_says_so(nobody: Client) -> None:
    wanted = {"email": "ann@example.com", "password": "secret123"}

    assert nobody.post(REGISTER, wanted).status == 201


def test_a_stack_refuses_common_passwords_by_default() -> None:
    assert template()["Parameters"]["RejectCommonPasswords"]["Default"] == "true"


def test_a_password_signs_in_however_it_is_typed(nobody: Client) -> None:
    nobody.post(REGISTER, {"email": "ann@example.com", "password": "caf\u00e9 au lait"})

    form = {"username": "ann@example.com", "password": "cafe\u0301 au lait"}
    assert nobody.form(LOGIN, form).status == 200


@pytest.mark.parametrize("password", ["\0" * 8, "eight\tand", "1234567"])
def test_a_password_with_control_characters_or_too_short_is_refused(
    nobody: Client, password: str
) -> None:
    answer = nobody.post(REGISTER, {"email": "ann@example.com", "password": password})

    assert_refused(answer, 422, "invalid_request", "#/password")


def test_the_list_has_the_most_common_passwords_that_are_long_enough() -> None:
    found = passwords._common()

    assert len(found) > 8000
    assert min(map(len, found)) == 8
    assert all(each == each.lower() for each in found)


def test_the_list_is_read_only_when_a_password_is_chosen() -> None:
    code = "import sys, slipway.access.passwords; print('gzip' in sys.modules)"

    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "layers/core",
    )

    assert told.stdout.strip() == "False"
