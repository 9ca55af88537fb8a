"""Accounts: modes of registration, roles on the platform, and invitations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from slipway.domain.fields import RequestModel, ResponseModel
from slipway.domain.resent import Resent
from slipway.domain.timestamps import Moment
from slipway.domain.user import Email, GivenPassword, PlatformRole

INVITATION_HOURS = 7 * 24
REGISTRATION_HOURS = 24
# The operator's invitation, which `make admin` prints, makes or recovers an administrator.
OPERATOR = "operator"
OPERATOR_HOURS = 24
_ID = "inv_01kaq3h5x0c2m9f7r4tz"
Secret = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Registration(ResponseModel):
    """The platform has sent a mail to the address. The link in it completes the registration."""

    email: str = Field(examples=["test@example.com"])
    status: Literal["unverified"] = "unverified"


class Verification(RequestModel):
    """`token` is from the mail, `password` the one that was given to register."""

    token: Secret = Field(examples=["kYxT0q2mWb3s9vLr7JdZpQ6uN1eHcF4a"])
    password: GivenPassword = Field(examples=["secret123"])


class NewInvitation(RequestModel):
    email: Email = Field(examples=["new@example.com"])
    platform_role: PlatformRole = Field("member", examples=["publisher"])


class Invitation(ResponseModel):
    """`mailed`: whether the platform sent it to the address."""

    id: str = Field(examples=[_ID])
    email: str = Field(examples=["new@example.com"])
    platform_role: PlatformRole = Field(examples=["publisher"])
    mailed: bool = Field(examples=[False])
    invited_by: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    project_id: str | None = Field(
        None, description="The project that the user joins.", examples=["prj_01kaq3h5x0c2m9f7r4tz"]
    )
    created_at: Moment
    expires_at: Moment

    @property
    def location(self) -> str:
        return f"/api/v1/invitations/{self.id}"


class SentInvitation(Invitation):
    """`invitation` is what registers the address, shown only once; null if it was mailed."""

    invitation: str | None = Field(
        examples=[f"{_ID}.kYxT0q2mWb3s9vLr7JdZpQ6uN1eHcF4a"],
    )


class UserChange(Resent):
    platform_role: PlatformRole = Field(examples=["publisher"])


def in_domains(email: str, domains: tuple[str, ...]) -> bool:
    """Whether the address is in one of the domains: the whole domain, in any spelling.

    `email` is normalised, as `Email` is.
    """
    wanted = {_ascii(each) for each in domains if each}
    return _ascii(email.rpartition("@")[2]) in wanted


def _ascii(domain: str) -> str:
    """The domain in Punycode and in lower case. One that is not valid is left as it is."""
    import idna

    try:
        return idna.encode(domain.strip(), uts46=True).decode().lower()
    except idna.IDNAError:
        return domain.strip().lower()
