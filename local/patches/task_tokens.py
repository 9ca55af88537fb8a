"""A task that waits for its token obeys heartbeats and timeouts, and fails with its call.

Defects: HeartbeatSeconds never fires; a function that raises does not fail the task; times given
as JSONata expressions or paths are ignored; a stopped execution keeps its thread until the task's
timeout.

A missed heartbeat is `States.Timeout` without a cause (LocalStack's recording timeouts/
test_heartbeats). By the developer guide, Catch and Retry may also name it
`States.HeartbeatTimeout`.
"""

import json
import threading
import time
from typing import Any

from local.patches.scope import check, current

FOREVER = 99999999  # seconds, AWS's default


class HeartbeatMissed(str):
    """The error's name: States.Timeout."""


def patch(module: Any) -> None:
    stock_task, stock_matches = module._execute_task, module._error_matches
    stock_heartbeat = module._send_task_heartbeat

    def task(state: dict[str, Any], given: Any, *rest: Any) -> Any:
        seconds = {name: _timeout_seconds(module, state, name, given, rest[-1]) for name in _TIMES}
        state = {key: value for key, value in state.items() if key not in _TIMES}
        return stock_task(state | {n: s for n, s in seconds.items() if s is not None}, given, *rest)

    def invoke(resource: str, effective: Any, token: str, state: dict[str, Any]) -> Any:
        info: dict[str, Any] = {
            "event": threading.Event(),
            "result": None,
            "error": None,
            "beat": time.time(),
        }
        module._task_tokens[token] = info
        try:
            module._invoke_resource(resource.replace(".waitForTaskToken", ""), effective)
            _wait(module, info, state)
        finally:
            module._task_tokens.pop(token, None)
        if error := info["error"]:
            raise module._ExecutionError(error.get("Error", ""), error.get("Cause", ""))
        try:
            return json.loads(info["result"])
        except ValueError:
            return info["result"]

    def heartbeat(data: dict[str, Any]) -> Any:
        if info := module._task_tokens.get(data.get("taskToken")):
            info["beat"] = time.time()
        return stock_heartbeat(data)

    def matches(names: list[str], error: str) -> bool:
        missed = isinstance(error, HeartbeatMissed) and "States.HeartbeatTimeout" in names
        return missed or bool(stock_matches(names, error))

    module._execute_task, module._invoke_with_callback = task, invoke
    module._send_task_heartbeat, module._error_matches = heartbeat, matches


_TIMES = ("TimeoutSeconds", "HeartbeatSeconds")


def _timeout_seconds(
    module: Any, state: dict[str, Any], name: str, given: Any, ctx: Any
) -> float | None:
    value: Any = state.get(name)
    if path := state.get(f"{name}Path"):
        value = module._resolve_path_or_ctx(path, given, ctx)
    elif isinstance(value, str):
        value = module._jsonata_state_field(state, name, "number", given, ctx)
    return value if value is None else float(value)


def _wait(module: Any, info: dict[str, Any], state: dict[str, Any]) -> None:
    """Wait for the token's answer. Raises _ExecutionError after a timeout or a missed heartbeat."""
    if scope := current.get():
        scope.on_end(info["event"].set)
    end = time.time() + state.get("TimeoutSeconds", FOREVER)
    beat = state.get("HeartbeatSeconds", FOREVER)
    while not info["event"].wait(max(0, min(end, info["beat"] + beat) - time.time())):
        if time.time() >= end:
            raise module._ExecutionError("States.Timeout", "")
        if time.time() >= info["beat"] + beat:
            raise module._ExecutionError(HeartbeatMissed("States.Timeout"), "")
    check()


TARGETS = {"ministack.services.stepfunctions": patch}
