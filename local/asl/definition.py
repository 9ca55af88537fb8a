"""A definition in the Amazon States Language -> the faults that Step Functions reports.

Messages are AWS's where they are known: from LocalStack's recordings stepfunctions/v2
test_sfn_api_validation and test_sfn_api, and from measurements of ValidateStateMachineDefinition by
users of floci and LocalStack (floci-io/floci#2735, #2786, #2968, #3733; localstack/localstack#
11978). The API reference asks callers not to rely on them, so Slipway relies only on the refusal.

It does not check: JSONPath and intrinsic functions, the arguments of a Resource, and whether it
exists.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from local.asl import expressions, fields

SCHEMA = "SCHEMA_VALIDATION_FAILED"
TARGET = "MISSING_TRANSITION_TARGET"
ARN = re.compile(r"arn:[a-z-]+:[a-z0-9-]+:")

Node = dict[str, Any]


class Problem(NamedTuple):
    """A diagnostic of ValidateStateMachineDefinition."""

    code: str
    message: str
    location: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.location or 'null'}"


class Scope(NamedTuple):
    """The place that a rule checks: its path, and the settings of the whole machine."""

    path: str
    machine_language: str
    kind: str
    """STANDARD or EXPRESS."""

    def at(self, path: str) -> "Scope":
        return self._replace(path=self.path + path)

    def language(self, state: Node) -> str:
        declared = state.get("QueryLanguage", self.machine_language)
        return "JSONPath" if declared == "JSONPath" else "JSONata"

    def problem(self, message: str, path: str = "") -> Problem:
        return Problem(SCHEMA, message, self.path + path or "/")


Rule = Callable[[Node, Scope], Iterator[Problem]]


def refusal(definition: Any, kind: str = "STANDARD") -> str | None:
    """The message of InvalidDefinition; None if the definition is valid."""
    found = problems(definition, kind)
    if not found:
        return None
    return f"Invalid State Machine Definition: '{', '.join(map(str, found))}'"


def problems(definition: Any, kind: str = "STANDARD") -> list[Problem]:
    """The faults in the text of a definition. `kind` is STANDARD or EXPRESS."""
    if not definition:
        return [Problem(SCHEMA, "Definition must be a valid JSON object")]
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return [_syntax(str(definition), error)]
    if not isinstance(machine, dict):
        return [Problem(SCHEMA, "Definition must be a valid JSON object")]
    scope = Scope("", machine.get("QueryLanguage", "JSONPath"), kind)
    schema = [*_machine(machine, scope), *_duplicates(machine)]
    return schema or [*_graphs(machine, ""), *_expressions(machine)]


def _syntax(text: str, error: ValueError) -> Problem:
    line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
    where = f'[Source: (String)"{text[:500]}"; line: {line}, column: {column}]'
    message = f"{getattr(error, 'msg', error)}\n at {where}"
    return Problem("INVALID_JSON_DESCRIPTION", message, where)


# The schema.


def _machine(machine: Node, scope: Scope) -> Iterator[Problem]:
    yield from _container(machine, scope, fields.MACHINE)
    yield from _numbers(machine, scope)
    if machine.get("Version", "1.0") != "1.0":
        yield scope.problem("Value should be '1.0'", "/Version")
    yield from _query_language(machine, scope)


def _container(container: Any, scope: Scope, known: frozenset[str]) -> Iterator[Problem]:
    """Checks StartAt and States of a machine, a branch or a Map's processor."""
    if not isinstance(container, dict):
        yield scope.problem("Value should be an object")
        return
    yield from _required(container, scope, ("States", "StartAt"))
    yield from _unknown(container, scope, known)
    yield from _names(container, scope, "StartAt")
    states = container.get("States", {})
    if not isinstance(states, dict) or ("States" in container and not states):
        yield scope.problem("Value should be an object with at least one state", "/States")
        return
    for name, state in states.items():
        if len(name) > 80:
            message = "The name of a state has at most 80 characters"
            yield Problem("INVALID_STATE_NAME", message, f"{scope.path}/States/{name}")
        yield from _state(state, scope.at(f"/States/{name}"))


def _state(state: Any, scope: Scope) -> Iterator[Problem]:
    if not isinstance(state, dict):
        yield scope.problem("Value should be an object")
        return
    if "Type" not in state:
        yield from _required(state, scope, ("Type",))
        return
    kind = fields.STATES.get(str(state["Type"]))
    if not kind:
        listed = ", ".join(fields.STATES)
        yield scope.problem(f"Value should be one of the following: [{listed}]", "/Type")
        return
    yield from _query_language(state, scope)
    if kind.moves_on:
        kind = kind._replace(both=kind.both | {"Next", "End"})
    yield from _members(state, scope, kind._replace(both=kind.both | fields.EVERY_STATE))
    if kind.moves_on and ("Next" in state) == ("End" in state):
        yield scope.problem("There should be exactly one of the following fields: [Next, End]")
    if state.get("End", True) is not True:
        yield scope.problem("Value should be true", "/End")
    yield from _names(state, scope, "Next", "Default")
    yield from _alternatives(state, scope)
    yield from _numbers(state, scope)
    for name, rule in _PARTS.items():
        if name in state:
            yield from rule(state, scope)


def _members(node: Node, scope: Scope, kind: fields.State, language: str = "") -> Iterator[Problem]:
    """Fields that are missing, unknown, or belong to the other query language."""
    language = language or scope.language(node)
    wrong, right = (
        (kind.jsonpath, "JSONPath") if language == "JSONata" else (kind.jsonata, "JSONata")
    )
    yield from _required(node, scope, kind.required)
    yield from _unknown(node, scope, kind.both | kind.jsonpath | kind.jsonata)
    for name in node:
        if name in wrong:
            yield scope.problem(
                f"The QueryLanguage is set to '{language}', but field '{name}' is only supported "
                f"for the '{right}' QueryLanguage"
            )


def _required(node: Node, scope: Scope, names: tuple[str, ...]) -> Iterator[Problem]:
    if missing := [name for name in names if name not in node]:
        yield scope.problem(f"These fields are required: [{', '.join(missing)}]")


def _unknown(node: Node, scope: Scope, known: frozenset[str]) -> Iterator[Problem]:
    for name in node:
        if name not in known:
            yield scope.problem(f"Field '{name}' is not supported")


def _names(node: Node, scope: Scope, *fields_: str) -> Iterator[Problem]:
    """The values of these fields must be names of states."""
    for name in fields_:
        if not isinstance(node.get(name, ""), str):
            yield scope.problem("Value should be a string", f"/{name}")


def _objects(node: Node, name: str, scope: Scope) -> Iterator[tuple[Node, Scope, bool]]:
    """The objects in a list, their paths, and whether each is the last."""
    for number, each in enumerate(node[name]):
        if isinstance(each, dict):
            yield each, scope.at(f"/{name}[{number}]"), number == len(node[name]) - 1


def _lists(node: Node, name: str, scope: Scope, least: int) -> Iterator[Problem]:
    """The field must be a list of objects."""
    value = node[name]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        yield scope.problem("Value should be a list of objects", f"/{name}")
    elif len(value) < least:
        yield scope.problem("Value should be a list with at least one object", f"/{name}")


def _query_language(node: Node, scope: Scope) -> Iterator[Problem]:
    declared = node.get("QueryLanguage", "JSONPath")
    if declared not in fields.QUERY_LANGUAGES:
        listed = ", ".join(fields.QUERY_LANGUAGES)
        yield scope.problem(f"Value should be one of the following: [{listed}]", "/QueryLanguage")
    elif "QueryLanguage" in node and (declared, scope.machine_language) == fields.QUERY_LANGUAGES:
        yield scope.problem(
            "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
        )


def _alternatives(state: Node, scope: Scope) -> Iterator[Problem]:
    for names in (*fields.ALTERNATIVES, fields.WAITS):
        if sum(name in state for name in names) > 1:
            listed = ", ".join(name for name in names if name in state)
            yield scope.problem(f"There should only be one of the following fields: [{listed}]")
    if state["Type"] == "Wait" and not any(name in state for name in fields.WAITS):
        yield scope.problem(f"One of these fields is required: [{', '.join(fields.WAITS)}]")
    if state["Type"] == "Map" and not {"ItemProcessor", "Iterator"} & set(state):
        yield from _required(state, scope, ("ItemProcessor",))


def _numbers(node: Node, scope: Scope) -> Iterator[Problem]:
    for name, (least, greatest) in fields.NUMBERS.items():
        value = node.get(name, least)
        if isinstance(value, str) and expressions.is_expression(value):
            continue
        wanted = int | float if name in fields.FRACTIONS else int
        if isinstance(value, bool) or not isinstance(value, wanted):
            noun = "a number" if name in fields.FRACTIONS else "an integer"
            yield scope.problem(f"Value should be {noun}", f"/{name}")
        elif value < least:
            yield scope.problem(f"Minimum value is {least:g}", f"/{name}")
        elif value > greatest:
            yield scope.problem(f"Maximum value is {greatest:.0f}", f"/{name}")
    beat, timeout = node.get("HeartbeatSeconds"), node.get("TimeoutSeconds")
    if isinstance(beat, int) and isinstance(timeout, int) and beat >= timeout:
        yield scope.problem("HeartbeatSeconds should be less than TimeoutSeconds")


def _resource(state: Node, scope: Scope) -> Iterator[Problem]:
    resource = state["Resource"]
    if not isinstance(resource, str) or not ARN.match(resource):
        yield scope.problem("Value is not a valid resource ARN", "/Resource")
        return
    for pattern in (".sync", ".waitForTaskToken"):
        if scope.kind == "EXPRESS" and pattern in resource:
            yield scope.problem(
                f"Express state machine does not support '{pattern}' service integration ",
                "/Resource",
            )


def _branches(state: Node, scope: Scope) -> Iterator[Problem]:
    yield from (wrong := list(_lists(state, "Branches", scope, 1)))
    for branch, here, _ in () if wrong else _objects(state, "Branches", scope):
        yield from _container(branch, here, fields.BRANCH)


def _processor(name: str) -> Rule:
    def rule(state: Node, scope: Scope) -> Iterator[Problem]:
        yield from _container(state[name], scope.at(f"/{name}"), fields.PROCESSOR)

    return rule


def _choices(state: Node, scope: Scope) -> Iterator[Problem]:
    yield from (wrong := list(_lists(state, "Choices", scope, 1)))
    language = scope.language(state)
    for choice, here, _ in () if wrong else _objects(state, "Choices", scope):
        yield from _members(choice, here, fields.CHOICE, language)
        yield from _names(choice, here, "Next")
        if language == "JSONata":
            yield from _required(choice, here, ("Condition",))
        elif sum(name in fields.COMPARISONS for name in choice) != 1:
            yield here.problem("A choice rule has exactly one comparison")


def _handlers(name: str, kind: fields.State) -> Rule:
    """The rule for Retry or Catch."""

    def rule(state: Node, scope: Scope) -> Iterator[Problem]:
        yield from (wrong := list(_lists(state, name, scope, 0)))
        for handler, here, is_last in () if wrong else _objects(state, name, scope):
            yield from _members(handler, here, kind, scope.language(state))
            yield from _names(handler, here, "Next")
            yield from _numbers(handler, here)
            yield from _errors(handler.get("ErrorEquals", ["X"]), here, is_last)
            if handler.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
                listed = "Value should be one of the following: [FULL, NONE]"
                yield here.problem(listed, "/JitterStrategy")

    return rule


def _errors(names: Any, scope: Scope, is_last: bool) -> Iterator[Problem]:
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        yield scope.problem("Value should be a list of error names", "/ErrorEquals")
    elif "States.ALL" in names and (len(names) > 1 or not is_last):
        said = "'States.ALL' should be alone, and in the last one of the list"
        yield scope.problem(said, "/ErrorEquals")


_PARTS: dict[str, Rule] = {
    "Resource": _resource,
    "Branches": _branches,
    "ItemProcessor": _processor("ItemProcessor"),
    "Iterator": _processor("Iterator"),
    "Choices": _choices,
    "Retry": _handlers("Retry", fields.RETRIER),
    "Catch": _handlers("Catch", fields.CATCHER),
}


def _containers(node: Any, path: str = "") -> Iterator[tuple[Node, str]]:
    """The machine, its branches and processors, with the paths to them."""
    if not isinstance(node, dict) or not isinstance(node.get("States"), dict):
        return
    yield node, path
    for name, state in node["States"].items():
        if not isinstance(state, dict):
            continue
        here = f"{path}/States/{name}"
        branches = state.get("Branches")
        for number, branch in enumerate(branches if isinstance(branches, list) else []):
            yield from _containers(branch, f"{here}/Branches[{number}]")
        for processor in ("ItemProcessor", "Iterator"):
            yield from _containers(state.get(processor), f"{here}/{processor}")


def _duplicates(machine: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for container, path in _containers(machine):
        for name in container["States"]:
            if name in seen:
                message = f"Duplicate state name: {name}"
                yield Problem("DUPLICATE_STATE_NAME", message, f"{path}/States/{name}")
            seen.add(name)


# The graph, of a definition that fits the schema.


def _graphs(machine: Node, path: str) -> Iterator[Problem]:
    for container, where in _containers(machine, path):
        yield from _graph(container, where)


def _graph(container: Node, path: str) -> Iterator[Problem]:
    states: dict[str, Node] = container["States"]
    targets = [("/StartAt", container["StartAt"])]
    for name, state in states.items():
        targets += [(f"/States/{name}{where}", target) for where, target in _targets(state)]
    for where, target in targets:
        if target not in states:
            yield Problem(TARGET, f"Missing 'Next' target: {target}", path + where)
    if not any(state.get("End") or state["Type"] in fields.TERMINAL for state in states.values()):
        yield Problem("MISSING_END_STATE", "Workflow has no terminal state")
        return
    reached, ahead = set(), [container["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name in states and name not in reached:
            reached.add(name)
            ahead += [target for _, target in _targets(states[name])]
    for name in states:
        if name not in reached:
            message = f'State "{name}" is not reachable.'
            yield Problem(TARGET, message, f"{path}/States/{name}")


def _targets(state: Node) -> Iterator[tuple[str, str]]:
    """The states that may follow a state, each with the path that names it."""
    for name in ("Next", "Default"):
        if name in state:
            yield f"/{name}", state[name]
    for name in ("Choices", "Catch"):
        for number, each in enumerate(state.get(name, [])):
            yield f"/{name}[{number}]/Next", each["Next"]


# The expressions.


def _expressions(machine: Node) -> Iterator[Problem]:
    for code, message, location in expressions.problems(machine):
        yield Problem(code, message, location)
