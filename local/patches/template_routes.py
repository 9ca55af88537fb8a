"""An HTTP API gets its routes from the OpenAPI document in its `Body`, or from its `Target`.

Defects: the stock `AWS::ApiGatewayV2::Api` drops Body, where SAM puts the HttpApi events of all
functions, so the API answers 404 to everything; and Target, which creates an API for a function in
one step. The patch reads a document's routes to functions, their authorizers and scopes, and CORS.
A path that ends with a slash gets no route and no error, as on AWS (aws/serverless-
application-model, issue 1949); a greedy variable below the path matches it there.
"""

import re
from typing import Any

from local.patches import resource

ANY = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
INTEGRATIONS = "x-amazon-apigateway-integrations"
AUTHORIZER = "x-amazon-apigateway-authorizer"
AUTHORIZATION = "x-amazon-apigateway-authtype"

Records = dict[str, dict[str, Any]]


def routes_of(body: dict[str, Any]) -> tuple[Records, Records]:
    """The emulator's records for (routes, integrations), by id."""
    routes: Records = {}
    integrations: Records = {}
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            if INTEGRATION not in operation or (path.endswith("/") and path != "/"):
                continue
            key = "$default" if path == "$default" else f"{_verb(method)} {path}"
            integrations[key] = _resolved_integration(key, body, operation[INTEGRATION])
            routes[key] = {
                "routeId": key,
                "routeKey": key,
                "target": f"integrations/{key}",
                "apiKeyRequired": False,
                **_authorization(body, operation),
            }
    return routes, integrations


def _resolved_integration(key: str, body: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in wanted:
        wanted = body["components"][INTEGRATIONS][wanted["$ref"].rpartition("/")[2]]
    return {
        "integrationId": key,
        "integrationType": wanted["type"].upper(),
        "integrationUri": wanted.get("uri", ""),
        "integrationMethod": wanted.get("httpMethod", "POST"),
        "payloadFormatVersion": str(wanted.get("payloadFormatVersion", "2.0")),
        "timeoutInMillis": wanted.get("timeoutInMillis", 30000),
        "credentialsArn": wanted.get("credentials", ""),
    }


def _authorization(body: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """A route's authorization. Raises ValueError if the document does not define it."""
    security = operation.get("security", body.get("security"))
    if not security:
        return {"authorizationType": "NONE"}
    [(name, scopes)] = security[0].items()
    scheme = _security_schemes(body).get(name)
    if not scheme and name == "NONE":  # SAM's notation for it
        return {"authorizationType": "NONE"}
    if scheme and scheme.get(AUTHORIZATION) == "awsSigv4":
        return {"authorizationType": "AWS_IAM"}
    if not scheme or AUTHORIZER not in scheme:
        raise ValueError(f"There is no authorizer {name} among the document's securitySchemes")
    kind = "JWT" if scheme[AUTHORIZER]["type"] == "jwt" else "CUSTOM"
    return {"authorizationType": kind, "authorizerId": name, "authorizationScopes": scopes}


def _security_schemes(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (body.get("components") or {}).get("securitySchemes") or {}
    return found


def authorizers_of(body: dict[str, Any]) -> Records:
    """The emulator's records for authorizers, by id, which is their name here."""
    wanted = {
        name: each[AUTHORIZER]
        for name, each in _security_schemes(body).items()
        if AUTHORIZER in each
    }
    return {
        name: {
            "authorizerId": name,
            "authorizerType": "JWT" if each["type"] == "jwt" else "REQUEST",
            "name": name,
            "identitySource": _identity_sources(each.get("identitySource", "")),
            "jwtConfiguration": each.get("jwtConfiguration", {}),
            "authorizerUri": each.get("authorizerUri", ""),
            "authorizerPayloadFormatVersion": str(
                each.get("authorizerPayloadFormatVersion", "2.0")
            ),
            "authorizerResultTtlInSeconds": each.get("authorizerResultTtlInSeconds", 300),
            "enableSimpleResponses": each.get("enableSimpleResponses", False),
            "authorizerCredentialsArn": each.get("authorizerCredentials", ""),
        }
        for name, each in wanted.items()
    }


def _identity_sources(listed: str | list[str]) -> list[str]:
    """A document's identity sources, which are one text with commas."""
    return re.split(r"\s*,\s*", listed) if isinstance(listed, str) and listed else list(listed)


def _verb(method: str) -> str:
    return "ANY" if method == ANY else method.upper()


def _quick_created(properties: dict[str, Any]) -> tuple[Records, Records]:
    """(routes, integrations) of an API that is created for one function in one step."""
    key = properties.get("RouteKey", "$default")
    wanted = {"type": "AWS_PROXY", "uri": properties["Target"]}
    route = {"routeId": key, "routeKey": key, "target": f"integrations/{key}"}
    return {key: route | {"authorizationType": "NONE"}}, {
        key: _resolved_integration(key, {}, wanted)
    }


def patch(module: Any) -> None:
    """provisioners: `AWS::ApiGatewayV2::Api`, created or updated."""

    def apply(api_id: str, properties: dict[str, Any]) -> None:
        gateway = module._apigw_v2
        body = properties.get("Body")
        if not body and not properties.get("Target"):
            return
        routes, integrations = routes_of(body) if body else _quick_created(properties)
        # Whole tables are replaced, so that no request sees half of the routes.
        gateway._integrations[api_id] = gateway._integrations.get(api_id, {}) | integrations
        if not body:
            gateway._routes[api_id] = gateway._routes.get(api_id, {}) | routes
            stage = {"stageName": "$default", "autoDeploy": True}
            gateway._stages.setdefault(api_id, {}).setdefault("$default", stage)
            return
        gateway._authorizers[api_id] = authorizers_of(body)
        gateway._routes[api_id] = routes
        if cors := body.get("x-amazon-apigateway-cors"):
            gateway._apis[api_id]["corsConfiguration"] = cors

    resource.after(module, "AWS::ApiGatewayV2::Api", apply)


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
