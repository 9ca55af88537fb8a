"""Fixtures that the tests of the API share with those of its security; conftest.py names them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.access import passwords
from tests.support.api.client import Client
from tests.support.api.people import PASSWORD, Stage, new_stage
from tests.support.api.registering import Mailbox, administrator, quick_passwords, with_mail
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with moto(), as_on_lambda():
        empty()
        yield new_stage()


@pytest.fixture
def root(aws: None) -> Client:
    """An administrator."""
    return administrator()


@pytest.fixture
def hashed(environ: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are hashed, without argon2."""
    return quick_passwords(monkeypatch)


@pytest.fixture
def mailbox(environ: None, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """The mails of a platform that sends mail."""
    return with_mail(monkeypatch)


@pytest.fixture
def quick_argon2(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace argon2 below the module of passwords, so that the module itself is tested."""

    class Argon2:
        def hash(self, password: str) -> str:
            return f"hash of {password}"

        def verify(self, password: str, known: str) -> bool:
            return known == f"hash of {password}"

    monkeypatch.setattr(passwords, "_argon2", Argon2)
    monkeypatch.setattr("tests.support.api.people.password_hash", lambda: f"hash of {PASSWORD}")
