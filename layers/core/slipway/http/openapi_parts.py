"""The parts of the OpenAPI document that no route decides."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

INFO: Schema = {
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
        "objects return 404.\n\n"
        "Each operation has a request for `curl`. `$SLIPWAY` is the platform's URL, `$TOKEN` an "
        "access token, and `$PROJECT_ID` and the like are ids from earlier answers; `links` of the "
        "answers say which."
    ),
    "contact": {"name": "Slipway contributors"},
    "license": {"name": "MIT", "identifier": "MIT"},
}

SERVERS: list[Schema] = [{"url": "/", "description": "The platform that serves this document."}]

PROBLEM_SCHEMA: Schema = {
    "title": "Problem",
    "type": "object",
    "description": "An error (RFC 9457). Some codes add members of their own.",
    "additionalProperties": True,
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "Where the error is explained.",
        },
        "title": {"type": "string", "description": "What kind of error it is, for people."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {
            "type": "string",
            "description": "What was wrong with this request, for people.",
        },
        "code": {"type": "string", "description": "For programs. It never changes."},
        "request_id": {"type": "string", "description": "Quote it when you report a problem."},
        "errors": {
            "type": "array",
            "description": "One entry for each field at fault.",
            "items": {"$ref": "#/components/schemas/FieldProblem"},
        },
    },
}

FIELD_PROBLEM_SCHEMA: Schema = {
    "title": "FieldProblem",
    "type": "object",
    "description": "What is wrong with one field.",
    "required": ["pointer", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "`#/field` in the body, `?name` in the query, or a header.",
        },
        "detail": {"type": "string", "description": "What is wrong with it, for people."},
    },
}

GATEWAY_SCHEMA: Schema = {
    "title": "GatewayRefusal",
    "type": "object",
    "description": "An answer of API Gateway itself, before the request comes to the platform.",
    "required": ["message"],
    "properties": {"message": {"type": "string", "description": "What is wrong, for people."}},
}

EVENT_STREAM: Schema = {
    "schema": {
        "type": "string",
        "description": "Server-sent events. The data of each is a line as JSON, and its id the "
        "cursor behind it. The answer ends when there are lines, or after a wait; ask again after "
        "`retry` milliseconds, with the last id in `Last-Event-ID`, as `EventSource` does.",
    },
    "example": "retry: 1000\n\nid: TE9HI2\ndata: {...}\n\n",
}

TEMPLATE_SCHEMA: Schema = {
    "title": "TemplateBody",
    "type": "object",
    "description": "A CloudFormation or SAM template as JSON.",
    "additionalProperties": True,
}

GRANT_PROBLEM_SCHEMA: Schema = {
    **PROBLEM_SCHEMA,
    "title": "GrantProblem",
    "description": "An error in the form of OAuth 2 (RFC 6749, 5.2), with a problem's members.",
    "required": ["error", "error_description", *PROBLEM_SCHEMA["required"]],
    "properties": {
        "error": {"type": "string", "description": "Its name in OAuth 2."},
        "error_description": {"type": "string", "description": "The detail, in ASCII."},
        **PROBLEM_SCHEMA["properties"],
    },
}

OWN_SCHEMAS = (
    *(TEMPLATE_SCHEMA, GATEWAY_SCHEMA, PROBLEM_SCHEMA, FIELD_PROBLEM_SCHEMA),
    GRANT_PROBLEM_SCHEMA,
)

HEADERS: Schema = {
    "ETag": {
        "description": "The version of the object. Send it as `If-Match` with a change.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": 'The next page: `<url>; rel="next"`.',
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "How long the request could wait, as in `wait=20`; 0 if too many wait.",
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

SECURITY_SCHEMES: Schema = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of a session, or an API token.",
    },
    "password": {
        "type": "oauth2",
        "description": "Signs in with an e-mail address and a password.",
        "flows": {"password": {"tokenUrl": "/api/v1/auth/login", "scopes": {}}},
    },
}
