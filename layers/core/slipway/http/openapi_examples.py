"""The examples in the OpenAPI document. A test sends every request of them to a fresh platform.

An example is made of the examples of its model's fields, or is one of those written here. Ids in
them stand for ids of earlier answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from slipway import errors
from slipway.errors import promotions, rollbacks
from slipway.errors.configurations import NameInUse, SecretsGone
from slipway.http.openapi_schemas import Schema, name_in, reference
from slipway.http.responses import NDJSON, problem, status_of
from slipway.http.routes import FORM, JSON, MERGE, SVG, TEXT

_REQUEST_ID = "JKJaXPLvDoEEJiA="
_TEMPLATE_AS_YAML = """\
Parameters:
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
  Version: {Type: String, Default: none}
Mappings:
  Seconds: {small: {Hidden: 30}, large: {Hidden: 300}}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: !FindInMap [Seconds, !Ref Size, Hidden]
      Tags: [{Key: version, Value: !Ref Version}]
Outputs:
  Queue: {Value: !Ref Jobs}
"""
_TEMPLATE: Schema = {
    "Parameters": {
        "Size": {"Type": "String", "Default": "small", "AllowedValues": ["small", "large"]},
        "Version": {"Type": "String", "Default": "none"},
    },
    "Mappings": {"Seconds": {"small": {"Hidden": 30}, "large": {"Hidden": 300}}},
    "Resources": {
        "Jobs": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "VisibilityTimeout": {"Fn::FindInMap": ["Seconds", {"Ref": "Size"}, "Hidden"]},
                "Tags": [{"Key": "version", "Value": {"Ref": "Version"}}],
            },
        }
    },
    "Outputs": {"Queue": {"Value": {"Ref": "Jobs"}}},
}
_NAME = "preview-pr-123"
_ENVIRONMENT = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"
_TARGET = "env_01kaq3h5x0c2m9f7r4tz_01kaq3m4s8q1x7k2v9ew"
# For operations whose fields' examples do not make a request that works on a fresh platform.
_BODIES: dict[str, dict[str, Schema]] = {
    "auth_create_token": {
        "example": {"name": "deploy from CI", "kind": "ci", "scopes": ["read", "deploy"]},
    },
    "projects_create": {
        "example": {
            "name": "payments",
            "description": "payment service",
            "repo_url": "https://github.com/acme/payments",
            "labels": {"team": "payments"},
            "policy": {"default_ttl_hours": 24, "max_ttl_hours": 72, "expiry_mode": "idle"},
        },
    },
    "environments_create": {
        "simulated": {"name": _NAME, "type": "ephemeral", "ttl_hours": 24},
        "from_a_template": {
            "name": "preview-pr-124",
            "type": "ephemeral",
            "ttl_hours": 24,
            "template": "web-service@1",
            "inputs": {"Size": "small"},
        },
    },
    "environments_create_in_project": {
        "example": {"name": "preview-pr-126", "type": "ephemeral", "ttl_hours": 24},
    },
    "environments_ensure": {
        "example": {"name": "preview-pr-125", "type": "ephemeral", "ttl_hours": 24},
    },
    "environments_update": {"example": {"inputs": {"Size": "large"}}},
    "environments_roll_back": {"example": {"reason": "checkout answers 500"}},
    "variables_change_variables": {"example": {"LOG_LEVEL": "debug"}},
    "variables_change_variables_of_project": {"example": {"LOG_LEVEL": "info"}},
    "variables_set_secret": {"example": {"value": "correct horse battery staple"}},
    "variables_set_secret_of_project": {"example": {"value": "correct horse battery staple"}},
    "deployments_create": {"example": {"version": "sha-1234567"}},
    "deployments_create_in_environment": {"example": {"version": "sha-1234567"}},
    "environments_deploy": {"example": {"version": "sha-1234567"}},
    "promotions_promote": {"example": {"from": _ENVIRONMENT, "to": [_TARGET]}},
    "promotions_put_pipeline": {
        "example": {
            "stages": [
                {"name": "staging", "environment_ids": [_ENVIRONMENT]},
                {"name": "production", "environment_ids": [_TARGET], "rules": {"min_soak": 0}},
            ]
        },
    },
}
# The ids within the bodies of requests, whatever their fields are called.
_WITHIN = {_ENVIRONMENT: "<ENVIRONMENT_ID>", _TARGET: "<TARGET_ID>"}
# Fields of requests whose values come from earlier answers, beside ids: names, and no secrets.
_SECRETS = {"refresh_token": "REFRESH_TOKEN", "token": "RECEIVED_TOKEN"}  # nosec B105
_SECRETS["digest"] = "DIGEST"
_SECRETS |= {"device_code": "DEVICE_CODE", "user_code": "USER_CODE"}
# Parts of paths that the caller chooses. All others are ids that the platform makes.
_WORDS = {"number": "1", "other": "2", "secret": "DATABASE_PASSWORD"}  # nosec B105
_WORDS |= {"template": "web-service", "version": "1.0", "external_id": "github:acme:payments:125"}
_PROJECT = "prj_01kaq3h5x0c2m9f7r4tz"
_DEPLOYMENT = "dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"
_TRUST = "trs_01kaq3h5x0c2m9f7r4tz_01kaq3q6d8t5w2n9h4cx"
_ERRORS: dict[type[errors.SlipwayError], errors.SlipwayError] = {
    errors.Invalid: errors.Invalid([errors.FieldError("#/name", "is required")]),
    errors.IdempotencyKeyReused: errors.IdempotencyKeyReused(),
    errors.TtlExceedsPolicy: errors.TtlExceedsPolicy("2026-11-26T01:02:03.456Z"),
    errors.TooManyAttempts: errors.TooManyAttempts(60),
    errors.TooManyRequests: errors.TooManyRequests(42, 600),
    errors.Busy: errors.Busy(1),
    errors.IssuerUnavailable: errors.IssuerUnavailable(60),
    errors.TrustExists: errors.TrustExists(_TRUST),
    errors.AmbiguousTrust: errors.AmbiguousTrust([_PROJECT, "prj_01kaq3hm2v8x4c6b9d1e"]),
    errors.AmbiguousName: errors.AmbiguousName([_PROJECT, "prj_01kaq3hm2v8x4c6b9d1e"]),
    errors.ProjectNotEmpty: errors.ProjectNotEmpty([{"id": _ENVIRONMENT, "name": "preview"}]),
    errors.ProjectFull: errors.ProjectFull(40),
    errors.UserNotEmpty: errors.UserNotEmpty([{"id": _PROJECT, "name": "payments"}]),
    errors.ProtectedEnvironments: errors.ProtectedEnvironments(
        [{"id": _ENVIRONMENT, "name": "live"}]
    ),
    errors.EnvironmentNotReady: errors.EnvironmentNotReady("tearing_down"),
    errors.TemplateTakesNoVersion: errors.TemplateTakesNoVersion("web-service@1.2"),
    errors.StackNotReady: errors.StackNotReady("UPDATE_IN_PROGRESS"),
    errors.EnvironmentGoing: errors.EnvironmentGoing("expiring"),
    errors.EnvironmentDiffers: errors.EnvironmentDiffers(
        _ENVIRONMENT, [errors.FieldError("#/type", 'is "persistent" there')]
    ),
    errors.VersionFixed: errors.VersionFixed(
        "Version 1.2 is published and cannot change. Add a new version.", "published"
    ),
    errors.ConfirmationDecided: errors.ConfirmationDecided("rejected"),
    errors.ConfirmationRequired: errors.ConfirmationRequired("payments-production"),
    errors.TooManyUndecided: errors.TooManyUndecided(20),
    errors.LogsBusy: errors.LogsBusy(5),
    errors.PlanPending: errors.PlanPending(3),
    errors.TemplateInUse: errors.TemplateInUse("web-service", 3),
    errors.DeploymentFinished: errors.DeploymentFinished("succeeded"),
    errors.QuotaExceeded: errors.QuotaExceeded(
        "MaxEnvironmentsPerProject",
        100,
        100,
        could_end=[{"id": _ENVIRONMENT, "name": "preview", "project_id": _PROJECT}],
        list=f"/api/v1/environments/projects/{_PROJECT}",
    ),
    promotions.SourceNotReady: promotions.SourceNotReady(
        "sha-1234567 must have been live in staging for 3600 s, which is so at "
        "2026-11-23T02:02:03.456Z. Try again then.",
        _ENVIRONMENT,
        "2026-11-23T02:02:03.456Z",
        1800,
    ),
    NameInUse: NameInUse([errors.FieldError("#/LOG_LEVEL", "is a secret: remove that first")]),
    SecretsGone: SecretsGone(3, ["DATABASE_PASSWORD"]),
    errors.TooManyTokens: errors.TooManyTokens(50),
    rollbacks.EnvironmentHeld: rollbacks.EnvironmentHeld(_DEPLOYMENT, "checkout answers 500"),
    rollbacks.NothingToRollBackTo: rollbacks.NothingToRollBackTo(
        "Nothing was live before what is live now", []
    ),
    errors.OutdatedDeployment: errors.OutdatedDeployment(
        _DEPLOYMENT,
        1043,
        1042,
        "sha-1234567",
    ),
}


# Variables as a file and as an object that a change takes.
EXPORTED: dict[str, Schema] = {
    TEXT: {"schema": {"type": "string"}, "example": "LOG_LEVEL=debug\n"},
    MERGE: {"schema": {"type": "object"}, "example": {"LOG_LEVEL": "debug"}},
}


def example_problem(kind: type[errors.SlipwayError]) -> Schema:
    """A problem object of this error."""
    error = _ERRORS.get(kind) or kind()
    return problem(error, status_of(kind), _REQUEST_ID)


def problems_of(kinds: Iterable[type[errors.SlipwayError]]) -> dict[str, Schema]:
    """The example of each of these errors, by its code."""
    examples = {
        kind.code: {"summary": kind.title, "value": example_problem(kind)} for kind in kinds
    }
    return dict(sorted(examples.items()))


def template_content(media_types: Sequence[str]) -> Schema:
    """A template's body, in JSON an object and in YAML a text; or a picture."""
    as_json: Schema = {"schema": reference("TemplateBody"), "example": _TEMPLATE}
    if SVG in media_types:
        example = '<svg xmlns="http://www.w3.org/2000/svg" role="img">…</svg>'
        return {SVG: {"schema": {"type": "string"}, "example": example}}
    as_yaml: Schema = {"schema": {"type": "string"}, "example": _TEMPLATE_AS_YAML}
    return {media: as_json if media == JSON else as_yaml for media in media_types}


def path_parameter(name: str, description: str | None) -> Schema:
    """A parameter in a path; with an example if the caller chooses it."""
    parameter: Schema = {"name": name, "in": "path", "required": True}
    if description:
        parameter["description"] = description
    parameter["schema"] = {"type": "string"}
    if name in _WORDS:
        parameter["example"] = _WORDS[name]
    return parameter


def add_examples(
    operations: Iterable[Schema], schemas: Mapping[str, Schema], plain: Mapping[str, Schema]
) -> None:
    """Give each body an example. Changes the operations.

    `schemas` are those of the document; `plain` are the same with the defaults of fields.
    """
    for operation in operations:
        bodies = [operation.get("requestBody", {})]
        bodies += [answer for status, answer in operation["responses"].items() if status < "3"]
        for body in bodies:
            own = _BODIES.get(operation["operationId"]) if body is bodies[0] else None
            for media in (JSON, FORM, NDJSON):
                content = body.get("content", {}).get(media)
                if content and "example" not in content:
                    content.update(_given(own) if own else _made(content, schemas, plain))


def _given(bodies: dict[str, Schema]) -> Schema:
    if len(bodies) == 1:
        return {"example": next(iter(bodies.values()))}
    summaries = {name: name.replace("_", " ").capitalize() for name in bodies}
    return {
        "examples": {
            name: {"summary": summaries[name], "value": body} for name, body in bodies.items()
        }
    }


def _made(content: Schema, schemas: Mapping[str, Schema], plain: Mapping[str, Schema]) -> Schema:
    shape = content["schema"]
    # Of several models the first.
    shape = shape.get("anyOf", [shape])[0]
    ref = shape.get("$ref") or shape.get("items", {}).get("$ref")
    if not ref:
        return {}
    example = _example_of(name_in(ref), schemas, plain)
    return {"example": [example] if "items" in shape else example}


def _example_of(model: str, schemas: Mapping[str, Schema], plain: Mapping[str, Schema]) -> Schema:
    example: Schema = {}
    required = schemas[model].get("required", [])
    for name, field in plain[model].get("properties", {}).items():
        nested = field.get("items", {}).get("$ref")
        if "examples" in field:
            example[name] = schemas[model]["properties"][name]["examples"][0]
        elif "$ref" in field:
            example[name] = _example_of(name_in(field["$ref"]), schemas, plain)
        elif nested:
            example[name] = [_example_of(name_in(nested), schemas, plain)]
        elif "const" in field:
            example[name] = field["const"]
        elif "default" in field and (field["default"] is not None or name in required):
            example[name] = field["default"]
        elif "enum" in field:
            example[name] = field["enum"][0]
        elif name in required:
            example[name] = _placeholder(field, schemas[model]["properties"][name])
    return example


def _placeholder(field: Schema, shown: Schema) -> Any:
    """A value of a field that has neither an example nor a default of its own.

    `shown` is the field in the document: what may also be null has the example of its type there.
    """
    if "examples" in shown:
        return shown["examples"][0]
    return 1 if field.get("type") == "integer" else "…"


# --- requests that can be pasted --------------------------------------------------------------


def add_requests(document: Schema) -> None:
    """Give each operation a command of curl for each of its examples. Changes `document`.

    `$SLIPWAY` is the platform's URL, `$TOKEN` an access token, `$PROJECT_ID` and the like ids.
    """
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["x-codeSamples"] = [
                {"lang": "Shell", "label": label, "source": _curl(method, path, operation, body)}
                for label, body in _bodies(operation)
            ]


def _bodies(operation: Schema) -> Iterator[tuple[str, Schema | str | None]]:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield "curl", None
        return
    first = next(iter(content.values()))
    for name, example in first.get("examples", {}).items():
        yield f"curl: {name.replace('_', ' ')}", example["value"]
    if "example" in first:
        yield "curl", first["example"]


def _curl(method: str, path: str, operation: Schema, body: Schema | str | None) -> str:
    where = re.sub(r"{(\w+)}", lambda word: _WORDS.get(word[1], f"${word[1].upper()}"), path)
    needed = [each["name"] for each in operation["parameters"] if _is_needed(each)]
    query = "&".join(f"{name}=${name.upper()}" for name in needed)
    parts = ["curl -sS", f'"$SLIPWAY{where}{"?" if query else ""}{query}"']
    if method != "get":
        parts.insert(1, f"-X {method.upper()}")
    if operation["security"]:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    if any(each["name"] == "X-Confirm" for each in operation["parameters"]):
        name = _WORDS["template"] if "{template}" in path else "$ENVIRONMENT_NAME"
        parts.append(f'-H "X-Confirm: {name}"')
    if body is not None:
        media = next(iter(operation["requestBody"]["content"]))
        parts += [f'-H "Content-Type: {media}"', f"--data-binary {_quoted(body, media, where)}"]
    return " \\\n  ".join(parts)


def _is_needed(parameter: Schema) -> bool:
    """Whether the parameter is one without which there is no query."""
    return bool(parameter["in"] == "query" and parameter.get("required"))


def _quoted(body: Schema | str, media: str, where: str) -> str:
    """The body as one word of a shell, in which ids and secrets are variables."""
    if isinstance(body, str):
        return f"'{body}'"
    if media == FORM:
        pairs = ((name, _of_form(name, value)) for name, value in body.items())
        return "'" + "&".join(f"{name}={value}" for name, value in pairs) + "'"
    body = {name: _with_variables(value) for name, value in body.items()}
    for name in body:
        if name in _SECRETS or re.fullmatch(r"[a-z]{3}_\w+", str(body[name])):
            body = {**body, name: _variable(_SECRETS.get(name, name.upper()), where)}
    return (
        "'"
        + json.dumps(body, ensure_ascii=False).replace('"<', '"\'"$').replace('>"', '"\'"')
        + "'"
    )


def _with_variables(value: Any) -> Any:
    """The value, with a variable in the place of each id of an environment within it."""
    if isinstance(value, list):
        return [
            _WITHIN.get(each, each) if isinstance(each, str) else _with_variables(each)
            for each in value
        ]
    if isinstance(value, dict):
        return {name: _with_variables(each) for name, each in value.items()}
    return value


def _of_form(name: str, value: Any) -> str:
    """The value as a form has it; a secret's is a variable."""
    return f"'\"${_SECRETS[name]}\"'" if name in _SECRETS else quote(str(value), safe=":@/")


def _variable(name: str, where: str) -> str:
    """The mark of a variable, which is another one than that of the path."""
    return f"<OTHER_{name}>" if f"${name}" in where else f"<{name}>"
