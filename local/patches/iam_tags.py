"""Tags of resources that policies can ask for with `aws:ResourceTag/…`.

Defects: HTTP APIs have no such tags. Parts of an API, such as a route, have no tags of their own;
the Service Authorization Reference gives all of them the condition key, and API Gateway says of
REST APIs that they inherit the API's tags. For HTTP APIs no page says so (docs/aws.md,
`iam-api-tags`). Log groups have an ARN that ends in `:*`.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-supported-resources.html
"""

import re
from typing import Any


def patch(module: Any) -> None:
    stock = module.resource_tags

    def resource_tags(arn: str) -> dict[str, str] | None:
        found = re.fullmatch(r"arn:aws:apigateway:[^:]*::/(?:v2/)?apis/([^/]+).*", arn)
        if found is None:
            tags: dict[str, str] | None = stock(arn)
            return tags
        from ministack.services import apigateway

        api = apigateway._apis.get(found[1])
        return None if api is None else dict(api.get("tags") or {})

    module.resource_tags = resource_tags


TARGETS = {"ministack.services.tagging": patch}
