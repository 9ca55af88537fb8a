"""Mail, through SES, if the stack's parameter MailSender names a sender."""

from __future__ import annotations

from slipway import aws, observe
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings


def is_set_up() -> bool:
    """Whether the platform can send mail."""
    return bool(settings().mail_sender)


def send(to: str, subject: str, text: str) -> bool:
    """Send a mail, and return whether SES accepted it. One call to SES.

    A refusal is logged and not raised: it must not tell the caller anything about the address. SES
    may still fail to deliver a mail that it has accepted.
    """
    try:
        aws.call(
            "sesv2",
            "send_email",
            FromEmailAddress=settings().mail_sender,
            Destination={"ToAddresses": [_as_ascii(to)]},
            Content={
                "Simple": {
                    "Subject": {"Data": subject, "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
                }
            },
        )
    except (DriverFault, DriverRefused, UnicodeError):
        observe.log().exception("A mail was not sent")
        return False
    return True


def _as_ascii(address: str) -> str:
    """The address with its domain in Punycode, because SES takes only ASCII.

    Raises UnicodeError if the part before the @ is not ASCII, to which SES cannot send.
    """
    if address.isascii():
        return address
    import idna

    local, _, domain = address.rpartition("@")
    return f"{local}@{idna.encode(domain).decode()}".encode("ascii").decode()
