"""Users and how they sign in."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, StringConstraints

from slipway.domain.fields import RequestModel, ResponseModel
from slipway.domain.timestamps import Moment
from slipway.errors import WrongCredentials


class Address(str):
    """An address in the form in which it is unique, in lower case. `given` is how it was written,
    which is what people are shown."""

    given: str


def as_given(address: str) -> str:
    """The address as its owner has written it, as far as that is known."""
    return getattr(address, "given", address)


def normalised_email(text: str) -> Address:
    """The address in the form in which it is unique. Raises ValueError if it is malformed."""
    # Imported here, because only registration and sign-in need it, and it takes 50 ms.
    import email_validator

    # Internal platforms use addresses under .local and .test, which the library rejects.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    try:
        found = email_validator.validate_email(text, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError(str(error)) from None
    # casefold() would turn an address into another person's: ß into ss.
    address = Address(found.normalized.lower())
    address.given = found.normalized
    return address


PlatformRole = Literal["admin", "publisher", "member"]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(normalised_email)]


def normalised_password(text: str) -> str:
    """The password in Unicode's form NFC, in which it is hashed and compared.

    The same characters, typed on different devices, are then the same password
    (docs/decisions/0023).
    """
    return unicodedata.normalize("NFC", text)


def _acceptable(text: str) -> str:
    password = normalised_password(text)
    if len(password) < _SHORTEST:
        raise ValueError(f"must have at least {_SHORTEST} characters")
    if any(unicodedata.category(each) == "Cc" for each in password):
        raise ValueError("must not contain control characters")
    return password


_SHORTEST = 8
Password = Annotated[
    str, StringConstraints(min_length=_SHORTEST, max_length=128), AfterValidator(_acceptable)
]
# Longer than a new one may be, because a character may be sent as several.
GivenPassword = Annotated[
    str, StringConstraints(max_length=512), AfterValidator(normalised_password)
]


class NewUser(RequestModel):
    email: Email = Field(examples=["test@example.com"])
    password: Password = Field(examples=["secret123"])
    invitation: Annotated[str, StringConstraints(max_length=200)] | None = None


class SignIn(RequestModel):
    """OAuth 2's password form (RFC 6749, 4.3.2); `username`, or `email`, is the e-mail address."""

    username: Annotated[str, StringConstraints(max_length=254)] = Field(
        validation_alias=AliasChoices("username", "email"), examples=["test@example.com"]
    )
    password: GivenPassword = Field(examples=["secret123"])
    grant_type: Literal["password", ""] | None = None
    scope: str | None = None
    client_id: str | None = None
    client_secret: str | None = None

    @property
    def email(self) -> str:
        """The normalised address. Raises WrongCredentials if it is malformed."""
        try:
            return normalised_email(self.username)
        except ValueError:
            raise WrongCredentials() from None


class PasswordChange(RequestModel):
    current_password: GivenPassword = Field(examples=["secret123"])
    new_password: Password = Field(examples=["correct horse battery"])


class PasswordReset(RequestModel):
    email: Email = Field(examples=["test@example.com"])


class RequestedReset(ResponseModel):
    """A link was mailed to the address, if it has an account and the platform sends mail."""

    email: str = Field(examples=["test@example.com"])
    status: Literal["accepted"] = "accepted"


class PasswordByLink(RequestModel):
    """`token` is from the link."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        examples=["kYxT0q2mWb3s9vLr7JdZpQ6uN1eHcF4a"]
    )
    new_password: Password = Field(examples=["correct horse battery"])


class ResetLink(ResponseModel):
    """`reset` is the token that sets a new password, shown only once; null if it was mailed."""

    user_id: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    mailed: bool = Field(examples=[False])
    expires_at: Moment
    reset: str | None = Field(examples=["kYxT0q2mWb3s9vLr7JdZpQ6uN1eHcF4a"])


class User(ResponseModel):
    """`email_verified_at`: when the user proved to receive mail at the address, null if never."""

    id: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    email: str = Field(examples=["test@example.com"])
    platform_role: PlatformRole = "member"
    status: Literal["active", "disabled"] = "active"
    email_verified_at: Moment | None = None
    created_at: Moment

    @property
    def location(self) -> str:
        return "/api/v1/auth/me"


class Person(ResponseModel):
    """What users see of each other who share a project."""

    id: str = Field(examples=["usr_01kaq3h5x0c2m9f7r4tz"])
    email: str = Field(examples=["test@example.com"])


class Token(ResponseModel):
    """`expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int = Field(examples=[900])


class SessionTokens(Token):
    """`refresh_token` is used once, at `/auth/refresh`, for a new pair of tokens."""

    refresh_token: str


class Refresh(RequestModel):
    """`refresh_token` is the last one that the session was given."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    repeat_key: Annotated[str, StringConstraints(min_length=32, max_length=200)] | None = Field(
        None,
        description="A secret of the caller's own, with which the same request may be repeated "
        "within 30 seconds: it gets the same refresh token again, as long as nobody has used that. "
        "For callers that may refresh twice at once, such as the tabs of a browser.",
    )


class Key(ResponseModel):
    """A public key (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    kid: str = Field(examples=["P8gPOte-OUQFx06z"])
    x: str = Field(examples=["uOrCjddtWPzLr68hZGD8Ks5dtrefIinec3rd8ngKpNs"])


class Keys(ResponseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[Key]
