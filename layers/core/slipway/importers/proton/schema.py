"""Turns the inputs of a bundle's OpenAPI schema into CloudFormation parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.importers.proton.bundle import Bundle, Kind, Written, tree
from slipway.importers.proton.report import Broken, Report

Declared = dict[str, Any]

_INPUT_TYPE: dict[Kind, str] = {
    "environment": "environment_input_type",
    "service": "service_input_type",
}
_TYPES = {"string": "String", "number": "Number", "integer": "Number", "boolean": "String"}
# Used here, or without effect on the accepted values.
_READ = {
    *("type", "title", "description", "default", "enum", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "items", "properties", "required", "example", "format"),
}
_FORMATS = {"password", "int32", "int64", "float", "double"}
_MAX_DEPTH = 10
_ANY = r"[\s\S]*"
_NUMBER = r"-?[0-9]+(\.[0-9]+)?"


@dataclass(frozen=True)
class Input:
    """`absent`: whether it may be omitted, and then has no value."""

    name: str
    type: str
    line: int
    absent: bool
    declared: Declared

    @property
    def is_list(self) -> bool:
        return self.type == "array"

    @property
    def texts(self) -> list[str] | None:
        """Every text that it can have, if they are known."""
        return self.declared.get("AllowedValues")


def inputs(bundle: Bundle, report: Report) -> dict[str, Input]:
    """The inputs by dotted name; objects are flattened. Raises Broken."""
    if bundle.schema is None:
        return {}
    file = bundle.schema_file
    said = tree(bundle.schema, file)
    schema = said.get("schema") if isinstance(said, dict) else None
    if not isinstance(schema, dict):
        raise Broken(f"{file}: #/schema must be a mapping")
    name = _INPUT_TYPE[bundle.kind]
    wanted, types = schema.get(name), schema.get("types")
    found = types.get(wanted) if isinstance(types, dict) and isinstance(wanted, str) else None
    if not isinstance(found, dict):
        raise Broken(f"{file}: #/schema/{name} must name one of #/schema/types")
    return {each.name: each for each in _properties(found, "", False, {}, _Reader(file, report))}


@dataclass(frozen=True)
class _Reader:
    file: str
    report: Report

    def lose(self, key: Any, text: str, *, hole: bool = False) -> None:
        self.report.lose(self.file, line(key), text, hole=hole)


def line(value: Any) -> int:
    return value.line if isinstance(value, Written) else 0


def _properties(
    schema: Declared, prefix: str, absent: bool, defaults: Declared, reader: _Reader
) -> Iterator[Input]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise Broken(f"{reader.file}: {prefix or 'the inputs'}: must have properties")
    if prefix.count(".") > _MAX_DEPTH:
        raise Broken(f"{reader.file}: {prefix}: is nested too deeply")
    for key, each in properties.items():
        name = f"{prefix}{key}"
        if not isinstance(each, dict):
            raise Broken(f"{reader.file}:{line(key)}: {name} must be a mapping")
        default = defaults.get(key, each.get("default"))
        optional = absent or key not in required
        if each.get("type") == "object" and "properties" in each:
            below = default if isinstance(default, dict) else {}
            yield from _properties(each, f"{name}.", optional, below, reader)
        else:
            yield _input(name, key, each, default, optional, reader)


def _input(
    name: str, key: str, schema: Declared, default: Any, optional: bool, reader: _Reader
) -> Input:
    kind = str(schema.get("type"))
    for keyword in schema:
        if keyword not in _READ and not keyword.startswith("x-"):
            reader.lose(keyword, f"{name}: {keyword} is not checked any more")
    declared: Declared = {"Type": _TYPES.get(kind, "String")}
    text = schema.get("description", schema.get("title"))
    if isinstance(text, str):
        declared["Description"] = text[:4000]
    if kind == "array":
        declared |= _list(name, key, schema, reader)
    elif kind not in _TYPES:
        reader.lose(key, f"{name}: the type {kind[:50]} is none of CloudFormation's, text is taken")
    else:
        declared |= _limits(name, kind, schema, reader)
    if default is not None:
        written = _written(kind, default)
        if written is None:
            reader.lose(key, f"{name}: its default cannot be a parameter's, so it has to be given")
        else:
            declared["Default"] = written
    return Input(name, kind, line(key), optional and default is None, declared)


def _limits(name: str, kind: str, schema: Declared, reader: _Reader) -> Declared:
    declared: Declared = {}
    if kind == "boolean":
        declared["AllowedValues"] = [_quoted("true"), _quoted("false")]
    elif isinstance(schema.get("enum"), list):
        allowed = [each for each in schema["enum"] if isinstance(each, str)]
        declared["AllowedValues"] = [*map(_quoted, allowed)] if kind == "string" else allowed
    if kind == "string":
        for keyword, parameter in (("minLength", "MinLength"), ("maxLength", "MaxLength")):
            if keyword in schema:
                if not re.fullmatch("[0-9]{1,9}", str(schema[keyword])):
                    place = f"{reader.file}:{line(schema[keyword])}"
                    raise Broken(f"{place}: {keyword} must be a whole number")
                declared[parameter] = schema[keyword]
        if isinstance(schema.get("pattern"), str):
            declared["AllowedPattern"] = _quoted(whole(schema["pattern"]))
    if kind in ("number", "integer"):
        declared |= {
            parameter: schema[keyword]
            for keyword, parameter in (("minimum", "MinValue"), ("maximum", "MaxValue"))
            if keyword in schema
        }
    if kind == "integer":
        reader.lose(schema["type"], f"{name}: a number with a fraction is taken too")
    told = schema.get("format")
    if told == "password":
        declared["NoEcho"] = Written.of("true", plain=True)
    elif told is not None and told not in _FORMATS:
        reader.lose(told, f"{name}: the format {str(told)[:50]} is not checked any more")
    return declared


def _list(name: str, key: str, schema: Declared, reader: _Reader) -> Declared:
    items = schema.get("items")
    below = items if isinstance(items, dict) else {}
    kind = str(below.get("type"))
    if kind not in ("string", "number", "integer"):
        reader.lose(key, f"{name}: a list of {kind[:50]} cannot be a parameter", hole=True)
    for keyword in below:
        if keyword not in ("type", "title", "description", "enum", "pattern", "example"):
            reader.lose(keyword, f"{name}: {keyword} of its items is not checked any more")
    # An empty list would arrive as a list with one empty text.
    declared: Declared = {"Type": "CommaDelimitedList", "AllowedPattern": _quoted(r"[\s\S]+")}
    if isinstance(below.get("pattern"), str):
        declared["AllowedPattern"] = _quoted(rf"(?=[\s\S])(?:{whole(below['pattern'])})")
    if isinstance(below.get("enum"), list):
        declared["AllowedValues"] = [_quoted(each) for each in below["enum"]]
    reader.report.note(reader.file, line(key), f"{name}: an empty list is not taken any more")
    return declared


def whole(pattern: str) -> str:
    """The pattern for CloudFormation, which matches the whole text; OpenAPI searches in it."""
    anchored = pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$")
    if anchored and "|" not in pattern:
        return pattern
    return rf"[\s\S]*(?:{pattern})[\s\S]*"


def may_be_empty(declared: Declared) -> Declared:
    """The parameter of an input that the template tests: it is empty when omitted."""
    empty = dict(declared)
    pattern = empty.pop("AllowedPattern", None)
    least = int(empty.pop("MinLength", "0"))
    if empty["Type"] == "Number":
        empty["Type"], pattern = "String", _NUMBER
        empty.pop("MinValue", None)
        empty.pop("MaxValue", None)
    if pattern is not None or least > 0:
        enough = rf"(?=[\s\S]{{{least},}})" if least > 0 else ""
        empty["AllowedPattern"] = _quoted(f"({enough}{pattern or _ANY})?")
    if "AllowedValues" in empty:
        empty["AllowedValues"] = [*empty["AllowedValues"], _quoted("")]
    empty["Default"] = _quoted("")
    return empty


def _written(kind: str, default: Any) -> str | None:
    if kind == "array":
        if not isinstance(default, list) or not default:
            return None
        fits = all(isinstance(each, str) and each and "," not in each for each in default)
        return _quoted(",".join(default)) if fits else None
    if not isinstance(default, str):
        return None
    if kind == "boolean":
        lowered = default.lower()
        return _quoted(lowered) if lowered in ("true", "false") else None
    return _quoted(default) if kind == "string" else default


def _quoted(text: str) -> Written:
    return Written.of(str(text))
