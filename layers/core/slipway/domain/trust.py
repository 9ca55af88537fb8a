"""Trusts: which workloads outside may act in a project, without a stored secret.

A workload, such as a job of GitHub Actions or GitLab CI, has a token of its issuer (OpenID
Connect). It exchanges that for a token of the platform, if a trust names the issuer, and if the
token's claims are exactly those of the trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from slipway.domain.claims import Preset, as_text
from slipway.domain.fields import Line, Name, RequestModel, ResponseModel, matching
from slipway.domain.resent import Resent
from slipway.domain.rights import Tier
from slipway.domain.timestamps import Moment

if TYPE_CHECKING:
    from slipway.domain.issuers import Family

# Templates and tokens belong to accounts, which workloads do not have.
WorkloadScope = Literal["read", "deploy", "environments", "destroy", "config", "members"]

_MOST_CLAIMS = 10
_GITHUB = "https://token.actions.githubusercontent.com"
# These have fields of their own, or are checked in every token.
_CHECKED = {"iss", "aud", "exp", "nbf", "iat", "jti"}


def _issuer(text: str) -> str:
    # Imported here and below, because few requests of the function need it.
    from slipway.domain import issuers

    if not issuers.is_issuer(text):
        raise ValueError(
            "must be https://<public host name>[/path], as in the tokens' claim iss, without a "
            "port, a query or an address in place of the name"
        )
    return text


def _claims(claims: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
    for name, value in claims.items():
        if name in _CHECKED:
            raise ValueError(f"must not have {name}, which is checked in every token")
        if isinstance(value, str) and "*" in value:
            raise ValueError(f"must not have * in {name}: values are compared exactly")
    return claims


def _claim_value(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """One fault of a value, in place of one for each type that it could have."""
    try:
        return validate(value)
    except ValidationError as error:
        of_text, of_number, *_ = error.errors()
        if isinstance(value, str):
            raise ValueError(of_text["msg"].removeprefix("Value error, ")) from None
        if isinstance(value, int):
            raise ValueError(of_number["msg"]) from None
        raise ValueError("must be a text, an integer or a boolean") from None


def _distinct(values: list[Any] | None) -> list[Any] | None:
    if values and len(set(values)) < len(values):
        raise ValueError("must be distinct")
    return values


ClaimName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    matching(r"[A-Za-z][A-Za-z0-9_.:/-]*", "the name of a claim: letters, digits and _ . : / -"),
]
ClaimValue = Annotated[
    Line | Annotated[int, Field(ge=0, lt=10**18)] | bool, WrapValidator(_claim_value)
]
Claims = Annotated[
    dict[ClaimName, ClaimValue],
    Field(min_length=1, max_length=_MOST_CLAIMS),
    AfterValidator(_claims),
]
Issuer = Annotated[str, StringConstraints(max_length=255), AfterValidator(_issuer)]
Audience = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    matching(r"[\x21-\x7e]+", "made of printable ASCII characters, without spaces"),
]
Scopes = Annotated[
    list[WorkloadScope], Field(min_length=1, max_length=6), AfterValidator(_distinct)
]
Tiers = Annotated[list[Tier], Field(min_length=1, max_length=3), AfterValidator(_distinct)]


class NewTrust(RequestModel):
    """Which tokens are trusted, and what the workload may then do.

    Every claim must be in the token, with exactly this value. One of them must say whose workload
    it is, because an issuer such as GitHub signs for all of its users.
    """

    name: Name | None = Field(None, examples=["deploy main"])
    preset: Preset | None = Field(
        None,
        description="`github` sets the issuer and requires the claim repository_id; `gitlab` sets "
        "it and requires project_id. Send `issuer` too for an instance of your own.",
        examples=["github"],
    )
    issuer: Issuer | None = Field(
        None, description="The claim iss of its tokens. Required without a preset."
    )
    audience: Audience | None = Field(
        None, description="The claim aud of its tokens, if it is not the platform's URL."
    )
    claims: Claims = Field(
        description="Texts, numbers or booleans, which tokens must have exactly; no wildcards.",
        examples=[{"repository_id": "456789", "ref": "refs/heads/main"}],
    )
    scopes: Scopes = Field(examples=[["read", "deploy"]])
    tiers: Tiers | None = Field(
        None, description="Of which environments; all if omitted.", examples=[["preview"]]
    )

    @model_validator(mode="after")
    def _names_a_workload(self) -> Self:
        from slipway.domain import issuers

        if not (self.preset or self.issuer):
            raise ValueError("must have an issuer or a preset")
        known = issuers.family_of(self.issuer or "")
        if self.preset and known and known.name != self.preset:
            raise ValueError(f"must not have the preset {self.preset} with {known.name}'s issuer")
        texts = self.texts()
        if self.preset:
            identity = issuers.family(self.preset).identity
            if identity not in texts:
                raise ValueError(f"must have the claim {identity} with the preset {self.preset}")
        if issuers.pinning(self._kind, texts) is None:
            wanted = ", ".join(issuers.wanted_pins(self._kind))
            raise ValueError(
                "would trust workloads of others. Add a claim that says whose workload it is: "
                f"one of {wanted}, where sub begins with what names the repository or project"
            )
        return self

    @property
    def _kind(self) -> Family | None:
        from slipway.domain import issuers

        if self.preset:
            return issuers.family(self.preset)
        return issuers.family_of(self.issuer or "")

    @property
    def issuer_url(self) -> str:
        """The issuer; that of the preset if none was given."""
        from slipway.domain import issuers

        return self.issuer or issuers.family(self.preset or "").issuer

    @property
    def pin(self) -> str:
        """The claim by which the trust is found."""
        from slipway.domain import issuers

        return issuers.pinning(self._kind, self.texts()) or ""

    def texts(self) -> dict[str, str]:
        """The claims as texts, as they are compared."""
        return {name: as_text(value) or "" for name, value in self.claims.items()}


class TrustChange(Resent):
    """Omitted fields keep their values; `null` clears an optional field.

    Which tokens are trusted does not change: make another trust, and delete this one.
    """

    name: Name | None = Field(None, examples=["deploy main"])
    scopes: Scopes | None = Field(None, examples=[["read"]])
    tiers: Tiers | None = Field(None, examples=[["preview", "staging"]])

    @field_validator("scopes")
    @classmethod
    def _has_scopes(cls, scopes: list[str] | None) -> list[str] | None:
        if scopes is None:
            raise ValueError("cannot be null: a trust always has scopes")
        return scopes

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have at least one of name, scopes, tiers")
        return self


class Trust(ResponseModel):
    id: str = Field(examples=["trs_01kaq3h5x0c2m9f7r4tz_01kaq3q6d8t5w2n9h4cx"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    name: str | None = Field(None, examples=["deploy main"])
    issuer: str = Field(examples=[_GITHUB])
    audience: str | None = Field(None, description="null stands for the platform's URL.")
    claims: dict[str, str] = Field(examples=[{"repository_id": "456789", "ref": "refs/heads/main"}])
    scopes: list[WorkloadScope] = Field(examples=[["read", "deploy"]])
    tiers: list[Tier] | None = Field(None, description="null stands for all.")
    created_by: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    created_at: Moment
    updated_at: Moment
    version: int = Field(description="Increases with every change. Also the ETag.")

    @property
    def location(self) -> str:
        return f"/api/v1/projects/{self.project_id}/trusts/{self.id}"
