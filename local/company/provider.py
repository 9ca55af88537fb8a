"""The provider: what Authlib leaves to its users, and what tests disturb.

provider = Provider("http://127.0.0.1:9400")
provider.people["ann"] = {"email": "ann@example.com", "email_verified": True}
provider.disabled.add("ann")
provider.rotate_keys()
"""

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    AuthorizationServer,
    ClientMixin,
    InvalidGrantError,
    OAuth2Request,
    TokenMixin,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from authlib.oidc.core.grants.code import OpenIDToken
from joserfc.jwk import KeySet, RSAKey
from werkzeug.wrappers import Request, Response

SCOPES = "openid profile email groups offline_access"
CODE_SECONDS = 60
_METHODS = ["client_secret_basic", "client_secret_post"]


@dataclass
class Client(ClientMixin):  # type: ignore[misc]
    """Slipway, as the provider knows it."""

    client_id: str
    secret: str
    redirect_uris: set[str]

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(each for each in (scope or "").split() if each in SCOPES.split())

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret.encode(), self.secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in _METHODS

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token")


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """An authorisation code, which can be used once."""

    client_id: str
    user: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    ends: float

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Refresh(TokenMixin):  # type: ignore[misc]
    """A refresh token. With each use it is replaced, and its second use ends what it is of."""

    text: str
    client_id: str
    user: str
    scope: str
    used: bool = False

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id

    def get_scope(self) -> str:
        return self.scope


class Provider(AuthorizationServer):  # type: ignore[misc]
    """An OpenID provider. `people` has the claims of each subject, with their groups.

    `disabled` are subjects who may not sign in any more. `claims_in` says where claims are told:
    in the ID token or only by the userinfo endpoint.
    """

    def __init__(self, issuer: str, client: Client, key: RSAKey | None = None) -> None:
        super().__init__(scopes_supported=SCOPES.split())
        self.issuer = issuer
        self.client = client
        self.people: dict[str, dict[str, Any]] = {}
        self.disabled: set[str] = set()
        self.codes: dict[str, Code] = {}
        self.refreshes: dict[str, Refresh] = {}
        self.accesses: dict[str, str] = {}
        self.claims_in = "id_token"
        self.keys = [key or new_key()]
        make = BearerTokenGenerator(_token, _token, expires_generator=300)
        self.register_token_generator("default", make)
        self.register_grant(_Codes, [CodeChallenge(required=True), _IdToken(self)])
        self.register_grant(_Refreshes, [_IdTokenAgain(self)])

    def rotate_keys(self) -> None:
        """Sign with another key from now on. The previous ones are published no longer."""
        self.keys = [new_key()]

    def claims(self, subject: str) -> dict[str, Any]:
        return {**self.people[subject], "sub": subject}

    def may_sign_in(self, subject: str) -> bool:
        return subject in self.people and subject not in self.disabled

    # --- what Authlib asks for ---

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        self.accesses[token["access_token"]] = request.user
        if text := token.get("refresh_token"):
            client_id = request.client.client_id
            self.refreshes[text] = Refresh(text, client_id, request.user, token["scope"])

    def create_oauth2_request(self, request: Request) -> "_Asked":
        return request if isinstance(request, _Asked) else _Asked(request)

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        text = json.dumps(body) if isinstance(body, dict) else body
        return Response(text, status, dict(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None: ...

    def metadata(self) -> dict[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "scopes_supported": SCOPES.split(),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": list(_METHODS),
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def key_set(self) -> dict[str, Any]:
        """The public keys."""
        keys: dict[str, Any] = dict(KeySet(list(self.keys)).as_dict(private=False))
        return keys


class _Asked(OAuth2Request):  # type: ignore[misc]
    def __init__(self, request: Request) -> None:
        super().__init__(request.method, request.url, headers=request.headers)
        self._args, self._form = request.args, request.form
        self.payload = _Payload(request)

    @property
    def args(self) -> Any:
        return self._args

    @property
    def form(self) -> Any:
        return self._form


class _Payload(BasicOAuth2Payload):  # type: ignore[misc]
    def __init__(self, request: Request) -> None:
        super().__init__(request.values.to_dict())
        self._datalist = {name: request.values.getlist(name) for name in request.values}


class _Codes(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def save_authorization_code(self, code: str, request: Any) -> None:
        sent = request.payload.data
        self.server.codes[code] = Code(
            request.client.client_id,
            request.user,
            request.payload.redirect_uri,
            request.scope,
            sent.get("nonce"),
            sent.get("code_challenge"),
            sent.get("code_challenge_method"),
            time.time() + CODE_SECONDS,
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.codes.get(code)
        if found and found.client_id == client.client_id and found.ends > time.time():
            return found
        return None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        codes = self.server.codes
        for code in [code for code, known in codes.items() if known is authorization_code]:
            del codes[code]

    def authenticate_user(self, authorization_code: Code) -> str | None:
        user = authorization_code.user
        return user if self.server.may_sign_in(user) else None


class _Refreshes(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        found: Refresh | None = self.server.refreshes.get(refresh_token)
        return None if found is None or found.used else found

    def authenticate_user(self, refresh_token: Refresh) -> str:
        if not self.server.may_sign_in(refresh_token.user):
            raise InvalidGrantError("The user is disabled.")
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        refresh_token.used = True


class _Claims:
    """Who somebody is, as an ID token says it."""

    provider: Provider

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self.provider.keys[0]

    def get_encode_header(self, client: Client) -> dict[str, Any]:
        return {"alg": "RS256", "kid": self.provider.keys[0].kid}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        return {"iss": self.provider.issuer, "aud": [client.client_id]}

    def generate_user_info(self, user: str, scope: str) -> dict[str, Any]:
        claims = self.provider.claims(user)
        return claims if self.provider.claims_in == "id_token" else {"sub": user}


class _IdToken(_Claims, OpenIDCode):  # type: ignore[misc]
    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=True)
        self.provider = provider
        self.nonces: set[str] = set()

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return any(code.nonce == nonce for code in self.provider.codes.values())


class _IdTokenAgain(_Claims, OpenIDToken):  # type: ignore[misc]
    def __init__(self, provider: Provider) -> None:
        self.provider = provider


def _token(**_: Any) -> str:
    return secrets.token_urlsafe(32)


def new_key() -> RSAKey:
    """A key that signs ID tokens."""
    named = {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"}
    made = RSAKey.generate_key(2048).as_dict(private=True)
    return RSAKey.import_key({**made, **named})
