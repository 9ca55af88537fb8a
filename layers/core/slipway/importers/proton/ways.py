"""Merges the ways through a template into one template.

Where two ways differ in a value there is `Fn::If`; a resource or an output that only some ways
have gets a `Condition`. Where CloudFormation supports no condition, one way's value is kept and
reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.importers.proton import bundle
from slipway.importers.proton.bundle import Written
from slipway.importers.proton.rendering import Rendering, Source, Undecided
from slipway.importers.proton.report import Broken
from slipway.importers.proton.symbols import Each, Is, about

Tree = dict[str, Any]

_MAX_WAYS = 1024
_MAX_FORKS = 200
NO_VALUE = {"Ref": "AWS::NoValue"}
NOTHING = Written.of("", plain=True)
# The sections whose entries can have a Condition.
CONDITIONAL = ("Resources", "Outputs")
# The parts of a resource or an output in which Fn::If is allowed.
CHOOSING = ("Properties", "Metadata", "UpdatePolicy", "Value")
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
    of: When


@dataclass(frozen=True)
class All:
    left: When
    right: When


@dataclass(frozen=True)
class Any_:
    left: When
    right: When


When = bool | Is | Named | Not | All | Any_


@dataclass
class Entry:
    """A resource or an output, and the condition under which it exists."""

    body: Tree
    when: When
    line: int


@dataclass
class Ways:
    source: Source
    count: int = 0

    def template(self) -> Tree:
        """The merged template, with Entry in place of resources and outputs. Raises Broken."""
        parsed = self.source.parsed()

        def from_here(decided: Mapping[Is, bool]) -> Tree:
            rendering = Rendering(self.source, decided)
            try:
                text = rendering.text(parsed)
            except Undecided as undecided:
                fork = undecided.fork
                if len(decided) == _MAX_FORKS:
                    raise self._too_many() from None
            else:
                return self._read(text, rendering)
            left = from_here({**decided, fork: True})
            return self._over(fork, left, from_here({**decided, fork: False}))

        return from_here({})

    def _read(self, text: str, rendering: Rendering) -> Tree:
        self.count += 1
        file = self.source.bundle.template_file
        if self.count > _MAX_WAYS:
            raise self._too_many()
        try:
            tree = bundle.tree(text, file, rendering.lines)
        except Broken as broken:
            raise Broken(f"{broken}{_where(rendering.decided)}") from None
        if not isinstance(tree, dict):
            raise Broken(f"{file}: is not a template: it must be a mapping")
        for section in CONDITIONAL:
            entries = tree.get(section)
            if isinstance(entries, dict):
                tree[section] = {name: _entry(name, each, file) for name, each in entries.items()}
        return tree

    def _too_many(self) -> Broken:
        file = self.source.bundle.template_file
        return Broken(f"{file}: has more than {_MAX_WAYS} combinations of its conditions")

    # --- merging two ways -----------------------------------------------------------

    def _over(self, fork: Is, left: Tree, right: Tree) -> Tree:
        whole: Tree = {}
        for name in _names(left, right):
            one, other = left.get(name), right.get(name)
            if one == other:
                whole[name] = one
            elif name in CONDITIONAL:
                whole[name] = self._entries(fork, _mapping(one), _mapping(other))
            elif name == "Mappings":
                whole[name] = self._values(fork, one, other, union=True)
            elif name == "Globals":
                one, other = _mapping(one), _mapping(other)
                whole[name] = {
                    kind: self._for_sam(
                        fork, name, _mapping(one.get(kind)), _mapping(other.get(kind))
                    )
                    for kind in _names(one, other)
                }
            elif name in ("Parameters", "Conditions"):
                whole[name] = self._union(name, _mapping(one), _mapping(other))
            else:
                whole[name] = one if other is None else other if one is None else one
                self._hole(name, f"{name} differs with a condition")
        return whole

    def _entries(self, fork: Is, left: Tree, right: Tree) -> Tree:
        whole = {}
        for name in _names(left, right):
            one, other = left.get(name), right.get(name)
            if one is None or other is None:
                here = one or other
                assert here is not None
                absent: Entry = Entry(here.body, False, here.line)
                one, other = one or absent, other or absent
                body = here.body
            else:
                body = self._bodies(fork, name, one.body, other.body)
            whole[name] = Entry(body, either(fork, one.when, other.when), one.line)
        return whole

    def _bodies(self, fork: Is, name: str, left: Tree, right: Tree) -> Tree:
        body: Tree = {}
        for key in _names(left, right):
            one, other = left.get(key), right.get(key)
            if one == other:
                body[key] = one
            elif key == "Properties" and _is_sam(left):
                body[key] = self._for_sam(fork, name, _mapping(one), _mapping(other))
            elif key in CHOOSING:
                body[key] = self._values(fork, left.get(key, NOTHING), right.get(key, NOTHING))
            elif key == "DependsOn":
                body[key] = [each for each in _several(one) if each in _several(other)]
                self._lose(
                    key, f"{name}: DependsOn differs with a condition; some of it is left out"
                )
            elif key == "Export" and isinstance(one, dict) and isinstance(other, dict):
                body[key] = self._values(fork, one, other)
            else:
                body[key] = other if one is None else one
                self._hole(key, f"{name}: {key} differs with a condition")
        return body

    def _for_sam(self, fork: Is, name: str, left: Tree, right: Tree) -> Tree:
        """SAM's transform precedes conditions, so what it reads cannot have any."""
        whole: Tree = {}
        for key in _names(left, right):
            if left.get(key) == right.get(key):
                whole[key] = left[key]
            elif key in _PASSED_ON:
                whole[key] = self._values(fork, left.get(key, NO_VALUE), right.get(key, NO_VALUE))
            else:
                self._hole(key, f"{name}: SAM reads {key} itself, which differs with a condition")
                if key in left:
                    whole[key] = left[key]
        return whole

    def _union(self, section: str, left: Tree, right: Tree) -> Tree:
        for name in left:
            if name in right and left[name] != right[name]:
                self._hole(name, f"{section}: {name} differs with a condition")
        return {**right, **left}

    def _values(self, fork: Is, left: Any, right: Any, *, union: bool = False) -> Any:
        if left == right:
            return left
        left, right = _something(left, right), _something(right, left)
        if _plain(left) and _plain(right):
            return {
                name: self._values(fork, left[name], right[name], union=union)
                if name in left and name in right
                else (left if name in left else right)[name]
                if union
                else _if(fork, left.get(name, NO_VALUE), right.get(name, NO_VALUE))
                for name in _names(left, right)
            }
        lists = isinstance(left, list) and isinstance(right, list) and len(left) == len(right)
        if lists and not any(map(self._for_each, [*left, *right])):
            return [
                self._values(fork, *pair, union=union) for pair in zip(left, right, strict=True)
            ]
        return _if(fork, left, right)

    def _for_each(self, item: Any) -> bool:
        """Whether the item stands for a list, so that it must stay the only one."""
        pieces = self.source.marks.pieces(item) if isinstance(item, str) else []
        return any(isinstance(each, Each) for each in pieces)

    def _hole(self, at: str, text: str) -> None:
        self._lose(at, text, hole=True)

    def _lose(self, at: str, text: str, *, hole: bool = False) -> None:
        line = at.line if isinstance(at, Written) else 0
        self.source.report.lose(self.source.bundle.template_file, line, text, hole=hole)


def _where(decided: Mapping[Is, bool]) -> str:
    """The conditions of this way."""
    told = [
        f"{about(fork.symbol)} {'==' if is_so else '!='} {fork.text[:50]!r}"
        for fork, is_so in decided.items()
    ]
    return f" (where {', '.join(told)})" if told else ""


def either(fork: Is, left: When, right: When) -> When:
    """`left` if the fork's condition holds, otherwise `right`."""
    if left == right:
        return left
    match left, right:
        case True, False:
            return fork
        case False, True:
            return Not(fork)
        case True, _:
            return Any_(fork, right)
        case False, _:
            return All(Not(fork), right)
        case _, True:
            return Any_(Not(fork), left)
        case _, False:
            return All(fork, left)
    return Any_(All(fork, left), All(Not(fork), right))


def _something(value: Any, beside: Any) -> Any:
    """The replacement for a missing value where the other way has one: null is not allowed."""
    if not isinstance(value, Written) or not value.plain or value != "":
        return value
    return {} if _plain(beside) else NO_VALUE


def _if(fork: Is, left: Any, right: Any) -> Tree:
    """An Fn::If whose condition is named later (intrinsics.py)."""
    return {"Fn::If": [fork, left, right]}


def _entry(name: str, body: Any, file: str) -> Entry:
    line = name.line if isinstance(name, Written) else 0
    if not isinstance(body, dict):
        raise Broken(f"{file}:{line}: {name} must be a mapping")
    when = body.get("Condition")
    rest = {key: value for key, value in body.items() if key != "Condition"}
    return Entry(rest, Named(when) if isinstance(when, str) else True, line)


def _plain(value: Any) -> bool:
    """Whether the value is a mapping and not one of CloudFormation's functions."""
    return isinstance(value, dict) and not is_function(value)


def is_function(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name = next(iter(value))
    return name in ("Ref", "Condition") or name.startswith("Fn::")


def _is_sam(body: Tree) -> bool:
    return str(body.get("Type")).startswith("AWS::Serverless::")


def _names(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """The names of both, in the order of the first; those only in the second keep their place."""
    names = list(left)
    for position, name in enumerate(right):
        if name not in left:
            names.insert(min(position, len(names)), name)
    return names


def _mapping(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}


def _several(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
