"""Workloads: what a token of their issuer must be like, and what it is exchanged for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from slipway.domain.claims import ACCESS_SECONDS, LONGEST_AGE_SECONDS, Preset
from slipway.domain.fields import RequestModel, ResponseModel


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
