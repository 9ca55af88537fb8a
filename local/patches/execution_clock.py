"""An execution starts at once, ends at its TimeoutSeconds, and stops when it is told to.

Defects: every execution begins with a fixed sleep of 0.15 s; a state machine's TimeoutSeconds is
ignored; a stopped execution keeps its thread until its Wait is over, and an execution that fails
after it was stopped is recorded as FAILED.
"""

import json
import threading
import time
import types
from typing import Any

STOCK_DELAY = 0.15
_here = threading.local()


def patch(module: Any) -> None:
    stock_run, stock_fail, stock_stop = (
        module._run_execution,
        module._fail_execution,
        module._stop_execution,
    )
    ended: dict[str, threading.Event] = {}

    def sleep(seconds: float) -> None:
        """Wait, but not for an execution that ended meanwhile."""
        event = getattr(_here, "ended", None)
        if event is None:
            time.sleep(seconds)
        elif seconds != STOCK_DELAY:
            # By the wall clock, and in short pieces: a laptop sleeps, expires_at does not.
            deadline = time.time() + seconds
            while (left := deadline - time.time()) > 0 and not event.wait(min(left, 10)):
                pass

    def time_out(execution: dict[str, Any], seconds: float) -> None:
        if execution["status"] == "RUNNING":
            execution |= {
                "status": "TIMED_OUT",
                "error": "States.Timeout",
                "cause": f"The execution ran longer than {seconds} seconds",
                "stopDate": module.now_iso(),
            }
            module._add_event(execution, "ExecutionTimedOut")
            module._emit_execution_status_event(execution)
            ended[execution["executionArn"]].set()

    def run(arn: str) -> None:
        execution = module._executions[arn]
        ended[arn] = _here.ended = threading.Event()
        machine = module._state_machines.get(execution["stateMachineArn"]) or {}
        seconds = _timeout(machine.get("definition", ""))
        alarm = threading.Timer(seconds or 0, time_out, [execution, seconds])
        alarm.daemon = True
        if seconds:
            alarm.start()
        try:
            stock_run(arn)
        finally:
            alarm.cancel()
            del ended[arn], _here.ended

    def fail(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            stock_fail(execution, error, cause)

    def stop(data: dict[str, Any]) -> Any:
        answer = stock_stop(data)
        if event := ended.get(data.get("executionArn", "")):
            event.set()
        return answer

    module.time = types.SimpleNamespace(**vars(time) | {"sleep": sleep})
    module._run_execution, module._fail_execution, module._stop_execution = run, fail, stop


def _timeout(definition: str) -> float | None:
    try:
        seconds: float | None = json.loads(definition).get("TimeoutSeconds")
    except ValueError:
        return None
    return seconds
