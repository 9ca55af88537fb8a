"""/auth: register, sign in, read the current user."""

from slipway.access import auth
from slipway.access.principal import Principal
from slipway.domain.user import Keys, NewUser, SignIn, Token, User
from slipway.errors import EmailTaken, TooManyAttempts, WrongCredentials
from slipway.http.app import Api
from slipway.http.routes import FORM, JSON, SourceIp
from slipway.store import user_records

api = Api()
handler = api.handler


@api.post("/api/v1/auth/register", status=201, refuses=(EmailTaken,))
def register(wanted: NewUser) -> User:
    """Register a user."""
    return user_records.add(wanted.email, auth.hash_password(wanted.password))


# The table does not store tokens, so a repeated sign-in mints another one.
@api.post(
    "/api/v1/auth/login",
    refuses=(WrongCredentials, TooManyAttempts),
    media=(FORM, JSON),
    replays=False,
)
def sign_in(wanted: SignIn, source_ip: SourceIp) -> Token:
    """Sign in: exchange a password for a token."""
    return auth.mint(auth.sign_in(wanted, source_ip))


@api.get("/api/v1/auth/me")
def me(principal: Principal) -> User:
    """Read the signed-in user."""
    return user_records.get(principal.user_id)


@api.get("/.well-known/jwks.json")
def keys() -> Keys:
    """Read the public keys that verify tokens, as a JSON Web Key Set."""
    return auth.jwks()
