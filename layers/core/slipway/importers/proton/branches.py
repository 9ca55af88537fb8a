"""Merges the branches of a template's Jinja conditions into one template.

Where two branches differ in a value there is `Fn::If`; a resource or an output that only some
branches have gets a `Condition`. Where CloudFormation supports no condition, one branch's value is
kept and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.importers.proton import bundle
from slipway.importers.proton.bundle import Scalar
from slipway.importers.proton.expressions import Undecided
from slipway.importers.proton.rendering import Rendering
from slipway.importers.proton.report import InvalidBundle
from slipway.importers.proton.session import Session
from slipway.importers.proton.symbols import AllItems, Equals, describe

Tree = dict[str, Any]

_MAX_BRANCHES = 1024
_MAX_FORKS = 200
NO_VALUE = {"Ref": "AWS::NoValue"}
EMPTY = Scalar.of("", plain=True)
# The sections whose entries can have a Condition.
CONDITIONAL = ("Resources", "Outputs")
# The parts of a resource or an output in which Fn::If is allowed.
ALLOWS_IF = ("Properties", "Metadata", "UpdatePolicy", "Value")
# Properties that SAM's transform passes to CloudFormation unchanged.
_PASSED_ON = {
    *("Description", "Environment", "EphemeralStorage", "FunctionName", "Handler", "KmsKeyArn"),
    *("Layers", "LoggingConfig", "MemorySize", "Name", "ReservedConcurrentExecutions", "Runtime"),
    *("TableName", "Timeout", "VpcConfig"),
}


@dataclass(frozen=True)
class Named:
    """A condition that the template itself defines."""

    name: str


@dataclass(frozen=True)
class Not:
    condition: When


@dataclass(frozen=True)
class And:
    left: When
    right: When


@dataclass(frozen=True)
class Or:
    left: When
    right: When


When = bool | Equals | Named | Not | And | Or


@dataclass
class Entry:
    """A resource or an output, and the condition under which it exists."""

    body: Tree
    when: When
    line: int


@dataclass
class Branches:
    session: Session
    count: int = 0

    def template(self) -> Tree:
        """The merged template; resources and outputs are Entry objects. Raises InvalidBundle."""
        parsed = self.session.parsed()

        def explore(decided: Mapping[Equals, bool]) -> Tree:
            rendering = Rendering(self.session, decided)
            try:
                text = rendering.text(parsed)
            except Undecided as undecided:
                fork = undecided.fork
                if len(decided) == _MAX_FORKS:
                    raise self._too_many() from None
            else:
                return self._parsed_branch(text, rendering)
            left = explore({**decided, fork: True})
            return self._merged(fork, left, explore({**decided, fork: False}))

        return explore({})

    def _parsed_branch(self, text: str, rendering: Rendering) -> Tree:
        self.count += 1
        file = self.session.bundle.template_file
        if self.count > _MAX_BRANCHES:
            raise self._too_many()
        try:
            tree = bundle.tree(text, file, rendering.lines)
        except InvalidBundle as broken:
            raise InvalidBundle(f"{broken}{_described(rendering.decided)}") from None
        if not isinstance(tree, dict):
            raise InvalidBundle(f"{file}: is not a template: it must be a mapping")
        for section in CONDITIONAL:
            entries = tree.get(section)
            if isinstance(entries, dict):
                tree[section] = {name: _entry(name, each, file) for name, each in entries.items()}
        return tree

    def _too_many(self) -> InvalidBundle:
        file = self.session.bundle.template_file
        return InvalidBundle(
            f"{file}: has more than {_MAX_BRANCHES} combinations of its conditions"
        )

    # --- merging two branches -----------------------------------------------------------

    def _merged(self, fork: Equals, left: Tree, right: Tree) -> Tree:
        merged: Tree = {}
        for name in _merged_names(left, right):
            one, other = left.get(name), right.get(name)
            if one == other:
                merged[name] = one
            elif name in CONDITIONAL:
                merged[name] = self._merged_entries(fork, _mapping(one), _mapping(other))
            elif name == "Mappings":
                merged[name] = self._merged_values(fork, one, other, union=True)
            elif name == "Globals":
                one, other = _mapping(one), _mapping(other)
                merged[name] = {
                    kind: self._merged_sam_properties(
                        fork, name, _mapping(one.get(kind)), _mapping(other.get(kind))
                    )
                    for kind in _merged_names(one, other)
                }
            elif name in ("Parameters", "Conditions"):
                merged[name] = self._union(name, _mapping(one), _mapping(other))
            else:
                merged[name] = one if other is None else other if one is None else one
                self._gap(name, f"{name} depends on a condition")
        return merged

    def _merged_entries(self, fork: Equals, left: Tree, right: Tree) -> Tree:
        merged = {}
        for name in _merged_names(left, right):
            one, other = left.get(name), right.get(name)
            if one is None or other is None:
                here = one or other
                assert here is not None
                missing = Entry(here.body, False, here.line)
                one, other = one or missing, other or missing
                body = here.body
            else:
                body = self._merged_bodies(fork, name, one.body, other.body)
            merged[name] = Entry(body, choose(fork, one.when, other.when), one.line)
        return merged

    def _merged_bodies(self, fork: Equals, name: str, left: Tree, right: Tree) -> Tree:
        body: Tree = {}
        for key in _merged_names(left, right):
            one, other = left.get(key), right.get(key)
            if one == other:
                body[key] = one
            elif key == "Properties" and _is_sam(left):
                body[key] = self._merged_sam_properties(fork, name, _mapping(one), _mapping(other))
            elif key in ALLOWS_IF:
                body[key] = self._merged_values(fork, left.get(key, EMPTY), right.get(key, EMPTY))
            elif key == "DependsOn":
                body[key] = [each for each in _as_list(one) if each in _as_list(other)]
                self._loss(
                    key,
                    f"{name}: DependsOn depends on a condition; only the common entries are kept",
                )
            elif key == "Export" and isinstance(one, dict) and isinstance(other, dict):
                body[key] = self._merged_values(fork, one, other)
            else:
                body[key] = other if one is None else one
                self._gap(key, f"{name}: {key} depends on a condition")
        return body

    def _merged_sam_properties(self, fork: Equals, name: str, left: Tree, right: Tree) -> Tree:
        """SAM's transform runs before conditions: what it reads cannot depend on one."""
        merged: Tree = {}
        for key in _merged_names(left, right):
            if left.get(key) == right.get(key):
                merged[key] = left[key]
            elif key in _PASSED_ON:
                merged[key] = self._merged_values(
                    fork, left.get(key, NO_VALUE), right.get(key, NO_VALUE)
                )
            else:
                self._gap(
                    key,
                    f"{name}: {key} depends on a condition, which SAM does not evaluate",
                )
                if key in left:
                    merged[key] = left[key]
        return merged

    def _union(self, section: str, left: Tree, right: Tree) -> Tree:
        for name in left:
            if name in right and left[name] != right[name]:
                self._gap(name, f"{section}: {name} depends on a condition")
        return {**right, **left}

    def _merged_values(self, fork: Equals, left: Any, right: Any, *, union: bool = False) -> Any:
        if left == right:
            return left
        left, right = _replaced_null(left, right), _replaced_null(right, left)
        if _is_plain_mapping(left) and _is_plain_mapping(right):
            return {
                name: self._merged_values(fork, left[name], right[name], union=union)
                if name in left and name in right
                else (left if name in left else right)[name]
                if union
                else _if(fork, left.get(name, NO_VALUE), right.get(name, NO_VALUE))
                for name in _merged_names(left, right)
            }
        lists = isinstance(left, list) and isinstance(right, list) and len(left) == len(right)
        if lists and not any(map(self._for_each, [*left, *right])):
            return [
                self._merged_values(fork, *pair, union=union)
                for pair in zip(left, right, strict=True)
            ]
        return _if(fork, left, right)

    def _for_each(self, item: Any) -> bool:
        """Whether the item represents a whole list, so that it must remain the only item."""
        pieces = self.session.markers.pieces(item) if isinstance(item, str) else []
        return any(isinstance(each, AllItems) for each in pieces)

    def _gap(self, at: str, text: str) -> None:
        self._loss(at, text, gap=True)

    def _loss(self, at: str, text: str, *, gap: bool = False) -> None:
        line = at.line if isinstance(at, Scalar) else 0
        self.session.report.add_loss(self.session.bundle.template_file, line, text, gap=gap)


def _described(decided: Mapping[Equals, bool]) -> str:
    """The conditions of this branch, for an error message."""
    told = [
        f"{describe(fork.symbol)} {'==' if is_so else '!='} {fork.text[:50]!r}"
        for fork, is_so in decided.items()
    ]
    return f" (where {', '.join(told)})" if told else ""


def choose(fork: Equals, left: When, right: When) -> When:
    """The condition that is `left` where the fork is true, and `right` elsewhere."""
    if left == right:
        return left
    match left, right:
        case True, False:
            return fork
        case False, True:
            return Not(fork)
        case True, _:
            return Or(fork, right)
        case False, _:
            return And(Not(fork), right)
        case _, True:
            return Or(Not(fork), left)
        case _, False:
            return And(fork, left)
    return Or(And(fork, left), And(Not(fork), right))


def _replaced_null(value: Any, beside: Any) -> Any:
    """The value, or a replacement for null if the other branch has a value: null is not allowed."""
    if not isinstance(value, Scalar) or not value.plain or value != "":
        return value
    return {} if _is_plain_mapping(beside) else NO_VALUE


def _if(fork: Equals, left: Any, right: Any) -> Tree:
    """An Fn::If. intrinsics.py replaces the test with the name of a condition."""
    return {"Fn::If": [fork, left, right]}


def _entry(name: str, body: Any, file: str) -> Entry:
    line = name.line if isinstance(name, Scalar) else 0
    if not isinstance(body, dict):
        raise InvalidBundle(f"{file}:{line}: {name} must be a mapping")
    when = body.get("Condition")
    rest = {key: value for key, value in body.items() if key != "Condition"}
    return Entry(rest, Named(when) if isinstance(when, str) else True, line)


def _is_plain_mapping(value: Any) -> bool:
    """Whether the value is a mapping and not one of CloudFormation's functions."""
    return isinstance(value, dict) and not is_function(value)


def is_function(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name = next(iter(value))
    return name in ("Ref", "Condition") or name.startswith("Fn::")


def _is_sam(body: Tree) -> bool:
    return str(body.get("Type")).startswith("AWS::Serverless::")


def _merged_names(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """The names of both, in the order of the first. Others keep their position in the second."""
    names = list(left)
    for position, name in enumerate(right):
        if name not in left:
            names.insert(min(position, len(names)), name)
    return names


def _mapping(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
