"""A function's URL can be reached from this machine.

Defect: the stock `FunctionUrl` is `https://<id>.lambda-url.<region>.on.aws/`, which does not exist.
Here it is a path on the environments' port of our own data plane (local/gateway.py).
"""

import os
import re
from typing import Any

URL_PREFIX = "/_aws/lambda-url/"
ON_AWS = re.compile(r"https://([a-z0-9]{32})\.lambda-url\.[a-z0-9-]+\.on\.aws(?![\w.-])")


def here(url: str) -> str:
    port = os.environ["SLIPWAY_ENVIRONMENTS_PORT"]
    return ON_AWS.sub(rf"http://127.0.0.1:{port}{URL_PREFIX}\1", url)


def patch(module: Any) -> None:
    """provisioners: the attribute `FunctionUrl` of `AWS::Lambda::Url`."""
    stock = module._lambda_url_attributes

    def attributes(config: dict[str, Any]) -> Any:
        return stock(config | {"FunctionUrl": here(config["FunctionUrl"])})

    module._lambda_url_attributes = attributes


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
