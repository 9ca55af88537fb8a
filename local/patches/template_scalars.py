"""A template's text means what CloudFormation takes it for.

Defects: the stock engine reads YAML as Python does, so a number with a leading zero that is not
octal stays text, and booleans become `True`; a key such as `On` or `012` is no text, which ends in
an internal error; merge keys are carried out and aliases followed, which CloudFormation refuses;
the short forms of Length, ToJsonString and of the functions of Rules are unknown.

slipway.domain.template_scalars has what was seen on AWS. The message about aliases is from memory.
"""

import json
from typing import Any

import yaml

from slipway.domain import template_scalars
from slipway.domain.template_scalars import SHORT_FORMS

_TAG = "tag:yaml.org,2002:"
_NAMES = {bool: "bool", int: "int", template_scalars.Fraction: "float", str: "str"}
# The arguments of these, and the values of tags, are compared and joined as text.
_TEXTS = {"Fn::Base64", "Fn::Equals", "Fn::FindInMap", "Fn::Join", "Fn::Select", "Fn::Split"} | {
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::Sub",
    "Parameters",
    "Ref",
    "Tags",
}


def patch(module: Any) -> None:
    class Loader(module.CfnLoader):  # type: ignore[misc]
        """YAML 1.1 with CloudFormation's short forms, without aliases and merge keys."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("YAML aliases are not allowed in CloudFormation templates")
            return super().compose_node(parent, index)

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is not yaml.ScalarNode:
                return super().resolve(kind, value, implicit)
            found = template_scalars.value(value) if implicit[0] else value
            return _TAG + _NAMES.get(type(found), "null")

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            read = super().construct_mapping(node, deep)
            return {template_scalars.written(key): value for key, value in read.items()}

    def plain(loader: Any, node: Any) -> Any:
        return template_scalars.value(node.value)

    for name in ("bool", "int", "float", "null"):
        Loader.add_constructor(_TAG + name, plain)
    for tag, function in SHORT_FORMS.items():
        if tag not in module.CfnLoader.yaml_constructors:
            Loader.add_constructor(tag, module._construct_cfn_tag(function))

    def parse(body: str) -> Any:
        """The template. Raises JSONDecodeError, YAMLError, ValueError."""
        body = body.strip()
        if body.startswith("{"):
            read = json.loads(body, parse_float=template_scalars.Fraction)
        else:
            read = yaml.load(body, Loader=Loader)  # nosec B506
        if not isinstance(read, dict):
            raise ValueError("unsupported structure.")
        return _compared(read)

    module._parse_template = parse


def _compared(node: Any, as_text: bool = False) -> Any:
    """The template, with scalars that are compared or joined as the text that they become."""
    if isinstance(node, dict):
        return {key: _compared(each, as_text or key in _TEXTS) for key, each in node.items()}
    if isinstance(node, list):
        return [_compared(each, as_text) for each in node]
    return template_scalars.written(node) if as_text else node


TARGETS = {"ministack.services.cloudformation.engine": patch}
