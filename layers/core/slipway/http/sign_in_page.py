"""The answer to who comes back from the company's sign-in: JSON, or a page without scripts.

The tokens are in the body of the answer, never in an address, and no cookie signs anyone in. The
page shows them only when it is asked to.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from slipway.http.responses import RawResponse
from slipway.http.routes import JSON

if TYPE_CHECKING:
    from slipway.domain.user import Token

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def cookie(base: str, value: str, seconds: int) -> str:
    """The cookie that remembers a sign-in in this browser; no seconds remove it.

    `base` is the platform's scheme and host. The prefix lets nobody but this very host set it.
    """
    secure = "; Secure" if base.startswith("https:") else ""
    attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return f"{cookie_name(base)}={value}; {attributes}"


def cookie_name(base: str) -> str:
    """The cookie's name. Browsers take the prefix only with https."""
    return f"{'__Host-' if base.startswith('https:') else ''}slipway-sign-in"


def signed_in(
    email: str, tokens: Token, return_to: str | None, cookies: list[str], *, page: bool
) -> RawResponse:
    """The tokens as JSON, or as a page for people."""
    headers = {"Cache-Control": "no-store"}
    if not page:
        return RawResponse(tokens.model_dump_json(), JSON, 200, headers, cookies)
    headers["Content-Security-Policy"] = _POLICY
    text = _page(email, tokens, return_to or "/docs")
    return RawResponse(text, "text/html; charset=utf-8", 200, headers, cookies)


def _page(email: str, tokens: Token, return_to: str) -> str:
    shown = "".join(
        f"<dt>{escape(name)}</dt><dd><code>{escape(str(value))}</code></dd>"
        for name, value in tokens.model_dump().items()
        if value is not None
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Slipway: signed in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/docs/assets/favicon.png">
<link rel="stylesheet" href="/docs/assets/errors.css">
</head>
<body>
<h1>You are signed in as {escape(email)}</h1>
<p><a href="{escape(return_to)}">Go on to {escape(return_to)}</a></p>
<details>
<summary>Show the token, for a command line</summary>
<p>Send it with each request: <code>Authorization: Bearer &lt;access_token&gt;</code>. Anyone who
has it can act as you until it expires.</p>
<dl>{shown}</dl>
</details>
</body>
</html>
"""
