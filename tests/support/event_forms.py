"""One request in the forms that a handler meets: API Gateway's own, SAM CLI's, any other case."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


def recased(event: Event, case: Callable[[str], str]) -> Event:
    """The event with `case` applied to the name of each header."""
    changed = copy.deepcopy(event)
    changed["headers"] = {case(name): value for name, value in event["headers"].items()}
    return changed


def as_sam_sends(event: Event) -> Event:
    """The event that SAM CLI 1.170 builds (samcli/local/apigw/event_constructor.py) for the request
    for which API Gateway builds `event`: headers in title case, every member present, text bodies.
    """
    changed = recased(event, str.title)
    changed["cookies"] = event.get("cookies", [])
    changed["body"] = event.get("body", "")
    changed["pathParameters"] = event.get("pathParameters", {})
    changed["stageVariables"] = None
    changed["isBase64Encoded"] = event["isBase64Encoded"]
    changed["requestContext"] |= {"domainName": "localhost", "domainPrefix": "localhost"}
    changed["requestContext"]["apiId"] = "1234567890"
    return changed
