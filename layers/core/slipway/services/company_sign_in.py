"""The company's sign-in: a browser's way to the provider and back.

The authorisation code flow with PKCE, as the browser sees it. Whose account it is and which roles
it has: slipway.services.company_people.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from slipway.access import provider, signing
from slipway.errors.company import SignInInvalid, SignInRefused
from slipway.services import company_people, company_roles, sessions
from slipway.store import audit, table

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.domain.company import Callback, Login
    from slipway.domain.user import Token

SECONDS = 600
"""How long somebody may take to sign in at the provider."""

_CALLBACK = "/api/v1/auth/oidc/callback"
_PENDING = "pending sign-in"


class Begun(NamedTuple):
    """Where the browser goes, and what it keeps meanwhile."""

    location: str
    cookie: str


class Completed(NamedTuple):
    """Somebody who has signed in. `return_to` is a path of the platform, or None."""

    email: str
    tokens: Token
    return_to: str | None


# --- the browser's way --------------------------------------------------------------------------


def begin(wanted: Login, base: str) -> Begun:
    """Send a browser to the provider. `base` is the scheme and host of the platform.

    What the callback needs is sealed in a cookie of the browser, so that nothing is stored for
    strangers, and a link to a callback is worth nothing in another browser. Raises CompanyOff,
    ProviderUnavailable. No round trip to the table.
    """
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = _b64(hashlib.sha256(verifier.encode()).digest())
    location = provider.authorization_url(base + _CALLBACK, state, nonce, challenge)
    pending = {
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "return_to": wanted.return_to,
        "ends": time.time() + SECONDS,
    }
    return Begun(location, signing.sealed(json.dumps(pending), _PENDING))


def complete(brought: Callback, cookie: str | None, base: str) -> Completed:
    """Sign in who has come back from the provider, as a new user at the first time.

    Raises CompanyOff, SignInInvalid, SignInRefused, AccountDisabled, IdentityTaken,
    RegistrationClosed, ProviderUnavailable, Busy. Three round trips to the table.
    """
    provider.company()
    pending = _opened(cookie, brought.state)
    provider.require_issuer(brought.iss)
    if brought.error is not None or brought.code is None:
        said = (brought.error or "no code").encode("ascii", "replace").decode()
        raise SignInRefused(f"The provider answered {said[:80]!r}. Ask its administrators.")
    confirmed = provider.redeem(
        brought.code, pending["verifier"], pending["nonce"], base + _CALLBACK
    )
    assert confirmed.claims is not None
    person, auditing = company_people.person_of(confirmed.claims), audit.current()
    account = company_people.account_of(person)
    company_roles.apply(account, person.roles, auditing)
    audit.by_user(auditing, "account:sign-in", account, after={})
    tokens = _begin_session(account, confirmed.refresh_token)
    return Completed(account["email"], tokens, pending["return_to"])


def console_page(brought: Callback, cookie: str | None) -> str | None:
    """The console's page that completes this sign-in, if a page of the console has begun it.

    What the provider has sent is not used up. No round trip while the keys are cached. Raises
    SignInInvalid.
    """
    to = _opened(cookie, brought.state)["return_to"] or ""
    if not to.startswith("/console"):
        return None
    query = {**brought.model_dump(exclude_none=True), "next": to}
    return f"/console/sign-in/callback?{urlencode(query)}"


def _begin_session(account: AccountRecord, refresh_token: str) -> Token:
    """The tokens of a new session. One round trip.

    It goes on only as long as the provider can be asked: without a refresh token of the provider's
    there is none of ours, and the session ends with its access token.
    """
    if not refresh_token:
        return signing.mint(account["id"], account.get("generation", 0))
    write, tokens = sessions.begin(account, refresh_token)
    table.write(write)
    return tokens


def _opened(cookie: str | None, state: str | None) -> dict[str, Any]:
    """What the browser was given at the beginning. Raises SignInInvalid."""
    text = signing.opened(cookie, _PENDING) if cookie else None
    if text is None:
        raise SignInInvalid("This browser has begun no sign-in, or it was too long ago. Begin.")
    pending: dict[str, Any] = json.loads(text)
    if not hmac.compare_digest(pending["state"].encode(), (state or "").encode()):
        raise SignInInvalid("The answer belongs to another sign-in. Begin again.")
    if pending["ends"] < time.time():
        raise SignInInvalid("The sign-in took too long. Begin again.")
    return pending


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
