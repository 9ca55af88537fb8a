"""An HTTP API gets its routes from the OpenAPI document in its `Body`.

Defect: the stock `AWS::ApiGatewayV2::Api` drops Body, which is where SAM puts the HttpApi events of
all functions, so the API answers 404 to everything. Only what Slipway uses is read: routes to
functions, and CORS. Authorizers in the document are refused rather than forgotten. A path that ends
in a slash gets no route, and nobody is told, as on AWS (aws/serverless-application-model, issue
1949); a greedy variable below the path catches it there.
"""

from typing import Any

from local.patches import resource

ANY = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"

Records = dict[str, dict[str, Any]]


def routes_of(body: dict[str, Any]) -> tuple[Records, Records]:
    """The emulator's records for (routes, integrations), by id."""
    routes: Records = {}
    integrations: Records = {}
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            if INTEGRATION not in operation or (path.endswith("/") and path != "/"):
                continue
            if operation.get("security"):
                raise ValueError(f"{method} {path}: authorizers are not supported locally")
            key = "$default" if path == "$default" else f"{_verb(method)} {path}"
            wanted = operation[INTEGRATION]
            integrations[key] = {
                "integrationId": key,
                "integrationType": wanted["type"].upper(),
                "integrationUri": wanted["uri"],
                "integrationMethod": wanted.get("httpMethod", "POST"),
                "payloadFormatVersion": str(wanted.get("payloadFormatVersion", "2.0")),
                "timeoutInMillis": 30000,
            }
            routes[key] = {
                "routeId": key,
                "routeKey": key,
                "target": f"integrations/{key}",
                "authorizationType": "NONE",
                "apiKeyRequired": False,
            }
    return routes, integrations


def _verb(method: str) -> str:
    return "ANY" if method == ANY else method.upper()


def patch(module: Any) -> None:
    def apply(api_id: str, properties: dict[str, Any]) -> None:
        body = properties.get("Body")
        if not body:
            return
        gateway = module._apigw_v2
        routes, integrations = routes_of(body)
        # Whole tables are put in place, so that no request sees half of the routes.
        gateway._integrations[api_id] = gateway._integrations.get(api_id, {}) | integrations
        gateway._routes[api_id] = routes
        if cors := body.get("x-amazon-apigateway-cors"):
            gateway._apis[api_id]["corsConfiguration"] = cors

    resource.after(module, "AWS::ApiGatewayV2::Api", apply)
