"""Evaluates Jinja expressions whose inputs have no known values.

A value is a constant, a symbol, or text with symbols in it. No code of the bundle runs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from slipway.importers.proton.jinja_text import first_line, source_text
from slipway.importers.proton.session import Session
from slipway.importers.proton.symbols import (
    AllItems,
    EnvironmentOutput,
    Equals,
    JoinedList,
    ListItem,
    PlatformValue,
    SchemaInput,
    Symbol,
    Text,
    UserSupplied,
)

_MAX_ITEMS = 1000
_MAX_NUMBER = 10**9
_MAX_SHOWN = 200
# The iteration counts of the surrounding loops. No variable can have this name.
ITERATION = "iteration of the loop"
_ON_CONSTANTS = {"capitalize", "first", "int", "last", "length", "lower", "string", "trim", "upper"}
_ARITHMETIC: dict[type[nodes.Expr], Callable[[int, int], int]] = {
    nodes.Add: operator.add,
    nodes.Sub: operator.sub,
}
# For numbers in the template itself.
_SIZES: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
}
_TYPES: dict[type, str] = {bool: "boolean", str: "string", int: "number", float: "number"}

Scope = Mapping[str, Any]


class Undecided(Exception):
    """A condition that this branch has not decided yet."""

    def __init__(self, fork: Equals) -> None:
        super().__init__()
        self.fork = fork


@dataclass(frozen=True)
class Path:
    """The beginning of one of Proton's names, such as `environment.inputs`."""

    parts: tuple[str, ...]


@dataclass
class Expressions:
    """Evaluates expressions on one branch. `decided`: the outcomes of the branch's conditions."""

    session: Session
    decided: Mapping[Equals, bool]
    _line: int = 0

    # --- expressions --------------------------------------------------------------------------

    def value(self, node: nodes.Node, scope: Scope) -> Any:
        """A constant, a symbol, text with symbols, or a path that may continue."""
        self._step(node)
        match node:
            case nodes.Const():
                return node.value
            case nodes.TemplateData():
                return node.data
            case nodes.Name():
                known = node.name in scope
                return scope[node.name] if known else self._resolved(Path((node.name,)))
            case nodes.Getattr():
                return self._part(node, self.value(node.node, scope), node.attr, scope)
            case nodes.Getitem():
                value = self.value(node.node, scope)
                return self._part(node, value, self.value(node.arg, scope), scope)
            case nodes.List() | nodes.Tuple():
                return [self.value(each, scope) for each in node.items]
            case nodes.Dict():
                pairs = [(self.value(p.key, scope), self.value(p.value, scope)) for p in node.items]
                fits = all(isinstance(key, str) for key, _ in pairs)
                return dict(pairs) if fits else self.unknown(node, scope)
        return self._computed(node, scope)

    def _computed(self, node: nodes.Node, scope: Scope) -> Any:
        """The value of an operator, a filter or a call."""
        match node:
            case nodes.Concat():
                return self._joined([self.value(each, scope) for each in node.nodes], node, scope)
            case nodes.CondExpr():
                if self.is_true(node.test, scope):
                    return self.value(node.expr1, scope)
                return "" if node.expr2 is None else self.value(node.expr2, scope)
            case nodes.Add() | nodes.Sub():
                return self._sum(node, scope)
            case nodes.Filter():
                return self._filtered(node, scope)
            case nodes.Call():
                return self._called(node, scope)
            case nodes.And() | nodes.Or():
                # `and` and `or` return one of the two values, not a boolean.
                is_left = self.is_true(node.left, scope) is isinstance(node, nodes.Or)
                return self.value(node.left if is_left else node.right, scope)
            case nodes.Test() | nodes.Compare() | nodes.Not():
                return self.is_true(node, scope)
        return self.unknown(node, scope)

    def _resolved(self, path: Path) -> Symbol | Path:
        """The symbol for one of Proton's names, or the path if it may continue."""
        kind = self.session.bundle.kind
        match path.parts:
            case ("service_instance", "environment", *rest) if rest:
                return self._resolved(Path(("environment", *rest)))
            case ("environment", "inputs", *rest) if kind == "environment":
                return self._input(path, rest)
            case ("service_instance", "inputs", *rest) if kind == "service":
                return self._input(path, rest)
            case ("environment", "name"):
                return (
                    PlatformValue("EnvironmentName")
                    if kind == "environment"
                    else EnvironmentOutput("environment.name")
                )
            case ("service_instance", "name"):
                return PlatformValue("EnvironmentName")
            case ("service", "name"):
                return PlatformValue("ProjectName")
            case ("environment", "account_id"):
                return PlatformValue("AWS::AccountId")
            case ("environment", "outputs", name) if kind != "environment":
                return EnvironmentOutput(f"environment.outputs.{name}")
        return path

    def _input(self, path: Path, parts: list[str]) -> Symbol | Path:
        name = ".".join(parts)
        return SchemaInput(name) if name in self.session.inputs else path

    def _part(self, node: nodes.Expr, value: Any, key: Any, scope: Scope) -> Any:
        if isinstance(value, Path) and isinstance(key, str):
            return self._resolved(Path((*value.parts, key)))
        if isinstance(value, dict) and key in value:
            return value[key]
        if isinstance(key, int) and not isinstance(key, bool):
            if isinstance(value, list) and -len(value) <= key < len(value):
                return value[key]
            if (
                isinstance(value, SchemaInput)
                and self.session.inputs[value.name].is_list
                and key >= 0
            ):
                return ListItem(value, key)
        return self.unknown(node, scope)

    def _joined(self, values: list[Any], node: nodes.Expr, scope: Scope) -> Any:
        pieces: list[str | Symbol] = []
        for each in values:
            if isinstance(each, Text):
                pieces += each.pieces
            elif isinstance(each, Symbol):
                pieces.append(each)
            elif isinstance(each, str | int):
                pieces.append(str(each))
            else:
                return self.unknown(node, scope)
        self.session.charge(node, sum(len(each) if isinstance(each, str) else 1 for each in pieces))
        joined = Text(tuple(pieces))
        return joined if any(isinstance(p, Symbol) for p in pieces) else "".join(map(str, pieces))

    def _sum(self, node: nodes.Add | nodes.Sub, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if type(left) is int and type(right) is int and abs(left) + abs(right) < _MAX_NUMBER:
            return _ARITHMETIC[type(node)](left, right)
        if isinstance(node, nodes.Add) and isinstance(left, str | Text) | isinstance(
            right, str | Text
        ):
            return self._joined([left, right], node, scope)
        return self.unknown(node, scope)

    def _filtered(self, node: nodes.Filter, scope: Scope) -> Any:
        if node.node is None:
            return self.unknown(node, scope)
        value = self.value(node.node, scope)
        arguments = [self.value(each, scope) for each in node.args]
        if node.kwargs or node.dyn_args or node.dyn_kwargs:
            return self.unknown(node, scope)
        if node.name in ("default", "d") and isinstance(value, SchemaInput) and len(arguments) <= 1:
            given = arguments[0] if arguments else ""
            return given if self._is_omitted(value) else value
        if node.name == "join" and isinstance(value, SchemaInput) and self.session.is_list(value):
            separator = arguments[0] if arguments else ""
            return (
                JoinedList(value, separator)
                if isinstance(separator, str)
                else self.unknown(node, scope)
            )
        if node.name in ("string", "safe") and isinstance(value, Symbol | Text):
            return value
        if node.name == "proton_cfn_sanitize" and isinstance(value, Symbol | Text):
            text = f"{{{{ {source_text(node)} }}}}: its characters are no longer checked"
            self.session.loss(node, text)
            return value
        if node.name in _ON_CONSTANTS and isinstance(value, str | int) and not arguments:
            try:
                return self.session.jinja.call_filter(node.name, value)
            except (TypeError, ValueError):
                return self.unknown(node, scope)
        return self.unknown(node, scope)

    def _called(self, node: nodes.Call, scope: Scope) -> Any:
        arguments = [self.value(each, scope) for each in node.args]
        if isinstance(node.node, nodes.Name) and node.node.name == "range" and not node.kwargs:
            if arguments and all(type(each) is int for each in arguments) and len(arguments) <= 3:
                try:
                    counted = range(*arguments)
                except ValueError:
                    return self.unknown(node, scope)
                if len(counted) <= _MAX_ITEMS:
                    return list(counted)
        elif isinstance(node.node, nodes.Getattr) and not arguments and not node.kwargs:
            of = self.value(node.node.node, scope)
            if isinstance(of, dict) and node.node.attr in ("items", "keys", "values"):
                if node.node.attr == "items":
                    return [[key, value] for key, value in of.items()]
                return list(of if node.node.attr == "keys" else of.values())
        return self.unknown(node, scope)

    # --- conditions ----------------------------------------------------------------------------

    def is_true(self, node: nodes.Node, scope: Scope) -> bool:
        """The outcome of the condition. Raises Undecided if this branch has not decided it."""
        self._step(node)
        match node:
            case nodes.Not():
                return not self.is_true(node.node, scope)
            case nodes.And():
                return self.is_true(node.left, scope) and self.is_true(node.right, scope)
            case nodes.Or():
                return self.is_true(node.left, scope) or self.is_true(node.right, scope)
            case nodes.Test(name="defined" | "undefined"):
                return self._is_defined(node, scope) is (node.name == "defined")
            case nodes.Compare() if len(node.ops) == 1:
                return self._comparison(node, scope)
            case nodes.Test() | nodes.Compare():
                return self._asked(node, scope)
        value = self.value(node, scope)
        if isinstance(value, SchemaInput):
            kind = self.session.inputs[value.name].type
            if kind == "boolean":
                return self._decided(Equals(value, "true"))
            return (
                not self._decided(Equals(value, ""))
                if kind == "string"
                else self._asked(node, scope)
            )
        if isinstance(value, EnvironmentOutput):
            return not self._decided(Equals(value, ""))
        if isinstance(value, Symbol | Text | Path):
            return isinstance(value, PlatformValue) or self._asked(node, scope)
        return bool(value)

    def _is_defined(self, node: nodes.Test, scope: Scope) -> bool:
        value = self.value(node.node, scope)
        if isinstance(value, SchemaInput):
            return not self._is_omitted(value)
        if isinstance(value, UserSupplied | Path | EnvironmentOutput):
            is_true = self._asked(node, scope)
            return is_true is (node.name == "defined")
        return True

    def _is_omitted(self, given: SchemaInput) -> bool:
        declared = self.session.inputs[given.name]
        if not declared.can_be_absent:
            return False
        if declared.is_list:
            omitted = UserSupplied(f"{given.name} is omitted", is_boolean=True)
            return self._decided(Equals(omitted, "true"))
        return self._decided(Equals(given, ""))

    def _comparison(self, node: nodes.Compare, scope: Scope) -> bool:
        left = self.value(node.expr, scope)
        [operand] = node.ops
        right = self.value(operand.expr, scope)
        if operand.op in ("in", "notin") and isinstance(right, list):
            if any(isinstance(each, Symbol | Text | Path) for each in right):
                return self._asked(node, scope)
            known = [self._equals(left, each) for each in right]
            found = None if None in known else any(known)
            return self._asked(node, scope) if found is None else found is (operand.op == "in")
        if operand.op in _SIZES and type(left) is int and type(right) is int:
            return _SIZES[operand.op](left, right)
        if operand.op not in ("eq", "ne"):
            return self._asked(node, scope)
        if isinstance(right, Symbol) and not isinstance(left, Symbol):
            left, right = right, left
        equal = self._equals(left, right)
        return self._asked(node, scope) if equal is None else equal is (operand.op == "eq")

    def _equals(self, left: Any, right: Any) -> bool | None:
        """Whether two values are equal; None if CloudFormation, comparing text, cannot tell."""
        unknown = Symbol | Text | Path
        if not isinstance(left, unknown) and not isinstance(right, unknown):
            return bool(left == right)
        if not isinstance(left, SchemaInput | PlatformValue | EnvironmentOutput) or isinstance(
            right, unknown
        ):
            return None
        kind = "string"
        if isinstance(left, SchemaInput):
            kind = self.session.inputs[left.name].type.replace("integer", "number")
        if _TYPES.get(type(right)) != kind:
            return None
        if kind == "boolean":
            return self._decided(Equals(left, "true")) is right
        if kind == "number":
            assert isinstance(left, SchemaInput)
            place = self.session.inputs[left.name].line
            text = f"{left.name} is compared as text: 1 and 1.0 differ"
            self.session.report.add_note(self.session.bundle.schema_file, place, text)
        return self._decided(Equals(left, str(right)))

    def _asked(self, node: nodes.Node, scope: Scope) -> bool:
        """A condition that CloudFormation cannot evaluate becomes a boolean input."""
        return self._decided(Equals(self.unknown(node, scope, is_boolean=True), "true"))

    def _decided(self, fork: Equals) -> bool:
        self.session.markers.mark(fork.symbol, self._line)
        if fork in self.decided:
            return self.decided[fork]
        others = {
            each.text: is_so for each, is_so in self.decided.items() if each.symbol == fork.symbol
        }
        possible = self.session.texts(fork.symbol)
        if any(others.values()) or (possible is not None and fork.text not in possible):
            return False
        if possible is not None and all(each in others for each in possible if each != fork.text):
            return True
        raise Undecided(fork)

    # --- symbols and text -----------------------------------------------------------------------

    def unknown(self, node: nodes.Node, scope: Scope, *, is_boolean: bool = False) -> UserSupplied:
        """A value that the caller must supply, named after its expression.

        The template's own variables are part of the name, because they differ in each iteration.
        """
        used = {each.name: None for each in node.find_all(nodes.Name) if each.name in scope}
        if isinstance(node, nodes.Name) and node.name in scope:
            used[node.name] = None
        shown = {name: _shown(scope[name]) for name in used}
        where = [f"{name} = {each}" for name, each in shown.items() if each is not None]
        if None in shown.values():
            where.append(f"line {node.lineno}, iteration {scope.get(ITERATION, '0')}")
        return UserSupplied(
            source_text(node) + (f" where {', '.join(where)}" if where else ""), is_boolean
        )

    def as_text(self, value: Any, node: nodes.Expr, scope: Scope) -> str:
        """The text that Jinja would render, with markers."""
        if isinstance(value, Path):
            value = UserSupplied(".".join(value.parts))
        if isinstance(value, Text):
            return "".join(
                each if isinstance(each, str) else self.session.markers.mark(each, first_line(node))
                for each in value.pieces
            )
        if isinstance(value, Symbol):
            return self.session.markers.mark(value, first_line(node))
        if isinstance(value, list | dict) and not self._is_constant(value, node):
            return self.session.markers.mark(self.unknown(node, scope), first_line(node))
        return str(value)

    def _is_constant(self, value: Any, node: nodes.Node) -> bool:
        self._step(node)
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return all(self._is_constant(each, node) for each in value)
        return not isinstance(value, Symbol | Text | Path)

    def _step(self, node: nodes.Node) -> None:
        self._line = node.lineno
        self.session.step(node)


def _shown(value: Any) -> str | None:
    """The value as text; None if it is too large."""
    match value:
        case Path():
            return ".".join(value.parts)
        case SchemaInput() | PlatformValue():
            return value.name
        case AllItems():
            return f"each of {value.values.name}"
        case str() | int() | float() | None:
            shown = repr(value)
            return shown if len(shown) <= _MAX_SHOWN else None
    return None
