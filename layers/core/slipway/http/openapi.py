"""The OpenAPI 3.1 document of all resources, generated from their tables of routes.

    python -m slipway.http.openapi        writes functions/api/docs/{openapi.json,errors.html}

No function imports this module: the docs function serves the committed copy, and a test compares it
with the routes.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import BaseModel

from slipway import errors
from slipway.access.policy import ACTIONS
from slipway.access.principal import Principal
from slipway.domain.confirmation import SERVED_BY, Confirmation
from slipway.domain.paging import Page
from slipway.domain.resent import Resent
from slipway.errors.device import GrantMalformed
from slipway.http import error_page, openapi_schemas, policy_table
from slipway.http.app import Api
from slipway.http.openapi_examples import (
    EXPORTED,
    add_examples,
    add_requests,
    problems_of,
    template_content,
)
from slipway.http.openapi_links import add_links
from slipway.http.openapi_parameters import parameters_of
from slipway.http.openapi_parts import (
    EVENT_STREAM,
    HEADERS,
    INFO,
    OWN_SCHEMAS,
    SECURITY_SCHEMES,
    SERVERS,
)
from slipway.http.openapi_schemas import Mode, Schema
from slipway.http.openapi_schemas import reference as _reference
from slipway.http.openapi_texts import OPERATIONS, TAGS
from slipway.http.responses import (
    EVENTS,
    NDJSON,
    PROBLEM,
    DocumentResponse,
    RawResponse,
    Redirect,
    status_of,
)
from slipway.http.routes import FORM, JSON, MERGE, TEXT, RawBody, Route

# This module runs only in a checkout.
FUNCTIONS = Path(__file__).parents[4] / "functions"
PATHS = Path(__file__).with_name("paths.txt")

_LIMITS = {
    name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy")
}

# Functions that serve part of another function's resource, and resources without a function.
_TAGS_OF = {"inspection": "environments", "runtime": "environments", "people": "members"}
_TAGS_OF |= {"configuration": "variables"}
_RESOURCES = ("users", "invitations")
_BELOW_PROJECTS = ("trusts",)

_PUBLIC = "Needs no token."


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
    operations = [operation for methods in paths.values() for operation in methods.values()]
    schemas = _schemas([route for _, route in routes], operations)
    made: Schema = {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": SERVERS,
        "tags": [_described(tag) for tag in dict.fromkeys(tag for tag, _ in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": problems_of({kind for _, route in routes for kind in _errors_of(route)}),
            "headers": HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }
    add_links(made)
    add_requests(made)
    return made


def _described(tag: str) -> Schema:
    return {"name": tag, "description": TAGS[tag]}


def _tag(function: str, route: Route) -> str:
    parts = route.path.split("/")
    for names, resource in ((_BELOW_PROJECTS, parts[5:6]), (_RESOURCES, parts[3:4])):
        if resource and resource[0] in names:
            return resource[0]
    return _TAGS_OF.get(function, function)


def _public(route: Route) -> bool:
    """Pages for people are not part of the API."""
    return route.returns is not RawResponse


def _operation(tag: str, route: Route) -> Schema:
    name = f"{tag}_{route.operation}"
    summary, description = _texts(name, route)
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": [tag],
        "parameters": list(parameters_of(route, has_etag=_has_etag(route))),
        "security": [],
        "responses": {**_successes(route), **_problems(route)},
    }
    if body := _body(route):
        operation["requestBody"] = body
    if route.takes(Principal):
        operation["x-slipway-action"] = route.action
        operation["security"] = [{"token": []}, {"password": []}]
        # Refusals have it, too, once the token is known to be valid.
        for status, response in operation["responses"].items():
            if status != "401":
                response["headers"] = {**response.get("headers", {}), **_LIMITS}
    return operation


def _name(route: Route) -> str:
    return route.function.__name__.strip("_")


def _texts(name: str, route: Route) -> tuple[str, str]:
    """The summary and the description, from the docstring and the policy."""
    summary, *more = inspect.cleandoc(route.function.__doc__ or "").split("\n\n")
    # A further path does the same as its function's own.
    named = OPERATIONS.get(name) or OPERATIONS.get(name.replace(route.operation, _name(route)), "")
    described = " ".join(more) or named
    needs = policy_table.needs(ACTIONS[route.action]) if route.takes(Principal) else _PUBLIC
    words = [" ".join(text.split()) for text in (summary, described)]
    return words[0].rstrip("."), "\n\n".join(filter(None, (words[1], needs)))


_READ_ONLY = (
    "The fields that only the answer has may be sent as well, so that what was read can be sent "
    "back. One that is not as it is shown is refused with 422."
)


def _body(route: Route) -> Schema | None:
    if route.body:
        content = {media: _sent_as(route.body, media) for media in route.media if media != MERGE}
        body: Schema = {"required": not route.body_optional, "content": content}
        if route.method != "POST" and issubclass(route.body, Resent):
            body["description"] = _READ_ONLY
        return body
    if route.takes(RawBody):
        return {
            "description": f"At most {route.limit} bytes.",
            "required": True,
            "content": template_content(route.media),
        }
    return None


def _sent_as(model: type[BaseModel], media: str) -> Schema:
    """The body of this media type; a form beside JSON has a schema of its own."""
    if media == TEXT:
        return EXPORTED[TEXT]
    return {"schema": _reference(f"{model.__name__}Form" if media == FORM else model)}


def _has_etag(route: Route) -> bool:
    """Whether the route answers with one object or can be waited for, and so has an ETag."""
    if route.waits:
        return True
    kind = route.returns
    is_raw = isinstance(kind, type) and issubclass(kind, RawResponse)
    return not is_raw and kind is not NoneType and typing.get_origin(kind) is not Page


def _successes(route: Route) -> Schema:
    if route.returns is NoneType:
        waiting = {"202": _waiting(None)} if _may_wait(route) else {}
        return {**waiting, "204": {"description": "Done."}}
    if route.returns is DocumentResponse:
        etag = {"ETag": {"$ref": "#/components/headers/ETag"}}
        content = template_content(route.media)
        return {"200": {"description": "The current state.", "headers": etag, "content": content}}
    if route.returns is Redirect:
        location = {"Location": {"$ref": "#/components/headers/Location"}}
        return {"302": {"description": "Where the browser goes on.", "headers": location}}
    headers = ["Link"] if typing.get_origin(route.returns) is Page else []
    headers += ["ETag"] if not headers or route.waits else []
    headers += ["Preference-Applied"] if route.waits else []
    if route.status == 201:
        headers.append("Location")
    answer: Schema = {
        "description": {200: "The current state.", 201: "Created.", 202: "Accepted."}[route.status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: {"schema": _content(route.returns, either=route.found is None)}},
    }
    answer["content"] |= _also(route)
    answers = {str(route.status): answer}
    if _may_wait(route):
        answers["202"] = _waiting(answers.get("202"))
    if route.found is not None:
        answers[str(route.found)] = _found(route) or {
            **answer,
            "description": "It existed already.",
        }
    if route.method == "GET" and _has_etag(route):
        names = [name for name in headers if name != "Location"]
        refs = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        answers["304"] = {"description": "You have the current state.", "headers": refs}
    if route.waits == "line":
        answers |= _other_answers(route, answer)
    if NoneType in _types(route.returns):
        answers["204"] = {"description": "Deleted."}
    return answers


def _other_answers(route: Route, answer: Schema) -> Schema:
    """What a log answers besides its page, `answer`, which can also be an event stream."""
    answer["content"][EVENTS] = EVENT_STREAM
    answers: Schema = {
        "204": {"description": "Of an event stream: the log has ended. Do not ask again."}
    }
    if route.page:
        location = {"Location": {"$ref": "#/components/headers/Location"}}
        about = "The page for a browser, which asks for HTML and has no token."
        answers["303"] = {"description": about, "headers": location}
    return answers


def _also(route: Route) -> Schema:
    """The further media types of the route's answer."""
    if route.lines:
        return {NDJSON: {"schema": _content(route.returns)["items"]}}
    return {media: EXPORTED[media] for media in route.exports}


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


def _problems(route: Route) -> Schema:
    """A response for each status, with an example for each error code."""
    problems: Schema = {}
    for kind in _errors_of(route):
        schema = _reference("GrantProblem" if kind.oauth else "Problem")
        response = problems.setdefault(
            str(status_of(kind)), {"description": kind.title, "content": {}}
        )
        content = response["content"].setdefault(
            JSON if kind.oauth else PROBLEM, {"schema": schema, "examples": {}}
        )
        content["examples"][kind.code] = {"$ref": f"#/components/examples/{kind.code}"}
    # The gateway's throttle knows no callers and no problems.
    throttled = problems.setdefault("429", {"description": "Too many requests.", "content": {}})
    throttled["content"][JSON] = {
        "schema": _reference("GatewayRefusal"),
        "example": {"message": "Too Many Requests"},
    }
    return dict(sorted(problems.items()))


def _errors_of(route: Route) -> list[type[errors.SlipwayError]]:
    """The errors that the route declares, and those that follow from its parameters."""
    kinds = list(route.refuses)
    if any("project_id" in name for name in re.findall(r"<(\w+)>", route.path)):
        kinds.append(errors.AmbiguousName)
    has_body = route.body is not None or route.takes(RawBody)
    if route.takes(Principal):
        kinds += [errors.TokenMissing, errors.TokenExpired, errors.TokenInvalid]
        kinds += [errors.TooManyRequests, errors.Forbidden]
    if has_body:
        kinds += [errors.TooLarge, errors.UnsupportedMediaType]
        kinds.append(GrantMalformed if route.oauth else errors.Malformed)
    if (has_body and not route.oauth) or route.query:
        kinds.append(errors.Invalid)
    if route.replays:
        kinds.append(errors.IdempotencyKeyReused)
    if _may_wait(route):
        kinds += [errors.PreconditionFailed, errors.TooManyUndecided]
    if route.method != "GET" and route.takes(Principal):
        kinds.append(errors.Busy)
    return [*kinds, errors.StoreUnavailable]


def _schemas(routes: Sequence[Route], operations: Iterable[Schema]) -> dict[str, Schema]:
    """The schemas of all models, finished. Gives the operations their examples, too."""
    modes: dict[type[BaseModel], Mode] = {}
    for route in routes:
        if route.body:
            modes[route.body] = "validation"
        waiting: list[type[BaseModel]] = [Confirmation] if _may_wait(route) else []
        for model in [*models_of(route.returns), *waiting]:
            modes[model] = "serialization"
    schemas = openapi_schemas.generated(modes)
    plain = copy.deepcopy(schemas)
    openapi_schemas.finish(schemas, modes)
    forms = {route.body.__name__ for route in routes if route.body and FORM in route.media}
    for name in sorted(forms):
        schemas[f"{name}Form"] = openapi_schemas.form_of(schemas[name])
        plain[f"{name}Form"] = openapi_schemas.form_of(plain[name])
    add_examples(operations, schemas, plain)
    for route in routes:
        if route.body and JSON not in route.media:
            del schemas[route.body.__name__]
    for own in OWN_SCHEMAS:
        schemas[own["title"]] = own
    return schemas


def load(functions: Path) -> dict[str, Api]:
    """The API of each `functions/api/<resource>/app.py`, in the order of the document.

    The console is no part of it: it is a client.
    """
    order = [
        *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
        *("runtime", "configuration", "promotions", "confirmations"),
    ]
    folders = sorted(
        (path.parent for path in functions.glob("api/*/app.py") if path.parent.name != "console"),
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


def paths_of(written: Schema) -> str:
    """The paths below /api/v1, one a line."""
    return "".join(f"{path}\n" for path in written["paths"] if path.startswith("/api/v1/"))


def main() -> None:
    """Write the document, the page of errors, the tables of docs/access.md, and the paths from
    which slipway.http.suggestions chooses."""
    target = FUNCTIONS / "api" / "docs"
    apis = load(FUNCTIONS)
    text = as_text(document(apis))
    page = FUNCTIONS.parent / "docs" / "access.md"
    routes = [route for api in apis.values() for route in api.routes]
    page.write_text(
        policy_table.inserted(page.read_text(encoding="utf-8"), routes), encoding="utf-8"
    )
    (target / "openapi.json").write_text(text, encoding="utf-8")
    PATHS.write_text(paths_of(document(apis)), encoding="utf-8")
    explanations = (FUNCTIONS.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    (target / "errors.html").write_text(error_page.render_page(explanations), encoding="utf-8")


if __name__ == "__main__":
    main()
