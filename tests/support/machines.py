"""State machines where the tests run them: on the laptop's platform, and in the harness of
tests/workflows, which has the same interpreter in this process and a clock of its own."""

from __future__ import annotations

import json
from typing import Any, Protocol

from deploy.prove.function import handler
from deploy.prove.sandbox import Ended, Sandbox, failures
from tests.support.lambda_environment import MACHINES
from tests.support.workflows.emulator import stepfunctions
from tests.support.workflows.world import World, create_machine

FUNCTION = "fn"


class Machines(Protocol):
    """`function` and `table` are names that the states may use."""

    @property
    def function(self) -> str: ...

    @property
    def table(self) -> str: ...

    def run(self, states: dict[str, Any], given: Any = None, **fields: Any) -> Ended: ...


class Harness:
    """The interpreter that the tests of the workflows trust."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._machines = 0
        self.function, self.table = FUNCTION, "slipway"
        world.emulator.functions[FUNCTION] = (FUNCTION, self._called)

    def _called(self, event: Any, context: object) -> Any:
        if event.get("do") == "wait":
            self._world.schedule.sleep(event["seconds"])
            return event
        return handler(event, context)

    def run(self, states: dict[str, Any], given: Any = None, **fields: Any) -> Ended:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        self._machines += 1
        name = f"trial-{self._machines}"
        create_machine(f"slipway-{name}", json.dumps(definition | fields))
        request = {"stateMachineArn": MACHINES + name, "name": "it"}
        request |= {"input": json.dumps(given or {})}
        stepfunctions._start_execution(request)
        self._world.settle()
        [record] = [
            each for arn, each in stepfunctions._executions.items() if f":slipway-{name}:" in arn
        ]
        output = json.loads(record["output"]) if record.get("output") else None
        events = record["events"]
        types, error = [event["type"] for event in events], record.get("error")
        cause = record.get("cause")
        return Ended(record["status"], output, error, cause, types, failures(events))


class Laptop:
    """The platform behind `make local`, asked as AWS is."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def function(self) -> str:
        return self._sandbox.function

    @property
    def table(self) -> str:
        return self._sandbox.table

    def run(self, states: dict[str, Any], given: Any = None, **fields: Any) -> Ended:
        return self._sandbox.run(states, given, **fields)
