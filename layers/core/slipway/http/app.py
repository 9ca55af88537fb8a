"""The API of one function: its routes and its Lambda handler.

    api = Api()
    handler = api.handler

    @api.post("/api/v1/projects", status=201, refuses=(NameTaken,))
    def create(principal: Principal, wanted: NewProject) -> Project:

The signature says what the route takes and returns (slipway.http.routes). The OpenAPI document is
generated from the same routes (slipway.http.openapi).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, Unpack
from urllib.parse import quote, unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from slipway import errors, observe
from slipway.access.principal import Principal
from slipway.domain import credentials
from slipway.domain.fields import QueryModel
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.http import binding, headers, responses
from slipway.http.negotiation import accepts_coding
from slipway.http.responses import RawResponse
from slipway.http.routes import Rest, Route, RouteOptions
from slipway.store import audit, naming, rates, sessions, table

Function = TypeVar("Function", bound=Callable[..., Any])


class Api:
    """A table of routes and the Lambda handler that serves it.

    `get`, `post`, `put`, `patch` and `delete` are decorators that add a route. Their options are
    documented at Route. The decorated function is not changed.
    """

    def __init__(self) -> None:
        self.routes: list[Route] = []
        # What comes before a part of the path that may have slashes.
        self._before_rest: list[re.Pattern[str]] = []
        self._resolver = APIGatewayHttpResolver()
        self._resolver.exception_handler(errors.SlipwayError)(self._error)
        self._resolver.exception_handler(Exception)(self._bug)
        self._resolver.not_found(self._no_route)

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        return self._route("GET", path, options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        return self._route("POST", path, options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        return self._route("PUT", path, options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        return self._route("PATCH", path, options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        return self._route("DELETE", path, options)

    def _route(
        self, method: str, path: str, options: RouteOptions
    ) -> Callable[[Function], Function]:
        def register(function: Function) -> Function:
            route = Route.of(method, path, function, **options)
            for each in (route, *route.others()):
                self._add(each)
            return function

        return register

    def _add(self, route: Route) -> None:
        self.routes.append(route)
        if route.takes(Rest):
            before = re.sub(r"<\w+>", "[^/]+", route.path[: route.path.rindex("<")])
            self._before_rest.append(re.compile(before))
        serve = self._resolver.route(route.path, route.method)
        serve(lambda **path_names: self._serve(route, path_names))

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler: a request (payload 2.0) to its response. Logs one line."""
        if "requestContext" not in event and "confirmation" in event:
            # A state machine's event: each of API Gateway's has a request context.
            from slipway.http import confirming

            return confirming.carry_out(self.serve, event, context)
        return self.serve(event, context)

    def serve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The response to a request. Logs one line."""
        began = time.perf_counter()
        _normalize(event)
        event["rawPath"] = self._in_one_part(event["rawPath"])
        rates.finish()
        http = event["requestContext"]["http"]
        method = http["method"]
        if "x-slipway-client" in event["headers"] and method != "GET":
            # Imported here, because only the console sends it, and reads need no address.
            from slipway.http import client_address

            client_address.take_over(event)
        if method == "HEAD":
            http["method"] = "GET"
        if headers.is_preflight(event):
            response = headers.preflight(self._methods(event["rawPath"]))
        else:
            response = self._resolver.resolve(event, context)
        if method in ("GET", "HEAD"):
            responses.apply_conditions(response, event)
        response["headers"].update(rates.headers())
        headers.complete(response, event)
        observe.event(
            "request",
            method=method[:20],
            route=event.get("routeKey"),
            # URL-encoded, so that no character takes more bytes in JSON.
            path=quote(credentials.without_secrets(event["rawPath"]))[:200],
            status=response["statusCode"],
            ms=round((time.perf_counter() - began) * 1000, 1),
            request_id=event["requestContext"]["requestId"],
        )
        return response

    def _in_one_part(self, path: str) -> str:
        """The path, with a Rest as one part: encoded, so that it has no slashes.

        API Gateway has decoded all but the percent sign, so that an encoded slash and one that is
        not are the same. Repeating this changes nothing.
        """
        for before in self._before_rest:
            if found := before.match(path):
                rest = unquote(path[found.end() :])
                return found[0] + quote(rest, safe="", errors="replace")
        return path

    def accepts(self, encoding: str) -> bool:
        """Whether the caller of the current request accepts this content encoding."""
        return accepts_coding(self._event["headers"].get("accept-encoding"), encoding)

    @property
    def _event(self) -> dict[str, Any]:
        """API Gateway's event of the current request."""
        return self._resolver.current_event.raw_event

    def _serve(self, route: Route, sent: Mapping[str, str]) -> Response[Any]:
        """The response of the route. `sent` are the parts of the path by name."""
        event = self._event
        if route.page and responses.wants_page(event):
            return _response(responses.to_page(route.page, sent))
        try:
            return _served(route, event, sent)
        except errors.TooManyRequests:
            raise
        except errors.GuessWrong:
            # Nothing has been written. The name is looked up now.
            return self._serve(route, sent)
        except errors.ConfirmationNeeded as needed:
            from slipway.http import confirming

            return _response(confirming.ask(event, needed))
        except errors.Refused as refused:
            if route.oauth:
                raise _as_oauth(refused) from None
            # A caller whose session has ended hears that and nothing else.
            with suppress(errors.Fault):
                table.check_session()
            raise
        finally:
            sessions.finish()
            naming.finish()
            audit.finish()

    def _no_route(self, _: Exception) -> Response[Any]:
        path, method = self._event["rawPath"], self._event["requestContext"]["http"]["method"]
        allowed = self._methods(path)
        if allowed and method not in allowed:
            return self._error(errors.MethodNotAllowed(allowed))
        # Imported here, because most paths are right.
        from slipway.http import suggestions

        near = suggestions.path_for(path)
        hint = f"Did you mean {near}? " if near else ""
        return self._error(
            errors.NotFound(f"No route has this path. {hint}See /docs for all routes.")
        )

    def _methods(self, path: str) -> list[str]:
        """The methods of the routes with this path. Where GET is one, HEAD is, too."""
        found = {route.method for route in self.routes if _matches(route.path, path)}
        return sorted(found | {"HEAD"} if "GET" in found else found)

    def _error(self, error: Exception) -> Response[Any]:
        if not isinstance(error, errors.Refused | errors.Fault):
            # Meant for a workflow, or for the service that should have caught it.
            return self._bug(error)
        request_id = self._event["requestContext"]["requestId"]
        response = responses.render_error(error, request_id)
        if response.status == 503:
            observe.log().exception(error.title, extra={"request_id": request_id})
        return _response(response)

    def _bug(self, error: Exception) -> Response[Any]:
        request_id = self._event["requestContext"]["requestId"]
        observe.log().exception("A bug in Slipway", extra={"request_id": request_id})
        return _response(responses.render_error(errors.Bug(), request_id))


def _served(route: Route, event: dict[str, Any], sent: Mapping[str, str]) -> Response[Any]:
    """The response of the route. Raises what it and the binding raise."""
    streams = responses.is_stream(route, event)
    if streams and "last-event-id" in event["headers"]:
        from slipway.http import streaming

        streaming.resume(event)
    arguments = binding.bind(route, event, sent)
    path_names = _with_ids(route, event, sent, arguments)
    if route.audited and not _is_dry_run(arguments):
        _begin_audit(route, event, path_names)
    key = _idempotency_key(route, event, arguments)
    if key is not None:
        return _serve_once(key, route, event, arguments)
    if streams or (route.waits and "prefer" in event["headers"]):
        # Imported here, because most requests do not wait.
        from slipway.http import waiting

        return _response(waiting.serve(route, event, arguments))
    result = route.function(**arguments)
    # A route that reads and writes nothing has not checked the session yet.
    table.check_session()
    return _response(responses.render(route, result, event))


def _normalize(event: dict[str, Any]) -> None:
    """Make header names lower case and remove trailing slashes from the path.

    API Gateway sends header names in lower case, SAM CLI as the caller wrote them. `/projects` and
    `/projects/` are the same route to a caller, but not to API Gateway.
    """
    headers = event.get("headers") or {}
    event["headers"] = {name.lower(): value for name, value in headers.items()}
    event["rawPath"] = event["rawPath"].rstrip("/") or "/"


def _matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"<\w+>", "[^/]+", pattern), path) is not None


def _as_oauth(refused: errors.Refused) -> errors.Refused:
    """The refusal of a route for clients of OAuth, who call every wrong request by one name."""
    from slipway.errors.device import GrantMalformed

    is_wrong = isinstance(refused, errors.Invalid | errors.Malformed)
    return GrantMalformed(refused.detail) if is_wrong else refused


def _is_dry_run(arguments: Mapping[str, Any]) -> bool:
    return any(isinstance(v, QueryModel) and v.is_dry_run for v in arguments.values())


def _with_ids(
    route: Route, event: dict[str, Any], sent: Mapping[str, str], arguments: Mapping[str, Any]
) -> Mapping[str, str]:
    """The parts of the path with ids in the place of names, also in the event's path.

    So what is stored or compared later, such as a request that waits for a person, has ids.
    """
    found = arguments.get("environment_id") or arguments.get("project_id")
    if not isinstance(found, ProjectId | EnvironmentId):
        return sent
    known = {"project_id": str(found.project), "environment_id": str(found)}
    path_names = {name: known.get(name, text) for name, text in sent.items()}
    if path_names == sent:
        return sent
    pattern, parts = route.path.split("/"), event["rawPath"].split("/")
    event["rawPath"] = "/".join(
        known.get(each.strip("<>"), part) if each.startswith("<") else part
        for each, part in zip(pattern, parts, strict=True)
    )
    return path_names


def _begin_audit(route: Route, event: Mapping[str, Any], path_names: Mapping[str, str]) -> None:
    context = event["requestContext"]
    http = context["http"]
    audit.begin(
        audit.Auditing(
            route.audited,
            path_names,
            http["sourceIp"],
            http.get("userAgent") or "",
            context["requestId"],
        )
    )


def _response(response: RawResponse) -> Response[Any]:
    return Response(
        status_code=response.status,
        content_type=response.media,
        headers=dict(response.headers),
        # Powertools writes them as texts, whatever their type.
        cookies=list(response.cookies),  # type: ignore[arg-type]
        body=response.body,
    )


# --- idempotency ------------------------------------------------------------------------------


def _idempotency_key(
    route: Route, event: Mapping[str, Any], arguments: Mapping[str, Any]
) -> str | None:
    """The request's `Idempotency-Key`; None if its response is never replayed.

    Raises Invalid.
    """
    key: str | None = event["headers"].get("idempotency-key")
    if key is None or not route.replays or _is_dry_run(arguments):
        return None
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        detail = "must be 1 to 255 printable ASCII characters"
        raise errors.Invalid([errors.FieldError("Idempotency-Key", detail)])
    return key


def _serve_once(
    key: str, route: Route, event: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Response[Any]:
    """The response; the stored one if a request with this key was carried out before.

    Raises IdempotencyKeyReused if that request was a different one.
    """
    # Imported here, because most requests have no key.
    from slipway.store import idempotency

    principal = next((v for v in arguments.values() if isinstance(v, Principal)), None)
    owner = principal.id if principal else event["requestContext"]["http"]["sourceIp"]
    query = event.get("rawQueryString")
    path = f"{event['rawPath']}?{query}" if query else event["rawPath"]
    request = f"{route.method} {path} {event.get('body') or ''}"

    def stored(result: Any) -> dict[str, Any]:
        response = _response(responses.render(route, result, event))
        return {
            "status_code": response.status_code,
            "headers": response.headers,
            "body": response.body,
        }

    answer, replayed = idempotency.run_once(
        owner, key, request, _fingerprint_key(), lambda: route.function(**arguments), stored
    )
    table.check_session()
    if replayed:
        answer["headers"] = {**answer["headers"], "Idempotent-Replayed": "true"}
    return Response(**answer)


def _fingerprint_key() -> str:
    """The key for the fingerprint of the current request.

    A token has one of its user's. Anonymous requests come to the auth function alone, which has the
    secret that such keys are derived from. Raises StoreUnavailable.
    """
    if session := sessions.current():
        return session.fingerprint_key
    from slipway.access import signing

    return signing.keyed_hash("fingerprints of", "anonymous requests")
