"""The OpenAPI 3.1 document of all resources, made from their tables of routes.

    python -m slipway.http.openapi        writes functions/api/docs/{openapi.json,errors.html}

Never imported by a function: what is served is the committed copy, which a test compares.
"""

from __future__ import annotations

import importlib.util
import json
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from slipway import errors
from slipway.access.principal import Principal
from slipway.domain.paging import Page
from slipway.http import error_page
from slipway.http.api import (
    FORM,
    JSON,
    PROBLEM,
    Api,
    Document,
    IfMatch,
    IfSeen,
    Raw,
    Route,
    Sent,
    problem,
    status_of,
)

Schema = dict[str, Any]

# The checkout's: this module runs nowhere else.
FUNCTIONS = Path(__file__).parents[4] / "functions"

_REF = "#/components/schemas/{model}"
_EXAMPLE_REQUEST = "JKJaXPLvDoEEJiA="

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
    "Location": {
        "description": "The path of the created object.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
}


def document(apis: Mapping[str, Api]) -> Schema:
    """The document of these APIs, by the name of their resource."""
    routes = [(tag, route) for tag, api in apis.items() for route in api.routes if _public(route)]
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
    _add_examples(document, schemas)
    return document


def _public(route: Route) -> bool:
    """Pages for people are not a part of the API."""
    return route.returns is not Raw


def _operation(tag: str, route: Route) -> Schema:
    text = (route.function.__doc__ or "").strip()
    operation: Schema = {
        "operationId": f"{tag}_{route.function.__name__.strip('_')}",
        "summary": text.rstrip("."),
        "tags": [tag],
        "parameters": list(_parameters(route)),
        "responses": {**_answers(route), **_problems(route)},
    }
    if route.body:
        ref = {"$ref": _REF.format(model=route.body.__name__)}
        operation["requestBody"] = {
            "required": not route.optional,
            "content": {media: {"schema": ref} for media in route.media},
        }
    if route.takes(Sent):
        operation["requestBody"] = {
            "description": f"At most {route.limit} bytes.",
            "required": True,
            "content": {media: _DOCUMENT for media in route.media},
        }
    if route.takes(Principal):
        operation["security"] = [{"token": []}, {"password": []}]
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
    if route.takes(IfMatch | None) or route.takes(IfSeen | None):
        yield {
            "name": "If-Match",
            "in": "header",
            "description": "Change it only if this is still its ETag; otherwise 412.",
            "schema": {"type": "string"},
        }


def _answers(route: Route) -> Schema:
    if route.returns is type(None):
        return {"204": {"description": "Done."}}
    if route.returns is Document:
        return {
            "200": {"description": "The current state.", "content": {route.media[0]: _DOCUMENT}}
        }
    kinds = _kinds(route.returns)
    headers = ["Link"] if typing.get_origin(route.returns) is Page else ["ETag"]
    if route.status == 201:
        headers.append("Location")
    answer: Schema = {
        "description": {200: "The current state.", 201: "Created.", 202: "Accepted."}[route.status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: {"schema": _shape(route.returns)}},
    }
    answers = {str(route.status): answer}
    if route.found is not None:
        answers[str(route.found)] = _otherwise(route) or {
            **answer,
            "description": "It existed already.",
        }
    if type(None) in kinds:
        answers["204"] = {"description": "Deleted."}
    return answers


def _otherwise(route: Route) -> Schema | None:
    """What a route answers that shows something else than what it makes."""
    models = [kind for kind in _kinds(route.returns) if _is_model(kind)]
    if len(models) < 2:
        return None
    return {
        "description": (models[1].__doc__ or "").strip(),
        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
        "content": {JSON: {"schema": {"$ref": _REF.format(model=models[1].__name__)}}},
    }


def _kinds(returns: Any) -> Sequence[Any]:
    """`tuple[A | B, bool]` is A, B, bool."""
    parts = typing.get_args(returns)
    return [each for part in parts for each in _kinds(part)] if parts else [returns]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _shape(returns: Any) -> Schema:
    model = next((kind for kind in _kinds(returns) if _is_model(kind)), None)
    if model is None:
        return {"type": "object"}
    ref = {"$ref": _REF.format(model=model.__name__)}
    return {"type": "array", "items": ref} if typing.get_origin(returns) is Page else ref


def _problems(route: Route) -> Schema:
    """One answer a status, one example a code."""
    kinds: list[type[errors.SlipwayError]] = list(route.refuses)
    if route.takes(Principal):
        kinds += [errors.TokenMissing, errors.TokenExpired, errors.TokenInvalid]
    if route.body or route.takes(Sent):
        kinds += [errors.Malformed, errors.TooLarge, errors.UnsupportedMediaType]
    if route.body or route.query or route.takes(Sent):
        kinds.append(errors.Invalid)
    if route.replays:
        kinds.append(errors.IdempotencyKeyReused)
    if route.method != "GET" and route.takes(Principal):
        kinds.append(errors.Busy)
    kinds.append(errors.StoreUnavailable)
    answers: Schema = {}
    for kind in kinds:
        status = status_of(kind)
        answer = answers.setdefault(
            str(status),
            {
                "description": kind.title,
                "content": {
                    PROBLEM: {
                        "schema": {"$ref": _REF.format(model="Problem")},
                        "examples": {},
                    }
                },
            },
        )
        example = {"value": problem(_example(kind), status, _EXAMPLE_REQUEST)}
        answer["content"][PROBLEM]["examples"][kind.code] = example
    return dict(sorted(answers.items()))


_DOCUMENT: Schema = {
    "schema": {"type": "string"},
    "example": "Resources: {Jobs: {Type: AWS::SQS::Queue}}",
}
_ENVIRONMENT = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"
_EXAMPLES: dict[type[errors.SlipwayError], errors.SlipwayError] = {
    errors.Invalid: errors.Invalid([errors.FieldError("#/name", "is required")]),
    errors.IdempotencyKeyReused: errors.IdempotencyKeyReused(),
    errors.TtlExceedsPolicy: errors.TtlExceedsPolicy("2026-11-26T01:02:03.456Z"),
    errors.TooManyAttempts: errors.TooManyAttempts(60),
    errors.Busy: errors.Busy(1),
    errors.ProjectNotEmpty: errors.ProjectNotEmpty([{"id": _ENVIRONMENT, "name": "preview"}]),
    errors.EnvironmentNotReady: errors.EnvironmentNotReady("tearing_down"),
    errors.StackNotReady: errors.StackNotReady("UPDATE_IN_PROGRESS"),
    errors.EnvironmentGoing: errors.EnvironmentGoing("expiring"),
    errors.VersionFixed: errors.VersionFixed(
        "Version 1.2 is published and cannot change. Add a new version.", "published"
    ),
    errors.DeploymentFinished: errors.DeploymentFinished("succeeded"),
    errors.OutdatedDeployment: errors.OutdatedDeployment(
        "dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"
    ),
}


def _example(kind: type[errors.SlipwayError]) -> errors.SlipwayError:
    return _EXAMPLES.get(kind) or kind()


def _schemas(routes: Iterable[Route]) -> dict[str, Schema]:
    wanted: dict[type[BaseModel], typing.Literal["validation", "serialization"]] = {}
    for route in routes:
        if route.body:
            wanted[route.body] = "validation"
        for kind in _kinds(route.returns):
            if _is_model(kind):
                wanted[kind] = "serialization"
    _, generated = models_json_schema(list(wanted.items()), ref_template=_REF)
    schemas: dict[str, Schema] = generated["$defs"]
    return schemas


def _add_examples(document: Schema, schemas: dict[str, Schema]) -> None:
    """A whole example a body, made of the examples of its fields."""
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {})]
            bodies += [answer for status, answer in operation["responses"].items() if status < "3"]
            for body in bodies:
                for media in (JSON, FORM):
                    content = body.get("content", {}).get(media)
                    if content and "example" not in content:
                        _add_example(content, schemas)


def _add_example(content: Schema, schemas: dict[str, Schema]) -> None:
    shape = content["schema"]
    ref = shape.get("$ref") or shape.get("items", {}).get("$ref")
    if ref:
        example = _example_of(schemas[ref.rpartition("/")[2]], schemas)
        content["example"] = [example] if "items" in shape else example


def _example_of(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    example = {}
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        nested = field.get("items", {}).get("$ref", "").rpartition("/")[2]
        if "examples" in field:
            example[name] = field["examples"][0]
        elif nested:
            example[name] = [_example_of(schemas[nested], schemas)]
        elif "const" in field:
            example[name] = field["const"]
        elif "default" in field and field["default"] is not None:
            example[name] = field["default"]
        elif "enum" in field:
            example[name] = field["enum"][0]
        elif name in required:
            example[name] = 1 if field.get("type") == "integer" else "…"
    return example


def load(functions: Path) -> dict[str, Api]:
    """The API of each `functions/api/<resource>/app.py`, in the order a reader wants."""
    order = ["auth", "projects", "templates", "environments", "deployments"]
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


def written(document: Schema) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    target = FUNCTIONS / "api" / "docs"
    text = written(document(load(FUNCTIONS)))
    (target / "openapi.json").write_text(text, encoding="utf-8")
    explanations = (FUNCTIONS.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    (target / "errors.html").write_text(error_page.written(explanations), encoding="utf-8")


if __name__ == "__main__":
    main()
