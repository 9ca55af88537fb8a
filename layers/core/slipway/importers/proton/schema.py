"""Turns the inputs of a bundle's OpenAPI schema into CloudFormation parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.importers.proton.bundle import Bundle, Kind, Scalar, tree
from slipway.importers.proton.report import InvalidBundle, Report

Declared = dict[str, Any]

_INPUT_TYPE: dict[Kind, str] = {
    "environment": "environment_input_type",
    "service": "service_input_type",
}
_TYPES = {"string": "String", "number": "Number", "integer": "Number", "boolean": "String"}
# Keywords that this module reads, and those without effect on the accepted values.
_KNOWN_KEYWORDS = {
    *("type", "title", "description", "default", "enum", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "items", "properties", "required", "example", "format"),
}
_FORMATS = {"password", "int32", "int64", "float", "double"}
_MAX_DEPTH = 10
_ANY = r"[\s\S]*"
_NUMBER = r"-?[0-9]+(\.[0-9]+)?"


@dataclass(frozen=True)
class Input:
    """An input. `can_be_absent`: it may be omitted and has no default."""

    name: str
    type: str
    line: int
    can_be_absent: bool
    declared: Declared

    @property
    def is_list(self) -> bool:
        return self.type == "array"

    @property
    def texts(self) -> list[str] | None:
        """Every text that the input can have; None if the texts are not known."""
        return self.declared.get("AllowedValues")


def inputs(bundle: Bundle, report: Report) -> dict[str, Input]:
    """The inputs by dotted name; objects are flattened. Raises InvalidBundle."""
    if bundle.schema is None:
        return {}
    file = bundle.schema_file
    said = tree(bundle.schema, file)
    schema = said.get("schema") if isinstance(said, dict) else None
    if not isinstance(schema, dict):
        raise InvalidBundle(f"{file}: #/schema must be a mapping")
    name = _INPUT_TYPE[bundle.kind]
    wanted, types = schema.get(name), schema.get("types")
    found = types.get(wanted) if isinstance(types, dict) and isinstance(wanted, str) else None
    if not isinstance(found, dict):
        raise InvalidBundle(f"{file}: #/schema/{name} must name one of #/schema/types")
    return {each.name: each for each in _properties(found, "", False, {}, _Schema(file, report))}


@dataclass(frozen=True)
class _Schema:
    file: str
    report: Report

    def add_loss(self, key: Any, text: str, *, gap: bool = False) -> None:
        self.report.add_loss(self.file, line(key), text, gap=gap)


def line(value: Any) -> int:
    return value.line if isinstance(value, Scalar) else 0


def _properties(
    schema: Declared, prefix: str, can_be_absent: bool, defaults: Declared, reader: _Schema
) -> Iterator[Input]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise InvalidBundle(f"{reader.file}: {prefix or 'the inputs'}: must have properties")
    if prefix.count(".") > _MAX_DEPTH:
        raise InvalidBundle(f"{reader.file}: {prefix}: is nested too deeply")
    for key, each in properties.items():
        name = f"{prefix}{key}"
        if not isinstance(each, dict):
            raise InvalidBundle(f"{reader.file}:{line(key)}: {name} must be a mapping")
        default = defaults.get(key, each.get("default"))
        optional = can_be_absent or key not in required
        if each.get("type") == "object" and "properties" in each:
            below = default if isinstance(default, dict) else {}
            yield from _properties(each, f"{name}.", optional, below, reader)
        else:
            yield _input(name, key, each, default, optional, reader)


def _input(
    name: str, key: str, schema: Declared, default: Any, optional: bool, reader: _Schema
) -> Input:
    kind = str(schema.get("type"))
    for keyword in schema:
        if keyword not in _KNOWN_KEYWORDS and not keyword.startswith("x-"):
            reader.add_loss(keyword, f"{name}: {keyword} is no longer checked")
    declared: Declared = {"Type": _TYPES.get(kind, "String")}
    text = schema.get("description", schema.get("title"))
    if isinstance(text, str):
        declared["Description"] = text[:4000]
    if kind == "array":
        declared |= _list(name, key, schema, reader)
    elif kind not in _TYPES:
        reader.add_loss(
            key, f"{name}: CloudFormation has no type {kind[:50]}, so any text is accepted"
        )
    else:
        declared |= _limits(name, kind, schema, reader)
    if default is not None:
        written = _written(kind, default)
        if written is None:
            reader.add_loss(
                key,
                f"{name}: its default cannot be a parameter's, so the caller must supply a value",
            )
        else:
            declared["Default"] = written
            _fit(name, key, declared, reader)
    return Input(name, kind, line(key), optional and default is None, declared)


def _fit(name: str, key: str, declared: Declared, reader: _Schema) -> None:
    """Make room for a default that breaks its own limits: Proton used it all the same."""
    default = str(declared["Default"])
    short, long = int(declared.get("MinLength", 0)), declared.get("MaxLength")
    if declared["Type"] == "String" and len(default) < short:
        declared["MinLength"] = Scalar.of(str(len(default)), plain=True)
        reader.add_loss(key, f"{name}: its default is shorter than its minLength, which is lowered")
    if declared["Type"] == "String" and long is not None and len(default) > int(long):
        declared["MaxLength"] = Scalar.of(str(len(default)), plain=True)
        reader.add_loss(key, f"{name}: its default is longer than its maxLength, which is raised")
    allowed = declared.get("AllowedValues")
    if allowed is not None and declared["Type"] != "CommaDelimitedList" and default not in allowed:
        declared["AllowedValues"] = [*allowed, declared["Default"]]
        reader.add_loss(key, f"{name}: its default is not in its enum, and is added")


def _limits(name: str, kind: str, schema: Declared, reader: _Schema) -> Declared:
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
                    raise InvalidBundle(f"{place}: {keyword} must be a whole number")
                declared[parameter] = schema[keyword]
        if isinstance(schema.get("pattern"), str):
            declared["AllowedPattern"] = _quoted(_for_cloudformation(schema["pattern"]))
    if kind in ("number", "integer"):
        declared |= {
            parameter: schema[keyword]
            for keyword, parameter in (("minimum", "MinValue"), ("maximum", "MaxValue"))
            if keyword in schema
        }
    if kind == "integer":
        reader.add_loss(schema["type"], f"{name}: a number with a fraction is accepted too")
    told = schema.get("format")
    if told == "password":
        declared["NoEcho"] = Scalar.of("true", plain=True)
    elif told is not None and told not in _FORMATS:
        reader.add_loss(told, f"{name}: the format {str(told)[:50]} is no longer checked")
    return declared


def _list(name: str, key: str, schema: Declared, reader: _Schema) -> Declared:
    items = schema.get("items")
    below = items if isinstance(items, dict) else {}
    kind = str(below.get("type"))
    if kind not in ("string", "number", "integer"):
        reader.add_loss(key, f"{name}: a list of {kind[:50]} cannot be a parameter", gap=True)
    for keyword in below:
        if keyword not in ("type", "title", "description", "enum", "pattern", "example"):
            reader.add_loss(keyword, f"{name}: {keyword} of its items is no longer checked")
    # An empty list would arrive as a list with one empty text.
    declared: Declared = {"Type": "CommaDelimitedList", "AllowedPattern": _quoted(r"[\s\S]+")}
    if isinstance(below.get("pattern"), str):
        declared["AllowedPattern"] = _quoted(
            rf"(?=[\s\S])(?:{_for_cloudformation(below['pattern'])})"
        )
    if isinstance(below.get("enum"), list):
        declared["AllowedValues"] = [_quoted(each) for each in below["enum"]]
    reader.report.add_note(reader.file, line(key), f"{name}: an empty list is no longer accepted")
    return declared


def _for_cloudformation(pattern: str) -> str:
    """The pattern for CloudFormation, which matches whole texts; OpenAPI searches in them."""
    anchored = pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$")
    if anchored and "|" not in pattern:
        return pattern
    return rf"[\s\S]*(?:{pattern})[\s\S]*"


def with_empty(declared: Declared) -> Declared:
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


def _quoted(text: str) -> Scalar:
    return Scalar.of(str(text))
