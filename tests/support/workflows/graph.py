"""A state machine as the ways that lead from state to state, and which of them were walked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from tests.support.repository import MACHINES, machine


class Edge(NamedTuple):
    """`way` is Next, End, Default, `Choice 0` or `Catch 0`; `target` is empty for the end."""

    workflow: str
    state: str
    way: str
    target: str


@cache
def definitions() -> dict[str, dict[str, Any]]:
    return {path.name.removesuffix(".asl.yaml"): machine(path) for path in MACHINES}


def edges() -> Iterator[Edge]:
    """Every way there is."""
    for workflow, definition in definitions().items():
        for name, state in definition["States"].items():
            for n, choice in enumerate(state.get("Choices", [])):
                yield Edge(workflow, name, f"Choice {n}", choice["Next"])
            for n, catch in enumerate(state.get("Catch", [])):
                yield Edge(workflow, name, f"Catch {n}", catch["Next"])
            for way in ("Next", "Default"):
                if way in state:
                    yield Edge(workflow, name, way, state[way])
            if state.get("End") or state["Type"] in ("Succeed", "Fail"):
                yield Edge(workflow, name, "End", "")


@dataclass(frozen=True)
class Execution:
    """The path of an execution. `failures` has the error of each failed attempt at a state."""

    workflow: str
    name: str
    status: str
    error: str | None
    states: list[str]
    failures: list[tuple[str, str]]
    edges: list[Edge]

    @property
    def transitions(self) -> int:
        """The transitions that AWS bills: one for each state entered, and one for each retry."""
        caught = sum(edge.way.startswith("Catch") for edge in self.edges)
        return len(self.states) + len(self.failures) - caught


def execution(workflow: str, record: dict[str, Any]) -> Execution:
    """Read from the emulator's record of an execution."""
    states: list[str] = []
    failures: list[tuple[str, str]] = []
    walked: list[Edge] = []
    failed: str | None = None
    for event in record["events"]:
        entered = event.get("stateEnteredEventDetails")
        if entered:
            if states:
                walked.append(_edge(workflow, states[-1], entered["name"], failed))
            states.append(entered["name"])
            failed = None
        elif event["type"] in ("TaskFailed", "TaskTimedOut"):
            kind = event["type"][0].lower() + event["type"][1:]
            failed = event[f"{kind}EventDetails"]["error"]
            failures.append((states[-1], failed))
        elif event["type"] == "TaskSucceeded":
            failed = None
    error = record.get("error")
    if states and record["status"] in ("SUCCEEDED", "FAILED"):
        state = definitions()[workflow]["States"][states[-1]]
        # A state that failed and was not caught has not ended: no way leads out of it.
        if failed is None and ("End" in state or state["Type"] in ("Succeed", "Fail")):
            walked.append(Edge(workflow, states[-1], "End", ""))
    return Execution(workflow, record["name"], record["status"], error, states, failures, walked)


def _edge(workflow: str, state: str, target: str, failed: str | None) -> Edge:
    definition = definitions()[workflow]["States"][state]
    if failed is not None:
        for n, catch in enumerate(definition["Catch"]):
            if failed in catch["ErrorEquals"] or "States.ALL" in catch["ErrorEquals"]:
                assert catch["Next"] == target
                return Edge(workflow, state, f"Catch {n}", target)
    for n, choice in enumerate(definition.get("Choices", [])):
        if choice["Next"] == target:
            return Edge(workflow, state, f"Choice {n}", target)
    way = "Default" if definition["Type"] == "Choice" else "Next"
    assert definition[way] == target
    return Edge(workflow, state, way, target)
