"""Signing in on a device by a code that a person approves elsewhere (RFC 8628).

The requests of the device are those of OAuth 2: parameters that are unknown are ignored, and those
without a value are as if they were left out (RFC 6749, 3.2).
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from slipway.domain.fields import QueryModel, RequestModel, ResponseModel
from slipway.domain.timestamps import Moment

CLIENT = "slipway-cli"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
LASTS_SECONDS = 600
INTERVAL_SECONDS = 5
# No vowels, so that no words come up, and nothing that looks or sounds alike (RFC 8628, 6.1).
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
_GROUP = 4
GRANTS = (
    "A session of yours, which may do all that you may. It lasts no longer than the session in "
    "which you approve it, and ends when you sign out everywhere or change your password."
)


def new_user_code() -> str:
    """A random code: 20 to the power of 8, which is 34 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """The code as people read it: WDJB-MJHT."""
    return f"{code[:_GROUP]}-{code[_GROUP:]}"


def _typed(text: str) -> str:
    """The code of what a person has typed. Case, spaces and dashes do not matter."""
    code = re.sub(r"[\s\u2010-\u2015-]", "", text).upper()
    if not re.fullmatch(f"[{ALPHABET}]{{{LENGTH}}}", code):
        raise ValueError(f"must be a code of {LENGTH} letters, such as WDJB-MJHT")
    return code


TypedCode = Annotated[str, StringConstraints(max_length=40), AfterValidator(_typed)]
_Parameter = Annotated[str, StringConstraints(max_length=200)]


class DeviceStart(RequestModel):
    """`client_id` is `slipway-cli`. There are no scopes: a session may do what its user may."""

    model_config = ConfigDict(extra="ignore")

    client_id: _Parameter = Field("", examples=[CLIENT])
    scope: _Parameter | None = Field(None, description="None: a session may do what its user may.")


class DeviceCodes(ResponseModel):
    """`expires_in` and `interval` are in seconds. `user_code` is what a person types at
    `verification_uri`; `device_code` is a secret of the device."""

    device_code: str = Field(examples=["k3T0q2mWb3s9vLr7JdZpQ6uN.…"])
    user_code: str = Field(examples=["WDJB-MJHT"])
    verification_uri: str = Field(examples=["https://slipway.example.com/console/device"])
    verification_uri_complete: str = Field(
        examples=["https://slipway.example.com/console/device?user_code=WDJB-MJHT"]
    )
    expires_in: int = Field(examples=[LASTS_SECONDS])
    interval: int = Field(examples=[INTERVAL_SECONDS])


class DeviceGrant(RequestModel):
    """`device_code` is the one of POST /auth/device."""

    model_config = ConfigDict(extra="ignore")

    grant_type: _Parameter = Field("", examples=[GRANT_TYPE])
    device_code: _Parameter = ""
    client_id: _Parameter = Field("", examples=[CLIENT])


class DeviceTokens(ResponseModel):
    """`expires_in` is in seconds. `refresh_token` is null for a user of the company's sign-in,
    whose session ends with its access token."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int = Field(examples=[900])
    refresh_token: str | None = None


class DeviceLookup(QueryModel):
    user_code: TypedCode = Field(description="The code that the device shows.")


class DeviceDecision(RequestModel):
    """`user_code` is the code that the device shows. Case and dashes do not matter."""

    user_code: TypedCode = Field(examples=["WDJB-MJHT"])


class DeviceRequest(ResponseModel):
    """A sign-in that waits for a person. `asked_from` is the address that asks, which is a
    stranger's unless you began the sign-in yourself; `grants` says what it would get."""

    user_code: str = Field(examples=["WDJB-MJHT"])
    client_id: str = Field(examples=[CLIENT])
    client_name: str = Field("Slipway's command line")
    status: Literal["pending", "approved", "denied"]
    asked_from: str = Field(examples=["203.0.113.7"])
    asked_at: Moment
    expires_at: Moment
    grants: str = Field(GRANTS)
