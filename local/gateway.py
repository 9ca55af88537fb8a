"""The data plane of API Gateway's HTTP APIs: find the route, call its function, answer.

The emulator's own data plane is not used, because callers notice its differences: no `cookies` in
the event, a function's error sent unchanged, no limits, OPTIONS never passed to a route, and
guesses about host and path. Routes and functions are the emulator's.

Slipway's API has a port of its own. On another one, and so under another origin, the APIs of
environments answer below /_aws/execute-api/<id>, and function URLs below /_aws/lambda-url/<id>;
both also at http://<id>.localhost, under an origin for each.

    browsers.py         refuses what a web page must not do
    http_events.py      requests -> events, results -> answers
    authorizers.py      decides who may call a route
    resource_policy.py  decides whether the function may be called
    throttling.py       decides whether a route takes one more request
"""

import asyncio
import base64
import json
import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from local import authorizers, browsers
from local.asgi import Message, Receive, Send, body_of, respond
from local.authorizers import Call
from local.http_events import STAGE, Answer, Request, Route, answer, event_1, event_2, message
from local.patches.api_endpoint import PREFIX
from local.patches.function_urls import URL_PREFIX
from local.resource_policy import INVOKE, may_invoke
from local.throttling import Buckets

# Quotas of HTTP APIs and of Lambda that cannot be raised.
LARGEST_BODY = 10 * 2**20
LARGEST_READ = 10 * LARGEST_BODY  # after that, the rest of the body is not read
LARGEST_HEAD = 10_240  # the request line and the values of headers
LARGEST_EVENT = 6 * 2**20
SECONDS = 30.0

URL_ID = 32  # letters of a function URL's id; an API's has fewer
HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")
_buckets = Buckets()
FAILED = message(500, "Internal Server Error")
URL_FAILED = Answer(502, b"Internal Server Error", [("content-type", "application/json")])
URL_FORBIDDEN = Answer(403, b'{"Message":"Forbidden"}', [("content-type", "application/json")])


class Gateway:
    """The data plane of all HTTP APIs. Requests wait until `open` has set Slipway's API."""

    def __init__(self, allowed: browsers.Allowed) -> None:
        self.allowed = allowed
        self.api_id = ""
        self._opened = asyncio.Event()

    def open(self, api_id: str) -> None:
        self.api_id = api_id
        self._opened.set()

    async def platform(self, scope: Message, receive: Receive, send: Send) -> None:
        """The port of Slipway's API."""
        refused = browsers.wrong_host(scope, self.allowed)
        refused = refused or browsers.wrong_origin(scope, self.allowed)
        if refused:
            return await respond(send, refused, head=scope["method"] == "HEAD")
        await self._opened.wait()
        await self._answer(scope, receive, send, is_platform=True)
        return None

    async def environments(self, scope: Message, receive: Receive, send: Send) -> None:
        """The port of all other APIs and of function URLs. They have CORS settings of their own."""
        if refused := browsers.wrong_host(scope, self.allowed):
            return await respond(send, refused, head=scope["method"] == "HEAD")
        await self._answer(scope, receive, send, is_platform=False)
        return None

    async def _answer(
        self, scope: Message, receive: Receive, send: Send, *, is_platform: bool
    ) -> None:
        body = await body_of(receive, LARGEST_BODY, LARGEST_READ)
        if body is None:
            return
        request = _request(scope, body)
        made = _too_large(scope, request)
        if made is None and is_platform:
            request.api_id = self.api_id
            made = await _execute(scope, request)
        made = made or await self._of_environment(scope, request)
        made = Answer(made.status, made.body, [*made.headers, ("apigw-requestid", request.id)])
        await respond(send, made, head=scope["method"] == "HEAD")

    async def _of_environment(self, scope: Message, request: Request) -> Answer:
        from ministack.services import apigateway

        kind = _address(request)
        if kind == URL_PREFIX:
            return await _function_url(scope, request)
        is_known = request.api_id != self.api_id and request.api_id in apigateway._apis
        if kind == PREFIX and is_known:
            return await _execute(scope, request)
        return message(404, "Not Found")


def _address(request: Request) -> str:
    """Take the id of an API or a function URL from host or path. Returns its prefix, or ""."""
    name = browsers.name_of(request.host).removesuffix(".localhost")
    if name != browsers.name_of(request.host):
        request.api_id = name
        return URL_PREFIX if len(name) == URL_ID else PREFIX
    for prefix in (URL_PREFIX, PREFIX):
        if request.path.startswith(prefix):
            request.api_id, _, below = request.path.removeprefix(prefix).partition("/")
            request.path = f"/{below}"
            return prefix
    return ""


async def _execute(scope: Message, request: Request) -> Answer:
    """The answer of the HTTP API `request.api_id`, with its CORS headers."""
    from ministack.services import apigateway

    cors = _cors(apigateway._apis[request.api_id])
    origin = request.headers.get("origin", "")
    if cors and request.method == "OPTIONS" and _is_preflight(request):
        return _preflight(cors, origin)
    made = await _routed(scope, request)
    if not cors:
        return made
    # The API's configuration takes precedence over the function's headers.
    own = [header for header in made.headers if not header[0].startswith("access-control-")]
    own += apigateway._cors_response_headers(cors, origin).items()
    return Answer(made.status, made.body, own)


async def _routed(scope: Message, request: Request) -> Answer:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import apigateway

    request.account = get_account_id()
    stages = apigateway._stages.get(request.api_id, {})
    if not _enter_stage(request, stages):
        return message(404, "Not Found")
    record = apigateway._match_route(request.api_id, request.method, request.path)
    if record is None:
        return message(404, "Not Found")
    stage = stages[request.stage]
    if not _buckets.allows(request.api_id, request.stage, record["routeKey"], stage):
        return message(429, "Too Many Requests")
    _, _, pattern = record["routeKey"].partition(" ")
    found = apigateway._extract_path_params(pattern, request.path) if pattern else None
    call = Call(request, Route(record["routeKey"], found), record, get_region())
    if refused := await authorizers.refusal(call, scope):
        return refused
    integrations = apigateway._integrations.get(request.api_id, {})
    integration = integrations.get(record.get("target", "").removeprefix("integrations/"))
    if integration is None or integration["integrationType"] != "AWS_PROXY":
        return FAILED  # only functions are served here
    return await _invoked(integration, call)


async def _invoked(integration: dict[str, Any], call: Call) -> Answer:
    """The answer of a route's function."""
    from ministack.services import apigateway, lambda_svc

    arn = apigateway._extract_lambda_ref_from_integration_uri(integration["integrationUri"])
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    allowed = integration.get("credentialsArn") or may_invoke(arn, call.sources)
    if function is None or not allowed:
        return FAILED
    version = str(integration.get("payloadFormatVersion") or "1.0")
    event = (event_1 if version == "1.0" else event_2)(call.request, call.route)
    # Base64 is a third longer than its content.
    if len(call.request.body) > LARGEST_EVENT / 2 and len(json.dumps(event)) > LARGEST_EVENT:
        return message(413, "Request Entity Too Large")
    seconds = (integration.get("timeoutInMillis") or SECONDS * 1000) / 1000
    running = asyncio.ensure_future(_run(function, config, event))
    try:
        result = await asyncio.wait_for(asyncio.shield(running), min(seconds, SECONDS))
    except TimeoutError:  # as on AWS, the function continues
        return message(503, "Service Unavailable")
    return answer(result, version, on_error=FAILED)


async def _run(function: dict[str, Any], config: dict[str, Any], event: Any) -> dict[str, Any]:
    from ministack.core.concurrency import run_reentrant
    from ministack.services import lambda_svc

    record = lambda_svc._execution_record_for_config(function, config)
    run = lambda_svc._execute_function_with_config_scope
    result: dict[str, Any] = await run_reentrant(run, record, event)
    return result


async def _function_url(scope: Message, request: Request) -> Answer:
    """The answer of a function URL: an HTTP API with one route and its own permissions."""
    from ministack.services import lambda_svc

    found = lambda_svc.resolve_function_url(request.api_id)
    if found is None:
        return URL_FORBIDDEN
    account, region, name, qualifier, url = found
    origin = lambda_svc._function_url_cors_headers(url, request.headers)
    if request.method == "OPTIONS" and url.get("Cors"):
        return Answer(200, b"", list(origin.items()))
    arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
    arn += f":{qualifier}" if qualifier else ""
    kind, route = url.get("AuthType", "NONE"), Route()
    if kind == "NONE":
        request.account = "anonymous"
        if not _is_public(arn):
            return URL_FORBIDDEN
    else:
        request.account = account
        if not authorizers.signed(request, scope, lambda: _url_denied(request)):
            return URL_FORBIDDEN
        route.authorizer = authorizers.caller(request)
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    if function is None:
        return URL_FAILED
    made = answer(await _run(function, config, event_2(request, route)), on_error=URL_FAILED)
    return Answer(made.status, made.body, [*made.headers, *origin.items()])


def _url_denied(request: Request) -> Any:
    """The emulator's refusal of a signed request to a function URL; None if it may pass."""
    from ministack import app

    arn, context, _ = app._function_url_auth_target(request.api_id)
    return app._enforce_data_plane(
        *("lambda", "lambda:InvokeFunctionUrl", request.headers, request.parameters, ""),
        resource_arn=arn,
        service_context=context,
    )


def _is_public(function: str) -> bool:
    """Whether anyone may call the function's URL. AWS requires both permissions."""
    by_url = may_invoke(function, [], "lambda:InvokeFunctionUrl", "", FunctionUrlAuthType="NONE")
    return by_url and may_invoke(function, [], INVOKE, "", InvokedViaFunctionUrl="true")


# --- ASGI -------------------------------------------------------------------------


def _request(scope: Message, body: bytes) -> Request:
    from ministack.services import apigateway

    headers, cookies = _headers(scope)
    return Request(
        id=base64.b64encode(os.urandom(11)).decode(),
        api_id="",
        method=scope["method"],
        # An HTTP API decodes all escapes but %25.
        path=apigateway.decode_http_api_path(scope["raw_path"].decode("latin-1")),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        cookies=cookies,
        body=body,
        source=scope["client"][0],
        protocol=f"HTTP/{scope['http_version']}",
    )


def _too_large(scope: Message, request: Request) -> Answer | None:
    head = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
    head += sum(len(value) for _, value in scope["headers"])
    if head > LARGEST_HEAD:
        return message(431, "Request Header Fields Too Large")
    if len(request.body) > LARGEST_BODY:
        return message(413, "Request Entity Too Large")
    return None


def _enter_stage(request: Request, stages: Mapping[str, dict[str, Any]]) -> bool:
    """Remove the stage's name from the path. False if the API has no such stage."""
    first, _, below = request.path[1:].partition("/")
    if first != STAGE and first in stages:
        request.stage, request.path = first, f"/{below}"
    request.stage_variables = stages.get(request.stage, {}).get("stageVariables") or {}
    return request.stage in stages


def _headers(scope: Message) -> tuple[dict[str, str], list[str]]:
    """(headers, cookies). Names are in lower case, repeated headers are joined."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";")]
        elif name not in HOP_BY_HOP:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    before = headers.get("x-forwarded-for")
    client = scope["client"][0]
    headers["x-forwarded-for"] = f"{before}, {client}" if before else client
    headers["x-forwarded-port"] = str(scope["server"][1])
    headers["x-forwarded-proto"] = scope["scheme"]
    trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    headers.setdefault("x-amzn-trace-id", trace)
    return headers, cookies


# --- CORS ----------------------------------------------------------------------------------------


def _cors(api: dict[str, Any]) -> dict[str, Any]:
    """The API's CORS configuration. The keys of a template are in upper camel case."""
    found = api.get("corsConfiguration") or {}
    return {name[:1].lower() + name[1:]: value for name, value in found.items()}


def _is_preflight(request: Request) -> bool:
    return "access-control-request-method" in request.headers


def _preflight(cors: dict[str, Any], origin: str) -> Answer:
    """The answer to a preflight request. For a foreign origin it has no CORS headers."""
    from ministack.services import apigateway

    status, sent, _ = apigateway._cors_preflight_response(cors, origin)
    allowed = [header for header in sent.items() if header[0] != "Content-Length"]
    return Answer(204, b"", allowed if status == 204 else [])
