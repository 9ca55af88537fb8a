"""/auth: register, sign in and out, passwords, and the current user."""

from slipway.access import attempts, passwords, signing
from slipway.access.principal import Principal
from slipway.domain.user import Keys, NewUser, SignIn, Token, User
from slipway.errors import (
    AccountDisabled,
    EmailTaken,
    TooManyAttempts,
    WrongCredentials,
)
from slipway.http.app import Api
from slipway.http.routes import FORM, JSON, SourceIp
from slipway.services import sessions
from slipway.store import user_records

api = Api()
handler = api.handler


@api.post("/api/v1/auth/register", status=201, refuses=(EmailTaken, TooManyAttempts))
def register(wanted: NewUser, source_ip: SourceIp) -> User:
    """Register a user."""
    attempts.register(source_ip)
    password_hash = passwords.hash_password(wanted.password)
    return user_records.add(wanted.email, password_hash, attempts.known(wanted.email, source_ip))


# The table does not store tokens, so a repeated sign-in mints another one.
@api.post(
    "/api/v1/auth/login",
    refuses=(WrongCredentials, AccountDisabled, TooManyAttempts),
    media=(FORM, JSON),
    replays=False,
)
def sign_in(wanted: SignIn, source_ip: SourceIp) -> Token:
    """Sign in: exchange a password for a token."""
    return sessions.sign_in(wanted, source_ip)


# The session that ends cannot ask again.
@api.post("/api/v1/auth/logout", status=204, replays=False)
def logout(principal: Principal) -> None:
    """Sign out: end the session of this token."""
    sessions.end(principal)


@api.post("/api/v1/auth/logout-everywhere", status=204, replays=False)
def logout_everywhere(principal: Principal) -> None:
    """Sign out everywhere: end all of the user's sessions."""
    sessions.end_all(principal)


@api.get("/api/v1/auth/me")
def me(principal: Principal) -> User:
    """Read the signed-in user."""
    return user_records.get(principal.user_id)


@api.get("/.well-known/jwks.json")
def keys() -> Keys:
    """Read the public keys that verify tokens, as a JSON Web Key Set."""
    return signing.jwks()
