"""The OpenAPI 3.1 document of all resources, generated from their tables of routes.

    python -m slipway.http.openapi        writes functions/api/docs/{openapi.json,errors.html}

No function imports this module: the docs function serves the committed copy, and a test compares it
with the routes.
"""

from __future__ import annotations

import importlib.util
import json
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from slipway import errors
from slipway.access.policy import ACTIONS
from slipway.access.principal import Principal
from slipway.domain.confirmation import SERVED_BY, Confirmation
from slipway.domain.paging import Page
from slipway.http import error_page, policy_table
from slipway.http.app import Api
from slipway.http.openapi_examples import TEMPLATE, Schema, add_examples, example_problem
from slipway.http.responses import (
    NDJSON,
    PROBLEM,
    DocumentResponse,
    RawResponse,
    Redirect,
    status_of,
)
from slipway.http.routes import JSON, Confirmed, EtagPredicate, IfMatch, RawBody, Route

# This module runs only in a checkout.
FUNCTIONS = Path(__file__).parents[4] / "functions"

_REF = "#/components/schemas/{model}"

_INFO = {
    "title": "Slipway",
    "version": "1",
    "summary": "A serverless internal developer platform.",
    "description": (
        "Sign in, create **projects**, request **environments** and ship **deployments** "
        "into them.\n\n"
        "Register, sign in, and send the token with every other call: "
        "`Authorization: Bearer <access_token>`. Paths work with and without a trailing slash. "
        "Lists are bare arrays, newest first; the `Link` header leads to the next page. Errors "
        "are `application/problem+json` (RFC 9457) with a stable `code`. Another user's "
        "objects return 404."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}

_PROBLEM: Schema = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs. It never changes."},
        "request_id": {"type": "string", "description": "Quote it when you report a problem."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "`#/field` in the body, `?name` in the query, or a header.",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

_HEADERS: Schema = {
    "ETag": {
        "description": "The version of the object. Send it as `If-Match` with a change.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": 'The next page: `<url>; rel="next"`.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "How many requests are left of the caller's, and in how many seconds that "
        'starts again, as in `"requests";r=598;t=42`.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "How many requests a caller may send in how many seconds, as in "
        '`"requests";q=600;w=60`.',
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "The path of the created object, or where to go on.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
}

_LIMITS = {
    name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy")
}

# Functions that serve part of another function's resource, and resources without a function.
_TAGS = {"inspection": "environments", "people": "members"}
_RESOURCES = ("users", "invitations")
_BELOW_PROJECTS = ("trusts",)


def document(apis: Mapping[str, Api]) -> Schema:
    """The OpenAPI document of these APIs; their names, or the resources', become its tags."""
    routes = [
        (_tag(name, route), route)
        for name, api in apis.items()
        for route in api.routes
        if _public(route)
    ]
    paths: dict[str, Schema] = {}
    for tag, route in routes:
        path = re.sub(r"<(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(tag, route)
    schemas = _schemas(route for _, route in routes)
    document = {
        "openapi": "3.1.0",
        "info": _INFO,
        "tags": [{"name": tag} for tag in dict.fromkeys(tag for tag, _ in routes)],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "password": {
                    "type": "oauth2",
                    "flows": {"password": {"tokenUrl": "/api/v1/auth/login", "scopes": {}}},
                },
            },
        },
    }
    add_examples(document, schemas)
    return document


def _tag(function: str, route: Route) -> str:
    parts = route.path.split("/")
    for names, resource in ((_BELOW_PROJECTS, parts[5:6]), (_RESOURCES, parts[3:4])):
        if resource and resource[0] in names:
            return resource[0]
    return _TAGS.get(function, function)


def _public(route: Route) -> bool:
    """Pages for people are not part of the API."""
    return route.returns is not RawResponse


def _operation(tag: str, route: Route) -> Schema:
    text = (route.function.__doc__ or "").strip()
    operation: Schema = {
        "operationId": f"{tag}_{route.function.__name__.strip('_')}",
        "summary": text.rstrip("."),
        "tags": [tag],
        "parameters": list(_parameters(route)),
        "responses": {**_successes(route), **_problems(route)},
    }
    if route.body:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {media: {"schema": _reference(route.body)} for media in route.media},
        }
    if route.takes(RawBody):
        operation["requestBody"] = {
            "description": f"At most {route.limit} bytes.",
            "required": True,
            "content": {media: TEMPLATE for media in route.media},
        }
    if route.takes(Principal):
        operation["description"] = policy_table.needs(ACTIONS[route.action])
        operation["x-slipway-action"] = route.action
        operation["security"] = [{"token": []}, {"password": []}]
        # Refusals have it, too, once the token is known to be valid.
        for status, response in operation["responses"].items():
            if status != "401":
                response["headers"] = {**response.get("headers", {}), **_LIMITS}
    return operation


def _parameters(route: Route) -> Iterable[Schema]:
    for name in re.findall(r"<(\w+)>", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if route.query:
        for name, schema in route.query.model_json_schema()["properties"].items():
            description = schema.pop("description", "")
            schema.pop("title", None)
            yield {"name": name, "in": "query", "description": description, "schema": schema}
    if route.replays:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Identifies the request. If it is sent again within 24 hours, it is "
            "not carried out twice and gets the same answer, with `Idempotent-Replayed: true`.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
    if route.takes(Confirmed):
        yield {
            "name": "X-Confirm",
            "in": "header",
            "description": "The environment's name. Needed if it is protected; otherwise 409.",
            "schema": {"type": "string"},
        }
    if route.takes(IfMatch) or route.takes(EtagPredicate):
        yield {
            "name": "If-Match",
            "in": "header",
            "description": "Change it only if this, or one of these, is still its ETag; otherwise "
            "412.",
            "schema": {"type": "string"},
        }
    if route.method == "GET" and _has_etag(route):
        yield {
            "name": "If-None-Match",
            "in": "header",
            "description": "The ETag of what you have. If it is still the current one, the answer "
            "is 304.",
            "schema": {"type": "string"},
        }


def _has_etag(route: Route) -> bool:
    """Whether the route answers with one object, and so with an ETag."""
    kind = route.returns
    is_raw = isinstance(kind, type) and issubclass(kind, RawResponse)
    return not is_raw and kind is not NoneType and typing.get_origin(kind) is not Page


def _successes(route: Route) -> Schema:
    if route.returns is NoneType:
        waiting = {"202": _waiting(None)} if _may_wait(route) else {}
        return {**waiting, "204": {"description": "Done."}}
    if route.returns is DocumentResponse:
        return {"200": {"description": "The current state.", "content": {route.media[0]: TEMPLATE}}}
    if route.returns is Redirect:
        location = {"Location": {"$ref": "#/components/headers/Location"}}
        return {"302": {"description": "Where the browser goes on.", "headers": location}}
    headers = ["Link"] if typing.get_origin(route.returns) is Page else ["ETag"]
    if route.status == 201:
        headers.append("Location")
    answer: Schema = {
        "description": {200: "The current state.", 201: "Created.", 202: "Accepted."}[route.status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: {"schema": _content(route.returns, either=route.found is None)}},
    }
    if route.lines:
        answer["content"][NDJSON] = {"schema": _content(route.returns)["items"]}
    answers = {str(route.status): answer}
    if _may_wait(route):
        answers["202"] = _waiting(answers.get("202"))
    if route.found is not None:
        answers[str(route.found)] = _found(route) or {
            **answer,
            "description": "It existed already.",
        }
    if route.method == "GET" and _has_etag(route):
        etag = {"ETag": {"$ref": "#/components/headers/ETag"}}
        answers["304"] = {"description": "You have the current state.", "headers": etag}
    if NoneType in _types(route.returns):
        answers["204"] = {"description": "Deleted."}
    return answers


def _may_wait(route: Route) -> bool:
    """Whether a machine's request of this kind may have to wait for a person."""
    return route.takes(Principal) and route.action in SERVED_BY


def _waiting(accepted: Schema | None) -> Schema:
    """The 202 of a route whose request may have to wait: the confirmation."""
    confirmation = _reference(Confirmation)
    schemas = [accepted["content"][JSON]["schema"]] if accepted else []
    schema = {"anyOf": [*schemas, confirmation]} if schemas else confirmation
    text = (
        "A token of the kind `agent` or `ci`, or a workload, gets the confirmation for which its "
        "request waits, with the status `awaiting_confirmation`."
    )
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Location")}
    before = f"{accepted['description']} " if accepted else ""
    return {
        "description": before + text,
        "headers": headers,
        "content": {JSON: {"schema": schema}},
    }


def _found(route: Route) -> Schema | None:
    """The response of a route that returns another model if it creates nothing."""
    models = models_of(route.returns)
    if len(models) < 2:
        return None
    return {
        "description": (models[1].__doc__ or "").strip(),
        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
        "content": {JSON: {"schema": _reference(models[1])}},
    }


def models_of(returns: Any) -> list[type[BaseModel]]:
    """The models in a return type: of `tuple[A | B, bool]` A and B."""
    return [
        kind for kind in _types(returns) if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]


def _types(returns: Any) -> Sequence[Any]:
    """The types in a return type: of `tuple[A | B, bool]` A, B and bool."""
    parts = typing.get_args(returns)
    return [each for part in parts for each in _types(part)] if parts else [returns]


def _content(returns: Any, *, either: bool = False) -> Schema:
    """The schema of what a route returns; with `either`, one of all its models."""
    first, *others = map(_reference, models_of(returns))
    ref = {"anyOf": [first, *others]} if either and others else first
    return {"type": "array", "items": ref} if typing.get_origin(returns) is Page else ref


def _reference(model: type[BaseModel]) -> Schema:
    return {"$ref": _REF.format(model=model.__name__)}


def _problems(route: Route) -> Schema:
    """A response for each status, with an example for each error code."""
    problems: Schema = {}
    for kind in _errors_of(route):
        content: Schema = {"schema": {"$ref": _REF.format(model="Problem")}, "examples": {}}
        response = problems.setdefault(
            str(status_of(kind)), {"description": kind.title, "content": {PROBLEM: content}}
        )
        examples = response["content"][PROBLEM]["examples"]
        examples[kind.code] = {"value": example_problem(kind)}
    return dict(sorted(problems.items()))


def _errors_of(route: Route) -> list[type[errors.SlipwayError]]:
    """The errors that the route declares, and those that follow from its parameters."""
    kinds = list(route.refuses)
    has_body = route.body is not None or route.takes(RawBody)
    if route.takes(Principal):
        kinds += [errors.TokenMissing, errors.TokenExpired, errors.TokenInvalid]
        kinds += [errors.TooManyRequests, errors.Forbidden]
    if has_body:
        kinds += [errors.Malformed, errors.TooLarge, errors.UnsupportedMediaType]
    if has_body or route.query:
        kinds.append(errors.Invalid)
    if route.replays:
        kinds.append(errors.IdempotencyKeyReused)
    if _may_wait(route):
        kinds += [errors.PreconditionFailed, errors.TooManyUndecided]
    if route.method != "GET" and route.takes(Principal):
        kinds.append(errors.Busy)
    return [*kinds, errors.StoreUnavailable]


def _schemas(routes: Iterable[Route]) -> dict[str, Schema]:
    modes: dict[type[BaseModel], typing.Literal["validation", "serialization"]] = {}
    for route in routes:
        if route.body:
            modes[route.body] = "validation"
        waiting: list[type[BaseModel]] = [Confirmation] if _may_wait(route) else []
        for model in [*models_of(route.returns), *waiting]:
            modes[model] = "serialization"
    _, generated = models_json_schema(list(modes.items()), ref_template=_REF)
    schemas: dict[str, Schema] = generated["$defs"]
    return schemas


def load(functions: Path) -> dict[str, Api]:
    """The API of each `functions/api/<resource>/app.py`, in the order of the document."""
    order = [
        *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
        "confirmations",
    ]
    folders = sorted(
        (path.parent for path in functions.glob("api/*/app.py")),
        key=lambda folder: [*order, folder.name].index(folder.name),
    )
    apis: dict[str, Api] = {}
    for folder in folders:
        spec = importlib.util.spec_from_file_location(f"api_{folder.name}", folder / "app.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        apis[folder.name] = module.api
    return apis


def as_text(document: Schema) -> str:
    """The document as it is committed and served."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document, the page of errors, and the tables of docs/access.md."""
    target = FUNCTIONS / "api" / "docs"
    apis = load(FUNCTIONS)
    text = as_text(document(apis))
    page = FUNCTIONS.parent / "docs" / "access.md"
    routes = [route for api in apis.values() for route in api.routes]
    page.write_text(
        policy_table.inserted(page.read_text(encoding="utf-8"), routes), encoding="utf-8"
    )
    (target / "openapi.json").write_text(text, encoding="utf-8")
    explanations = (FUNCTIONS.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    (target / "errors.html").write_text(error_page.render_page(explanations), encoding="utf-8")


if __name__ == "__main__":
    main()
