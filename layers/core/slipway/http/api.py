"""The only file that knows HTTP: routes, what a request must be, what an error looks like.

    api = Api()

    @api.post("/api/v1/projects", status=201, refuses=(NameTaken,))
    def create(principal: Principal, wanted: NewProject) -> Project:

A route's parameters say what it takes: a name from the path, `Principal` (then it needs a token),
`IfMatch` or `IfSeen`, `Source`, a `Wanted` model (the body, which may be left out if it is
`Wanted | None`; with GET and DELETE the query), an `Asked` model (always the query), `Sent` (a body
as it came). What it returns is shown as JSON with an ETag; a Page is a bare array with the next
page in `Link`.
The OpenAPI document is made from the same table of routes (slipway.http.openapi).

Routing is Powertools'. Its request validation is not used: it costs each cold start 100 ms
(docs/decisions/0002) and answers in a shape of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NewType
from urllib.parse import parse_qsl, quote, urlencode

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from pydantic import BaseModel, ValidationError

from slipway import errors, observe
from slipway.access import auth
from slipway.access.principal import Principal
from slipway.domain.fields import Asked, Shown, Wanted
from slipway.domain.paging import Page

MAX_BODY_BYTES = 65_536
_MAX_TOLD = 20
JSON = "application/json"
PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"

STATUS: dict[type[errors.SlipwayError], int] = {
    errors.Malformed: 400,
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

IfMatch = NewType("IfMatch", int)
"""The version in `If-Match`; None if the header is absent or `*`."""

IfSeen = Callable[[Shown], bool]
"""Of what has no version: whether it has the ETag in `If-Match`; None as above."""

Source = NewType("Source", str)
"""The address the request came from."""


@dataclass(frozen=True)
class Sent:
    """A body as it came, of one of the route's media types."""

    body: bytes
    media: str


@dataclass(frozen=True)
class Raw:
    """An answer that is not JSON: a page, a script. Not a part of the OpenAPI document."""

    body: str | bytes
    media: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Document(Raw):
    """An answer that is not JSON and yet a part of the API."""


def status_of(error: type[errors.SlipwayError]) -> int:
    return next((STATUS[kind] for kind in error.__mro__ if kind in STATUS), 500)


@dataclass(frozen=True)
class Route:
    """One line of the table of routes. `limit`: how many bytes a body may have."""

    method: str
    path: str
    function: Callable[..., Any]
    status: int
    refuses: Sequence[type[errors.SlipwayError]]
    media: Sequence[str]
    replays: bool
    limit: int
    found: int | None
    kinds: Mapping[str, Any]
    optional: bool
    returns: Any

    @property
    def body(self) -> type[Wanted] | None:
        return next((kind for kind in self._models if not self.asks(kind)), None)

    @property
    def takes_body(self) -> bool:
        return self.body is not None

    @property
    def query(self) -> type[Wanted] | None:
        return next((kind for kind in self._models if self.asks(kind)), None)

    @property
    def _models(self) -> list[type[Wanted]]:
        return [kind for kind in self.kinds.values() if _is_wanted(kind)]

    def asks(self, model: type[Wanted]) -> bool:
        """Whether the model is of the query."""
        return self.method in ("GET", "DELETE") or issubclass(model, Asked)

    def takes(self, kind: Any) -> bool:
        return kind in self.kinds.values()


class Api:
    """A table of routes and the Lambda handler that serves it."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self._resolver = APIGatewayHttpResolver(serializer=_shown)
        self._resolver.exception_handler(errors.SlipwayError)(self._problem)
        self._resolver.exception_handler(Exception)(self._bug)
        self._resolver.not_found(self._no_such_route)

    def get(self, path: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self._route("GET", path, **more)

    def post(self, path: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self._route("POST", path, **more)

    def put(self, path: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """`found` is the status if it was there already: the route returns (what, whether made)."""
        return self._route("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self._route("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self._route("DELETE", path, **more)

    def _route(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        refuses: Sequence[type[errors.SlipwayError]] = (),
        media: Sequence[str] = (JSON,),
        replays: bool = True,
        limit: int = MAX_BODY_BYTES,
        found: int | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            kinds = typing.get_type_hints(function)
            returns = kinds.pop("return")
            needed = {name: _without_none(kind) for name, kind in kinds.items()}
            repeats = replays and method == "POST"
            route = Route(
                method=method,
                path=path,
                function=function,
                status=status,
                refuses=refuses,
                media=media,
                replays=repeats,
                limit=limit,
                found=found,
                kinds=needed,
                optional=needed != kinds,
                returns=returns,
            )
            self.routes.append(route)

            def serve(**path_names: str) -> Response[Any]:
                arguments = self._arguments(route, path_names)
                return self._once(route, arguments, lambda: function(**arguments))

            self._resolver.route(path, method)(serve)
            return function

        return register

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler: one request in (payload 2.0), one answer out, one line logged."""
        began = time.perf_counter()
        http = event["requestContext"]["http"]
        # API Gateway sends header names in lower case; SAM CLI sends `Content-Type`. This is the
        # only place that sees both, so every lookup below may use lower case.
        headers = event.get("headers") or {}
        event["headers"] = {name.lower(): value for name, value in headers.items()}
        # `/projects` and `/projects/` are one thing to people and two to API Gateway.
        event["rawPath"] = event["rawPath"].rstrip("/") or "/"
        asked = http["method"]
        if asked == "HEAD":
            http["method"] = "GET"
        answer = self._resolver.resolve(event, context)
        if asked == "HEAD":
            answer["body"] = ""
        observe.event(
            "request",
            method=asked[:20],
            route=event.get("routeKey"),
            # As it was in the address: nothing in it takes more bytes in JSON.
            path=quote(event["rawPath"])[:200],
            status=answer["statusCode"],
            ms=round((time.perf_counter() - began) * 1000, 1),
            request_id=event["requestContext"]["requestId"],
        )
        return answer

    def accepts(self, encoding: str) -> bool:
        """Whether the present caller can read this content encoding."""
        headers = self._resolver.current_event.raw_event["headers"]
        return encoding in headers.get("accept-encoding", "")

    def _arguments(self, route: Route, path_names: Mapping[str, str]) -> dict[str, Any]:
        event = self._resolver.current_event.raw_event
        headers = event["headers"]
        arguments: dict[str, Any] = {}
        # The token first: who may not come in is not told what is wrong with the rest.
        for name, kind in sorted(route.kinds.items(), key=lambda item: item[1] is not Principal):
            if kind is Principal:
                arguments[name] = auth.caller(headers.get("authorization"))
            elif kind is IfMatch or kind == IfMatch | None:
                arguments[name] = _if_match(headers.get("if-match"))
            elif kind == IfSeen | None:
                arguments[name] = _if_seen(headers.get("if-match"))
            elif kind is Source:
                arguments[name] = event["requestContext"]["http"]["sourceIp"]
            elif kind is Sent:
                arguments[name] = _sent(route, event, headers)
            elif not _is_wanted(kind):
                arguments[name] = path_names[name]
            elif route.asks(kind):
                arguments[name] = _query(kind, event.get("rawQueryString") or "")
            elif route.optional and event.get("body") in (None, "", "null"):
                arguments[name] = None
            else:
                arguments[name] = _body(kind, _sent(route, event, headers))
        return arguments

    def _once(
        self, route: Route, arguments: Mapping[str, Any], carry_out: Callable[[], Any]
    ) -> Response[Any]:
        """The answer; the one given before, if the request names itself and was sent before."""
        event = self._resolver.current_event.raw_event
        key = event["headers"].get("idempotency-key")
        only_looks = any(isinstance(v, Asked) and v.only_looks for v in arguments.values())
        if key is None or not route.replays or only_looks:
            return self._answer(route, carry_out())
        if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
            detail = "must be 1 to 255 printable ASCII characters"
            raise errors.Invalid([errors.FieldError("Idempotency-Key", detail)])
        from slipway.store import idempotency

        who = next((v for v in arguments.values() if isinstance(v, Principal)), None)
        owner = who.user_id if who else event["requestContext"]["http"]["sourceIp"]
        query = event.get("rawQueryString")
        path = f"{event['rawPath']}?{query}" if query else event["rawPath"]
        request = f"{route.method} {path} {event.get('body') or ''}"

        def kept(result: Any) -> dict[str, Any]:
            answer = self._answer(route, result)
            return {
                "status_code": answer.status_code,
                "headers": answer.headers,
                "body": answer.body,
            }

        answer, replayed = idempotency.once(owner, key, request, carry_out, kept)
        if replayed:
            answer["headers"] = {**answer["headers"], "Idempotent-Replayed": "true"}
        return Response(content_type=JSON, **answer)

    def _answer(self, route: Route, result: Any) -> Response[Any]:
        status = route.status
        # What was done before is shown as it is, without the word whether it was made now.
        if route.found is not None and isinstance(result, tuple):
            result, made = result
            status = route.status if made else route.found
        if isinstance(result, Raw):
            return Response(
                status_code=result.status,
                content_type=result.media,
                headers=dict(result.headers),
                body=result.body,
            )
        if result is None:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        base = _base(self._resolver.current_event.raw_event)
        if isinstance(result, Page):
            result[:] = [item.seen_from(base) for item in result]
        elif isinstance(result, Shown):
            result = result.seen_from(base)
        body = _shown(result)
        headers: dict[str, Any] = {"Cache-Control": "no-store"}
        if isinstance(result, Page):
            if result.cursor:
                headers["Link"] = f'<{base}{self._next(result.cursor)}>; rel="next"'
        else:
            headers["ETag"] = etag(result, body)
        if status == 201:
            headers["Location"] = _location(result)
        return Response(status_code=status, content_type=JSON, headers=headers, body=body)

    def _next(self, cursor: str) -> str:
        event = self._resolver.current_event.raw_event
        query = dict(parse_qsl(event.get("rawQueryString") or "")) | {"cursor": cursor}
        return f"{quote(event['rawPath'])}?{urlencode(query)}"

    def _no_such_route(self, _: Exception) -> Response[Any]:
        event = self._resolver.current_event.raw_event
        path, method = event["rawPath"], event["requestContext"]["http"]["method"]
        allowed = sorted({route.method for route in self.routes if _matches(route.path, path)})
        if allowed and method not in allowed:
            return self._problem(errors.MethodNotAllowed(allowed))
        return self._problem(errors.NotFound("No route has this path. See /docs for all routes."))

    def _problem(self, error: Exception) -> Response[Any]:
        assert isinstance(error, errors.SlipwayError)
        status = status_of(type(error))
        request_id = self._request_id()
        if status == 503:
            observe.log().exception(error.title, extra={"request_id": request_id})
        return Response(
            status_code=status,
            content_type=PROBLEM,
            headers={"Cache-Control": "no-store", **error.headers},
            body=json.dumps(problem(error, status, request_id)),
        )

    def _bug(self, error: Exception) -> Response[Any]:
        observe.log().exception("A bug in Slipway", extra={"request_id": self._request_id()})
        return self._problem(errors.Bug())

    def _request_id(self) -> str:
        return str(self._resolver.current_event.raw_event["requestContext"]["requestId"])


def problem(error: errors.SlipwayError, status: int, request_id: str) -> dict[str, Any]:
    """The error as RFC 9457 has it."""
    return {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        "errors": [vars(field) for field in error.fields],
        **error.extra,
    }


def _base(event: Mapping[str, Any]) -> str:
    headers = event["headers"]
    host = headers.get("host") or event["requestContext"].get("domainName", "")
    return f"{headers.get('x-forwarded-proto', 'http')}://{host}"


def etag(result: Any, body: str) -> str:
    version = getattr(result, "version", None)
    if isinstance(version, int):
        return f'"{version}"'
    return f'"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'


def _shown(result: Any) -> str:
    if isinstance(result, str):
        return result
    if isinstance(result, BaseModel):
        return result.model_dump_json()
    if isinstance(result, list):
        return f"[{','.join(_shown(item) for item in result)}]"
    return json.dumps(result)


def _is_wanted(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Wanted)


def _without_none(kind: Any) -> Any:
    """The model of a body that may be left out; any other kind as it is."""
    model, *more = typing.get_args(kind) or (None,)
    return model if more == [type(None)] and _is_wanted(model) else kind


def _location(made: Any) -> str:
    """The path of what was made; what has no id says its own."""
    identity = getattr(made, "id", None)
    if identity is None:
        return str(made.location)
    collections = {"prj": "projects", "env": "environments", "dep": "deployments"}
    collection = collections.get(identity[:3])
    return f"/api/v1/{collection}/{identity}" if collection else "/api/v1/auth/me"


def _matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"<\w+>", "[^/]+", pattern), path) is not None


def _if_match(header: str | None) -> int | None:
    if header is None or header.strip() == "*":
        return None
    found = re.fullmatch(r'\s*"([0-9]{1,18})"\s*', header)
    # An ETag that we never gave can match nothing.
    return int(found[1]) if found else -1


def _if_seen(header: str | None) -> IfSeen | None:
    if header is None or header.strip() == "*":
        return None
    tag = header.strip()
    return lambda shown: etag(shown, _shown(shown)) == tag


def _sent(route: Route, event: Mapping[str, Any], headers: Mapping[str, str]) -> Sent:
    sent = event.get("body") or ""
    try:
        raw = base64.b64decode(sent) if event.get("isBase64Encoded") else sent.encode()
    except ValueError:
        raise errors.Malformed("The body is not valid UTF-8.") from None
    if len(raw) > route.limit:
        raise errors.TooLarge(
            f"The body has {len(raw)} bytes, and {route.limit} are allowed. Send a smaller one."
        )
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in route.media:
        raise errors.UnsupportedMediaType(f"Send the body as {' or '.join(route.media)}.")
    return Sent(raw, media)


def _body(model: type[Wanted], sent: Sent) -> Wanted:
    if sent.media == FORM:
        return _checked(model, _form(sent.body), "#/")
    _look_through(sent.body)
    return _checked(model, sent.body, "#/")


def _look_through(body: bytes) -> None:
    """Raises Malformed for what is no JSON, Invalid for what says one thing twice."""
    repeats = False

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        fields = dict(pairs)
        repeats = repeats or len(fields) < len(pairs)
        return fields

    twice: list[Sequence[int | str]] = []
    try:
        text = body.decode()
        json.loads(text, parse_constant=_no_such_number, object_pairs_hook=distinct)
        if repeats:
            twice += islice(_twice(json.loads(text, object_pairs_hook=_Pairs)), _MAX_TOLD)
    except RecursionError:
        raise errors.Malformed("The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise errors.Malformed("The body is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise errors.Malformed(f"The body is not JSON: {error}") from None
    except ValueError:
        raise errors.Malformed("A number in the body has too many digits.") from None
    if twice:
        detail = "is given more than once"
        raise errors.Invalid([errors.FieldError(_pointer("#/", each), detail) for each in twice])


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


def _twice(value: Any, at: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Where a name is that its object had before."""
    if isinstance(value, _Pairs):
        names: set[str] = set()
        for name, each in value:
            if name in names:
                yield (*at, name)
            names.add(name)
            yield from _twice(each, (*at, name))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _twice(each, (*at, n))


def _no_such_number(word: str) -> float:
    raise errors.Malformed(f"The body is not JSON: {word} is not a JSON number")


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise errors.Malformed("The body is not a form in UTF-8.") from None
    return _once(pairs, "#/")


def _query(model: type[Wanted], raw: str) -> Wanted:
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise errors.Invalid([errors.FieldError("?", "is not a query string in UTF-8")]) from None
    return _checked(model, _once(pairs, "?"), "?")


def _once(pairs: Sequence[tuple[str, str]], where: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise errors.Invalid([errors.FieldError(where + name, "is given more than once")])
        fields[name] = value
    return fields


def _checked(model: type[Wanted], sent: bytes | dict[str, str], where: str) -> Wanted:
    try:
        if isinstance(sent, bytes):
            return model.model_validate_json(sent)
        return model.model_validate(sent)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        # What Python's reader lets pass: lone surrogates, a depth of 200, another UTF than 8.
        if details[0]["type"] == "json_invalid":
            raise errors.Malformed(f"The body is not JSON: {details[0]['msg']}") from None
        raise errors.Invalid(
            [
                errors.FieldError(
                    _pointer(where, each["loc"]),
                    _WORDS.get(each["type"]) or each["msg"].removeprefix("Value error, "),
                )
                for each in details[:_MAX_TOLD]
            ]
        ) from None


_WORDS = {"missing": "is required", "extra_forbidden": "is not a field here"}


def _pointer(where: str, parts: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment; `#` is the whole body."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return where + "/".join(escaped) if parts else where.rstrip("/")
