"""Errors of the company's sign-in. Only the functions that raise them import this module."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.errors import Conflict, Fault, Forbidden


class PasswordsOff(Forbidden):
    code = "passwords_off"
    title = "Passwords are not accepted here. Sign in at /api/v1/auth/oidc/login."


class CompanyOff(Forbidden):
    code = "company_off"
    title = "This platform has no company sign-in. Sign in with a password."


class SignInInvalid(Forbidden):
    code = "sign_in_invalid"
    title = "The company's sign-in was not completed. Begin again at /api/v1/auth/oidc/login."


class SignInRefused(Forbidden):
    code = "sign_in_refused"
    title = "The company's sign-in does not let you in. Ask its administrators."


class IdentityTaken(Conflict):
    code = "identity_taken"
    title = (
        "Your address is that of somebody else's account here. Ask an administrator to delete that "
        "account, or to change your address in the company's sign-in."
    )


class CompanyAccount(Conflict):
    code = "company_account"
    title = "The user signs in with the company's sign-in. No link sets a password for them."


class ProviderUnavailable(Fault):
    code = "provider_unavailable"
    title = "The company's sign-in does not answer as it should. Try again after Retry-After."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "5"}
