"""Functions that other functions invoke."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from slipway import aws
from slipway.errors import DriverFault, DriverRefused


def invoke(name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The function's answer to the payload, in which sets become lists.

    Raises DriverFault if there is no answer: the function failed, was throttled, or took too long.
    """
    body = json.dumps(payload, default=sorted).encode()
    try:
        answer = aws.call("lambda", "invoke", FunctionName=name, Payload=body)
        told = json.loads(answer["Payload"].read())
    except DriverRefused as error:
        raise DriverFault(f"Lambda did not invoke a function: {error}") from error
    except aws.unanswered() as error:
        raise DriverFault(f"Lambda did not answer: {aws.without_answer(error)}") from error
    if "FunctionError" in answer:
        # The function's own log has its exception.
        raise DriverFault("A function that was invoked failed")
    return dict(told)
