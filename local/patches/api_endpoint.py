"""The address of a stack's HTTP API can be reached from this machine.

Defect: the stock `ApiEndpoint` is the host name `<id>.execute-api.<host>`, which does not resolve.
Here it is a path on the environments' port of our own data plane (local/gateway.py). A template may
also build AWS's host name itself, as SAM's documentation does: stack outputs with that name are
rewritten.
"""

import os
import re
from typing import Any

from local.stack import NAME

PREFIX = "/_aws/execute-api/"
ON_AWS = re.compile(r"https://([a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?![\w.-])")


def platform_url() -> str:
    """The URL of Slipway's own API, which has a port of its own."""
    return f"http://127.0.0.1:{os.environ['SLIPWAY_PORT']}"


def endpoint(api_id: str) -> str:
    return f"http://127.0.0.1:{os.environ['SLIPWAY_ENVIRONMENTS_PORT']}{PREFIX}{api_id}"


def patch(module: Any) -> None:
    api = module._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    stock_create = api["create"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        api_id, attributes = stock_create(logical_id, properties, stack)
        # An update returns the attributes that are kept here.
        module._apigw_v2._apis[api_id]["apiEndpoint"] = endpoint(api_id)
        return api_id, {**attributes, "ApiEndpoint": endpoint(api_id)}

    api["create"] = create


def patch_outputs(module: Any) -> None:
    stock = module._resolve_stack_outputs

    def resolve(*args: Any) -> Any:
        from ministack.services import apigateway

        outputs, exports = stock(*args)
        stack_name = args[5]

        def here(found: re.Match[str]) -> str:
            if found[1] not in apigateway._apis:
                return found[0]
            return platform_url() if stack_name == NAME else endpoint(found[1])

        for output in outputs:
            output["OutputValue"] = ON_AWS.sub(here, output["OutputValue"])
        for export in exports.values():
            export["Value"] = ON_AWS.sub(here, export["Value"])
        return outputs, exports

    module._resolve_stack_outputs = resolve


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch,
    "ministack.services.cloudformation.stacks": patch_outputs,
}
