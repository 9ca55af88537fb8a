"""A function that behaves as its event says, so that it can be seen what AWS makes of that.

It is sent to AWS as it stands, and imports nothing of ours.
"""

import os
import time
from typing import Any


class CustomError(Exception):
    """One that AWS does not know."""


def handler(event: dict[str, Any], context: object) -> Any:
    """`{"do": …}`: answer, raise, wait, exit, return too much, or need too much memory; of a
    stream's records it refuses those with the attribute `refuse`."""
    for record in event.get("Records", ()):
        if "refuse" in record["dynamodb"].get("NewImage", {}):
            raise CustomError("a record to refuse")
    what = event.get("do")
    if what == "raise":
        raise CustomError(event.get("saying", ""))
    if what == "wait":
        time.sleep(event["seconds"])
    if what == "exit":
        os._exit(1)
    if what == "return":
        return "x" * event["bytes"]
    if what == "need":
        return len(bytearray(event["bytes"]))
    return event
