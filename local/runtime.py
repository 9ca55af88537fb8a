"""The Lambda runtime of a worker process. It uses only the standard library (-I -S).

The emulator sends JSON lines over the socket whose number is argv[1]:

    {"path": [..], "handler": "app.handler", ..}      -> {"ok": true} or {"error": {..}}
    {"event": .., "request_id": .., "arn": .., ..}    -> {"result": ..} or {"error": {..}}
    {"modules": true}                                 -> [..], the names of the imported ones

The handler's output on stdout and stderr is its log; a line END ends each invocation's part. When
the socket is closed, the process exits, even during an invocation.

With `"forks": [..]` it imports these modules and serves no events, but forks for each message like
this. The child connects to the socket twice, for calls and for output, which begins with its id:

    {"socket": "/tmp/..", "environ": {..}}
"""

import contextlib
import gc
import importlib
import json
import os
import queue
import signal
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


def answer(stream: Any, reply: bytes) -> None:
    sys.stdout.flush()
    print(END, file=sys.stderr, flush=True)
    stream.write(reply + b"\n")
    stream.flush()


def serve(stream: Any, handler: Handler) -> None:
    """Answer calls for ever. The process exits when the stream ends, even during an invocation."""
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in stream:
            inbox.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        call = json.loads(inbox.get())
        is_call = "event" in call
        reply = invoke(handler, call) if is_call else json.dumps(sorted(sys.modules)).encode()
        answer(stream, reply)


def load_also(names: list[str]) -> None:
    """Import what another process has imported by now, as far as that is possible by name."""
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def child(channel: socket.socket, stream: Any) -> Any:
    """Fork for each call. Returns in the children only, with the stream of each."""
    gc.freeze()  # the collector would copy what the children share
    # The kernel reaps them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    line = stream.readline()
    while line and os.fork():
        line = stream.readline()
    if not line:
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stream.close()
    channel.close()
    call = json.loads(line)
    calls, output = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    for each in (calls, output):
        each.connect(call["socket"])
    os.environ.update(call["environ"])
    output.sendall(f"{os.getpid()}\n".encode())
    # A crowd that comes to wait must not slow down those who do not.
    os.nice(5)
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    return calls.makefile("rwb")


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    stream: Any = channel.makefile("rwb")
    init = json.loads(stream.readline())
    sys.path[:0] = init["path"]
    handler, ready = start(init["handler"])
    answer(stream, json.dumps(ready).encode())
    if handler and "forks" in init:
        load_also(init["forks"])
        stream = child(channel, stream)
    if handler:
        serve(stream, handler)


if __name__ == "__main__":
    main()
