"""The stack that CloudFormation would make of a template, with its functions computed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from boto3 import Session
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from local.package import load_yaml
from slipway.domain import template_syntax

GONE = object()
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Region": "eu-central-1",
    "AWS::Partition": "aws",
    "AWS::StackName": "stack",
}


def read(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = template_syntax.from_yaml(text, lambda event: str(event.value))
    return tree


def stack(text: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Resources and outputs as they would be: no conditions, no parameters, scalars as text."""
    return Stack(read(text), given).made()


def unbound(value: Any) -> Any:
    """Without the boundary of roles, which is Slipway's own."""
    if isinstance(value, dict):
        return {k: unbound(each) for k, each in value.items() if k != "PermissionsBoundary"}
    return [unbound(each) for each in value] if isinstance(value, list) else value


def proton(folder: Path, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The stack that Proton would have made: real Jinja, with real values."""
    return stack(rendered((folder / "cloudformation.yaml").read_text(), scope), {})


def rendered(text: str, scope: Mapping[str, Any]) -> str:
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for name in ("ecs_task_definition_formatted_env_vars", "iam_policy_arns", "sanitize"):
        jinja.filters[f"proton_cfn_{name}"] = lambda value: value or ""
    return jinja.from_string(text).render(scope)


def transformed(text: str, given: Mapping[str, str]) -> dict[str, Any]:
    """The stack that SAM's transform makes of it, before CloudFormation looks at conditions."""
    # SAM wants numbers to be numbers, so this one is not read as text.
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        template = load_yaml(Path(file.name))
    # As CloudFormation gives them to a transform.
    declared = template.get("Parameters", {})
    values = {name: given.get(name, each.get("Default")) for name, each in declared.items()}
    translator = Translator({}, Parser(), boto_session=Session(region_name="eu-central-1"))
    made: dict[str, Any] = translator.translate(template, values)
    return Stack(made, given).made()


class Stack:
    def __init__(self, template: dict[str, Any], given: Mapping[str, str]) -> None:
        self.template = template
        declared = template.get("Parameters") or {}
        assert set(given) <= set(declared), set(given) - set(declared)
        self.values: dict[str, Any] = dict(PSEUDO)
        for name, parameter in declared.items():
            value = given[name] if name in given else str(parameter["Default"])
            allowed = [*map(str, parameter.get("AllowedValues", [value]))]
            assert value in allowed, (name, value)
            is_list = parameter["Type"] == "CommaDelimitedList"
            self.values[name] = value.split(",") if is_list else value

    def made(self) -> dict[str, Any]:
        return {
            "Globals": self.value(self.template.get("Globals", {})),
            "Resources": self.entries("Resources"),
            "Outputs": self.entries("Outputs"),
        }

    def entries(self, section: str) -> dict[str, Any]:
        present = {
            name: each
            for name, each in (self.template.get(section) or {}).items()
            if "Condition" not in each or self.holds({"Condition": each["Condition"]})
        }
        made = {}
        for name, each in present.items():
            body = {key: value for key, value in each.items() if key != "Condition"}
            on = body.pop("DependsOn", [])
            # Resources that are not made are not waited for.
            on = sorted({on} if isinstance(on, str) else on)
            whole = self.value(body)
            made[name] = {**whole, "DependsOn": [one for one in on if one in present]}
        return made

    def holds(self, condition: Any) -> bool:
        [(name, argument)] = condition.items()
        if name == "Condition":
            return self.holds(self.template["Conditions"][argument])
        if name == "Fn::Equals":
            left, right = map(self.value, argument)
            return bool(left == right)
        parts = [self.holds(each) for each in argument]
        return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[name]

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            every = [self.value(each) for each in value]
            return [each for each in every if each is not GONE]
        if not isinstance(value, dict):
            return str(value)
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self.function(name, argument)
        pairs = {key: self.value(each) for key, each in value.items()}
        return {key: each for key, each in pairs.items() if each is not GONE}

    def function(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            if argument == "AWS::NoValue":
                return GONE
            return self.values.get(argument, {"Ref": argument})
        if name == "Fn::If":
            return self.value(argument[1 if self.holds({"Condition": argument[0]}) else 2])
        if name == "Fn::FindInMap":
            names, first, second = map(self.value, argument)
            return str(self.template["Mappings"][names][first][second])
        if name == "Fn::Sub":
            return self.sub(argument)
        found = self.value(argument)
        if name == "Fn::Join" and all(isinstance(each, str) for each in found[1]):
            return found[0].join(found[1])
        if name == "Fn::Select" and isinstance(found[1], list):
            return found[1][int(found[0])]
        return {name: found}

    def sub(self, argument: Any) -> Any:
        text, more = argument if isinstance(argument, list) else (argument, {})
        values = {**self.values, **{key: self.value(each) for key, each in more.items()}}

        def put(found: re.Match[str]) -> str:
            if found[1].startswith("!"):
                return f"${{{found[1][1:]}}}"
            return str(values.get(found[1], f"<{found[1]}>"))

        return re.sub(r"\$\{([^}]*)\}", put, text)
