"""The Lambda runtime of a worker process. It uses only the standard library (-I -S).

The emulator sends JSON lines over the socket whose number is argv[1]:

    {"path": [..], "handler": "app.handler"}          -> {"ok": true} or {"error": {..}}
    {"event": .., "request_id": .., "arn": .., ..}    -> {"result": ..} or {"error": {..}}

The handler's output on stdout and stderr is its log; a line END ends each invocation's part. When
the socket is closed, the process exits, even during an invocation.
"""

import importlib
import json
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

END = "\x00end\x00"

Handler = Callable[[Any, Any], Any]


class Context:
    """The context object, with AWS's names for its members."""

    identity = None
    client_context = None

    def __init__(self, call: dict[str, Any]) -> None:
        env = os.environ
        self.aws_request_id: str = call["request_id"]
        self.invoked_function_arn: str = call["arn"]
        self.function_name = env["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = env["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = env["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = env["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = time.monotonic() + call["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def load(handler: str) -> Handler:
    module, _, name = handler.replace("/", ".").rpartition(".")
    found: Handler = getattr(importlib.import_module(module), name)
    return found


def failure(error: BaseException, kind: str = "", request_id: str = "") -> dict[str, Any]:
    """AWS's error document. `errorType` is the class's name, which ASL matches.

    Beside it are the names of its classes, for the terminal. The trace omits the first frame, which
    is ours, and begins with the handler.
    """
    frames = traceback.extract_tb(error.__traceback__)[1:]
    document = {
        "errorMessage": str(error),
        "errorType": kind or type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }
    print(f"[ERROR] {document['errorType']}: {document['errorMessage']}", file=sys.stderr)
    print("Traceback (most recent call last):", file=sys.stderr)
    print("".join(document["stackTrace"]), end="", file=sys.stderr)
    return {"error": document, "classes": [each.__name__ for each in type(error).__mro__]}


def start(handler: str) -> tuple[Handler | None, dict[str, Any]]:
    try:
        return load(handler), {"ok": True}
    except ImportError as error:
        return None, failure(error, "Runtime.ImportModuleError")
    except SyntaxError as error:
        return None, failure(error, "Runtime.UserCodeSyntaxError")
    except AttributeError as error:
        return None, failure(error, "Runtime.HandlerNotFound")
    except Exception as error:
        return None, failure(error)


def invoke(handler: Handler, call: dict[str, Any]) -> bytes:
    if call["trace_id"]:
        os.environ["_X_AMZN_TRACE_ID"] = call["trace_id"]
    try:
        result = handler(call["event"], Context(call))
    except Exception as error:
        return json.dumps(failure(error, request_id=call["request_id"])).encode()
    try:
        return json.dumps({"result": result}).encode()
    except (TypeError, ValueError) as error:
        refused = failure(error, "Runtime.MarshalError", call["request_id"])
        return json.dumps(refused).encode()


def main() -> None:
    stream = socket.socket(fileno=int(sys.argv[1])).makefile("rwb")
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in stream:
            inbox.put(line)
        os._exit(0)

    def answer(reply: bytes) -> None:
        sys.stdout.flush()
        print(END, file=sys.stderr, flush=True)
        stream.write(reply + b"\n")
        stream.flush()

    threading.Thread(target=listen, daemon=True).start()
    init = json.loads(inbox.get())
    sys.path[:0] = init["path"]
    handler, ready = start(init["handler"])
    answer(json.dumps(ready).encode())
    while handler:
        answer(invoke(handler, json.loads(inbox.get())))


if __name__ == "__main__":
    main()
