"""Authorize requests to a route of an HTTP API, and the API's call of its function.

The emulator's own functions validate JWTs, Lambda authorizers and signatures; only its own data
plane calls them otherwise. This module refuses what only the emulator accepts: a token
without `exp`, a function whose resource policy does not allow API Gateway, an authorizer that takes
more than ten seconds. AWS's page: "Control and manage access to HTTP APIs in API Gateway".
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local import signatures
from local.http_events import Answer, Request, Route, message
from local.resource_policy import may_invoke

AUTHORIZER_SECONDS = 10
# On AWS "The token does not have ..." follows. Its other reasons are not documented.
# A challenge, not a credential.
INVALID_TOKEN = 'Bearer scope="" error="invalid_token"'  # nosec B105


@dataclass
class Call:
    """A request, its route, the emulator's record of the route, and the API's region."""

    request: Request
    route: Route
    record: dict[str, Any]
    region: str

    @property
    def api_arn(self) -> str:
        return f"arn:aws:execute-api:{self.region}:{self.request.account}:{self.request.api_id}"

    @property
    def sources(self) -> list[str]:
        """The ARNs by which a permission may refer to the call."""
        stage = f"{self.api_arn}/{self.request.stage}"
        method, _, path = self.record["routeKey"].rpartition(" ")
        if not method:
            return [f"{stage}/{path}"]
        methods = {method, self.request.method, "*"}
        return [f"{stage}/{verb}{where}" for verb in methods for where in (path, self.request.path)]


async def refusal(call: Call, scope: Any) -> Answer | None:
    """Why the caller may not use the route. None if it may; the route's authorizer is then set."""
    kind = (call.record.get("authorizationType") or "NONE").upper()
    if kind == "JWT":
        return await _jwt(call)
    if kind == "CUSTOM":
        return await _custom(call)
    if kind == "AWS_IAM":
        return _signed(call, scope)
    return None


def _authorizer(call: Call) -> dict[str, Any] | None:
    from ministack.services import apigateway

    found: dict[str, Any] | None = apigateway._authorizers.get(call.request.api_id, {}).get(
        call.record.get("authorizerId")
    )
    return found


async def _jwt(call: Call) -> Answer | None:
    from ministack.services import apigateway

    authorizer, request = _authorizer(call), call.request
    if not authorizer:
        return message(500, "Internal Server Error")
    sources = authorizer.get("identitySource") or []
    token = apigateway._extract_token_from_identity_source(
        sources, request.headers, request.parameters
    )
    if not token:
        return _unauthorized("Bearer")
    claims, scopes, failed = await apigateway._validate_jwt_authorizer(
        call.record, authorizer, request.headers, request.parameters
    )
    if failed and failed[0] == 403:
        return message(403, "Forbidden")
    if failed or "exp" not in claims:
        return _unauthorized(INVALID_TOKEN)
    told = {name: apigateway._jwt_claim_to_string(value) for name, value in claims.items()}
    wanted = call.record.get("authorizationScopes")
    call.route.authorizer = {"jwt": {"claims": told, "scopes": scopes if wanted else None}}
    return None


def _unauthorized(why: str) -> Answer:
    refused = message(401, "Unauthorized")
    refused.headers.append(("www-authenticate", why))
    return refused


async def _custom(call: Call) -> Answer | None:
    from ministack.services import apigateway

    authorizer, request, record = _authorizer(call), call.request, call.record
    if not authorizer:
        return message(500, "Internal Server Error")
    function = apigateway._extract_lambda_ref_from_integration_uri(authorizer["authorizerUri"])
    source = f"{call.api_arn}/authorizers/{authorizer['authorizerId']}"
    if not authorizer.get("authorizerCredentialsArn") and not may_invoke(function, [source]):
        return message(500, "Internal Server Error")
    judging = apigateway._authorize_request_v2(
        *(request.api_id, request.stage, record, request.method, request.raw_path),
        *(record["routeKey"].rpartition(" ")[2], request.headers, request.parameters),
        *(call.route.variables, request.stage_variables, request.account, call.region),
        request.query,
    )
    try:
        failed, context = await asyncio.wait_for(judging, AUTHORIZER_SECONDS)
    except TimeoutError:
        return message(500, "Internal Server Error")
    if failed:
        return message(failed[0], json.loads(failed[2])["message"])
    call.route.authorizer = {"lambda": context}
    return None


def _signed(call: Call, scope: Any) -> Answer | None:
    from ministack import app

    request = call.request
    where = (request.api_id, request.stage, request.method, request.path)
    headers, parameters = request.headers, request.parameters
    if not signed(request, scope, lambda: app._enforce_execute_api(*where, headers, parameters)):
        return message(403, "Forbidden")
    call.route.authorizer = caller(request)
    return None


def signed(request: Request, scope: Any, denied: Callable[[], Any]) -> bool:
    """Whether the request's signature is valid and its key's policies allow the call.

    `denied` is the emulator's own decision on the policies, None if they allow it.
    """
    from ministack.core import iam_evaluator
    from ministack.services import lambda_svc

    if not lambda_svc._function_url_is_signed(request.headers, request.parameters):
        return False
    if signatures.failure(signatures.Signed.of(scope, request.body)):
        return False
    raw_path = scope["raw_path"].decode("latin-1")
    iam_evaluator.pin_signed_request(request.method, raw_path, request.parameters, scope["headers"])
    iam_evaluator.pin_signed_body(request.body)
    iam_evaluator.pin_request_caller(request.headers, request.parameters)
    return not denied()


def caller(request: Request) -> dict[str, Any] | None:
    """`requestContext.authorizer` of a signed request."""
    from ministack.services import apigateway

    found = apigateway._iam_caller_identity_v2(request.headers, request.parameters)
    return {"iam": found} if found else None
