"""Signing in without a password: a person approves a code in a browser (RFC 8628)."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from slipway_cli.asking import API
from slipway_cli.client import Client
from slipway_cli.failures import NotSignedIn, Refused
from slipway_cli.output import printable

CLIENT = "slipway-cli"
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_FORM = "application/x-www-form-urlencoded"
# RFC 8628, 3.5.
_SLOWER_SECONDS = 5


def sign_in(client: Client) -> dict[str, Any]:
    """The tokens of a session that a person has approved.

    Says on standard error what the person has to do, also with `--json` and `--quiet`, because
    nothing goes on without it. Raises Refused if the person denies it or the platform has no such
    sign-in, NotSignedIn if nobody decides in time or the answer was lost, and as Client.ask.
    """
    codes = _send(client, "", client_id=CLIENT)
    _tell(
        f"Open {codes['verification_uri']} and type {codes['user_code']}",
        f"or open {codes.get('verification_uri_complete') or codes['verification_uri']}",
        f"Waiting for your approval, {round(codes['expires_in'] / 60)} minutes at most.",
    )
    try:
        return _awaited(client, codes)
    except KeyboardInterrupt:
        _tell("You are not signed in. Deny the code if you have not begun this yourself.")
        raise


def _awaited(client: Client, codes: Mapping[str, Any]) -> dict[str, Any]:
    interval = float(codes.get("interval") or _SLOWER_SECONDS)
    until = time.monotonic() + float(codes["expires_in"])
    begin = f"slipway login {client.url}"
    while time.monotonic() < until:
        time.sleep(interval)
        form = {"grant_type": _GRANT, "device_code": codes["device_code"], "client_id": CLIENT}
        try:
            return _send(client, "/token", **form)
        except Refused as refused:
            if refused.code == "slow_down":
                interval += _SLOWER_SECONDS
            elif refused.code == "access_denied":
                refused.hint = begin
                raise
            elif refused.code != "authorization_pending":
                raise NotSignedIn(refused.message, code=refused.code, hint=begin) from None
    raise NotSignedIn("Nobody has approved the code in time.", code="expired_token", hint=begin)


def _send(client: Client, below: str, **form: str) -> dict[str, Any]:
    body = urlencode(form)
    path = f"{API}/auth/device{below}"
    return dict(client.ask("POST", path, body, media=_FORM, signed_in=False).body)


def _tell(*lines: str) -> None:
    for line in lines:
        print(printable(line), file=sys.stderr, flush=True)
