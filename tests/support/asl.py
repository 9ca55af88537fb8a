"""The state machines as data: their states, and what is written in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.repository import machine

INTEGRATION = "arn:${Partition}:states:::"


def states(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = machine(path)["States"]
    return found


def tasks(path: Path, integration: str = "") -> dict[str, dict[str, Any]]:
    return {
        name: state
        for name, state in states(path).items()
        if state["Type"] == "Task" and state["Resource"].startswith(f"{INTEGRATION}{integration}")
    }


def targets(state: dict[str, Any]) -> list[str]:
    """The names of the states that may come next."""
    branches = [*state.get("Choices", []), *state.get("Catch", [])]
    found = [state.get("Next"), state.get("Default"), *(branch["Next"] for branch in branches)]
    return [name for name in found if name is not None]


def reached(path: Path, start: str) -> set[str]:
    graph = states(path)
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in graph and name not in seen:
            seen.add(name)
            waiting += targets(graph[name])
    return seen


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys(each)


def handlers(path: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`kind` is Retry or Catch: each with the name of its state."""
    for name, state in states(path).items():
        for each in state.get(kind, []):
            yield name, each
