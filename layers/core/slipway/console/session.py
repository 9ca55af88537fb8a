"""Who is signed in: the tokens of a session of the API, sealed in a cookie.

The cookie is encrypted and authenticated with a key that only the console has, so nobody can read
the tokens in a browser or make a cookie, and scripts cannot read it at all.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

from slipway.settings import console_settings

# As long as the API keeps a session that nobody uses.
COOKIE_SECONDS = 7 * 24 * 3600
_KEEP_SECRET_SECONDS = 300
_SEALED = b"slipway console session 1"
_CSRF = b"slipway console forms 1"
_REFRESH = b"slipway console refresh 1"
_NONCE_BYTES = 12
_secret: list[tuple[bytes, float]] = []


@dataclass(frozen=True)
class Session:
    """A session of the console. `id` is its own; `ends` is when the access token does.

    `is_admin` decides about what is shown, and nothing else.
    """

    id: str
    access: str
    refresh: str
    ends: float
    email: str
    is_admin: bool = False

    @property
    def is_stale(self) -> bool:
        """Whether the access token has ended, or will in a moment."""
        return time.time() > self.ends - 5


def new(tokens: dict[str, Any], email: str, *, is_admin: bool) -> Session:
    """The session of these tokens, which the API has answered. Its id is a new one."""
    return Session(
        secrets.token_urlsafe(18),
        tokens["access_token"],
        # The company's sign-in may have given none.
        tokens.get("refresh_token") or "",
        time.time() + tokens["expires_in"],
        email,
        is_admin,
    )


def cookie_name(base: str) -> str:
    """The cookie's name. With the prefix, nobody but this very host can set it."""
    return f"{'__Host-' if base.startswith('https:') else ''}slipway-console"


def cookie(base: str, session: Session | None) -> str:
    """The value of Set-Cookie for this session; None removes the cookie."""
    secure = "; Secure" if base.startswith("https:") else ""
    value, seconds = (sealed(session), COOKIE_SECONDS) if session else ("", 0)
    attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return f"{cookie_name(base)}={value}; {attributes}"


def sealed(session: Session) -> str:
    """The session as its cookie has it. Raises StoreUnavailable."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = json.dumps(asdict(session)).encode()
    return _b64(nonce + AESGCM(_key(_SEALED)).encrypt(nonce, plain, _SEALED))


def opened(value: str) -> Session | None:
    """The session that was sealed, None if it was not sealed here. Raises StoreUnavailable."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True)
        nonce, cipher = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        return Session(**json.loads(AESGCM(_key(_SEALED)).decrypt(nonce, cipher, _SEALED)))
    except (InvalidTag, ValueError, TypeError):
        return None


def form_token(session: Session) -> str:
    """What a form of this session has to bring back. Each is another one, so that a page's length
    after compression tells nothing about it."""
    nonce = secrets.token_urlsafe(12)
    return f"{nonce}.{_form_mac(session, nonce)}"


def is_form_token(session: Session, text: str) -> bool:
    """Whether this session's form has brought it."""
    nonce, _, mac = text.partition(".")
    return hmac.compare_digest(_form_mac(session, nonce).encode(), mac.encode())


def repeat_key(session: Session) -> str:
    """The `repeat_key` of this session's next refresh: the same for all tabs of a browser."""
    return _b64(hmac.digest(_key(_REFRESH), session.refresh.encode(), "sha256"))


def _form_mac(session: Session, nonce: str) -> str:
    return _b64(hmac.digest(_key(_CSRF), f"{session.id} {nonce}".encode(), "sha256")[:18])


def _key(purpose: bytes) -> bytes:
    """The key for this purpose. A secret that is rotated takes effect within minutes."""
    now = time.time()
    if not _secret or now - _secret[0][1] > _KEEP_SECRET_SECONDS:
        from slipway.aws import secrets_manager

        _secret[:] = [(secrets_manager.read(console_settings().secret).encode(), now)]
    return hmac.digest(_secret[0][0], purpose, "sha256")


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forget() -> None:
    """Clear the cache, as a new process would start; for tests."""
    _secret.clear()
