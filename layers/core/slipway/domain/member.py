"""Members: who works on a project, and in which role."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from slipway.domain import ids
from slipway.domain.author import Author
from slipway.domain.fields import RequestModel, ResponseModel
from slipway.domain.resent import Resent
from slipway.domain.rights import Role, Tier
from slipway.domain.timestamps import Moment
from slipway.domain.user import Email
from slipway.errors import NotFound

MOST_MEMBERS = 40
"""Members and open invitations of a project, so that one transaction can write all of them."""

_PROJECT = "prj_01kaq3h5x0c2m9f7r4tz"
_USER = "usr_01kaq3h5x0c2m9f7r4tz"
# An owner has every right in every tier, so that nobody is an owner of a part of a project.
Override = Literal["viewer", "deployer", "maintainer"]
Overrides = Annotated[
    dict[Tier, Override],
    Field(
        description="The role in environments of a tier, where it is another one.",
        examples=[{"production": "viewer"}],
    ),
]


class NewMember(RequestModel):
    email: Email = Field(examples=["bob@example.com"])
    role: Role = Field(examples=["deployer"])
    overrides: Overrides = Field(default_factory=dict)


class MemberChange(Resent):
    """Omitted fields keep their values. `overrides` replaces all overrides."""

    role: Role | None = Field(None, examples=["maintainer"])
    overrides: Overrides | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.role is None and self.overrides is None:
            raise ValueError("must have at least one of role, overrides, and neither can be null")
        return self


def _user_id(text: str) -> str:
    try:
        return ids.parse_user(text)
    except NotFound:
        raise ValueError("must be the id of a user") from None


class Transfer(RequestModel):
    """`user_id` is who gets it."""

    user_id: Annotated[str, StringConstraints(max_length=100), AfterValidator(_user_id)] = Field(
        examples=[_USER]
    )


class Member(ResponseModel):
    """A member, or somebody who is invited to become one: `user_id` is then null."""

    project_id: str = Field(examples=[_PROJECT])
    user_id: str | None = Field(None, examples=[_USER])
    invitation_id: str | None = Field(
        None, examples=["inv_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"]
    )
    email: str = Field(examples=["bob@example.com"])
    role: Role = Field(examples=["deployer"])
    overrides: Overrides = Field(default_factory=dict)
    status: Literal["active", "invited", "expired"] = Field(
        "active", description="`invited` and `expired` say that of an invitation."
    )
    added_by: Author | None = None
    added_at: Moment | None = None
    expires_at: Moment | None = Field(None, description="The end of an invitation.")
    version: int = Field(1, description="Increases with every change. Also the ETag.")

    @property
    def location(self) -> str:
        return f"/api/v1/projects/{self.project_id}/members/{self.user_id or self.invitation_id}"


class AddedMember(Member):
    """`invitation` is what registers the address, shown only once; null if it was mailed, and for
    an address that has an account."""

    mailed: bool = Field(False, description="Whether the invitation was sent to the address.")
    invitation: str | None = Field(
        None,
        examples=["inv_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq.kYxT0q2mWb3s9vLr7JdZpQ6uN1eHcF4a"],
    )


class Permissions(ResponseModel):
    """What the caller may do in a project. What `can` names may be limited to some tiers, or to
    environments that the caller made; docs/access.md explains each."""

    role: Role = Field(examples=["deployer"])
    overrides: Overrides = Field(default_factory=dict)
    can: list[str] = Field(examples=[["environments:read", "environments:create"]])
