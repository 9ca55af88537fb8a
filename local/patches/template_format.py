"""An invalid template is refused before a stack is created.

Defects: the stock engine accepts a template with references without a target (the value of such a
Ref is its own name), without resources, with unknown sections or fields, or with circular
dependencies, and creates a stack; a resource that is no object leaves the stack in progress for
ever.

The messages are those of LocalStack's recordings cloudformation/api test_validations, test_stacks
(test_linting_error_during_creation), test_changesets (test_using_pseudoparameters_in_places) and
test_templates, and of AWS's article "template validation errors"; those of undefined conditions and
policies are from memory.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
}
ATTRIBUTES = {
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
}
POLICIES = ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")
PSEUDO = {
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
}
NAME = re.compile(r"[A-Za-z0-9]+")
TYPES = re.compile(r"String|Number|CommaDelimitedList|List<.+>|AWS::.+")
Node = dict[str, Any]


def patch(module: Any) -> None:
    stock_parse, stock_validate = module._parse_template, module.validate_template_support

    def parse(body: str) -> Any:
        """The template. An error's message follows "Template format error: "."""
        try:
            template = stock_parse(body)
        except json.JSONDecodeError as error:
            where = f"(line {error.lineno}, column {error.colno})"
            raise ValueError(f"JSON not well-formed. {where}") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
            raise ValueError(f"YAML not well-formed.{where}") from error
        for problem in _shape_faults(template):
            raise ValueError(problem)
        return template

    def validate(template: Node, conditions: Node, params: Any = None) -> None:
        # A template with a transform is not final. One whose transform failed reports that itself.
        final = not template.get("Transform") and not isinstance(template, module._TransformFailed)
        if final:
            for problem in (*_field_faults(template), *_reference_faults(module, template)):
                raise ValueError(problem)
        stock_validate(template, conditions, params)
        if final:
            _require_no_cycle(module, template, conditions)

    module._parse_template, module.validate_template_support = parse, validate


def _shape_faults(template: Node) -> Iterator[str]:
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        yield "At least one Resources member must be defined."
        return
    for section, word in (("Resources", "Resource"), ("Parameters", "Parameter")):
        for name in template.get(section) or {}:
            if not NAME.fullmatch(str(name)) and not _is_macro(name):
                yield f"{word} name {name} is non alphanumeric."
    for name, resource in resources.items():
        if _is_macro(name):
            continue
        if not isinstance(resource, dict):
            yield "Any Resources member must be an object."
        elif "Type" not in resource:
            yield f"[/Resources/{name}] Every Resources object must contain a Type member."
    for output in (template.get("Outputs") or {}).values():
        if isinstance(output, dict) and "Value" not in output:
            yield "Every Outputs member must contain a Value object"
    for parameter in (template.get("Parameters") or {}).values():
        kind = parameter.get("Type") if isinstance(parameter, dict) else None
        if not isinstance(kind, str) or not TYPES.fullmatch(kind):
            yield f"Unrecognized parameter type: {kind}"


def _is_macro(name: Any) -> bool:
    """Whether the name is Fn::ForEach or Fn::Transform, which are replaced by resources."""
    return str(name).startswith("Fn::")


def _field_faults(template: Node) -> Iterator[str]:
    if unknown := [str(name) for name in template if name not in SECTIONS]:
        yield f"Invalid template property or properties [{', '.join(unknown)}]"
    for name, output in (template.get("Outputs") or {}).items():
        if not isinstance(output, dict) or output.get("Value") is None:
            yield f"[/Outputs/{name}/Value] 'null' values are not allowed in templates"
    for name, resource in template["Resources"].items():
        for field in resource:
            if field not in ATTRIBUTES:
                yield f"Invalid template resource property '{field}'"
        for field in ("DeletionPolicy", "UpdateReplacePolicy"):
            policy = resource.get(field, "Delete")
            if isinstance(policy, str) and policy not in POLICIES:
                yield f"Template format error: Unrecognized {field} {policy} for resource {name}"


def _reference_faults(module: Any, template: Node) -> Iterator[str]:
    """The faults of references to missing resources, parameters and conditions."""
    resources = template["Resources"]
    known = resources.keys() | (template.get("Parameters") or {}).keys() | PSEUDO
    for block in ("Resources", "Outputs"):
        missing: dict[str, None] = {}
        for node in (template.get(block) or {}).values():
            for name, attribute in module._intrinsic_references(_without_metadata(node)):
                if name in known:
                    continue
                if attribute and block == "Resources" and not _in_sub(node, name):
                    said = "instance of Fn::GetAtt references undefined resource"
                    yield f"Template error: {said} {name}"
                missing[name] = None
            wanted = node.get("DependsOn", [])
            for name in [wanted] if isinstance(wanted, str) else list(wanted or []):
                if name not in resources:
                    missing[str(name)] = None
        if missing:
            listed = ", ".join(missing)
            yield (
                f"Template format error: Unresolved resource dependencies [{listed}] in the "
                f"{block} block of the template"
            )
        for name in _used_conditions(template.get(block) or {}):
            if name not in (template.get("Conditions") or {}):
                yield (
                    f"Template format error: Unresolved condition dependency {name} in the "
                    f"{block} block of the template"
                )


def _without_metadata(node: Node) -> Node:
    return {key: value for key, value in node.items() if key != "Metadata"}


def _in_sub(node: Any, name: str) -> bool:
    return f"${{{name}." in json.dumps(node, default=str)


def _used_conditions(block: Node) -> Iterator[str]:
    """The conditions that resources, outputs and their Fn::If name."""
    for node in block.values():
        if isinstance(condition := node.get("Condition"), str):
            yield condition
        ahead = [node]
        while ahead:
            each = ahead.pop()
            if isinstance(each, dict):
                choice = each.get("Fn::If")
                if isinstance(choice, list) and choice and isinstance(choice[0], str):
                    yield choice[0]
                ahead += each.values()
            elif isinstance(each, list):
                ahead += each


def _require_no_cycle(module: Any, template: Node, conditions: Node) -> None:
    try:
        module._topological_sort(template["Resources"], conditions)
    except ValueError as error:
        names = str(error).rpartition(": ")[2]
        raise ValueError(f"Circular dependency between resources: [{names}]") from error


TARGETS = {"ministack.services.cloudformation.engine": patch}
