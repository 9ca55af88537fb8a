"""A task that fails as it is told to."""

import time
from typing import Any

import boto3


class Refused(Exception):
    pass


class Faulty(Exception):
    pass


calls = 0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    global calls
    calls += 1
    if call := event.get("call"):
        service, operation = call
        return {"answer": getattr(boto3.client(service), operation)()}
    time.sleep(event.get("sleep", 0))
    if event.get("fail") == "Refused":
        raise Refused("no")
    if event.get("fail") == "Faulty":
        raise Faulty("broken")
    return {"calls": calls, "given": event}
