"""The examples in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from slipway import errors
from slipway.http.responses import NDJSON, problem, status_of
from slipway.http.routes import FORM, JSON

Schema = dict[str, Any]

_REQUEST_ID = "JKJaXPLvDoEEJiA="
TEMPLATE: Schema = {
    "schema": {"type": "string"},
    "example": "Resources: {Jobs: {Type: AWS::SQS::Queue}}",
}
_PROJECT = "prj_01kaq3h5x0c2m9f7r4tz"
_TRUST = "trs_01kaq3h5x0c2m9f7r4tz_01kaq3q6d8t5w2n9h4cx"
_ENVIRONMENT = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"
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
    errors.ProjectNotEmpty: errors.ProjectNotEmpty([{"id": _ENVIRONMENT, "name": "preview"}]),
    errors.ProjectFull: errors.ProjectFull(40),
    errors.UserNotEmpty: errors.UserNotEmpty([{"id": _PROJECT, "name": "payments"}]),
    errors.ProtectedEnvironments: errors.ProtectedEnvironments(
        [{"id": _ENVIRONMENT, "name": "live"}]
    ),
    errors.EnvironmentNotReady: errors.EnvironmentNotReady("tearing_down"),
    errors.StackNotReady: errors.StackNotReady("UPDATE_IN_PROGRESS"),
    errors.EnvironmentGoing: errors.EnvironmentGoing("expiring"),
    errors.VersionFixed: errors.VersionFixed(
        "Version 1.2 is published and cannot change. Add a new version.", "published"
    ),
    errors.ConfirmationDecided: errors.ConfirmationDecided("rejected"),
    errors.ConfirmationRequired: errors.ConfirmationRequired("payments-production"),
    errors.TooManyUndecided: errors.TooManyUndecided(20),
    errors.PlanPending: errors.PlanPending(3),
    errors.DeploymentFinished: errors.DeploymentFinished("succeeded"),
    errors.QuotaExceeded: errors.QuotaExceeded(
        "MaxEnvironmentsPerProject",
        100,
        100,
        could_end=[{"id": _ENVIRONMENT, "name": "preview", "project_id": _PROJECT}],
        list=f"/api/v1/environments/projects/{_PROJECT}",
    ),
    errors.TooManyTokens: errors.TooManyTokens(50),
    errors.OutdatedDeployment: errors.OutdatedDeployment(
        "dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"
    ),
}


def example_problem(kind: type[errors.SlipwayError]) -> Schema:
    """A problem object of this error."""
    error = _ERRORS.get(kind) or kind()
    return problem(error, status_of(kind), _REQUEST_ID)


def add_examples(document: Schema, schemas: dict[str, Schema]) -> None:
    """Give each JSON body and form an example, made of the examples of its fields.

    `document` is changed; `schemas` has its schemas by name.
    """
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {})]
            bodies += [answer for status, answer in operation["responses"].items() if status < "3"]
            for body in bodies:
                for media in (JSON, FORM, NDJSON):
                    content = body.get("content", {}).get(media)
                    if content and "example" not in content:
                        _add_example(content, schemas)


def _add_example(content: Schema, schemas: dict[str, Schema]) -> None:
    shape = content["schema"]
    # Of several models the first.
    shape = shape.get("anyOf", [shape])[0]
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
        elif "$ref" in field:
            example[name] = _example_of(schemas[field["$ref"].rpartition("/")[2]], schemas)
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
