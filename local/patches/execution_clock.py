"""An execution starts at once, ends at its TimeoutSeconds, and stops when it is stopped.

Defects: every execution begins with a fixed sleep of 0.15 s; a state machine's TimeoutSeconds is
ignored; a stopped execution keeps its thread until its Wait is over and its branches continue; an
execution that fails after it was stopped is recorded as FAILED. A nested execution
(`startExecution.sync`) runs in its parent's thread and stops with it.
"""

import contextvars
import json
import threading
import time
import types
from datetime import UTC, datetime
from typing import Any

from local.patches.scope import Scope, Stopped, check, current

STOCK_DELAY = 0.15
# Whether the execution that starts next is one that this thread's execution waits for.
_is_awaited: contextvars.ContextVar[bool] = contextvars.ContextVar("awaited", default=False)
# The definition that this thread's execution began with; the machine may have another one by now.
definition: contextvars.ContextVar[str] = contextvars.ContextVar("definition", default="{}")
# When the wait of this thread's state began, if the process before this one had begun it.
since: contextvars.ContextVar[float | None] = contextvars.ContextVar("since", default=None)
_scopes: dict[str, Scope] = {}
_STATES = ("pass", "task", "choice", "wait", "parallel", "map")


def patch(module: Any) -> None:
    _patch_run(module)
    _patch_end(module)
    _patch_nested(module)
    for kind in _STATES:
        name = f"_execute_{kind}"
        setattr(module, name, _within_scope(getattr(module, name)))
    module.time = types.SimpleNamespace(**vars(time) | {"sleep": sleep})


def sleep(seconds: float) -> None:
    """Sleep, but no longer than the current execution runs."""
    scope = current.get()
    if scope is None:
        time.sleep(seconds)
    elif seconds != STOCK_DELAY:
        # Wait by the wall clock in short pieces: a laptop may sleep, but expires_at still passes.
        deadline = (since.get() or time.time()) + seconds
        since.set(None)
        while (left := deadline - time.time()) > 0 and not scope.wait(min(left, 10)):
            pass
        check()


def _within_scope(stock: Any) -> Any:
    """Wrap a state's execution, so that it does not begin after its scope has ended."""

    def execute(*arguments: Any) -> Any:
        check()
        return stock(*arguments)

    return execute


def _patch_run(module: Any) -> None:
    stock_run = module._run_execution

    def run(arn: str) -> None:
        execution = module._executions[arn]
        scope = _scopes[arn] = Scope(current.get() if _is_awaited.get() else None)
        mine, awaited = current.set(scope), _is_awaited.set(False)
        seconds = _timeout_seconds(definition.get())
        if seconds:  # it may have begun in the process before this one
            seconds = max(0.001, seconds - _age(execution["startDate"]))
        alarm = threading.Timer(seconds or 0, _time_out, [module, execution])
        alarm.daemon = True
        if seconds:
            alarm.start()
        try:
            stock_run(arn)
        except Stopped:
            if execution["status"] == "RUNNING":  # the execution that waits for it has ended
                module._stop_execution({"executionArn": arn})
        finally:
            alarm.cancel()
            del _scopes[arn]
            current.reset(mine)
            _is_awaited.reset(awaited)

    module._run_execution = run


def _time_out(module: Any, execution: dict[str, Any]) -> None:
    # Without error and cause: LocalStack's recording timeouts/test_timeouts, test_global_timeout.
    if execution["status"] == "RUNNING":
        execution |= {"status": "TIMED_OUT", "stopDate": module.now_iso()}
        module._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
        module._emit_execution_status_event(execution)
        _end_scope(execution["executionArn"])


def _end_scope(arn: str) -> None:
    if scope := _scopes.get(arn):
        scope.end()


def _patch_end(module: Any) -> None:
    stock_fail, stock_stop = module._fail_execution, module._stop_execution

    def fail(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            stock_fail(execution, error, cause)
            execution["output"] = None

    def stop(data: dict[str, Any]) -> Any:
        answer = stock_stop(data)
        _end_scope(data.get("executionArn", ""))
        return answer

    module._fail_execution, module._stop_execution = fail, stop


def _patch_nested(module: Any) -> None:
    stock = module._invoke_nested_start_execution_sync

    def invoke(*arguments: Any) -> Any:
        token = _is_awaited.set(True)
        try:
            return stock(*arguments)
        finally:
            _is_awaited.reset(token)

    module._invoke_nested_start_execution_sync = invoke


def _age(start: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(start)).total_seconds()


def _timeout_seconds(definition: str) -> float | None:
    try:
        seconds: float | None = json.loads(definition).get("TimeoutSeconds")
    except ValueError:
        return None
    return seconds


TARGETS = {"ministack.services.stepfunctions": patch}
