"""The provider of the company's sign-in: an OpenID provider, as the stack's parameters describe it.

The client of the authorisation code flow with PKCE (OpenID Connect Core 1.0; RFC 6749, 7636, 9207).
Slipway trusts the provider for who somebody is, and asks it again whenever a session is refreshed.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from slipway import aws
from slipway.access import id_tokens
from slipway.errors.company import (
    CompanyOff,
    ProviderUnavailable,
    SignInInvalid,
)
from slipway.settings import settings

_KEEP_SECONDS = 300
# Four calls of a sign-in fit into the function's Timeout.
_CALL_SECONDS = 4
_MOST_BYTES = 512 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Refused(Exception):
    """The provider refuses what it was sent: a code or a refresh token that is not valid, or no
    longer. `error` is its word for the reason (RFC 6749, 5.2)."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Company:
    """The company's sign-in, as the stack's parameters describe it.

    `client_secret` is empty for a public client. `groups` is the mapping (slipway.domain.groups)
    and `groups_claim` the claim that has somebody's groups. `trust_emails`: the provider proves
    addresses without saying so.
    """

    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    groups_claim: str
    groups: str
    trust_emails: bool


class Answer(dict[str, Any]):
    """An answer of the provider, a JSON object."""

    def text(self, name: str) -> str:
        """The member, if it is a text, else an empty one."""
        value = self.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Confirmed:
    """Who somebody is, by the provider. `refresh_token` is empty if the provider gave none.

    `claims` is None if it confirmed somebody without saying again who that is.
    """

    claims: Mapping[str, Any] | None
    refresh_token: str


_company: list[tuple[float, Company]] = []
_metadata: dict[str, tuple[float, Answer]] = {}


def is_set_up() -> bool:
    """Whether the stack has a company's sign-in."""
    return bool(settings().oidc_secret)


def company() -> Company:
    """The company's sign-in. It is read every few minutes, so that a new secret takes effect.

    Raises CompanyOff if the stack has none, and DriverFault if it cannot be read.
    """
    if not is_set_up():
        raise CompanyOff()
    if not _company or time.time() - _company[0][0] > _KEEP_SECONDS:
        found = configuration()
        proven = found["trust_emails"] == "true"
        _company[:] = [(time.time(), Company(**{**found, "trust_emails": proven}))]
    return _company[0][1]


def configuration() -> dict[str, Any]:
    """The company's sign-in as the stack keeps it in its secret. Raises DriverFault."""
    answer = aws.call("secretsmanager", "get_secret_value", SecretId=settings().oidc_secret)
    found: dict[str, Any] = json.loads(answer["SecretString"])
    return found


# --- the authorisation code flow ----------------------------------------------------------------


def authorization_url(redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
    """Where a browser signs in. One call to the provider, none while its metadata is cached.

    `challenge` is that of PKCE's method S256. Raises ProviderUnavailable, CompanyOff.
    """
    asked, metadata = company(), _discovered()
    scopes = asked.scopes.split()
    # Without it, most providers give no refresh token; those that do not know it refuse it.
    if "offline_access" in (metadata.get("scopes_supported") or ()):
        scopes.append("offline_access")
    query = {
        "response_type": "code",
        "client_id": asked.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(dict.fromkeys(scopes)),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = metadata.text("authorization_endpoint")
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def require_issuer(iss: str | None) -> None:
    """Raises SignInInvalid unless the answer to the browser is this provider's (RFC 9207)."""
    promised = _discovered().get("authorization_response_iss_parameter_supported") is True
    if iss != company().issuer and (promised or iss is not None):
        raise SignInInvalid("The answer is not from this platform's provider. Begin again.")


def redeem(code: str, verifier: str, nonce: str, redirect_uri: str) -> Confirmed:
    """Who has signed in, in exchange for the code that the browser brought.

    Up to four calls to the provider. Raises SignInInvalid, ProviderUnavailable.
    """
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    try:
        answer = _token(grant)
    except Refused:
        raise SignInInvalid("The provider does not accept the code. Begin again.") from None
    confirmed = _confirmed(answer, nonce)
    if confirmed.claims is None:
        raise ProviderUnavailable("The token endpoint answered without an ID token")
    return confirmed


def refresh(refresh_token: str, subject: str) -> Confirmed:
    """Ask the provider whether somebody may still sign in.

    Raises Refused if not, and ProviderUnavailable if it does not answer. One call to the provider,
    and one or two more if it says who somebody is.
    """
    answer = _token({"grant_type": "refresh_token", "refresh_token": refresh_token})
    try:
        confirmed = _confirmed(answer, None)
    except SignInInvalid as error:
        # Whoever refreshes a session cannot correct it.
        raise ProviderUnavailable(str(error)) from error
    if confirmed.claims is not None and confirmed.claims["sub"] != subject:
        raise ProviderUnavailable("The provider refreshed somebody else's token")
    # Providers that do not rotate refresh tokens leave it out.
    return Confirmed(confirmed.claims, confirmed.refresh_token or refresh_token)


def _confirmed(answer: Answer, nonce: str | None) -> Confirmed:
    asked = company()
    token = answer.text("id_token")
    if not token:
        return Confirmed(None, answer.text("refresh_token"))
    expected = id_tokens.Expected(asked.issuer, asked.client_id, nonce, answer.text("access_token"))
    claims = id_tokens.verified(token, expected, _keys)
    wanted = {"email", *([asked.groups_claim] if asked.groups else [])}
    if not wanted <= set(claims) and (more := _userinfo(answer, claims["sub"])):
        claims = {**more, **claims}
    return Confirmed(claims, answer.text("refresh_token"))


def _userinfo(answer: Answer, subject: str) -> Answer | None:
    """More claims. Some providers keep ID tokens short, and tell the rest only there."""
    url, access_token = _discovered().text("userinfo_endpoint"), answer.text("access_token")
    if not url or not access_token:
        return None
    status, found = _ask("GET", url, headers={"Authorization": f"Bearer {access_token}"})
    if status != 200 or found.get("sub") != subject:
        raise ProviderUnavailable(f"The userinfo endpoint answered {status}, or of somebody else")
    return found


def _token(grant: Mapping[str, str]) -> Answer:
    """The token endpoint's answer. Raises Refused, ProviderUnavailable."""
    asked, metadata = company(), _discovered()
    headers, form = {}, dict(grant)
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if asked.client_secret and "client_secret_basic" in methods:
        pair = f"{quote(asked.client_id, safe='')}:{quote(asked.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form["client_id"] = asked.client_id
        if asked.client_secret:
            form["client_secret"] = asked.client_secret
    status, answer = _ask("POST", metadata.text("token_endpoint"), form=form, headers=headers)
    if status == 200:
        return answer
    if status == 400 and answer.get("error") == "invalid_grant":
        raise Refused("invalid_grant")
    # A wrong client secret, for example: the caller cannot correct it.
    raise ProviderUnavailable(f"The token endpoint answered {status}: {answer.text('error')[:80]}")


# --- what the provider publishes ----------------------------------------------------------------


def _discovered() -> Answer:
    """The provider's metadata (OpenID Connect Discovery 1.0). Raises ProviderUnavailable."""
    issuer = company().issuer
    at, known = _metadata.get(issuer, (0.0, Answer()))
    if known and time.time() - at < _KEEP_SECONDS:
        return known
    status, found = _ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if status != 200 or found.get("issuer") != issuer:
        raise ProviderUnavailable(f"The metadata answered {status}, or name another issuer")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        _require_safe(found.text(name))
    _metadata[issuer] = (time.time(), found)
    return found


def _keys() -> tuple[str, Answer]:
    """The issuer, and its key set. One call to the provider."""
    status, found = _ask("GET", _discovered().text("jwks_uri"))
    if status != 200:
        raise ProviderUnavailable(f"The keys answered {status}")
    return company().issuer, found


def _require_safe(url: str) -> None:
    """Raises ProviderUnavailable unless the URL is https, or http on loopback with such an issuer.

    The issuer and its endpoints are the operator's choice, so they may be in a private network.
    """
    parts = urlsplit(url)
    on_loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if parts.scheme == "https" or (on_loopback and company().issuer.startswith("http://")):
        return
    raise ProviderUnavailable("An address in the provider's metadata is neither https nor loopback")


def _ask(
    method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Any = None
) -> tuple[int, Answer]:
    """The status and the JSON object that the provider answers. Raises ProviderUnavailable."""
    _require_safe(url)
    body = urlencode(form).encode() if form is not None else None
    sent = {"Accept": "application/json", "User-Agent": "slipway", **(headers or {})}
    if body is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        status, raw = send(method, url, body, sent)
        answer = json.loads(raw)
    except (OSError, ValueError) as error:
        raise ProviderUnavailable(f"{type(error).__name__} at {urlsplit(url).netloc}") from error
    if status >= 500 or status == 429 or not isinstance(answer, dict):
        raise ProviderUnavailable(f"{urlsplit(url).netloc} answered {status}")
    return status, Answer(answer)


def send(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Send a request, and follow no redirect. Raises OSError, ValueError."""
    import http.client

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_CALL_SECONDS)
    until = time.monotonic() + _CALL_SECONDS
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        raw = b""
        # A provider that sends a byte a second would never be late.
        while len(raw) <= _MOST_BYTES and (piece := response.read1(65536)):
            raw += piece
            if time.monotonic() > until:
                raise TimeoutError("the answer takes too long")
    except http.client.HTTPException as error:
        raise ValueError(type(error).__name__) from error
    finally:
        connection.close()
    if len(raw) > _MOST_BYTES:
        raise ValueError("the answer is too long")
    return response.status, raw


def forget() -> None:
    """Clear the caches, as a new process would start; for tests."""
    _company.clear()
    _metadata.clear()
    id_tokens.forget()
