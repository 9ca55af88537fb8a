"""The parameters of an operation in the OpenAPI document, from its route."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.access.principal import Principal
from slipway.http.openapi_examples import path_parameter
from slipway.http.openapi_schemas import Schema
from slipway.http.openapi_texts import PARAMETERS
from slipway.http.routes import Confirmed, EtagPredicate, IfMatch, Route
from slipway.http.waiting import MOST_SECONDS

_TEXT: Schema = {"type": "string"}

_WAITS = {
    "change": f"`wait=20` waits so many seconds, {MOST_SECONDS} at most, until the ETag is another "
    "one than in `If-None-Match`.",
    "line": f"`wait=20` waits so many seconds, {MOST_SECONDS} at most, until there is a line after "
    "the cursor.",
}


def parameters_of(route: Route, *, has_etag: bool) -> Iterator[Schema]:
    """What the path, the query and the headers of a request can have.

    `has_etag`: whether the answer is one object, or can be waited for.
    """
    for name in re.findall(r"<(\w+)>", route.path):
        yield path_parameter(name, PARAMETERS.get(name))
    yield from _query(route)
    if route.replays:
        yield _header(
            "Idempotency-Key",
            "Identifies the request. If it is sent again within 24 hours, it is not carried out "
            "twice and gets the same answer, with `Idempotent-Replayed: true`.",
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        )
    if route.takes(Confirmed):
        yield _header(
            "X-Confirm", "The name of what is changed, where a refusal (409) asks for it."
        )
    if route.takes(IfMatch) or route.takes(EtagPredicate):
        yield _header(
            "If-Match",
            "Change it only if this, or one of these, is still its ETag; otherwise 412.",
        )
    if route.method == "GET" and has_etag:
        yield _header(
            "If-None-Match",
            "The ETag of what you have. If it is still the current one, the answer is 304.",
        )
    if route.waits:
        yield {**_header("Prefer", _WAITS[route.waits]), "example": f"wait={MOST_SECONDS}"}
    if route.waits == "line":
        yield _header(
            "Last-Event-ID",
            "Of an event stream: the id of the last event that has arrived. The answer goes on "
            "behind it, whatever the cursor in the query.",
        )
    if route.audited and not route.takes(Principal):
        # The generated Python client takes one of two bodies only where it can leave something out.
        yield _header("User-Agent", "The caller's program, which the audit names.")


def _query(route: Route) -> Iterator[Schema]:
    model = route.query.model_json_schema() if route.query else {}
    fields = model.get("properties", {})
    for name, schema in fields.items():
        schema.pop("title", None)
        parameter: Schema = {"name": name, "in": "query"}
        if name in model.get("required", []):
            parameter["required"] = True
        parameter["description"] = schema.pop("description", "")
        # A query string has no null.
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        kind = kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}
        if schema.get("default", "") is None:
            del schema["default"]
        yield {**parameter, "schema": {**kind, **schema}}


def _header(name: str, description: str, schema: Schema = _TEXT) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}
