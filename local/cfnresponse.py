"""`cfnresponse`: the answer of a function with inline code to a custom resource's request.

AWS adds a module of this name to Python code in a template's `ZipFile`, and documents its two
constants and its function. This one is for the functions of the embedded platform. Like runtime.py
it uses only the standard library.
"""

import json
import urllib.request
from typing import Any

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(
    event: dict[str, Any],
    context: Any,
    responseStatus: str,
    responseData: dict[str, Any],
    physicalResourceId: str | None = None,
    noEcho: bool = False,
    reason: str | None = None,
) -> None:
    """Tell CloudFormation how the request ended. Prints failures, as AWS's module does."""
    answer = {
        "Status": responseStatus,
        "Reason": reason or f"See the details in CloudWatch Log Stream: {context.log_stream_name}",
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    try:
        # As AWS's module does: CloudFormation sends the URL.
        with urllib.request.urlopen(request, timeout=10) as reply:  # nosec B310
            print("Status code:", reply.status)
    except OSError as error:
        print("send(..) failed executing http.request(..):", error)
