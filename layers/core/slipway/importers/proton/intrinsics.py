"""Turns markers into `Ref`, `Fn::Sub` and `Condition`, with their parameters and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway.domain.inputs import CONVENTIONS
from slipway.importers.proton import schema
from slipway.importers.proton.bundle import Written
from slipway.importers.proton.rendering import Source
from slipway.importers.proton.symbols import (
    Each,
    Given,
    Is,
    Item,
    Joined,
    Known,
    Symbol,
    Told,
    Wired,
    about,
    is_marked,
)
from slipway.importers.proton.ways import (
    CHOOSING,
    CONDITIONAL,
    NO_VALUE,
    All,
    Any_,
    Entry,
    Named,
    Not,
    Tree,
    When,
    is_function,
)

_HOLE = "NotCarriedOver"
_ORDER = (
    "AWSTemplateFormatVersion", "Transform", "Description", "Metadata", "Parameters", "Mappings",
    "Conditions", "Rules", "Globals", "Resources", "Outputs",
)  # fmt: skip
# The parts of a resource or an output in which functions are allowed.
_COMPUTED = (*CHOOSING, "CreationPolicy", "Export")
# Their arguments are names.
_NAMING = ("Ref", "Fn::GetAtt", "Condition")


@dataclass
class Intrinsics:
    """`names`: each symbol's parameter and each condition's name."""

    source: Source
    names: dict[Any, str] = field(default_factory=dict)
    conditions: Tree = field(default_factory=dict)
    asked_whether_empty: set[Given] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)
    _mapped: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def resolved(self, tree: Tree) -> Tree:
        """The template without markers, with the parameters that it needs."""
        self._taken = {*CONVENTIONS, _HOLE}
        for section in ("Parameters", "Conditions", "Resources"):
            self._taken |= set(_section(tree, section))
        self._mapped = dict(self._computed_mappings(_section(tree, "Mappings")))
        whole = {name: self._part(name, each) for name, each in tree.items()}
        own = _section(tree, "Parameters")
        for name in own:
            if name in CONVENTIONS:
                self._lose(name, f"the template's own parameter {name} is supplied by Slipway")
        whole["Parameters"] = {**self._parameters(), **whole.get("Parameters", {})}
        whole["Conditions"] = {**whole.get("Conditions", {}), **self.conditions}
        first = {name: whole.pop(name) for name in _ORDER if whole.get(name)}
        return {**first, **{name: each for name, each in whole.items() if each}}

    # --- sections -----------------------------------------------------------------------------

    def _part(self, name: str, section: Any) -> Any:
        if name in CONDITIONAL and isinstance(section, dict):
            return {
                key: self._entry(key, each)
                for key, each in section.items()
                if not self._marked_key(key) and each.when is not False
            }
        if name == "Globals":
            return self._value(section)
        if name == "Conditions":
            return self._compared(section)
        if name == "Mappings":
            return self._constant_mappings(section)
        return self._literal(section, name, hole=name != "Description")

    def _entry(self, name: str, entry: Entry) -> Tree:
        body: Tree = {}
        for key, value in entry.body.items():
            if key == "Properties" and self.source.report.holes:
                value = _without_nothing(value)
            body[key] = (
                self._value(value)
                if key in _COMPUTED
                else self._literal(value, f"{name}: {key}", hole=key != "Description")
            )
        if entry.when is not True:
            # Beside the type, where people look for it.
            condition = {"Condition": self._condition(entry.when)}
            body = {**{k: body.pop(k) for k in ("Type",) if k in body}, **condition, **body}
        return body

    def _constant_mappings(self, section: Any) -> Any:
        """Replaces each FindInMap of a computed value with the value."""
        if not isinstance(section, dict):
            return section
        whole: Tree = {}
        for name, keys in section.items():
            for first, pairs in _items(keys):
                for second, value in _items(pairs):
                    if (name, first, second) not in self._mapped:
                        whole.setdefault(name, {}).setdefault(first, {})[second] = value
        return whole

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
            return {k: self._value(v) for k, v in value.items() if not self._marked_key(k)}
        return value

    def _function(self, name: str, argument: Any) -> Any:
        if name in _NAMING:
            return {name: self._literal(argument, name, hole=True)}
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
        if isinstance(when, Is) and when.text == "":
            # "Has" reads better than "is empty".
            when, one, other = Not(when), other, one
        named = isinstance(when, str)
        name = self._literal(when, "Fn::If", hole=True) if named else self._condition(when)
        return {"Fn::If": [name, one, other]}

    def _find_in_map(self, argument: list[Any]) -> Any:
        keys = [each if isinstance(each, str) and not is_marked(each) else "" for each in argument]
        if all(keys) and len(keys) == 3 and (keys[0], keys[1], keys[2]) in self._mapped:
            return self._value(self._mapped[keys[0], keys[1], keys[2]])
        at = next((each for each in argument if isinstance(each, Written)), "")
        if not all(keys) and any(name == keys[0] for name, _, _ in self._mapped):
            text = f"Fn::FindInMap cannot choose in {keys[0]}: its values are inputs"
            self._lose(at, text, hole=True)
        found = [self._value(each) for each in argument]
        if any(is_function(each) and not {"Ref", "Fn::FindInMap"} & set(each) for each in found):
            self._lose(at, "Fn::FindInMap takes no text that is put together", hole=True)
        return {"Fn::FindInMap": found}

    def _list(self, items: list[Any]) -> Any:
        """An item that stands for a whole list must be the only one."""
        rest = []
        for item in items:
            pieces = self.source.marks.pieces(item) if isinstance(item, str) else []
            if len(pieces) == 1 and isinstance(pieces[0], Each):
                if len(items) == 1:
                    return {"Ref": self._name(pieces[0].of)}
                text = f"the values of {about(pieces[0])} cannot stand beside other items"
                self._lose(item, text, hole=True)
            else:
                rest.append(self._value(item))
        return rest

    def _compared(self, value: Any) -> Any:
        """A text in a condition: one parameter, or none."""
        if isinstance(value, str) and is_marked(value):
            found = self._text(value)
            return found if "Ref" in found else self._literal(value, "a condition", hole=True)
        if isinstance(value, list):
            return [self._compared(each) for each in value]
        if isinstance(value, dict):
            return {k: self._compared(v) for k, v in value.items() if not self._marked_key(k)}
        return value

    def _text(self, text: str) -> Any:
        pieces = self.source.marks.pieces(text)
        if len(pieces) == 1 and not isinstance(pieces[0], str | Each):
            self._seen(pieces[0], text)
            return self._symbol(pieces[0])
        return self._sub(text, escaping=True)

    def _sub(self, argument: Any, *, escaping: bool = False) -> Any:
        """`escaping`: the text was not in an Fn::Sub before, so its own `${` is literal."""
        text, values = argument, {}
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):
            text, values = argument[0], {k: self._value(v) for k, v in argument[1].items()}
        if not isinstance(text, str) or not is_marked(text):
            return {"Fn::Sub": [text, values] if values else argument}
        whole = ""
        for piece in self.source.marks.pieces(text):
            if isinstance(piece, str):
                whole += piece.replace("${", "${!") if escaping else piece
                continue
            self._seen(piece, text)
            if isinstance(piece, Each) or (isinstance(piece, Given) and self._is_list(piece)):
                self._lose(text, f"the list {about(piece)} is a part of a text", hole=True)
                whole += about(piece)
            elif isinstance(piece, Item | Joined):
                name = f"Value{len(values) + 1}"
                values[name] = self._symbol(piece)
                whole += f"${{{name}}}"
            else:
                whole += f"${{{self._name(piece)}}}"
        if escaping and "${" not in whole:
            return Written.of(whole)
        return {"Fn::Sub": [whole, values] if values else Written.of(whole)}

    def _symbol(self, symbol: Symbol) -> Tree:
        match symbol:
            case Item():
                index = Written.of(str(symbol.index), plain=True)
                return {"Fn::Select": [index, {"Ref": self._name(symbol.of)}]}
            case Joined():
                return {"Fn::Join": [Written.of(symbol.separator), {"Ref": self._name(symbol.of)}]}
        return {"Ref": self._name(symbol)}

    def _literal(self, value: Any, where: str, *, hole: bool) -> Any:
        """A value in a place where CloudFormation accepts no functions."""
        if isinstance(value, str) and is_marked(value):
            text = self._in_words(value)
            self._lose(value, f"{where} takes no inputs: {text}", hole=hole)
            return Written.of(text)
        if isinstance(value, list):
            return [self._literal(each, where, hole=hole) for each in value]
        if isinstance(value, dict):
            return {
                key: self._literal(each, where, hole=hole)
                for key, each in value.items()
                if not self._marked_key(key)
            }
        return value

    def _marked_key(self, key: str) -> bool:
        if not is_marked(key):
            return False
        self._lose(key, f"a name takes no inputs: {self._in_words(key)} is left out", hole=True)
        return True

    def _in_words(self, text: str) -> str:
        pieces = self.source.marks.pieces(text)
        return "".join(each if isinstance(each, str) else f"<{about(each)}>" for each in pieces)

    def _seen(self, symbol: Symbol, text: str) -> None:
        """Reports a symbol that is used as a value."""
        given = symbol.name if isinstance(symbol, Given) else None
        if given and self.source.inputs[given].type == "boolean":
            at, file = schema.line(text), self.source.bundle.template_file
            said = f"{given} is written as true or false, by Jinja as True or False"
            self.source.report.note(file, at, said)

    # --- conditions ---------------------------------------------------------------------------

    def _condition(self, when: When) -> str:
        if isinstance(when, Named):
            return when.name
        if when not in self.names:
            wanted, condition = self._defined(when)
            self.names[when] = self._fresh(wanted)
            self.conditions[self.names[when]] = condition
        return self.names[when]

    def _defined(self, when: When) -> tuple[str, Tree]:
        """A condition's proposed name and its definition."""
        match when:
            case Is():
                name = self._name(when.symbol)
                if when.text == "" and isinstance(when.symbol, Given):
                    self.asked_whether_empty.add(when.symbol)
                called = f"{name}Is{camel(when.text) or 'Empty'}"
                return called, {"Fn::Equals": [{"Ref": name}, Written.of(when.text)]}
            case Not(of=Is(text="") as empty):
                _, condition = self._defined(empty)
                return f"Has{self._name(empty.symbol)}", {"Fn::Not": [condition]}
            case Not():
                name = self._condition(when.of)
                return f"Not{name}", {"Fn::Not": [{"Condition": name}]}
            case All():
                one, other = self._condition(when.left), self._condition(when.right)
                return f"{one}And{other}", {"Fn::And": [{"Condition": one}, {"Condition": other}]}
            case Any_():
                one, other = self._condition(when.left), self._condition(when.right)
                return f"{one}Or{other}", {"Fn::Or": [{"Condition": one}, {"Condition": other}]}
        raise AssertionError(when)

    # --- parameters ---------------------------------------------------------------------------

    def _parameters(self) -> Tree:
        """The inputs that are used, in the order of the schema, then new parameters."""
        declared: Tree = {}
        for name, each in self.source.inputs.items():
            given = Given(name)
            if given in self.names:
                declared[self.names[given]] = self._declared(given)
            else:
                text = f"{name} is left out: the template does not use it"
                self.source.report.note(self.source.bundle.schema_file, each.line, text)
        for symbol, name in self.names.items():
            if isinstance(symbol, Wired | Told) or (isinstance(symbol, Known) and ":" not in name):
                declared[name] = self._new(symbol)
        if self.source.report.holes:
            text = "Something was not carried over: when it is put in, take this parameter out."
            declared[_HOLE] = {"Type": "String", "Description": text}
        return declared

    def _declared(self, given: Given) -> Tree:
        wanted = self.source.inputs[given.name]
        if not wanted.absent or given not in self.asked_whether_empty:
            return wanted.declared
        file, report = self.source.bundle.schema_file, self.source.report
        if {"MinValue", "MaxValue"} & set(wanted.declared):
            text = f"{given.name} may be left out, so how small or large it is is not checked"
            report.lose(file, wanted.line, text)
        report.note(file, wanted.line, f"{given.name} counts as left out if it is an empty text")
        return schema.may_be_empty(wanted.declared)

    def _new(self, symbol: Known | Wired | Told) -> Tree:
        file = self.source.bundle.template_file
        declared: Tree = {"Type": "String"}
        for line in sorted(self.source.marks.lines.get(symbol, {0}))[:1]:
            if isinstance(symbol, Wired):
                text = f"{symbol.path} is an input now, to be given by hand: {self.names[symbol]}"
                declared["Description"] = f"{symbol.path} in Proton."
                self.source.report.note(file, line, text)
            elif isinstance(symbol, Told):
                declared["Description"] = f"In Proton: {{{{ {symbol.text} }}}}"[:4000]
                text = f"{{{{ {symbol.text} }}}} has to be told, by the input {self.names[symbol]}"
                self.source.report.lose(file, line, text)
                if symbol.yes_no:
                    declared["AllowedValues"] = [Written.of("true"), Written.of("false")]
            else:
                text = f"{symbol.name} is not unique in the account, as Proton's name was"
                self.source.report.note(file, line, text)
        return declared

    def _name(self, symbol: Symbol) -> str:
        if symbol not in self.names:
            match symbol:
                case Known():
                    self.names[symbol] = symbol.name
                case Given():
                    self.names[symbol] = self._fresh(camel(symbol.name), "Input")
                case Wired(path="environment.name"):
                    self.names[symbol] = self._fresh("SharedEnvironmentName")
                case Wired():
                    last = symbol.path.rpartition(".")[2]
                    self.names[symbol] = self._fresh(camel(last), "Output")
                case Told():
                    self.names[symbol] = self._fresh(camel(symbol.text)[:80])
                case _:
                    return self._name(symbol.of)
        return self.names[symbol]

    def _fresh(self, wanted: str, suffix: str = "") -> str:
        wanted = wanted[:200] or "Input"
        name = wanted if wanted not in self._taken else wanted + suffix
        number = 2
        while name in self._taken:
            name, number = f"{wanted}{suffix}{number}", number + 1
        self._taken.add(name)
        return name

    def _is_list(self, given: Given) -> bool:
        return self.source.inputs[given.name].is_list

    def _lose(self, at: Any, text: str, *, hole: bool = False) -> None:
        file = self.source.bundle.template_file
        self.source.report.lose(file, schema.line(at), text, hole=hole)


def camel(text: str) -> str:
    """vpc_cidr becomes VpcCidr: CloudFormation's names are letters and digits."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", text))


def _section(tree: Tree, name: str) -> Tree:
    section = tree.get(name)
    return section if isinstance(section, dict) else {}


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _without_nothing(value: Any) -> Any:
    """Drops what is empty because its contents were left out."""
    if isinstance(value, Written) and value.plain and value == "":
        return NO_VALUE
    if isinstance(value, dict) and not is_function(value):
        return {key: _without_nothing(each) for key, each in value.items()}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value
