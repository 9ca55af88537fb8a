"""Answers with the event it got, or does what the path says."""

import importlib.util
import json
import os
import signal
import sys
import time
from typing import Any

from fixturelib import VERSION  # type: ignore[import-not-found]

CODE = 1


def handler(event: dict[str, Any], context: Any) -> Any:
    query = event.get("queryStringParameters") or {}
    match event.get("rawPath"):
        case "/things/raise":
            raise LookupError("no such thing")
        case "/things/exit":
            sys.exit(3)
        case "/things/killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "/things/malformed":
            return {"statusCode": "many"}
        case "/things/implicit":
            return {"greeting": os.environ["GREETING"]}
        case "/things/binary":
            content = {"isBase64Encoded": True, "body": "AAEC"}
            return {"statusCode": 200, "cookies": ["a=1", "b=2"], **content}
        case "/things/slow":
            time.sleep(float(query["seconds"]))
        case "/things/print":
            print(query["text"])
    told = {
        "event": event,
        "pid": os.getpid(),
        "code": CODE,
        "layer": VERSION,
        "environ": dict(os.environ),
        "remaining": context.get_remaining_time_in_millis(),
        "found": [name for name in query.get("import", "").split(",") if _is_there(name)],
    }
    headers = {"Content-Type": "application/json"}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(told)}


def _is_there(name: str) -> bool:
    return bool(name) and importlib.util.find_spec(name) is not None
