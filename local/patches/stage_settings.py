"""GetStage returns the settings of a stage that a template created.

Defect: the stock `AWS::ApiGatewayV2::Stage` stores route settings under the template's names
(`ThrottlingBurstLimit`), but GetStage returns only those with the API's names.
"""

from typing import Any

_NUMBERS = {"throttlingBurstLimit": int, "throttlingRateLimit": float}


def _told(settings: dict[str, Any]) -> dict[str, Any]:
    named = {name[:1].lower() + name[1:]: value for name, value in settings.items()}
    return {name: _NUMBERS.get(name, lambda value: value)(value) for name, value in named.items()}


def patch(module: Any) -> None:
    stock = module._apigw_v2_stage_props

    def properties(given: dict[str, Any]) -> dict[str, Any]:
        stage: dict[str, Any] = stock(given)
        routes = stage["routeSettings"].items()
        return stage | {
            "defaultRouteSettings": _told(stage["defaultRouteSettings"]),
            "routeSettings": {route: _told(settings) for route, settings in routes},
        }

    module._apigw_v2_stage_props = properties


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
