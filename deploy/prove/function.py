"""A function that fails in the way its event requests, so that AWS's reaction can be observed.

The file is uploaded as it is, so it imports nothing of ours.
"""

import os
import time
from typing import Any


class CustomError(Exception):
    """An error that AWS does not know."""


def handler(event: dict[str, Any], context: object) -> Any:
    """`{"do": …}`: answer, raise, wait, exit, return or need a number of bytes.

    Raises CustomError for a stream's record with the attribute `refuse`.
    """
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
