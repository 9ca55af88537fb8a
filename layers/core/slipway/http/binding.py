"""Binding: from a request to the arguments of a route's function, validated.

Powertools' request validation is not used. It costs each cold start 100 ms and has an error format
of its own (docs/decisions/0002).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast, get_args
from urllib.parse import parse_qsl, unquote

from pydantic import ValidationError

from slipway import errors
from slipway.access import policy, tokens
from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.fields import QueryModel, RequestModel
from slipway.domain.resent import Resent
from slipway.http.headers import base_url
from slipway.http.negotiation import prefers
from slipway.http.responses import RawResponse, etag
from slipway.http.routes import (
    FORM,
    JSON,
    TEXT,
    BaseUrl,
    Confirmed,
    Cookies,
    EtagPredicate,
    IfMatch,
    RawBody,
    Rest,
    Route,
    SourceIp,
    WantsPage,
    is_query_model,
    is_request_model,
)
from slipway.store import rates, sessions

Model = TypeVar("Model", RequestModel, QueryModel)

# An error lists at most this many fields.
_MAX_FIELD_ERRORS = 20
# More than any query string can have, whose parameters may be repeated.
_MAX_PAIRS = 50
# Documented are `true` and `false`; callers have sent the others.
_BOOLEANS = ("true", "false", "1", "0", "yes", "no", "on", "off")
# US-ASCII is a part of UTF-8.
_CHARSETS = ("utf-8", "utf8", "us-ascii")
# The types of the parts of a path, and how each is made of its text.
_OF_PATH: dict[Any, Callable[[str], Any]] = {
    str: str,
    Rest: unquote,
    ids.ProjectId: ids.parse_project,
    ids.EnvironmentId: ids.parse_environment,
    ids.DeploymentId: ids.parse_deployment,
    ids.TrustId: ids.parse_trust,
    ids.ConfirmationId: ids.parse_confirmation,
    ids.PromotionId: ids.parse_promotion,
    ids.UserId: ids.parse_user,
    ids.InvitationId: ids.parse_invitation,
    ids.MemberId: ids.parse_member,
    ids.TokenId: ids.parse_token,
}
# Pydantic's messages that say nothing about JSON fields, by type.
_DETAILS = {"missing": "is required", "extra_forbidden": "is not a field here"}


def bind(route: Route, event: Mapping[str, Any], path_names: Mapping[str, str]) -> dict[str, Any]:
    """The arguments for the route's function, by name.

    `event` is API Gateway's (payload 2.0, header names in lower case); `path_names` has the parts
    of the path by name. Raises Unauthenticated, then Malformed, TooLarge, UnsupportedMediaType,
    Invalid, then NotFound for a malformed id or an unknown name, and AmbiguousName. One round trip
    for each name that this process does not know.
    """
    of_path = [name for name, kind in route.parameters.items() if kind in _OF_PATH]
    others = [name for name in route.parameters if name not in of_path]
    # The caller is bound first: the rest of a stranger's request is not looked at.
    bound = {
        name: _argument(Principal, route, event)
        for name in others
        if route.parameters[name] is Principal
    }
    _require_no_query(route, event.get("rawQueryString") or "")
    # The query before the body, on every route.
    for name in sorted(others, key=lambda name: not is_query_model(route.parameters[name])):
        if name not in bound:
            bound[name] = _argument(route.parameters[name], route, event)
    principal = next((each for each in bound.values() if isinstance(each, Principal)), None)
    for name in of_path:
        bound[name] = _of_path(route.parameters[name], name, path_names, principal)
    return bound


def _of_path(
    kind: Any, name: str, path_names: Mapping[str, str], principal: Principal | None
) -> Any:
    """The part of the path. Projects, and environments within them, can be named."""
    text = path_names[name]
    if kind is ids.EnvironmentId and "project_id" in path_names and principal:
        # Imported here and below, because most callers use ids.
        from slipway.access import names

        project = names.project(path_names["project_id"], principal)
        return names.environment(project, text, principal)
    try:
        return _OF_PATH[kind](text)
    except errors.NotFound:
        if kind is not ids.ProjectId or principal is None:
            raise
        from slipway.access import names

        return names.project(text, principal)


def _argument(kind: Any, route: Route, event: Mapping[str, Any]) -> Any:
    headers = event["headers"]
    if kind is Principal:
        return _principal(route, headers.get("authorization"))
    if is_query_model(kind):
        return _query(kind, event.get("rawQueryString") or "")
    if is_request_model(kind):
        if route.body_optional and event.get("body") in (None, "", "null"):
            return None
        return _body(kind, _raw_body(route, event), route)
    if kind is RawBody:
        return _raw_body(route, event)
    if kind is IfMatch:
        return IfMatch.of(headers)
    if kind == EtagPredicate:
        return _etag_predicate(headers)
    if kind is Confirmed:
        return headers.get("x-confirm")
    if kind is SourceIp:
        return event["requestContext"]["http"]["sourceIp"]
    if kind is BaseUrl:
        return base_url(event)
    if kind is Cookies:
        return _cookies(event)
    if kind is WantsPage:
        return prefers(headers.get("accept", ""), "text/html", JSON)
    raise TypeError(f"A route cannot have a parameter of the type {kind}")


def _principal(route: Route, authorization: str | None) -> Principal:
    """The caller. Whether the token is still valid, and for this, the first round trip tells."""
    permits = policy.permits(route.action)
    confirmed = sessions.confirmed()
    if confirmed is not None:
        session = confirmed.asking(permits)
    else:
        session = tokens.authenticate(authorization).asking(permits)
        if session.is_proven:
            rates.begin(session.user_id)
    sessions.begin(session)
    return Principal(session.user_id, route.action, session)


def principal_again(route: Route, event: Mapping[str, Any]) -> Principal:
    """The caller of a request that reads once more. The next round trip tells whether the session
    is still valid; it is not another request.

    Raises Unauthenticated if the token has expired meanwhile.
    """
    authorization = event["headers"].get("authorization")
    session = tokens.authenticate(authorization).asking(policy.permits(route.action))
    sessions.begin(session)
    return Principal(session.user_id, route.action, session)


def _cookies(event: Mapping[str, Any]) -> dict[str, str]:
    """The cookies by name. API Gateway moves them out of the headers; SAM CLI leaves them there."""
    sent = [*(event.get("cookies") or []), *event["headers"].get("cookie", "").split(";")]
    pairs = (each.strip().partition("=") for each in sent)
    return {name: value for name, equals, value in pairs if equals}


# --- headers ----------------------------------------------------------------------------------


def _etag_predicate(headers: Mapping[str, str]) -> EtagPredicate | None:
    conditions = IfMatch.of(headers)
    if conditions is None:
        return None
    return lambda model: conditions.allows(etag(model, model.model_dump_json()))


# --- the query string and forms ---------------------------------------------------------------


def _query(model: type[QueryModel], text: str) -> QueryModel:
    try:
        pairs = _pairs(text)
    except UnicodeDecodeError:
        raise errors.Invalid([errors.FieldError("?", "is not a query string in UTF-8")]) from None
    except ValueError:
        detail = f"must have at most {_MAX_PAIRS} parameters"
        raise errors.Invalid([errors.FieldError("?", detail)]) from None
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in model.repeatable:
            lists.setdefault(name, []).append(value)
    fields = _distinct([pair for pair in pairs if pair[0] not in lists], "?")
    for name, value in fields.items():
        if fault := _fault_of_text(model, name, value):
            raise errors.Invalid([errors.FieldError(f"?{name}", fault)])
    return _validated(model, {**fields, **lists}, "?")


def _fault_of_text(model: type[QueryModel], name: str, value: str) -> str:
    """The fault of a number or a boolean as it is written; "" if there is none.

    Python reads `5_0`, ` 5`, `+5` and digits of other scripts as numbers.
    """
    field = model.model_fields.get(name)
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    if int in kinds and not re.fullmatch(r"-?[0-9]{1,9}", value):
        return "must be a whole number, written in digits"
    if bool in kinds and value not in _BOOLEANS:
        return "must be true or false"
    return ""


def _require_no_query(route: Route, text: str) -> None:
    """Raises Invalid for any parameter, if the route has none. Pages ignore them."""
    if not text or route.query is not None or route.returns is RawResponse:
        return
    try:
        names = [name for name, _ in _pairs(text)]
    except ValueError:
        names = [""]
    detail = "is not a parameter here: this route has none"
    if names:
        raise errors.Invalid(
            [errors.FieldError(_pointer("?", [name]), detail) for name in dict.fromkeys(names)]
        )


def _form(body: bytes, most: int) -> dict[str, str]:
    try:
        pairs = _pairs(body.decode(), most)
    except ValueError:
        detail = f"The body is not a form in UTF-8, or has more than {most} fields."
        raise errors.Malformed(detail) from None
    return _distinct(pairs, "#/")


def _pairs(text: str, most: int = _MAX_PAIRS) -> list[tuple[str, str]]:
    """Raises ValueError if it is not UTF-8 or has too many pairs."""
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)


def _distinct(pairs: Sequence[tuple[str, str]], where: str) -> dict[str, str]:
    """The pairs as a dict. Raises Invalid if a name is repeated."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise errors.Invalid([errors.FieldError(where + name, "is given more than once")])
        fields[name] = value
    return fields


# --- the body ---------------------------------------------------------------------------------


def _raw_body(route: Route, event: Mapping[str, Any]) -> RawBody:
    """The decoded body. Raises Malformed, TooLarge, UnsupportedMediaType."""
    text = event.get("body") or ""
    try:
        body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError:
        raise errors.Malformed("The body is not valid UTF-8.") from None
    if len(body) > route.limit:
        raise errors.TooLarge(
            f"The body has {len(body)} bytes, and {route.limit} are allowed. Send a smaller one."
        )
    return RawBody(body, _media(route, event["headers"]))


def _media(route: Route, headers: Mapping[str, str]) -> str:
    """The media type of the body. Raises UnsupportedMediaType."""
    media, *parameters = headers.get("content-type", "").lower().split(";")
    if media.strip() not in route.media:
        raise errors.UnsupportedMediaType(f"Send the body as {' or '.join(route.media)}.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _CHARSETS:
            raise errors.UnsupportedMediaType("Send the body in UTF-8.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise errors.EncodingUnsupported()
    return media.strip()


def _body(model: type[RequestModel], raw: RawBody, route: Route) -> RequestModel:
    if raw.media == FORM:
        return _validated(model, _form(raw.body, model.most_pairs), "#/")
    if raw.media == TEXT:
        return _validated(model, model.of_text(_text(raw.body)), "#/")
    _check_json(raw.body)
    if issubclass(model, Resent) and route.method != "POST":
        return _resent(model, raw.body, model.read_only_fields(route.shown))
    return _validated(model, raw.body, "#/")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise errors.Malformed("The body is not valid UTF-8.") from None


def _resent(model: type[Resent], body: bytes, read_only: frozenset[str]) -> Resent:
    """The model of a body that may have read-only fields."""
    document = json.loads(body)
    found = read_only & document.keys() if isinstance(document, dict) else ()
    sent = {name: document.pop(name) for name in found}
    if sent and not document:
        detail = "is read-only: send a field that can be changed"
        raise errors.Invalid([errors.FieldError(f"#/{name}", detail) for name in sorted(sent)])
    try:
        rest = json.dumps(document).encode() if sent else body
    except RecursionError:
        raise errors.Malformed("The body is nested too deeply.") from None
    return cast(Resent, _validated(model, rest, "#/")).with_read_only(sent)


def _check_json(body: bytes) -> None:
    """Raises Malformed if the body is not JSON, Invalid if an object repeats a name."""
    has_repeats = False

    def note_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_repeats
        fields = dict(pairs)
        has_repeats = has_repeats or len(fields) < len(pairs)
        return fields

    repeats: list[Sequence[int | str]] = []
    try:
        text = body.decode()
        json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=note_repeats)
        if has_repeats:
            document = json.loads(text, object_pairs_hook=_Object)
            repeats += islice(_repeated_names(document), _MAX_FIELD_ERRORS)
    except RecursionError:
        raise errors.Malformed("The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise errors.Malformed("The body is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise errors.Malformed(f"The body is not JSON: {error}") from None
    except ValueError:
        raise errors.Malformed("A number in the body has too many digits.") from None
    if repeats:
        detail = "is given more than once"
        raise errors.Invalid([errors.FieldError(_pointer("#/", path), detail) for path in repeats])


def _refuse_constant(name: str) -> float:
    """Python's parser accepts NaN, Infinity and -Infinity, which JSON does not have."""
    raise errors.Malformed(f"The body is not JSON: {name} is not a JSON number")


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that repeated names are kept."""


def _repeated_names(value: Any, at: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """The path of each name that its object has more than once."""
    if isinstance(value, _Object):
        names: set[str] = set()
        for name, each in value:
            if name in names:
                yield (*at, name)
            names.add(name)
            yield from _repeated_names(each, (*at, name))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _repeated_names(each, (*at, n))


# --- validation -------------------------------------------------------------------------------


def _validated(model: type[Model], sent: bytes | Mapping[str, Any], where: str) -> Model:
    """The model. Raises Malformed, or Invalid with pointers that begin with `where`."""
    try:
        if isinstance(sent, bytes):
            return model.model_validate_json(sent)
        return model.model_validate(sent)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        # Pydantic refuses more than json.loads: lone surrogates, and a depth of 200.
        if details[0]["type"] == "json_invalid":
            raise errors.Malformed(f"The body is not JSON: {details[0]['msg']}") from None
        # Imported here, because most requests are valid.
        from slipway.http import suggestions

        faults = []
        for each in details[:_MAX_FIELD_ERRORS]:
            detail = _DETAILS.get(each["type"]) or each["msg"].removeprefix("Value error, ")
            detail = suggestions.explained(model, each["type"], each["loc"], detail)
            faults.append(errors.FieldError(_pointer(where, each["loc"]), detail))
        raise errors.Invalid(faults) from None


def _pointer(where: str, parts: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment; `#` is the whole body."""
    # Pydantic's name for a key of an object that is itself wrong.
    if parts and parts[-1] == "[key]":
        parts = parts[:-1]
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return where + "/".join(escaped) if parts else where.rstrip("/")
