"""A stage that a template makes tells its settings as one that the API made.

Defect: the stock `AWS::ApiGatewayV2::Stage` keeps its route settings under the names of the
template (`ThrottlingBurstLimit`), and GetStage answers with those of the API alone.
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
