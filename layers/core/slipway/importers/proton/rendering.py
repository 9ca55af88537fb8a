"""Renders the template's Jinja with a marker in place of each value, along one way.

No code of the bundle runs: its syntax tree is walked, and only what is listed here is supported.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from slipway.importers.proton.bundle import Bundle
from slipway.importers.proton.report import Broken, Report
from slipway.importers.proton.schema import Input
from slipway.importers.proton.symbols import (
    Each,
    Given,
    Is,
    Item,
    Joined,
    Known,
    Marks,
    Symbol,
    Text,
    Told,
    Wired,
    is_marked,
)
from slipway.importers.proton.wording import begins, words

# For all ways together.
_MAX_STEPS = 500_000
_MAX_WRITTEN = 20_000_000
_MAX_ITEMS = 1000
_MAX_NUMBER = 10**9
_MAX_SHOWN = 200
# The iteration counts of the surrounding loops. No variable can have this name.
_TURN = "turn of the loop"
# These write lines of YAML, not a value.
_STRUCTURAL = {
    "proton_cfn_ecs_task_definition_formatted_env_vars",
    "proton_cfn_lambda_function_formatted_env_vars",
    "proton_cfn_iam_policy_arns",
}
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
    """A condition that this way has not decided yet."""

    def __init__(self, fork: Is) -> None:
        super().__init__()
        self.fork = fork


@dataclass(frozen=True)
class Path:
    """A name of Proton's that may continue, such as `environment.inputs`."""

    parts: tuple[str, ...]


@dataclass
class Source:
    """The state that all ways share."""

    bundle: Bundle
    inputs: Mapping[str, Input]
    report: Report
    marks: Marks = field(default_factory=Marks)
    jinja: Environment = field(default_factory=Environment)
    steps: int = 0
    written: int = 0

    def parsed(self) -> nodes.Template:
        """Raises Broken."""
        file = self.bundle.template_file
        if is_marked(self.bundle.template):
            raise Broken(f"{file}: has characters of Unicode's private use")
        try:
            return self.jinja.parse(self.bundle.template)
        except TemplateSyntaxError as error:
            raise Broken(f"{file}:{error.lineno}: is not Jinja: {error.message}") from None
        except RecursionError:
            raise Broken(f"{file}: is nested too deeply") from None

    def texts(self, symbol: Symbol) -> list[str] | None:
        """Every text that it can have, if they are known."""
        if isinstance(symbol, Told) and symbol.yes_no:
            return ["true", "false"]
        if not isinstance(symbol, Given):
            return None
        given = self.inputs[symbol.name]
        return given.texts and [*given.texts, *([""] if given.absent else [])]


@dataclass
class Rendering:
    """`decided`: the outcomes of conditions on this way. `lines`: the source of each line."""

    source: Source
    decided: Mapping[Is, bool]
    lines: list[int] = field(default_factory=lambda: [1])
    _parts: list[str] = field(default_factory=list)
    _line_now: int = 0

    def text(self, template: nodes.Template) -> str:
        """Raises Undecided, Broken."""
        try:
            self._block(template.body, {})
        except RecursionError:
            raise Broken(f"{self.source.bundle.template_file}: is nested too deeply") from None
        return "".join(self._parts)

    # --- statements ---------------------------------------------------------------------------

    def _block(self, body: Sequence[nodes.Node], scope: dict[str, Any]) -> None:
        for position, node in enumerate(body):
            self._step(node)
            if isinstance(node, nodes.Output):
                after = body[position + 1] if position + 1 < len(body) else None
                self._output(node, scope, after)
            elif isinstance(node, nodes.If):
                self._if(node, scope)
            elif isinstance(node, nodes.For):
                self._for(node, scope)
            elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
                scope[node.target.name] = self._value(node.node, scope)
            else:
                self._hole(node, f"{{% {type(node).__name__.lower()} %}} is left out")

    def _if(self, node: nodes.If, scope: dict[str, Any]) -> None:
        for branch in (node, *node.elif_):
            if self._true(branch.test, scope):
                self._block(branch.body, scope)
                return
        self._block(node.else_, scope)

    def _for(self, node: nodes.For, scope: dict[str, Any]) -> None:
        over = self._value(node.iter, scope)
        if isinstance(over, dict):
            over = list(over)
        if isinstance(over, Given) and self.source.inputs[over.name].is_list:
            self._for_each(node, over, scope)
            return
        if not isinstance(over, list | tuple) or node.recursive:
            self._hole(node, f"{{% for … in {words(node.iter)} %}} is left out")
            return
        turns = [{**scope, **dict(_unpacked(node.target, item))} for item in over]
        if node.test is not None:
            turns = [inner for inner in turns if self._true(node.test, inner)]
        if not turns:
            self._block(node.else_, scope)
        for index, inner in enumerate(turns):
            loop = {
                "index": index + 1,
                "index0": index,
                "first": index == 0,
                "last": index == len(turns) - 1,
                "length": len(turns),
            }
            turn = f"{scope.get(_TURN, '')}{index + 1}."
            self._block(node.body, {**inner, "loop": loop, _TURN: turn})

    def _for_each(self, node: nodes.For, over: Given, scope: dict[str, Any]) -> None:
        """A loop over an input. Only a YAML item that is the value alone can be carried over."""
        inner = {**scope, **dict(_unpacked(node.target, Each(over))), "loop": Path(("loop",))}
        before = len(self._parts), len(self.lines)
        self._block(node.body, inner)
        mark = self.source.marks.mark(Each(over), node.lineno)
        if node.test is None and re.fullmatch(
            rf"""\s*-\s+(['"]?){mark}\1\s*""", "".join(self._parts[before[0] :])
        ):
            return
        del self._parts[before[0] :], self.lines[before[1] :]
        self._hole(
            node, f"{{% for … in {words(node.iter)} %}} makes more than a list of its values"
        )

    def _output(self, node: nodes.Output, scope: Scope, after: nodes.Node | None) -> None:
        for position, each in enumerate(node.nodes):
            if isinstance(each, nodes.TemplateData):
                self._write(each, each.data)
                continue
            value = self._value(each, scope)
            following = node.nodes[position + 1] if position + 1 < len(node.nodes) else after
            if isinstance(value, Told) and self._alone(each, following):
                self._hole(each, f"{{{{ {value.text} }}}} writes lines of its own and is left out")
                continue
            self._write(each, self._as_text(value, each, scope))

    def _alone(self, node: nodes.Node, following: nodes.Node | None) -> bool:
        """Whether it has a line of its own, so that it can write more than a value."""
        if isinstance(node, nodes.Filter) and node.name in _STRUCTURAL:
            return True
        if isinstance(following, nodes.Output):
            following = following.nodes[0]
        ends = following is None or (
            isinstance(following, nodes.TemplateData) and re.match(r"\s*(\n|$)", following.data)
        )
        return bool(ends) and not self._line().strip()

    def _line(self) -> str:
        """The unfinished line."""
        line = ""
        for part in reversed(self._parts):
            _, newline, end = part.rpartition("\n")
            line = end + line
            if newline:
                break
        return line

    def _write(self, node: nodes.Node, text: str) -> None:
        self._charge(node, len(text))
        self._parts.append(text)
        literal = isinstance(node, nodes.TemplateData)
        for n in range(text.count("\n")):
            self.lines.append(node.lineno + (n + 1 if literal else 0))

    # --- expressions --------------------------------------------------------------------------

    def _value(self, node: nodes.Node, scope: Scope) -> Any:
        """A constant, a symbol, text with symbols, or a path that may continue."""
        self._step(node)
        match node:
            case nodes.Const():
                return node.value
            case nodes.TemplateData():
                return node.data
            case nodes.Name():
                return scope[node.name] if node.name in scope else self._found(Path((node.name,)))
            case nodes.Getattr():
                return self._part(node, self._value(node.node, scope), node.attr, scope)
            case nodes.Getitem():
                value = self._value(node.node, scope)
                return self._part(node, value, self._value(node.arg, scope), scope)
            case nodes.List() | nodes.Tuple():
                return [self._value(each, scope) for each in node.items]
            case nodes.Dict():
                pairs = [
                    (self._value(p.key, scope), self._value(p.value, scope)) for p in node.items
                ]
                fits = all(isinstance(key, str) for key, _ in pairs)
                return dict(pairs) if fits else self._unknown(node, scope)
            case nodes.Concat():
                return self._joined([self._value(each, scope) for each in node.nodes], node, scope)
            case nodes.CondExpr():
                if self._true(node.test, scope):
                    return self._value(node.expr1, scope)
                return "" if node.expr2 is None else self._value(node.expr2, scope)
            case nodes.Add() | nodes.Sub():
                return self._sum(node, scope)
            case nodes.Filter():
                return self._filtered(node, scope)
            case nodes.Call():
                return self._called(node, scope)
            case nodes.And() | nodes.Or():
                # `and` and `or` return one of the two values, not a boolean.
                is_left = self._true(node.left, scope) is isinstance(node, nodes.Or)
                return self._value(node.left if is_left else node.right, scope)
            case nodes.Test() | nodes.Compare() | nodes.Not():
                return self._true(node, scope)
        return self._unknown(node, scope)

    def _found(self, path: Path) -> Symbol | Path:
        """The value of a name of Proton's."""
        kind = self.source.bundle.kind
        match path.parts:
            case ("service_instance", "environment", *rest) if rest:
                return self._found(Path(("environment", *rest)))
            case ("environment", "inputs", *rest) if kind == "environment":
                return self._input(path, rest)
            case ("service_instance", "inputs", *rest) if kind == "service":
                return self._input(path, rest)
            case ("environment", "name"):
                return (
                    Known("EnvironmentName") if kind == "environment" else Wired("environment.name")
                )
            case ("service_instance", "name"):
                return Known("EnvironmentName")
            case ("service", "name"):
                return Known("ProjectName")
            case ("environment", "account_id"):
                return Known("AWS::AccountId")
            case ("environment", "outputs", name) if kind != "environment":
                return Wired(f"environment.outputs.{name}")
        return path

    def _input(self, path: Path, parts: list[str]) -> Symbol | Path:
        name = ".".join(parts)
        return Given(name) if name in self.source.inputs else path

    def _part(self, node: nodes.Expr, value: Any, key: Any, scope: Scope) -> Any:
        if isinstance(value, Path) and isinstance(key, str):
            return self._found(Path((*value.parts, key)))
        if isinstance(value, dict) and key in value:
            return value[key]
        if isinstance(key, int) and not isinstance(key, bool):
            if isinstance(value, list) and -len(value) <= key < len(value):
                return value[key]
            if isinstance(value, Given) and self.source.inputs[value.name].is_list and key >= 0:
                return Item(value, key)
        return self._unknown(node, scope)

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
                return self._unknown(node, scope)
        self._charge(node, sum(len(each) if isinstance(each, str) else 1 for each in pieces))
        whole = Text(tuple(pieces))
        return whole if any(isinstance(p, Symbol) for p in pieces) else "".join(map(str, pieces))

    def _sum(self, node: nodes.Add | nodes.Sub, scope: Scope) -> Any:
        left, right = self._value(node.left, scope), self._value(node.right, scope)
        if type(left) is int and type(right) is int and abs(left) + abs(right) < _MAX_NUMBER:
            return _ARITHMETIC[type(node)](left, right)
        if isinstance(node, nodes.Add) and isinstance(left, str | Text) | isinstance(
            right, str | Text
        ):
            return self._joined([left, right], node, scope)
        return self._unknown(node, scope)

    def _filtered(self, node: nodes.Filter, scope: Scope) -> Any:
        if node.node is None:
            return self._unknown(node, scope)
        value = self._value(node.node, scope)
        arguments = [self._value(each, scope) for each in node.args]
        if node.kwargs or node.dyn_args or node.dyn_kwargs:
            return self._unknown(node, scope)
        if node.name in ("default", "d") and isinstance(value, Given) and len(arguments) <= 1:
            given = arguments[0] if arguments else ""
            return given if self._left_out(value) else value
        if node.name == "join" and isinstance(value, Given) and self._is_list(value):
            separator = arguments[0] if arguments else ""
            return (
                Joined(value, separator)
                if isinstance(separator, str)
                else self._unknown(node, scope)
            )
        if node.name in ("string", "safe") and isinstance(value, Symbol | Text):
            return value
        if node.name == "proton_cfn_sanitize" and isinstance(value, Symbol | Text):
            text = f"{{{{ {words(node)} }}}}: its characters are not checked any more"
            self._lose(node, text)
            return value
        if node.name in _ON_CONSTANTS and isinstance(value, str | int) and not arguments:
            try:
                return self.source.jinja.call_filter(node.name, value)
            except (TypeError, ValueError):
                return self._unknown(node, scope)
        return self._unknown(node, scope)

    def _called(self, node: nodes.Call, scope: Scope) -> Any:
        arguments = [self._value(each, scope) for each in node.args]
        if isinstance(node.node, nodes.Name) and node.node.name == "range" and not node.kwargs:
            if arguments and all(type(each) is int for each in arguments) and len(arguments) <= 3:
                try:
                    counted = range(*arguments)
                except ValueError:
                    return self._unknown(node, scope)
                if len(counted) <= _MAX_ITEMS:
                    return list(counted)
        elif isinstance(node.node, nodes.Getattr) and not arguments and not node.kwargs:
            of = self._value(node.node.node, scope)
            if isinstance(of, dict) and node.node.attr in ("items", "keys", "values"):
                if node.node.attr == "items":
                    return [[key, value] for key, value in of.items()]
                return list(of if node.node.attr == "keys" else of.values())
        return self._unknown(node, scope)

    # --- conditions ---------------------------------------------------------------------------

    def _true(self, node: nodes.Node, scope: Scope) -> bool:
        """The outcome of the condition. Raises Undecided if this way has not decided it."""
        self._step(node)
        match node:
            case nodes.Not():
                return not self._true(node.node, scope)
            case nodes.And():
                return self._true(node.left, scope) and self._true(node.right, scope)
            case nodes.Or():
                return self._true(node.left, scope) or self._true(node.right, scope)
            case nodes.Test(name="defined" | "undefined"):
                return self._defined(node, scope) is (node.name == "defined")
            case nodes.Compare() if len(node.ops) == 1:
                return self._compared(node, scope)
            case nodes.Test() | nodes.Compare():
                return self._told(node, scope)
        value = self._value(node, scope)
        if isinstance(value, Given):
            kind = self.source.inputs[value.name].type
            if kind == "boolean":
                return self._holds(Is(value, "true"))
            return not self._holds(Is(value, "")) if kind == "string" else self._told(node, scope)
        if isinstance(value, Wired):
            return not self._holds(Is(value, ""))
        if isinstance(value, Symbol | Text | Path):
            return isinstance(value, Known) or self._told(node, scope)
        return bool(value)

    def _defined(self, node: nodes.Test, scope: Scope) -> bool:
        value = self._value(node.node, scope)
        if isinstance(value, Given):
            return not self._left_out(value)
        if isinstance(value, Told | Path | Wired):
            told = self._told(node, scope)
            return told is (node.name == "defined")
        return True

    def _left_out(self, given: Given) -> bool:
        wanted = self.source.inputs[given.name]
        if not wanted.absent:
            return False
        if wanted.is_list:
            return self._holds(Is(Told(f"{given.name} is left out", yes_no=True), "true"))
        return self._holds(Is(given, ""))

    def _compared(self, node: nodes.Compare, scope: Scope) -> bool:
        left = self._value(node.expr, scope)
        [operand] = node.ops
        right = self._value(operand.expr, scope)
        if operand.op in ("in", "notin") and isinstance(right, list):
            if any(isinstance(each, Symbol | Text | Path) for each in right):
                return self._told(node, scope)
            known = [self._equal(left, each) for each in right]
            found = None if None in known else any(known)
            return self._told(node, scope) if found is None else found is (operand.op == "in")
        if operand.op in _SIZES and type(left) is int and type(right) is int:
            return _SIZES[operand.op](left, right)
        if operand.op not in ("eq", "ne"):
            return self._told(node, scope)
        if isinstance(right, Symbol) and not isinstance(left, Symbol):
            left, right = right, left
        equal = self._equal(left, right)
        return self._told(node, scope) if equal is None else equal is (operand.op == "eq")

    def _equal(self, left: Any, right: Any) -> bool | None:
        """Whether two values are equal; None if CloudFormation, comparing text, cannot tell."""
        unknown = Symbol | Text | Path
        if not isinstance(left, unknown) and not isinstance(right, unknown):
            return bool(left == right)
        if not isinstance(left, Given | Known | Wired) or isinstance(right, unknown):
            return None
        kind = "string"
        if isinstance(left, Given):
            kind = self.source.inputs[left.name].type.replace("integer", "number")
        if _TYPES.get(type(right)) != kind:
            return None
        if kind == "boolean":
            return self._holds(Is(left, "true")) is right
        if kind == "number":
            assert isinstance(left, Given)
            place = self.source.inputs[left.name].line
            text = f"{left.name} is compared as text: 1 is not 1.0"
            self.source.report.note(self.source.bundle.schema_file, place, text)
        return self._holds(Is(left, str(right)))

    def _told(self, node: nodes.Node, scope: Scope) -> bool:
        """A condition that CloudFormation cannot evaluate becomes an input."""
        return self._holds(Is(self._unknown(node, scope, yes_no=True), "true"))

    def _holds(self, fork: Is) -> bool:
        self.source.marks.mark(fork.symbol, self._line_now)
        if fork in self.decided:
            return self.decided[fork]
        others = {
            each.text: is_so for each, is_so in self.decided.items() if each.symbol == fork.symbol
        }
        possible = self.source.texts(fork.symbol)
        if any(others.values()) or (possible is not None and fork.text not in possible):
            return False
        if possible is not None and all(each in others for each in possible if each != fork.text):
            return True
        raise Undecided(fork)

    # --- the rest -----------------------------------------------------------------------------

    def _unknown(self, node: nodes.Node, scope: Scope, *, yes_no: bool = False) -> Told:
        """An unknown value. It includes the template's own variables, which differ each time."""
        used = {each.name: None for each in node.find_all(nodes.Name) if each.name in scope}
        if isinstance(node, nodes.Name) and node.name in scope:
            used[node.name] = None
        shown = {name: _shown(scope[name]) for name in used}
        where = [f"{name} = {each}" for name, each in shown.items() if each is not None]
        if None in shown.values():
            where.append(f"line {node.lineno}, turn {scope.get(_TURN, '0')}")
        return Told(words(node) + (f" where {', '.join(where)}" if where else ""), yes_no)

    def _as_text(self, value: Any, node: nodes.Expr, scope: Scope) -> str:
        """The text that Jinja writes, with markers."""
        if isinstance(value, Path):
            value = Told(".".join(value.parts))
        if isinstance(value, Text):
            return "".join(
                each if isinstance(each, str) else self.source.marks.mark(each, begins(node))
                for each in value.pieces
            )
        if isinstance(value, Symbol):
            return self.source.marks.mark(value, begins(node))
        if isinstance(value, list | dict) and not self._is_constant(value, node):
            return self.source.marks.mark(self._unknown(node, scope), begins(node))
        return str(value)

    def _is_list(self, given: Given) -> bool:
        return self.source.inputs[given.name].is_list

    def _is_constant(self, value: Any, node: nodes.Node) -> bool:
        self._step(node)
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return all(self._is_constant(each, node) for each in value)
        return not isinstance(value, Symbol | Text | Path)

    def _charge(self, node: nodes.Node, size: int) -> None:
        self.source.written += size
        if self.source.written > _MAX_WRITTEN:
            file = self.source.bundle.template_file
            raise Broken(f"{file}:{node.lineno}: makes more than {_MAX_WRITTEN} characters")

    def _step(self, node: nodes.Node) -> None:
        self._line_now = node.lineno
        self.source.steps += 1
        if self.source.steps > _MAX_STEPS:
            file = self.source.bundle.template_file
            raise Broken(f"{file}:{node.lineno}: takes more than {_MAX_STEPS} steps")

    def _hole(self, node: nodes.Node, text: str) -> None:
        self.source.report.lose(self.source.bundle.template_file, begins(node), text, hole=True)

    def _lose(self, node: nodes.Node, text: str) -> None:
        self.source.report.lose(self.source.bundle.template_file, begins(node), text)


def _unpacked(target: nodes.Node, item: Any) -> Iterator[tuple[str, Any]]:
    """The loop's variables. Those without a value in the item stay unknown."""
    if isinstance(target, nodes.Name):
        yield target.name, item
    elif isinstance(target, nodes.Tuple) and isinstance(item, list | tuple):
        for name, each in zip(target.items, item, strict=False):
            yield from _unpacked(name, each)


def _shown(value: Any) -> str | None:
    """The value as text; None if it is too large."""
    match value:
        case Path():
            return ".".join(value.parts)
        case Given() | Known():
            return value.name
        case Each():
            return f"each of {value.of.name}"
        case str() | int() | float() | None:
            shown = repr(value)
            return shown if len(shown) <= _MAX_SHOWN else None
    return None
