"""Turns markers into `Ref`, `Fn::Sub` and `Condition`, with their parameters and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway.domain.inputs import CONVENTIONS
from slipway.importers.proton import schema
from slipway.importers.proton.branches import (
    ALLOWS_IF,
    CONDITIONAL,
    NO_VALUE,
    And,
    Entry,
    Named,
    Not,
    Or,
    Tree,
    When,
    is_function,
)
from slipway.importers.proton.bundle import Scalar
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
    UserSupplied,
    describe,
    is_marked,
)

_GAP = "NotCarriedOver"
_ORDER = (
    "AWSTemplateFormatVersion", "Transform", "Description", "Metadata", "Parameters", "Mappings",
    "Conditions", "Rules", "Globals", "Resources", "Outputs",
)  # fmt: skip
# The parts of a resource or an output in which functions are allowed.
_COMPUTED = (*ALLOWS_IF, "CreationPolicy", "Export")
# The arguments of these functions are names.
_NAMING = ("Ref", "Fn::GetAtt", "Condition")


@dataclass
class Intrinsics:
    """Replaces the markers. `names`: each symbol's parameter and each condition's name."""

    session: Session
    names: dict[Any, str] = field(default_factory=dict)
    conditions: Tree = field(default_factory=dict)
    tested_for_empty: set[SchemaInput] = field(default_factory=set)
    _used_names: set[str] = field(default_factory=set)
    _mapped: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def resolved(self, tree: Tree) -> Tree:
        """The template without markers, with the parameters that it needs."""
        self._used_names = {*CONVENTIONS, _GAP}
        for section in ("Parameters", "Conditions", "Resources"):
            self._used_names |= set(_section(tree, section))
        self._mapped = dict(self._computed_mappings(_section(tree, "Mappings")))
        result = {name: self._part(name, each) for name, each in tree.items()}
        own = _section(tree, "Parameters")
        for name in own:
            if name in CONVENTIONS:
                self._loss(name, f"the template's own parameter {name} is supplied by Slipway")
        result["Parameters"] = {**self._parameters(), **result.get("Parameters", {})}
        result["Conditions"] = {**result.get("Conditions", {}), **self.conditions}
        return result

    def complete(self, tree: Tree) -> Tree:
        """The sections in their usual order, and a sign of what is missing."""
        if self.session.report.gaps:
            text = "The import is incomplete. Add the missing parts, then delete this parameter."
            declared = {"Type": "String", "Description": text}
            tree["Parameters"] = {**tree.get("Parameters", {}), _GAP: declared}
        first = {name: tree[name] for name in _ORDER if tree.get(name)}
        return {**first, **{n: each for n, each in tree.items() if each and n not in _ORDER}}

    def line(self, parameter: str) -> int:
        """The first line at which the parameter's value is used; 0 if it is not known."""
        symbols = (symbol for symbol, name in self.names.items() if name == parameter)
        lines = [line for each in symbols for line in self.session.markers.lines.get(each, ())]
        return min(lines, default=0)

    # --- sections -----------------------------------------------------------------------------

    def _part(self, name: str, section: Any) -> Any:
        if name in CONDITIONAL and isinstance(section, dict):
            return {
                key: self._entry(key, each)
                for key, each in section.items()
                if not self._has_marked_key(key) and each.when is not False
            }
        if name == "Globals":
            return self._value(section)
        if name == "Conditions":
            return self._compared(section)
        if name == "Mappings":
            return self._constant_mappings(section)
        return self._literal(section, name, gap=name != "Description")

    def _entry(self, name: str, entry: Entry) -> Tree:
        body: Tree = {}
        for key, value in entry.body.items():
            if key == "Properties" and self.session.report.gaps:
                value = _without_empty(value)
            body[key] = (
                self._value(value)
                if key in _COMPUTED
                else self._literal(value, f"{name}: {key}", gap=key != "Description")
            )
        if entry.when is not True:
            # Next to the type, where readers look for it.
            condition = {"Condition": self._condition(entry.when)}
            body = {**{k: body.pop(k) for k in ("Type",) if k in body}, **condition, **body}
        return body

    def _constant_mappings(self, section: Any) -> Any:
        """Replaces each FindInMap of a computed value with the value."""
        if not isinstance(section, dict):
            return section
        result: Tree = {}
        for name, keys in section.items():
            for first, pairs in _items(keys):
                for second, value in _items(pairs):
                    if (name, first, second) not in self._mapped:
                        result.setdefault(name, {}).setdefault(first, {})[second] = value
        return result

    def _computed_mappings(self, section: Tree) -> Iterator[tuple[tuple[str, str, str], Any]]:
        for name, keys in section.items():
            for first, pairs in _items(keys):
                for second, value in _items(pairs):
                    if is_function(value) or (isinstance(value, str) and is_marked(value)):
                        yield (name, first, second), value

    # --- values -------------------------------------------------------------------------------

    def _value(self, value: Any) -> Any:
        """A value in a place where functions are allowed."""
        if isinstance(value, str):
            return self._text(value) if is_marked(value) else value
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, dict):
            if is_function(value):
                [(name, argument)] = value.items()
                return self._function(name, argument)
            return {k: self._value(v) for k, v in value.items() if not self._has_marked_key(k)}
        return value

    def _function(self, name: str, argument: Any) -> Any:
        if name in _NAMING:
            return {name: self._literal(argument, name, gap=True)}
        if name == "Fn::Sub":
            return self._sub(argument)
        if name == "Fn::If" and isinstance(argument, list) and len(argument) == 3:
            return self._if(*argument)
        if name == "Fn::FindInMap" and isinstance(argument, list):
            return self._find_in_map(argument)
        return {name: self._value(argument)}

    def _if(self, when: Any, left: Any, right: Any) -> Any:
        one, other = self._value(left), self._value(right)
        if one == other:
            return one
        if isinstance(when, Equals) and when.text == "":
            # "Has" reads better than "is empty".
            when, one, other = Not(when), other, one
        named = isinstance(when, str)
        name = self._literal(when, "Fn::If", gap=True) if named else self._condition(when)
        return {"Fn::If": [name, one, other]}

    def _find_in_map(self, argument: list[Any]) -> Any:
        keys = [each if isinstance(each, str) and not is_marked(each) else "" for each in argument]
        if all(keys) and len(keys) == 3 and (keys[0], keys[1], keys[2]) in self._mapped:
            return self._value(self._mapped[keys[0], keys[1], keys[2]])
        at = next((each for each in argument if isinstance(each, Scalar)), "")
        if not all(keys) and any(name == keys[0] for name, _, _ in self._mapped):
            text = f"Fn::FindInMap cannot look up {keys[0]}, because its values are inputs"
            self._loss(at, text, gap=True)
        found = [self._value(each) for each in argument]
        if any(is_function(each) and not {"Ref", "Fn::FindInMap"} & set(each) for each in found):
            self._loss(
                at, "Fn::FindInMap accepts no key that is computed from text and inputs", gap=True
            )
        return {"Fn::FindInMap": found}

    def _list(self, items: list[Any]) -> Any:
        """An item that represents a whole list must be the only item."""
        rest = []
        for item in items:
            pieces = self.session.markers.pieces(item) if isinstance(item, str) else []
            if len(pieces) == 1 and isinstance(pieces[0], AllItems):
                if len(items) == 1:
                    return {"Ref": self._name(pieces[0].values)}
                text = (
                    f"the values of {describe(pieces[0])} cannot be combined with other list items"
                )
                self._loss(item, text, gap=True)
            else:
                rest.append(self._value(item))
        return rest

    def _compared(self, value: Any) -> Any:
        """A value in a condition: text can be one parameter, or contain none."""
        if isinstance(value, str) and is_marked(value):
            found = self._text(value)
            return found if "Ref" in found else self._literal(value, "a condition", gap=True)
        if isinstance(value, list):
            return [self._compared(each) for each in value]
        if isinstance(value, dict):
            return {k: self._compared(v) for k, v in value.items() if not self._has_marked_key(k)}
        return value

    def _text(self, text: str) -> Any:
        pieces = self.session.markers.pieces(text)
        if len(pieces) == 1 and not isinstance(pieces[0], str | AllItems):
            self._note_value(pieces[0], text)
            return self._symbol(pieces[0])
        return self._sub(text, escaping=True)

    def _sub(self, argument: Any, *, escaping: bool = False) -> Any:
        """An Fn::Sub. `escaping`: the text was in no Fn::Sub before, so its `${` is literal."""
        text, values = argument, {}
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):
            text, values = argument[0], {k: self._value(v) for k, v in argument[1].items()}
        if not isinstance(text, str) or not is_marked(text):
            return {"Fn::Sub": [text, values] if values else argument}
        result = ""
        for piece in self.session.markers.pieces(text):
            if isinstance(piece, str):
                result += piece.replace("${", "${!") if escaping else piece
                continue
            self._note_value(piece, text)
            if isinstance(piece, AllItems) or (
                isinstance(piece, SchemaInput) and self._is_list(piece)
            ):
                self._loss(text, f"the list {describe(piece)} is used inside text", gap=True)
                result += describe(piece)
            elif isinstance(piece, ListItem | JoinedList):
                name = f"Value{len(values) + 1}"
                values[name] = self._symbol(piece)
                result += f"${{{name}}}"
            else:
                result += f"${{{self._name(piece)}}}"
        if escaping and "${" not in result:
            return Scalar.of(result)
        return {"Fn::Sub": [result, values] if values else Scalar.of(result)}

    def _symbol(self, symbol: Symbol) -> Tree:
        match symbol:
            case ListItem():
                index = Scalar.of(str(symbol.index), plain=True)
                return {"Fn::Select": [index, {"Ref": self._name(symbol.values)}]}
            case JoinedList():
                return {
                    "Fn::Join": [Scalar.of(symbol.separator), {"Ref": self._name(symbol.values)}]
                }
        return {"Ref": self._name(symbol)}

    def _literal(self, value: Any, where: str, *, gap: bool) -> Any:
        """A value in a place where CloudFormation accepts no functions."""
        if isinstance(value, str) and is_marked(value):
            text = self._described_text(value)
            self._loss(value, f"{where} cannot contain inputs: {text}", gap=gap)
            return Scalar.of(text)
        if isinstance(value, list):
            return [self._literal(each, where, gap=gap) for each in value]
        if isinstance(value, dict):
            return {
                key: self._literal(each, where, gap=gap)
                for key, each in value.items()
                if not self._has_marked_key(key)
            }
        return value

    def _has_marked_key(self, key: str) -> bool:
        if not is_marked(key):
            return False
        self._loss(
            key, f"a name cannot contain inputs; {self._described_text(key)} is left out", gap=True
        )
        return True

    def _described_text(self, text: str) -> str:
        pieces = self.session.markers.pieces(text)
        return "".join(each if isinstance(each, str) else f"<{describe(each)}>" for each in pieces)

    def _note_value(self, symbol: Symbol, text: str) -> None:
        """Reports a symbol that is used as a value."""
        given = symbol.name if isinstance(symbol, SchemaInput) else None
        if given and self.session.inputs[given].type == "boolean":
            at, file = schema.line(text), self.session.bundle.template_file
            said = f"{given} is rendered as true or false; Jinja rendered True or False"
            self.session.report.add_note(file, at, said)

    # --- conditions ---------------------------------------------------------------------------

    def _condition(self, when: When) -> str:
        if isinstance(when, Named):
            return when.name
        if when not in self.names:
            wanted, condition = self._defined(when)
            self.names[when] = self._unused_name(wanted)
            self.conditions[self.names[when]] = condition
        return self.names[when]

    def _defined(self, when: When) -> tuple[str, Tree]:
        """A condition's proposed name and its definition."""
        match when:
            case Equals():
                name = self._name(when.symbol)
                if when.text == "" and isinstance(when.symbol, SchemaInput):
                    self.tested_for_empty.add(when.symbol)
                called = f"{name}Is{camel(when.text) or 'Empty'}"
                return called, {"Fn::Equals": [{"Ref": name}, Scalar.of(when.text)]}
            case Not(condition=Equals(text="") as empty):
                _, condition = self._defined(empty)
                return f"Has{self._name(empty.symbol)}", {"Fn::Not": [condition]}
            case Not():
                name = self._condition(when.condition)
                return f"Not{name}", {"Fn::Not": [{"Condition": name}]}
            case And():
                one, other = self._condition(when.left), self._condition(when.right)
                return f"{one}And{other}", {"Fn::And": [{"Condition": one}, {"Condition": other}]}
            case Or():
                one, other = self._condition(when.left), self._condition(when.right)
                return f"{one}Or{other}", {"Fn::Or": [{"Condition": one}, {"Condition": other}]}
        raise AssertionError(when)

    # --- parameters ---------------------------------------------------------------------------

    def _parameters(self) -> Tree:
        """The inputs that are used, in the order of the schema, then new parameters."""
        declared: Tree = {}
        for name, each in self.session.inputs.items():
            given = SchemaInput(name)
            if given in self.names:
                declared[self.names[given]] = self._input_parameter(given)
            else:
                text = f"{name} is left out, because the template does not use it"
                self.session.report.add_note(self.session.bundle.schema_file, each.line, text)
        for symbol, name in self.names.items():
            if isinstance(symbol, EnvironmentOutput | UserSupplied) or (
                isinstance(symbol, PlatformValue) and ":" not in name
            ):
                declared[name] = self._new_parameter(symbol)
        return declared

    def _input_parameter(self, given: SchemaInput) -> Tree:
        wanted = self.session.inputs[given.name]
        if not wanted.can_be_absent or given not in self.tested_for_empty:
            return wanted.declared
        file, report = self.session.bundle.schema_file, self.session.report
        if {"MinValue", "MaxValue"} & set(wanted.declared):
            text = f"{given.name} is optional, so its minimum and maximum are not checked"
            report.add_loss(file, wanted.line, text)
        report.add_note(file, wanted.line, f"an empty {given.name} counts as omitted")
        return schema.with_empty(wanted.declared)

    def _new_parameter(self, symbol: PlatformValue | EnvironmentOutput | UserSupplied) -> Tree:
        file = self.session.bundle.template_file
        declared: Tree = {"Type": "String"}
        for line in sorted(self.session.markers.lines.get(symbol, {0}))[:1]:
            if isinstance(symbol, EnvironmentOutput):
                name = self.names[symbol]
                text = f"{symbol.path} is now an input that the caller must supply: {name}"
                declared["Description"] = f"{symbol.path} in Proton."
                self.session.report.add_note(file, line, text)
            elif isinstance(symbol, UserSupplied):
                declared["Description"] = f"In Proton: {{{{ {symbol.text} }}}}"[:4000]
                supplied = f"the caller must supply the input {self.names[symbol]}"
                text = f"{{{{ {symbol.text} }}}} cannot be computed: {supplied}"
                self.session.report.add_loss(file, line, text)
                if symbol.is_boolean:
                    declared["AllowedValues"] = [Scalar.of("true"), Scalar.of("false")]
            else:
                text = f"{symbol.name} is not unique in the account; Proton's name was"
                self.session.report.add_note(file, line, text)
        return declared

    def _name(self, symbol: Symbol) -> str:
        if symbol not in self.names:
            match symbol:
                case PlatformValue():
                    self.names[symbol] = symbol.name
                case SchemaInput():
                    self.names[symbol] = self._unused_name(camel(symbol.name), "Input")
                case EnvironmentOutput(path="environment.name"):
                    self.names[symbol] = self._unused_name("SharedEnvironmentName")
                case EnvironmentOutput():
                    last = symbol.path.rpartition(".")[2]
                    self.names[symbol] = self._unused_name(camel(last), "Output")
                case UserSupplied():
                    self.names[symbol] = self._unused_name(camel(symbol.text)[:80])
                case _:
                    return self._name(symbol.values)
        return self.names[symbol]

    def _unused_name(self, wanted: str, suffix: str = "") -> str:
        wanted = wanted[:200] or "Input"
        name = wanted if wanted not in self._used_names else wanted + suffix
        number = 2
        while name in self._used_names:
            name, number = f"{wanted}{suffix}{number}", number + 1
        self._used_names.add(name)
        return name

    def _is_list(self, given: SchemaInput) -> bool:
        return self.session.inputs[given.name].is_list

    def _loss(self, at: Any, text: str, *, gap: bool = False) -> None:
        file = self.session.bundle.template_file
        self.session.report.add_loss(file, schema.line(at), text, gap=gap)


def camel(text: str) -> str:
    """vpc_cidr becomes VpcCidr: CloudFormation's names are letters and digits."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", text))


def _section(tree: Tree, name: str) -> Tree:
    section = tree.get(name)
    return section if isinstance(section, dict) else {}


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _without_empty(value: Any) -> Any:
    """Removes mappings and items that are empty because their contents were left out."""
    if isinstance(value, Scalar) and value.plain and value == "":
        return NO_VALUE
    if isinstance(value, dict) and not is_function(value):
        return {key: _without_empty(each) for key, each in value.items()}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value
