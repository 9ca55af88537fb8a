"""The mails that the platform sends, and the links in them.

A link's secret is in the fragment of its URL, which browsers do not send: so it is in no log of a
server or a proxy. The page behind it sends the secret in the body of a request.
"""

from __future__ import annotations

from urllib.parse import urlencode

from slipway.aws import mail

_IGNORE = "If you did not expect this mail, ignore it: nothing happens without the link."


def link(base: str, **fields: str) -> str:
    """The address of the page that uses a one-time secret; `base` is the scheme and host."""
    return f"{base}/docs/account#{urlencode(fields)}"


def verification(email: str, base: str, secret: str) -> bool:
    """Send the link that proves the address. Returns whether SES accepted the mail."""
    return mail.send(
        email,
        "Confirm your address for Slipway",
        f"""Somebody, probably you, registered this address at {base}.

Open this link within 24 hours, and give the password that you registered with:

{link(base, verify=secret)}

If it was not you, ignore this mail: no account is made.
""",
    )


def notice(email: str, base: str) -> bool:
    """Tell the owner of an account that somebody tried to register its address."""
    return mail.send(
        email,
        "You already have an account at Slipway",
        f"""Somebody, probably you, tried to register this address at {base}.

You have an account there already: sign in, or reset your password if you have forgotten it. Nothing
has changed. If it was not you, ignore this mail.
""",
    )


def invitation(email: str, base: str, invitation: str) -> bool:
    """Send an invitation. Returns whether SES accepted the mail."""
    return mail.send(
        email,
        "Your invitation to Slipway",
        f"""You are invited to {base}.

Open this link within 7 days to choose a password:

{link(base, invitation=invitation, email=email)}

{_IGNORE}
""",
    )


def reset(email: str, base: str, secret: str) -> bool:
    """Send the link that sets a new password. Returns whether SES accepted the mail."""
    return mail.send(
        email,
        "Your new password for Slipway",
        f"""Somebody, probably you, asked for a new password at {base}.

Open this link within an hour to choose one. It ends all your sessions:

{link(base, reset=secret)}

If it was not you, ignore this mail: your password stays as it is.
""",
    )


def of_company(email: str, base: str) -> bool:
    """Tell the user of the company's sign-in that somebody asked for a new password."""
    return mail.send(
        email,
        "You need no password for Slipway",
        f"""Somebody, probably you, asked for a new password at {base}.

You sign in there with your company's sign-in, without a password:

{base}/api/v1/auth/oidc/login

If it was not you, ignore this mail.
""",
    )


def no_account(email: str, base: str) -> bool:
    """Tell the owner of an address without an account that somebody asked for a new password."""
    return mail.send(
        email,
        "You have no account at Slipway",
        f"""Somebody, probably you, asked for a new password at {base}.

This address has no account there. Perhaps you registered another one. If it was not you, ignore
this mail.
""",
    )
