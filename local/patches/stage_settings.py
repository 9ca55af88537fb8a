"""A stage that a template creates has its settings, and only those of routes that exist.

Defect: the stock `AWS::ApiGatewayV2::Stage` stores route settings under the template's names
(`ThrottlingBurstLimit`), but GetStage returns only those with the API's names. It accepts settings
of routes that the API does not have, which AWS refuses (serverless-application-model, issues 1939
and 2479, quote the message).
"""

from typing import Any

_NUMBERS = {"throttlingBurstLimit": int, "throttlingRateLimit": float}


def _api_settings(settings: dict[str, Any]) -> dict[str, Any]:
    named = {name[:1].lower() + name[1:]: value for name, value in settings.items()}
    return {name: _NUMBERS.get(name, lambda value: value)(value) for name, value in named.items()}


def patch(module: Any) -> None:
    stock = module._apigw_v2_stage_props

    def properties(given: dict[str, Any]) -> dict[str, Any]:
        stage: dict[str, Any] = stock(given)
        routes = stage["routeSettings"].items()
        known = module._apigw_v2._routes.get(given.get("ApiId", ""), {}).values()
        for unknown in {route for route, _ in routes} - {each["routeKey"] for each in known}:
            raise ValueError(
                f"Unable to find Route by key {unknown} within the provided RouteSettings"
            )
        return stage | {
            "defaultRouteSettings": _api_settings(stage["defaultRouteSettings"]),
            "routeSettings": {route: _api_settings(settings) for route, settings in routes},
        }

    module._apigw_v2_stage_props = properties


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
