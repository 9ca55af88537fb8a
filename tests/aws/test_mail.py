"""Mail through SES, as moto and botocore's model accept it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from slipway import aws
from slipway.aws import mail
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

pytestmark = pytest.mark.xdist_group("aws")


@pytest.fixture
def sender(aws: None, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAIL_SENDER", "slipway@example.com")
    settings.cache_clear()
    boto3.client("sesv2").create_email_identity(EmailIdentity="slipway@example.com")
    return "slipway@example.com"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The requests to SES, in place of SES."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(aws, "call", lambda service, method, **request: found.append(request))
    return found


def test_mail_is_set_up_if_the_stack_has_a_sender(sender: str) -> None:
    assert mail.is_set_up()


def test_mail_is_not_set_up_without_a_sender(environ: None) -> None:
    assert not mail.is_set_up()


def test_ses_accepts_a_mail_from_the_sender(sender: str) -> None:
    assert mail.send("ann@example.com", "Grüße", "Hello\nworld")


def test_a_sender_that_ses_has_not_verified_sends_nothing(
    aws: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAIL_SENDER", "unknown@example.org")
    settings.cache_clear()

    assert not mail.send("ann@example.com", "Hello", "Hello")

    logged = caplog.records[-1].getMessage()
    assert logged == "A mail was not sent"
    assert "ann@example.com" not in logged


@pytest.mark.parametrize("error", [DriverFault("throttled"), DriverRefused("rejected")])
def test_a_mail_that_is_not_sent_raises_nothing(
    environ: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(aws, "call", fails)

    assert not mail.send("ann@example.com", "Hello", "Hello")


def test_a_domain_is_sent_to_ses_in_ascii(environ: None, asked: list[dict[str, Any]]) -> None:
    assert mail.send("ann@bücher.example", "Hello", "Hello")

    assert asked[0]["Destination"]["ToAddresses"] == ["ann@xn--bcher-kva.example"]


def test_an_address_that_ses_cannot_write_to_is_not_sent(
    environ: None, asked: list[dict[str, Any]]
) -> None:
    assert not mail.send("jürgen@example.com", "Hello", "Hello")
    assert asked == []
