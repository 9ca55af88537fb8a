"""Mail on the laptop: SES refuses what AWS refuses, and the terminal shows the rest."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import console
from local.platform import Platform

MAIL: dict[str, Any] = {
    "FromEmailAddress": "slipway@example.com",
    "Destination": {"ToAddresses": ["ann@example.com"]},
    "Content": {
        "Simple": {
            "Subject": {"Data": "Your invitation"},
            "Body": {"Text": {"Data": "First line\nSecond line"}},
        }
    },
}


def test_a_sender_that_was_not_verified_is_refused(platform: Platform) -> None:
    with pytest.raises(ClientError) as refused:
        platform.client("sesv2").send_email(**MAIL)

    assert refused.value.response["Error"]["Code"] == "MessageRejected"


def test_the_terminal_shows_mail_that_was_accepted(platform: Platform) -> None:
    ses = platform.client("sesv2")
    ses.create_email_identity(EmailIdentity="slipway@example.com")
    try:
        assert ses.send_email(**MAIL)["MessageId"]
    finally:
        ses.delete_email_identity(EmailIdentity="slipway@example.com")

    log = (platform.run_dir / "emulator.log").read_text()
    assert "mail to ann@example.com: Your invitation\n  | First line\n  | Second line\n" in log


def test_mail_is_shown_with_its_recipient_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.mailed(MAIL)

    assert capsys.readouterr().out == (
        "mail to ann@example.com: Your invitation\n  | First line\n  | Second line\n"
    )
