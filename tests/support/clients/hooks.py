"""What schemathesis has to know of Slipway: how to sign in, and which refusals are right.

SLIPWAY_EMAIL and SLIPWAY_PASSWORD name the user of the run, an administrator; SLIPWAY_OTHER_EMAIL
is one with the same password.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

import schemathesis

# A URL that is longer is refused by API Gateway itself, with 431 or 414 and without a problem.
_LONGEST_URL = 8000
_YAML = ("application/yaml", "application/x-yaml", "text/yaml")

RULES = (
    # A text that the platform made, or that names something of the platform.
    r"is not a cursor of this list; use the URL in the Link header",
    r"must be (a project's|an environment's) id|must be the id of a user",
    r"is not the id of a project",
    r"no version of .* is published",
    r"must be one of (pending|provisioning), running, .*",
    # One field depends on another one, or on the path.
    r"is only allowed (together with template|for ephemeral environments)",
    r"cannot be sent together with sequence",
    r"must have at most 50 parameters",
    r"must have (at least one of|an issuer or a preset|the claim|template, inputs) ?.*",
    r"must not have the preset .*",
    r"must not be less than default_ttl_hours",
    r"must be that of the path, or omitted",
    r"must be distinct|must be later than since|since must be before until",
    r"cannot be null: .*",
    r"would trust workloads of others.*",
    # It depends on the stack's parameters, or on a project's policy.
    r"must be at most \d+|must not go past .*",
    # JSON Schema counts 1.0 as an integer, and a positive number of hours below a millisecond.
    r"Input should be a valid integer|must be a text, an integer or a boolean",
    r"must be at least a millisecond",
    # Characters that cannot be seen, stored or sent, and lengths in another form of the text.
    r"must not contain .*|must not begin or end with a space",
    r"must not have (\*|iss|aud|exp|nbf|iat|jti) ?.*|must not have \* in .*",
    r"must have at least 8 characters",
    # White space is taken off names and lines.
    r"String should have at least 1 character",
    r"is too long after Unicode normalisation",
    r"must be at most \d+ bytes|contains a number that is too large|would have \d+ labels: .*",
    # Forms, which the message explains better than a regular expression would.
    r"must be (made of|a date and a time|between the years|a version like|a git SHA|a URL like|"
    r"a version, such as|"
    r"an S3 object|a path of this platform|https://|name, name@1|the name of a claim|"
    r"\d+ to \d+ printable|1 to \d+ |a key and a value|a label|lower-case).*",
    r"An email address .*|The (display name|part|email address|address) .*",
    r"There must be something .*",
    r"is one of the most common passwords.*",
    # A key of an earlier request of this run.
    r"was already used for a different request",
    # What is wrong with a template.
    r"is not a template: .*|.*: (must|is|has|cannot|needs) .*",
)
"""What a 422 may say to a request that fits its schema. Anything else is a fault of the schema."""


# They end the caller's sessions or tokens, so another user sends them.
_ENDING = ("logout", "revoke", "password", "refresh")


def _who(case: Any, context: Any) -> str:
    name = case.operation.definition.raw["operationId"]
    ends = name.startswith("auth_") and any(word in name for word in _ENDING)
    return "SLIPWAY_OTHER_EMAIL" if ends else "SLIPWAY_EMAIL"


@schemathesis.auth(refresh_interval=600, cache_by_key=_who)
class Session:
    """Signs in; again if the session has ended."""

    def get(self, case: Any, context: Any) -> str:
        url = case.operation.schema.get_base_url().rstrip("/") + "/api/v1/auth/login"
        email = os.environ[_who(case, context)]
        body = {"username": email, "password": os.environ["SLIPWAY_PASSWORD"]}
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        for _ in range(60):
            try:
                with urllib.request.urlopen(request) as answer:
                    return str(json.load(answer)["access_token"])
            except urllib.error.HTTPError:
                # API Gateway throttles sign-ins.
                time.sleep(0.5)
        raise AssertionError("cannot sign in")

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.serializer(*_YAML)
def as_yaml(context: Any, value: Any) -> Any:
    """A template in YAML is a text of the schema: it is sent as it stands."""
    return {"data": value.encode() if isinstance(value, str) else json.dumps(value).encode()}


@schemathesis.deserializer("application/x-ndjson")
def from_lines(context: Any, response: Any) -> Any:
    return [json.loads(line) for line in response.text.splitlines()]


# Operations that make what links lead on from, and the fields whose values are free.
_MAKES = {
    "projects_create": ("name",),
    "templates_create": ("name",),
    "environments_create": ("name",),
    "environments_ensure": ("name",),
    "deployments_create": (),
    "trusts_trust": ("name",),
    "auth_create_token": ("name",),
}


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Send the document's example in half of the requests that make something.

    Random texts rarely are a name or a version, so that links would lead on from nothing.
    """
    raw = case.operation.definition.raw
    free = _MAKES.get(raw["operationId"])
    is_valid = case.meta is None or case.meta.generation.mode.is_positive
    if free is None or not is_valid or not isinstance(case.body, dict):
        return case
    number = hashlib.sha256(repr(case.body).encode()).hexdigest()
    if number[0] in "01234567":
        content = raw["requestBody"]["content"]["application/json"]
        examples = [each["value"] for each in content.get("examples", {}).values()]
        case.body = {**(content.get("example") or examples[0])}
        case.body.update({name: f"{raw['operationId'][:8]}-{number[:12]}" for name in free})
        case.body = {k: v.replace("_", "-") if k == "name" else v for k, v in case.body.items()}
    return case


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    # A run of thousands of requests waits for a moment where the document's example is long.
    for name in list(case.headers or {}):
        if name.lower() == "prefer" and "wait" in str(case.headers[name]):
            case.headers[name] = "wait=1"


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    query = case.query if isinstance(case.query, dict) else {}
    return sum(len(quote(str(value))) for value in query.values()) < _LONGEST_URL


@schemathesis.check
def refusals_have_a_reason(context: Any, response: Any, case: Any) -> None:
    """A request that fits its schema is refused as invalid only by a rule that schemas lack."""
    if response.status_code != 422 or not case.meta.generation.mode.is_positive:
        return
    for fault in response.json()["errors"]:
        known = any(re.fullmatch(rule, fault["detail"], re.DOTALL) for rule in RULES)
        assert known, f"{fault['pointer']}: {fault['detail']}"
