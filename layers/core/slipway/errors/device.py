"""Refusals of the device flow, in the form of OAuth 2: RFC 6749, 5.2, and RFC 8628, 3.5."""

from __future__ import annotations

from slipway.errors.base import BadRequest, Conflict


class GrantRefused(BadRequest):
    """The parent of what a client of OAuth is refused with."""


class GrantMalformed(GrantRefused):
    code = "malformed_grant"
    oauth = "invalid_request"
    title = "The request cannot be read. Send each parameter once, as a form in UTF-8."


class AuthorizationPending(GrantRefused):
    code = oauth = "authorization_pending"
    title = "Nobody has approved or denied the code yet. Ask again after the interval."


class SlowDown(GrantRefused):
    """`interval`: the seconds that the client has to wait between its requests from now on."""

    code = oauth = "slow_down"
    title = "You ask too often. Wait for the interval, which is longer now, then ask again."

    def __init__(self, interval: int = 10) -> None:
        super().__init__(f"You ask too often. Wait {interval} seconds, then ask again.")
        self._extra = {"interval": interval}


class AccessDenied(GrantRefused):
    code = oauth = "access_denied"
    title = "The sign-in was denied, or its approval no longer holds. Begin again if it was yours."


class DeviceCodeExpired(GrantRefused):
    code = oauth = "expired_token"
    title = "The code has expired before it was approved. Begin again."


class DeviceCodeInvalid(GrantRefused):
    code = oauth = "invalid_grant"
    title = "The device code is not valid, or was used before. Begin again."


class ClientUnknown(GrantRefused):
    code = oauth = "invalid_client"
    title = "The platform does not know this client. Send client_id=slipway-cli."


class GrantTypeUnsupported(GrantRefused):
    code = oauth = "unsupported_grant_type"
    title = (
        "The grant type is not supported. Send urn:ietf:params:oauth:grant-type:device_code here."
    )


class ScopeInvalid(GrantRefused):
    code = oauth = "invalid_scope"
    title = "A session has no scopes: it may do what its user may. Leave scope out."


class DeviceDecided(Conflict):
    code = "device_decided"
    title = "You have denied this sign-in. Begin again on the device if it was yours."
