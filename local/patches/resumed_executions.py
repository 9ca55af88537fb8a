"""An execution that ran when the emulator ended continues in the state that it was in.

Defect: the stock service fails it with `States.ServiceRestart`; on AWS executions outlive any
process. The state begins again with its input and variables, as Step Functions does when it lost a
task's answer: a Task is called again, and a Wait takes only the rest of its time. An execution
keeps the definition that it began with.
"""

import contextvars
import json
import threading
import time
import types
from typing import Any

from local.patches import execution_clock

Position = dict[str, Any]
_at: dict[str, Position] = {}  # where each running execution is
interrupted: dict[str, Position] = {}  # where those of the process before this one were
_KINDS = ("pass", "task", "choice", "wait", "parallel", "map")


class _Run:
    """The execution of this thread. `resumed` is where it continues, until it has."""

    def __init__(self, arn: str, definition: str, resumed: Position | None) -> None:
        self.arn, self.definition, self.resumed = arn, definition, resumed
        self._read = False
        self._context: dict[str, Any] | None = None

    def reads_definition(self) -> bool:
        """Whether this is the first time that the interpreter parses something."""
        before, self._read = self._read, True
        return not before

    def enter(self, execution: Any, given: Any, context: dict[str, Any]) -> Any:
        """Record the state that begins, and return its input. Branches are not recorded."""
        if self._context is None:
            self._context = context
        if context is not self._context:
            return given
        entered = time.time()
        if at := self.resumed:
            self.resumed, given, entered = None, at["input"], at["entered"]
            context["variables"].update(at["variables"])
            details = execution["events"][-1]["stateEnteredEventDetails"]
            details["input"] = json.dumps(given)
            execution_clock.since.set(entered)
        _at[self.arn] = {
            "definition": self.definition,
            "state": context["State"]["Name"],
            "input": given,
            "variables": dict(context["variables"]),
            "entered": entered,
        }
        return given


_mine: contextvars.ContextVar[_Run | None] = contextvars.ContextVar("run", default=None)


def positions() -> dict[str, Position]:
    """Where each execution is, for a save."""
    return _at


def patch(module: Any) -> None:
    stock_run = module._run_execution

    def run(arn: str) -> None:
        resumed = interrupted.pop(arn, None)
        machine = module._state_machines.get(module._executions[arn]["stateMachineArn"]) or {}
        definition = resumed["definition"] if resumed else machine.get("definition", "")
        here = _mine.set(_Run(arn, definition, resumed))
        its = execution_clock.definition.set(definition)
        try:
            stock_run(arn)
        finally:
            _at.pop(arn, None)
            execution_clock.definition.reset(its)
            _mine.reset(here)

    def loads(text: Any, **how: Any) -> Any:
        run = _mine.get()
        if run and run.reads_definition() and run.resumed:
            return json.loads(run.definition) | {"StartAt": run.resumed["state"]}
        return json.loads(text, **how)

    module._run_execution = run
    module.json = types.SimpleNamespace(**vars(json) | {"loads": loads})
    for kind in _KINDS:
        name = f"_execute_{kind}"
        setattr(module, name, _entered(module, getattr(module, name)))


def _entered(module: Any, stock: Any) -> Any:
    def execute(state: Any, given: Any, *rest: Any) -> Any:
        if (run := _mine.get()) and rest and rest[-1] and "variables" in rest[-1]:
            given = run.enter(module._executions.get(run.arn), given, rest[-1])
        return stock(state, given, *rest)

    return execute


def resume() -> None:
    """Continue the executions of the process before this one, each in a thread."""
    from ministack.core.responses import request_scope
    from ministack.services import stepfunctions

    for (account, region, arn), execution in list(stepfunctions._executions._data.items()):
        if execution["status"] != "RUNNING":
            continue
        with request_scope(account, region):
            context = contextvars.copy_context()
        run = (stepfunctions._run_execution, arn)
        threading.Thread(target=context.run, args=run, daemon=True).start()


TARGETS = {"ministack.services.stepfunctions": patch}
