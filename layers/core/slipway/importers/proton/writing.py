"""Writes a tree as YAML, with CloudFormation's short forms and scalars as written."""

from __future__ import annotations

from typing import Any

import yaml

from slipway.domain import template_scalars
from slipway.domain.template_scalars import SHORT_FORMS
from slipway.importers.proton.branches import is_function
from slipway.importers.proton.bundle import Scalar

_SHORT = {name: tag for tag, name in SHORT_FORMS.items()}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write a repeated value twice, not as an alias."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def dump(tree: dict[str, Any]) -> str:
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def _scalar(dumper: _Dumper, value: str) -> yaml.Node:
    if isinstance(value, Scalar) and value.plain:
        tag: str = dumper.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
        return dumper.represent_scalar(tag, str(value))
    return _text(dumper, value)


def _text(dumper: _Dumper, value: str, tag: str = "tag:yaml.org,2002:str") -> yaml.Node:
    # PyYAML quotes what it would not read as text; CloudFormation reads more as numbers.
    quoted = None if template_scalars.is_text(value) else "'"
    return dumper.represent_scalar(tag, str(value), style="|" if "\n" in value else quoted)


def _mapping(dumper: _Dumper, value: dict[str, Any]) -> yaml.Node:
    name = next(iter(value), None)
    tag = _SHORT.get(name or "")
    inner = value.get(name or "")
    if tag is None or not is_function(value) or name == "Condition" or isinstance(inner, dict):
        return dumper.represent_dict(value.items())
    if name == "Fn::GetAtt" and isinstance(inner, list):
        if not all(isinstance(each, str) for each in inner):
            return dumper.represent_dict(value.items())
        inner = ".".join(inner)
    if isinstance(inner, list):
        return dumper.represent_sequence(tag, inner, flow_style=False)
    return _text(dumper, str(inner), tag)


_Dumper.add_representer(Scalar, _scalar)
_Dumper.add_representer(str, _scalar)
_Dumper.add_representer(dict, _mapping)
