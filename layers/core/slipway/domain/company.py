"""The company's sign-in: what a browser brings, and the roles that groups give."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from slipway.domain.fields import QueryModel, matching

Brought = Annotated[str, StringConstraints(max_length=4096)]
# A path of the platform: neither //host nor /\host, which browsers read as another host.
OwnPath = Annotated[
    str,
    StringConstraints(max_length=500),
    matching(r"/(?![/\\])[!-\[\]-~]*", "a path of this platform, such as /docs"),
]


class Login(QueryModel):
    return_to: OwnPath | None = Field(
        None, description="Where to go on afterwards: a path of the platform."
    )


class Callback(QueryModel):
    """The provider's answer (RFC 6749, 4.1.2; RFC 9207)."""

    # Providers add parameters of their own, which RFC 6749 says to ignore.
    model_config = ConfigDict(extra="ignore")

    code: Brought | None = Field(None, description="The authorisation code.")
    state: Brought | None = Field(None, description="What the platform sent along.")
    iss: Brought | None = Field(None, description="The provider's issuer.")
    error: Brought | None = Field(None, description="Why the provider refuses.")
