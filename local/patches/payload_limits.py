"""Lambda limits the size of payloads and results.

Defect: the stock service accepts and returns payloads of any size. AWS accepts 6 MB synchronously
and 1 MB asynchronously, and turns a result of more than 6 MB into an error of the function. AWS's
texts: for results in LocalStack's recording `test_lambda.snapshot.json`, test
`TestLambdaBaseFeatures::test_lambda_too_large_response`; for requests in reports of users, such as
aws/aws-pdk, issue 771. The limits are in botocore's documentation of Invoke.
"""

import json
from typing import Any

LARGEST = {"RequestResponse": 6 * 2**20, "Event": 2**20}
LARGEST_RESULT = 6 * 2**20 + 100
TOO_LARGE = {
    "errorMessage": (
        f"Response payload size exceeded maximum allowed payload size ({LARGEST_RESULT} bytes)."
    ),
    "errorType": "Function.ResponseSizeTooLarge",
}


def limited(reply: dict[str, Any]) -> dict[str, Any]:
    """A worker's reply, or AWS's error if the result is too large."""
    if "error" in reply or not _may_be_large(reply["result"]):
        return reply
    size = len(json.dumps(reply["result"], ensure_ascii=False).encode())
    return reply if size <= LARGEST_RESULT else {"error": TOO_LARGE, "log": reply["log"]}


def _may_be_large(result: Any) -> bool:
    """Whether the result's size must be measured: its longest text is most of it."""
    if isinstance(result, str):
        return len(result) > LARGEST_RESULT / 8
    if isinstance(result, dict):
        return len(result) > 1000 or any(_may_be_large(value) for value in result.values())
    if isinstance(result, list):
        return len(result) > 1000 or any(_may_be_large(value) for value in result)
    return False


def patch(module: Any) -> None:
    """lambda_svc: Invoke."""
    stock = module.handle_request

    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        kind = headers.get("x-amz-invocation-type") or "RequestResponse"
        limit = LARGEST.get(kind, LARGEST["RequestResponse"])
        if method == "POST" and path.endswith("/invocations") and len(body) > limit:
            text = f"{len(body)} byte payload is too large for the {kind} invocation type "
            text += f"(limit {limit} bytes)"
            return module.error_response_json("RequestEntityTooLargeException", text, 413)
        return await stock(method, path, headers, body, query)

    module.handle_request = handle


TARGETS = {"ministack.services.lambda_svc": patch}
