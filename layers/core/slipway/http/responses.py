"""Responses: a route's result or error as status, headers and body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from slipway import errors
from slipway.domain.credentials import without_secrets
from slipway.domain.fields import ResponseModel
from slipway.domain.paging import Page
from slipway.domain.preconditions import BESIDE, IfMatch
from slipway.http.headers import base_url
from slipway.http.negotiation import prefers
from slipway.http.routes import JSON, Route

PROBLEM = "application/problem+json"
EVENTS = "text/event-stream"
STREAM_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept"}
NDJSON = "application/x-ndjson"

STATUS: dict[type[errors.SlipwayError], int] = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Invalid: 422,
    errors.RetryLater: 429,
    errors.Fault: 503,
    errors.Bug: 500,
}


@dataclass(frozen=True)
class RawResponse:
    """A complete response. A route that returns it serves a page, which the API does not document.

    `body` is None only with 204, which has no `media` either. `cookies` are values of Set-Cookie.
    """

    body: str | bytes | None
    media: str | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[str] = ()


class Redirect(RawResponse):
    """A redirection, which is part of the API and its OpenAPI document."""

    @classmethod
    def to(cls, location: str, *cookies: str) -> Redirect:
        """The redirection that sends a browser to this address."""
        headers = {"Location": location, "Cache-Control": "no-store"}
        return cls("", "text/plain", 302, headers, cookies)


class DocumentResponse(RawResponse):
    """A response that is not JSON and is part of the API and its OpenAPI document."""


# --- results ----------------------------------------------------------------------------------


def render(route: Route, result: Any, event: Mapping[str, Any]) -> RawResponse:
    """The response for what the route's function returned; `event` is API Gateway's."""
    status = route.status
    # A stored response is rendered from the created object alone, before the function returns.
    if route.found is not None and isinstance(result, tuple):
        result, created = result
        status = route.status if created else route.found
    if isinstance(result, RawResponse):
        return result
    if result is None:
        return RawResponse(None, None, 204, {"Cache-Control": "no-store"})
    if isinstance(result, Page) and route.exports:
        return _exported(route, result, status, event)
    if isinstance(result, Page):
        if is_stream(route, event):
            return _stream(result, event)
        as_lines = route.lines and _asks_for_lines(event)
        page = _page(result, status, event, as_lines=as_lines)
        if route.waits:
            page = _tagged(page)
        by_accept = route.lines or route.waits == "line"
        return replace(page, headers={**page.headers, "Vary": "Accept"}) if by_accept else page
    return _object(result, status, event)


def _object(model: ResponseModel, status: int, event: Mapping[str, Any]) -> RawResponse:
    model = model.with_absolute_urls(base_url(event))
    body = model.model_dump_json()
    headers = {"Cache-Control": "no-store", "ETag": etag(model, body)}
    if status == 201:
        headers["Location"] = model.location
    return RawResponse(body, JSON, status, headers)


def is_stream(route: Route, event: Mapping[str, Any]) -> bool:
    """Whether the request follows a log as an event stream, by its `Accept` header."""
    return route.waits == "line" and prefers(event["headers"].get("accept", ""), EVENTS, JSON)


def _stream(page: Page[Any], event: Mapping[str, Any]) -> RawResponse:
    """The page of a log as events; an empty 204 if the log has ended and the page has no lines."""
    if not page and page.cursor is None:
        return RawResponse(None, None, 204, STREAM_HEADERS)
    # Imported here, because most pages are JSON.
    from slipway.http import streaming

    return RawResponse(streaming.events(page, base_url(event)), EVENTS, 200, STREAM_HEADERS)


def _asks_for_lines(event: Mapping[str, Any]) -> bool:
    """Whether the `Accept` header names newline-delimited JSON."""
    return prefers(event["headers"].get("accept", ""), NDJSON, JSON)


def _page(
    page: Page[Any], status: int, event: Mapping[str, Any], *, as_lines: bool = False
) -> RawResponse:
    base = base_url(event)
    items = [item.with_absolute_urls(base).model_dump_json() for item in page]
    headers = {"Cache-Control": "no-store"}
    if page.cursor:
        pairs = parse_qsl(event.get("rawQueryString") or "")
        query = [*(pair for pair in pairs if pair[0] != "cursor"), ("cursor", page.cursor)]
        url = f"{base}{quote(event['rawPath'])}?{urlencode(query)}"
        headers["Link"] = f'<{url}>; rel="next"'
    if as_lines:
        return RawResponse("".join(f"{item}\n" for item in items), NDJSON, status, headers)
    return RawResponse(f"[{','.join(items)}]", JSON, status, headers)


def _exported(route: Route, page: Page[Any], status: int, event: Mapping[str, Any]) -> RawResponse:
    """The page in the media type that the caller accepts, by default JSON."""
    accepted = event["headers"].get("accept", "")
    for media, write in route.exports.items():
        if prefers(accepted, media, JSON):
            headers = {"Cache-Control": "no-store", "Vary": "Accept"}
            return RawResponse(write(page), media, status, headers)
    as_json = _page(page, status, event)
    return replace(as_json, headers={**as_json.headers, "Vary": "Accept"})


def _tagged(page: RawResponse) -> RawResponse:
    """The page with an ETag, which differs if the lines or where they go on do."""
    content = f"{page.headers.get('Link')} {page.body!r}".encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return replace(page, headers={**page.headers, "ETag": tag})


def etag(model: ResponseModel, body: str) -> str:
    """The object's ETag: its version if it has a number, else a hash of `body`, its JSON.

    An object that is shown differently because time has passed, or because an object above it has
    changed, has another ETag.
    """
    version = getattr(model, "version", None)
    if isinstance(version, int):
        overdue = "-overdue" if getattr(model, "overdue", False) else ""
        ahead = getattr(model, "ahead", None)
        return f'"{version}{overdue}{BESIDE + ahead if ahead else ""}"'
    return f'"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'


def apply_conditions(response: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Let a GET's response heed the request's preconditions (RFC 9110, 13.2.2).

    It becomes a 412 if `If-Match` does not name its ETag, else a 304 without a body if
    `If-None-Match` does. A response without an ETag stays as it is.
    """
    conditions, headers = IfMatch.of(event["headers"]), response["headers"]
    tag = headers.get("ETag")
    if conditions is None or tag is None or response["statusCode"] != 200:
        return
    if not conditions.matches(tag):
        refused = render_error(errors.PreconditionFailed(), event["requestContext"]["requestId"])
        response.update(statusCode=412, body=refused.body, isBase64Encoded=False)
        response["headers"] = {**refused.headers, "Content-Type": PROBLEM}
    elif conditions.is_known(tag):
        response.update(statusCode=304, body="", isBase64Encoded=False)
        kept = ("ETag", "Cache-Control", "Link", "Preference-Applied", "Vary")
        response["headers"] = {name: headers[name] for name in kept if name in headers}


def render_confirmation(model: ResponseModel, event: Mapping[str, Any]) -> RawResponse:
    """The 202 to a request that waits for a person. `Location` is where it can be followed."""
    response = _object(model, 202, event)
    return RawResponse(response.body, JSON, 202, {**response.headers, "Location": model.location})


def wants_page(event: Mapping[str, Any]) -> bool:
    """Whether the caller is a browser that shows an address: it asks for HTML, without a token."""
    sent = event["headers"]
    return "authorization" not in sent and prefers(sent.get("accept", ""), "text/html", JSON)


def to_page(path: str, sent: Mapping[str, str]) -> RawResponse:
    """The redirection of a browser to this path, whose parts were sent."""
    for name, part in sent.items():
        path = path.replace(f"<{name}>", quote(part, safe=""))
    headers = {"Location": path, "Cache-Control": "no-store", "Vary": "Accept, Authorization"}
    return RawResponse("", "text/plain", 303, headers)


# --- errors -----------------------------------------------------------------------------------


def status_of(error: type[errors.SlipwayError]) -> int:
    """The status of the error, from the nearest of its classes that STATUS has."""
    return next((STATUS[kind] for kind in error.__mro__ if kind in STATUS), 500)


def render_error(error: errors.SlipwayError, request_id: str) -> RawResponse:
    """The response for an error, with the headers that it asks for (`Retry-After`, `Allow`)."""
    status = status_of(type(error))
    # A caller may have sent a token as the name of a field.
    body = without_secrets(json.dumps(problem(error, status, request_id)))
    media = JSON if error.oauth else PROBLEM
    return RawResponse(body, media, status, {"Cache-Control": "no-store", **error.headers})


def problem(error: errors.SlipwayError, status: int, request_id: str) -> dict[str, Any]:
    """The error as a problem object (RFC 9457).

    The detail of a fault is for the log alone: it may name roles, tables and accounts.
    """
    is_fault = isinstance(error, errors.Fault)
    return {
        **_of_oauth(error),
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.title if is_fault else error.detail,
        "code": error.code,
        "request_id": request_id,
        "errors": [vars(field) for field in error.fields],
        **error.extra,
    }


def _of_oauth(error: errors.SlipwayError) -> dict[str, str]:
    """The members that clients of OAuth 2 read (RFC 6749, 5.2); none of another error."""
    if not error.oauth:
        return {}
    # The letters that a description may have.
    said = "".join(each for each in error.detail if " " <= each <= "~" and each not in '"\\')
    return {"error": error.oauth, "error_description": said}
