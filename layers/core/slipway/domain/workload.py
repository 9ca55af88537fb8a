"""Workloads: what a token of their issuer must be like, and what it is exchanged for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from slipway.domain.fields import RequestModel, ResponseModel

Preset = Literal["github", "gitlab"]

ACCESS_SECONDS = 900
"""How long the platform's token of a workload is valid."""
LONGEST_AGE_SECONDS = 12 * 3600
"""How old an issuer's token may be, even if it is valid for longer."""
SKEW_SECONDS = 60
"""By how much an issuer's clock may differ from the platform's."""
MOST_IN_A_PROJECT = 20
"""How many trusts a project has at most."""
# None that is verified with a secret.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


class TokenExchange(RequestModel):
    """`token` is the issuer's, `project_id` the project in which the workload wants to act.

    Send `project_id` always: without it, a project of somebody else that trusts the workload too
    makes the exchange ambiguous.
    """

    token: Annotated[str, StringConstraints(min_length=1, max_length=16_384)] = Field(
        examples=["eyJhbGciOiJSUzI1NiIsImtpZCI6IjM4ODI2YjE3In0.eyJpc3MiOiJodHRwczovL….Kx3…"]
    )
    project_id: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, examples=["prj_01kaq3h5x0c2m9f7r4tz"]
    )


class WorkloadToken(ResponseModel):
    """`expires_in` is in seconds. The token acts in the project and within the trust."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int = Field(examples=[ACCESS_SECONDS])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    trust_id: str = Field(examples=["trs_01kaq3h5x0c2m9f7r4tz_01kaq3q6d8t5w2n9h4cx"])


class TrustPreset(ResponseModel):
    """`requires` is the claim that a trust with the preset must have."""

    name: Preset = Field(examples=["github"])
    issuer: str = Field(examples=["https://token.actions.githubusercontent.com"])
    requires: str = Field(examples=["repository_id"])


class WorkloadSupport(ResponseModel):
    """What issuers' tokens must be like. `audience` is the claim aud that they need."""

    audience: str = Field(examples=["https://slipway.example.com"])
    exchange_url: str = Field(examples=["https://slipway.example.com/api/v1/auth/oidc/exchange"])
    algorithms: list[str] = Field(examples=[["RS256", "ES256", "EdDSA"]])
    max_age_seconds: int = Field(LONGEST_AGE_SECONDS, description="Of an issuer's token.")
    expires_in: int = Field(ACCESS_SECONDS, description="The seconds that the exchange is valid.")
    presets: list[TrustPreset]


def as_text(value: object) -> str | None:
    """A claim's value as trusts compare it; None for one that no trust matches.

    Issuers write the same claim as a number, a boolean or a text: 42, true and "42", "true".
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else None


def differences(
    trust: Mapping[str, Any], claims: Mapping[str, Any], platform: str
) -> tuple[str, ...]:
    """The names of the claims by which a token differs from a trust; none if it matches.

    `trust` is its record with `claims` as a mapping, `platform` the audience without one named.
    """
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    wrong = [] if (trust.get("audience") or platform) in audiences else ["aud"]
    wrong += [name for name, value in trust["claims"].items() if as_text(claims.get(name)) != value]
    return tuple(wrong)
