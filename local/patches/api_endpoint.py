"""An HTTP API of a stack answers at an address that can be asked from here.

Defect: the stock `ApiEndpoint` is a host name, `<id>.execute-api.<host>`, which no resolver knows.
Here it is a path on the port of our own data plane, see local/gateway.py.
"""

import os
from typing import Any

PREFIX = "/_aws/execute-api/"


def patch(module: Any) -> None:
    api = module._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    stock_create = api["create"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        api_id, attributes = stock_create(logical_id, properties, stack)
        endpoint = f"http://127.0.0.1:{os.environ['SLIPWAY_PORT']}{PREFIX}{api_id}"
        # An update answers with what is kept here.
        module._apigw_v2._apis[api_id]["apiEndpoint"] = endpoint
        return api_id, {**attributes, "ApiEndpoint": endpoint}

    api["create"] = create
