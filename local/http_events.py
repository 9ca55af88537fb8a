"""HTTP and Lambda: the event that an HTTP API sends, and the response made from the result.

It has both payload formats of API Gateway; function URLs use 2.0. AWS's pages: "Create AWS Lambda
proxy integrations for HTTP APIs in API Gateway" and "Invoking Lambda function URLs".
"""

import base64
import json
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

STAGE = "$default"


@dataclass
class Request:
    """A request as the gateway received it."""

    id: str
    api_id: str
    method: str
    path: str  # decoded, and without the stage's name
    query: str  # as it was sent
    headers: dict[str, str]  # lower-case names, without cookies
    cookies: list[str]
    body: bytes
    source: str  # the caller's address
    protocol: str = "HTTP/1.1"
    stage: str = STAGE
    stage_variables: dict[str, str] = field(default_factory=dict)
    account: str = ""

    @property
    def raw_path(self) -> str:
        return self.path if self.stage == STAGE else f"/{self.stage}{self.path}"

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The query's parameters."""
        return urllib.parse.parse_qs(self.query, keep_blank_values=True)

    @property
    def host(self) -> str:
        return self.headers.get("host", "")


@dataclass
class Route:
    """The key of a request's route, and the values of its path variables."""

    key: str = STAGE
    variables: dict[str, str] | None = None
    authorizer: dict[str, Any] | None = None  # `requestContext.authorizer`


@dataclass
class Answer:
    status: int
    body: bytes
    headers: list[tuple[str, str]]


def message(status: int, text: str) -> Answer:
    """An answer of the gateway itself, with AWS's message."""
    body = json.dumps({"message": text}).encode()
    return Answer(status, body, [("content-type", "application/json")])


def event_2(request: Request, route: Route) -> dict[str, Any]:
    """Payload format 2.0. Empty fields are left out, as on AWS."""
    context = {
        **_context(request),
        "http": {
            "method": request.method,
            "path": request.raw_path,
            "protocol": request.protocol,
            "sourceIp": request.source,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "routeKey": route.key,
        **_now("time", "timeEpoch"),
    }
    if route.authorizer is not None:
        context["authorizer"] = route.authorizer
    body, in_base64 = _text(request)
    parameters = {name: ",".join(values) for name, values in request.parameters.items()}
    optional = {
        "cookies": request.cookies,
        "queryStringParameters": parameters,
        "pathParameters": route.variables,
        "stageVariables": request.stage_variables,
        "body": body,
    }
    return {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": request.raw_path,
        "rawQueryString": request.query,
        "headers": request.headers,
        "requestContext": context,
        "isBase64Encoded": in_base64,
        **{name: value for name, value in optional.items() if value},
    }


def event_1(request: Request, route: Route) -> dict[str, Any]:
    """Payload format 1.0, that of REST APIs. Empty fields are null."""
    _, _, resource = route.key.rpartition(" ")
    headers = dict(request.headers)
    if request.cookies:
        headers["cookie"] = "; ".join(request.cookies)
    body, in_base64 = _text(request)
    parameters = request.parameters
    context = {
        **_context(request),
        "authorizer": route.authorizer,
        "extendedRequestId": request.id,
        "httpMethod": request.method,
        "identity": _identity(request),
        "path": request.raw_path,
        "protocol": request.protocol,
        "resourceId": route.key,
        "resourcePath": resource,
        **_now("requestTime", "requestTimeEpoch"),
    }
    return {
        "version": "1.0",
        "resource": resource,
        "path": request.raw_path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: each[-1] for name, each in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "requestContext": context,
        "pathParameters": route.variables or None,
        "stageVariables": request.stage_variables or None,
        "body": body or None,
        "isBase64Encoded": in_base64,
    }


def _context(request: Request) -> dict[str, Any]:
    """The part of the request context that both formats have."""
    return {
        "accountId": request.account,
        "apiId": request.api_id,
        "domainName": request.host,
        "domainPrefix": request.host.split(".")[0],
        "requestId": request.id,
        "stage": request.stage,
    }


_ABSENT = (
    *("accessKey", "accountId", "caller", "cognitoAuthenticationProvider"),
    *("cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId"),
    *("principalOrgId", "user", "userArn"),
)


def _identity(request: Request) -> dict[str, Any]:
    known = {"sourceIp": request.source, "userAgent": request.headers.get("user-agent", "")}
    return dict.fromkeys(_ABSENT) | known


def _now(text: str, milliseconds: str) -> dict[str, Any]:
    now = time.time()
    told = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
    return {text: told, milliseconds: int(now * 1000)}


def _text(request: Request) -> tuple[str, bool]:
    """The event's body, and whether it is in base64: all but text and JSON is."""
    from ministack.services import apigateway

    if not request.body:
        return "", False
    if apigateway._v2_request_body_is_text(request.headers.get("content-type", "")):
        return request.body.decode("utf-8", "replace"), False
    return base64.b64encode(request.body).decode(), True


def answer(result: dict[str, Any], version: str = "2.0", *, on_error: Answer) -> Answer:
    """A function's result as an HTTP response. `on_error` replaces an error's details."""
    if result.get("throttle"):
        return message(503, "Service Unavailable")
    if result.get("error"):
        return on_error
    said = result.get("body")
    if not isinstance(said, dict) or "statusCode" not in said:
        return _inferred(said) if version == "2.0" else on_error
    try:
        return _told(said)
    except (AttributeError, TypeError, ValueError):
        return on_error


def _inferred(said: Any) -> Answer:
    """A result without a status is the body of a 200."""
    plain = said if isinstance(said, str) else json.dumps(said, separators=(",", ":"))
    return Answer(200, plain.encode(), [("content-type", "application/json")])


def _told(said: dict[str, Any]) -> Answer:
    """Raises TypeError, AttributeError or ValueError if the result is malformed."""
    headers = [(name.lower(), _value(value)) for name, value in (said.get("headers") or {}).items()]
    for name, values in (said.get("multiValueHeaders") or {}).items():
        headers += [(name.lower(), _value(value)) for value in values]
    headers += [("set-cookie", cookie) for cookie in said.get("cookies") or []]
    text = said.get("body") or ""
    body = base64.b64decode(text) if said.get("isBase64Encoded") else text.encode()
    status = int(said["statusCode"])
    if not 200 <= status <= 599:
        raise ValueError(status)
    if body and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    dropped = ("content-length", "connection", "transfer-encoding")
    return Answer(status, body, [header for header in headers if header[0] not in dropped])


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if "\r" in text or "\n" in text:
        raise ValueError("a header value is one line")
    return text
