"""The headers that every response has, and CORS for the origins in the parameter CorsOrigins.

API Gateway's own responses (429 of its throttle, 413, 431, 503) have none of these headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from slipway.settings import settings

# For JSON. A page brings a policy of its own.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
}
HTTPS_ONLY = "max-age=31536000"

# CORS. Tokens are in the Authorization header and never in cookies, so no response allows
# credentials.
EXPOSED = (
    "Accept-Encoding, Allow, apigw-requestid, ETag, Idempotent-Replayed, Link, Location, "
    "Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate"
)
ASKABLE = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
    "Last-Event-ID, Prefer, X-Confirm"
)
PREFLIGHT_SECONDS = 7200  # the longest that Chromium remembers one


def base_url(event: Mapping[str, Any]) -> str:
    """The scheme and host for absolute URLs: the parameter PublicUrl, or API Gateway's own name.

    Headers of the request are not used, because a caller can send any.
    """
    return settings().public_url or f"https://{event['requestContext']['domainName']}"


def complete(response: MutableMapping[str, Any], event: Mapping[str, Any]) -> None:
    """Add the headers that a Lambda response lacks: those of every response, and those of CORS."""
    headers: dict[str, Any] = response["headers"]
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    if base_url(event).startswith("https:"):
        headers["Strict-Transport-Security"] = HTTPS_ONLY
    if not settings().cors_origins:
        return
    vary = headers.get("Vary")
    headers["Vary"] = f"{vary}, Origin" if vary else "Origin"
    if origin := _allowed_origin(event):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED


def is_preflight(event: Mapping[str, Any]) -> bool:
    """Whether the request is a CORS preflight of an origin in CorsOrigins."""
    return (
        event["requestContext"]["http"]["method"] == "OPTIONS"
        and "access-control-request-method" in event["headers"]
        and bool(_allowed_origin(event))
    )


def preflight(methods: Iterable[str]) -> dict[str, Any]:
    """The Lambda response to a preflight for a path that has these methods."""
    headers = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": ASKABLE,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    return {"statusCode": 204, "headers": headers, "isBase64Encoded": False}


def _allowed_origin(event: Mapping[str, Any]) -> str:
    """The request's origin if CorsOrigins has it, else ""."""
    origin: str = event["headers"].get("origin", "")
    return origin if origin in settings().cors_origins else ""
