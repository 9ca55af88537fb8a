"""What API Gateway's HTTP API does with a request: find the route, call its function, answer.

The emulator's own data plane stays unused, for it differs where callers notice: no `cookies` in the
event, a function's error sent out as it is, no limit on the body, OPTIONS never given to a route,
and guesses about the host and path before all that. Routes and functions are the emulator's.

Other APIs than Slipway's own, those of the environments, answer below /_aws/execute-api/<id>.
"""

import asyncio
import base64
import json
import os
import time
import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from typing import Any

from local.patches.api_endpoint import PREFIX

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 10 * 2**20
LARGEST_READ = 10 * LARGEST_BODY  # after that a sender is not listened to any more
STAGE = "$default"


@dataclass
class Answer:
    status: int
    body: bytes
    headers: list[tuple[str, str]]


def message(status: int, text: str) -> Answer:
    """An answer of the gateway itself, in its words."""
    body = json.dumps({"message": text}).encode()
    return Answer(status, body, [("content-type", "application/json")])


class Gateway:
    """The data plane of all HTTP APIs. Requests wait until `open` has named Slipway's own."""

    def __init__(self) -> None:
        self.api_id = ""
        self._opened = asyncio.Event()

    def open(self, api_id: str) -> None:
        self.api_id = api_id
        self._opened.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._opened.wait()
        body = await _body(receive)
        if body is None:
            return
        too_large = len(body) > LARGEST_BODY
        answer = (
            message(413, "Request Entity Too Large")
            if too_large
            else await self._execute(scope, body)
        )
        answer.headers += [
            ("content-length", str(len(answer.body))),
            ("apigw-requestid", base64.b64encode(os.urandom(11)).decode()),
        ]
        headers = [(name.encode(), _header(value)) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if head else answer.body})

    async def _execute(self, scope: Message, body: bytes) -> Answer:
        from ministack.core.concurrency import run_reentrant
        from ministack.services import apigateway, lambda_svc

        method = scope["method"]
        # Of all escapes, an HTTP API leaves %25 as it is.
        path = apigateway.decode_http_api_path(scope["raw_path"].decode("latin-1"))
        api_id = self.api_id
        if path.startswith(PREFIX):
            other, _, below = path.removeprefix(PREFIX).partition("/")
            if other in apigateway._apis:
                api_id, path = other, f"/{below}"
        stage, path = _stage(path, apigateway._stages.get(api_id, {}))
        headers = _headers(scope)
        cors = apigateway._apis[api_id].get("corsConfiguration") or {}
        origin = headers.get("origin", "")
        if cors and method == "OPTIONS" and "access-control-request-method" in headers:
            status, sent, answered = apigateway._cors_preflight_response(cors, origin)
            return Answer(status, answered, [h for h in sent.items() if h[0] != "Content-Length"])
        route = apigateway._match_route(api_id, method, path)
        if route is None:
            return message(404, "Not Found")
        integration = apigateway._integrations[api_id][route["target"].split("/", 1)[1]]
        arn = apigateway._extract_lambda_ref_from_integration_uri(integration["integrationUri"])
        function, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if function is None:
            return message(500, "Internal Server Error")
        _, _, pattern = route["routeKey"].partition(" ")
        found = apigateway._extract_path_params(pattern, path) if pattern else None
        event = self._event(scope, api_id, stage, route["routeKey"], path, found, headers, body)
        record = lambda_svc._execution_record_for_config(function, config)
        run = lambda_svc._execute_function_with_config_scope
        answer = _answer(await run_reentrant(run, record, event))
        answer.headers += apigateway._cors_response_headers(cors, origin).items()
        return answer

    def _event(
        self,
        scope: Message,
        api_id: str,
        stage: str,
        route_key: str,
        path: str,
        parameters: dict[str, str] | None,
        headers: dict[str, str],
        body: bytes,
    ) -> dict[str, Any]:
        """Payload format 2.0. What is empty is left out, as on AWS."""
        from ministack.core.responses import get_account_id

        path = path if stage == STAGE else f"/{stage}{path}"
        query = scope["query_string"].decode("latin-1")
        cookies = headers.pop("cookie", "")
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": get_account_id(),
                "apiId": api_id,
                "domainName": headers.get("host", ""),
                "domainPrefix": headers.get("host", "").split(".")[0],
                "http": {
                    "method": scope["method"],
                    "path": path,
                    "protocol": f"HTTP/{scope['http_version']}",
                    "sourceIp": scope["client"][0],
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()),
                "routeKey": route_key,
                "stage": stage,
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
                "timeEpoch": int(time.time() * 1000),
            },
            "isBase64Encoded": False,
        }
        if cookies:
            event["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
        if pairs := urllib.parse.parse_qs(query, keep_blank_values=True):
            event["queryStringParameters"] = {name: ",".join(all) for name, all in pairs.items()}
        if parameters:
            event["pathParameters"] = parameters
        if body:
            event["body"], event["isBase64Encoded"] = _text(body, headers.get("content-type", ""))
        return event


def _stage(path: str, stages: Collection[str]) -> tuple[str, str]:
    """The stage that is asked for, and the path below it. The default one has none of its own."""
    first, _, below = path[1:].partition("/")
    return (first, f"/{below}") if first != STAGE and first in stages else (STAGE, path)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; of one that is too large, enough to know it. None if the caller has left."""
    parts: list[bytes] = []
    kept = read = 0
    while True:
        part = await receive()
        if part["type"] == "http.disconnect":
            return None
        chunk = part.get("body", b"")
        read += len(chunk)
        if kept <= LARGEST_BODY:
            parts.append(chunk)
            kept += len(chunk)
        if not part.get("more_body") or read > LARGEST_READ:
            return b"".join(parts)


def _headers(scope: Message) -> dict[str, str]:
    """Lower-case names; lines of the same name are joined, and the gateway's own are added."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        between = "; " if name == "cookie" else ","
        headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    headers["x-forwarded-for"] = scope["client"][0]
    headers["x-forwarded-port"] = str(scope["server"][1])
    headers["x-forwarded-proto"] = scope["scheme"]
    return headers


def _text(body: bytes, content_type: str) -> tuple[str, bool]:
    """The event's body, and whether it is in base64: whatever is not text or JSON is."""
    from ministack.services import apigateway

    if apigateway._v2_request_body_is_text(content_type):
        return body.decode("utf-8", "replace"), False
    return base64.b64encode(body).decode(), True


def _answer(result: dict[str, Any]) -> Answer:
    """What the function returned, as HTTP. Its failures are not shown to the caller."""
    if result.get("throttle"):
        return message(503, "Service Unavailable")
    if result.get("error"):
        return message(500, "Internal Server Error")
    said = result.get("body")
    if not isinstance(said, dict) or "statusCode" not in said:
        plain = said if isinstance(said, str) else json.dumps(said)
        return Answer(200, plain.encode(), [("content-type", "application/json")])
    try:
        headers = [
            (name.lower(), _value(value)) for name, value in (said.get("headers") or {}).items()
        ]
        headers += [("set-cookie", cookie) for cookie in said.get("cookies") or []]
        text = said.get("body") or ""
        body = base64.b64decode(text) if said.get("isBase64Encoded") else text.encode()
        status = int(said["statusCode"])
    except (AttributeError, TypeError, ValueError):
        return message(500, "Internal Server Error")
    if body and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    return Answer(status, body, [header for header in headers if header[0] != "content-length"])


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if "\r" in text or "\n" in text:
        raise ValueError("a header value is one line")
    return text


def _header(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
