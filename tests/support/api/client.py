"""A caller of the handlers: each request comes to them exactly as API Gateway would bring it."""

from __future__ import annotations

import base64
import functools
import json
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from slipway.access.principal import Principal
from tests.support.repository import ROOT, load_function

HOST = "k1a2b3c4d5.execute-api.eu-central-1.amazonaws.com"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
# The function on whose behalf DynamoDB is asked; none while a test prepares or looks.
asking: ContextVar[str] = ContextVar("asking", default="")
_TEXT = ("text/", "application/json", "application/xml", "application/javascript")

CONTEXT = SimpleNamespace(
    function_name="slipway",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:slipway",
    aws_request_id="5e1c7f2a-0000-4000-8000-000000000000",
    get_remaining_time_in_millis=lambda: 15_000,
)


@dataclass(frozen=True)
class Answer:
    """The response that API Gateway makes of the handler's answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    raw: bytes
    cookies: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        return self.raw.decode()


@dataclass(frozen=True)
class Client:
    """A caller who sends requests, signed in if there is a token."""

    token: str | None = None
    user_id: str = ""
    source: str = "203.0.113.7"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    @property
    def principal(self) -> Principal:
        return Principal(self.user_id, "environments:create")

    def with_headers(self, **headers: str) -> Client:
        """`if_match="1"` is the header If-Match."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.send("POST", path, json.dumps(body), **more)

    def put(self, path: str, body: Any) -> Answer:
        return self.send("PUT", path, json.dumps(body))

    def patch(self, path: str, body: Any) -> Answer:
        return self.send("PATCH", path, json.dumps(body))

    def delete(self, path: str, **query: Any) -> Answer:
        return self.send("DELETE", path, query=query)

    def form(self, path: str, fields: Mapping[str, str] | str) -> Answer:
        body = fields if isinstance(fields, str) else urlencode(fields)
        return self.send("POST", path, body, media=FORM)

    def send(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        *,
        media: str | None = JSON,
        query: Mapping[str, Any] | str = "",
    ) -> Answer:
        """`media` None leaves the header out; `query` may be as it stands in the address."""
        headers = dict(self.headers)
        if self.token is not None:
            headers.setdefault("authorization", f"Bearer {self.token}")
        if media is not None and body is not None:
            headers.setdefault("content-type", media)
        text = query if isinstance(query, str) else urlencode(query)
        request = event(method, path, text, headers, body, self.source)
        if self.cookies:
            # API Gateway moves them out of the headers.
            request["cookies"] = list(self.cookies)
        return call(request)


def event(
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: str | bytes | None = None,
    source: str = "203.0.113.7",
) -> dict[str, Any]:
    """API Gateway's payload 2.0 for a request (`path` as it stands in the address)."""
    raw = body.encode() if isinstance(body, str) else body
    # An HTTP API decodes all escapes but %25.
    decoded = unquote(path.replace("%25", "%2525"))
    sent = {
        "accept": "*/*",
        "content-length": str(len(raw or b"")),
        "host": HOST,
        "user-agent": "curl/8.7.1",
        "x-amzn-trace-id": "Root=1-69226e4b-0123456789abcdef01234567",
        "x-forwarded-for": source,
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    now = int(time.time() * 1000)
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": decoded,
        "rawQueryString": query,
        "headers": sent,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": HOST.partition(".")[0],
            "domainName": HOST,
            "domainPrefix": HOST.partition(".")[0],
            "http": {
                "method": method,
                "path": decoded,
                "protocol": "HTTP/1.1",
                "sourceIp": source,
                "userAgent": "curl/8.7.1",
            },
            "requestId": "JKJaXPLvDoEEJiA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:01:02:03 +0000",
            "timeEpoch": now,
        },
        "isBase64Encoded": False,
    }
    if query:
        together: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            together.setdefault(name, []).append(value)
        made["queryStringParameters"] = {name: ",".join(all_) for name, all_ in together.items()}
    if raw is not None:
        text = sent.get("content-type", "").startswith(_TEXT) and _is_utf8(raw)
        made["body"] = raw.decode() if text else base64.b64encode(raw).decode()
        made["isBase64Encoded"] = not text
    return made


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def call(request: dict[str, Any]) -> Answer:
    """The answer of the function that has the route; both ways it goes as JSON, as on Lambda."""
    resource = _resource(request["rawPath"])
    token = asking.set(resource)
    try:
        answer = app(resource).handler(json.loads(json.dumps(request)), CONTEXT)
    finally:
        asking.reset(token)
    answer = json.loads(json.dumps(answer))
    body = answer.get("body") or ""
    raw = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
    if request["requestContext"]["http"]["method"] == "HEAD":
        # As every HTTP server, API Gateway sends the length of the body instead of it.
        headers["content-length"], raw = str(len(raw)), b""
    return Answer(
        status=answer["statusCode"],
        headers=headers,
        raw=raw,
        cookies=tuple(answer.get("cookies", ())),
    )


def _resource(path: str) -> str:
    """tests/template/test_routes.py says that the template's routes lead there, too."""
    if path == "/.well-known/jwks.json":
        return "auth"
    parts = path.split("/")
    if parts[:3] == ["", "api", "v1"] and parts[3:4] in (["users"], ["invitations"]):
        return "people"
    if parts[:4] == ["", "api", "v1", "audit"]:
        return "projects"
    known = {"auth", "projects", "templates", "environments", "deployments", "confirmations"}
    known |= {"promotions"}
    if parts[:4] == ["", "api", "v1", "projects"] and parts[5:6] == ["environments"]:
        return "environments"
    if parts[:4] == ["", "api", "v1", "projects"] and parts[5:6] in _OF_PROMOTIONS:
        return "promotions"
    below = (["", "api", "v1", "projects"], ["", "api", "v1", "environments"])
    if parts[:4] in below and parts[5:6] == ["deployments"]:
        return "deployments"
    if parts[:4] in below and parts[5:6] in _OF_CONFIGURATION:
        return "configuration"
    if parts[:4] == ["", "api", "v1", "projects"] and parts[5:6] in _OF_PEOPLE:
        return "people"
    if parts[:4] == ["", "api", "v1", "environments"] and parts[5:6] in _OF_INSPECTION:
        return "inspection"
    if parts[:4] == ["", "api", "v1", "environments"] and parts[5:6] in _OF_RUNTIME:
        return "runtime"
    is_known = parts[:3] == ["", "api", "v1"] and len(parts) > 3 and parts[3] in known
    return parts[3] if is_known else "docs"


_OF_INSPECTION = (["drift"], ["resources"], ["diff"])
_OF_PROMOTIONS = (["pipeline"], ["stages"], ["promotions"])
_OF_RUNTIME = (["runtime-logs"], ["metrics"])
_OF_CONFIGURATION = (["variables"], ["secrets"], ["configurations"])
_OF_PEOPLE = (["members"], ["leave"], ["transfer"], ["permissions"], ["trusts"])


@functools.cache
def app(resource: str) -> ModuleType:
    return load_function(ROOT / "functions" / "api" / resource)
