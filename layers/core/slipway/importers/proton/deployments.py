"""What deployments bring, the URL of an environment, and places where SAM itself reads.

In Proton, a pipeline passed the code or the image of a service as an input. In Slipway, each
deployment brings them: the parameter Artifact, or its parts, takes the place of such an input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from slipway.domain.deployment import brought
from slipway.domain.template_parser import SAM
from slipway.importers.proton.branches import Tree, is_function
from slipway.importers.proton.bundle import Scalar
from slipway.importers.proton.report import Report

_BUCKET, _KEY = {"Ref": "ArtifactBucket"}, {"Ref": "ArtifactKey"}
# The keys of an object in S3, in the form of each kind of resource.
_CODE = {
    "AWS::Lambda::Function": ("Code", "S3Bucket", "S3Key"),
    "AWS::Serverless::Function": ("CodeUri", "Bucket", "Key"),
}
_SUBSTITUTED = re.compile(r"\$\{([^!{}][^{}]*)\}")


@dataclass
class Deployments:
    """Changes the template in place. `line` is the line at which an input is used."""

    tree: Tree
    report: Report
    file: str
    line: Callable[[str], int]

    def adapt(self) -> Tree:
        before = {*self._names(self.tree)}
        self._bring_code()
        self._bring_image()
        if self.tree.get("Transform") in (SAM, [SAM]):
            self._write_out()
        self._show_url()
        self._bound_roles()
        for name in before - {*self._names(self.tree)}:
            # Its value comes from elsewhere now.
            self._parameters().pop(name, None)
        return self.tree

    # --- code and images ----------------------------------------------------------------------

    def _bring_code(self) -> None:
        for kind, properties in self._properties():
            if kind not in _CODE:
                continue
            whole, bucket, key = _CODE[kind]
            code = properties.get(whole)
            if kind == "AWS::Serverless::Function" and is_function(code):
                properties[whole] = {bucket: _BUCKET, key: _KEY}
                self._supply(self._input(code), code)
            elif isinstance(code, dict) and self._input(code.get(key)):
                name = self._input(code[key])
                parts = {"ArtifactBucket": code.get(bucket), "ArtifactKey": code[key]}
                properties[whole] = {**code, bucket: _BUCKET, key: _KEY}
                self._supply(name, None, parts)

    def _supply(self, name: str, uri: Any, parts: Tree | None = None) -> None:
        """The parameters for the parts of the artifact, with what the bundle has as defaults."""
        if parts is None:
            found = brought(None, self._default(uri))
            parts = {each: found[each] or "" for each in ("ArtifactBucket", "ArtifactKey")}
        for each, value in parts.items():
            default = value if isinstance(value, str) else self._default(value)
            self._declare(each, default or "")
        self._note(name, f"the artifact of each deployment brings the code that {name} named")

    def _bring_image(self) -> None:
        places = [*self._images()]
        names = {name for parent, key in places if (name := self._input(parent[key]))}
        whole = [each for each in places if "Ref" in each[0][each[1]]]
        if len(names) > 1:
            told = ", ".join(sorted(names))
            self._note(min(names), f"{told} stay inputs: a deployment brings one image only")
        elif names and whole:
            [name] = names
            self._declare("Artifact", self._default({"Ref": name}) or "")
            for parent, key in whole:
                parent[key] = {"Ref": "Artifact"}
            self._note(name, f"the artifact of each deployment is the image that {name} named")

    def _images(self) -> Iterator[tuple[Tree, str]]:
        for kind, properties in self._properties():
            code = properties.get("Code")
            if isinstance(code, dict) and is_function(code.get("ImageUri")):
                yield code, "ImageUri"
            if is_function(properties.get("ImageUri")):
                yield properties, "ImageUri"
            several = properties.get("ContainerDefinitions")
            if kind == "AWS::ECS::TaskDefinition" and isinstance(several, list):
                for each in several:
                    if isinstance(each, dict) and is_function(each.get("Image")):
                        yield each, "Image"

    def _input(self, value: Any) -> str:
        """The first input in a value; empty if there is none."""
        names = (name for name in self._names(value) if name in self._parameters())
        return next(names, "")

    # --- where SAM reads ----------------------------------------------------------------------

    def _write_out(self) -> None:
        """SAM takes no functions there. The defaults of the inputs take their place."""
        for _, properties in self._properties():
            events = properties.get("Events")
            for name, event in events.items() if isinstance(events, dict) else ():
                inner = event.get("Properties") if isinstance(event, dict) else None
                for key in ("Path", "Method"):
                    if isinstance(inner, dict) and is_function(inner.get(key)):
                        inner[key] = self._plain(inner[key], f"{name}: {key}")
            for key in ("ContentUri", "DefinitionUri"):
                if is_function(properties.get(key)):
                    properties[key] = self._plain(properties[key], key)

    def _plain(self, value: Any, where: str) -> Any:
        name = self._input(value)
        text = value.get("Fn::Sub", f"${{{value.get('Ref')}}}")
        known = {each: self._default({"Ref": each}) for each in _SUBSTITUTED.findall(str(text))}
        if not isinstance(text, str) or None in known.values():
            told = f"{where} cannot contain inputs, because SAM reads it itself"
            self.report.add_loss(self.file, self.line(name), told, gap=True)
            return Scalar.of("")
        plain = _SUBSTITUTED.sub(lambda found: str(known[found[1]]), text).replace("${!", "${")
        told = f"{where} is {plain} now: SAM reads it itself, so it cannot depend on {name}"
        self.report.add_loss(self.file, self.line(name), told)
        return Scalar.of(plain)

    # --- the URL ------------------------------------------------------------------------------

    def _show_url(self) -> None:
        outputs = self.tree.get("Outputs")
        if not isinstance(outputs, dict) or "Url" in outputs:
            return
        urls = [
            name
            for name, each in outputs.items()
            if re.search("url$|endpoint$", name, re.IGNORECASE) and _is_url(each.get("Value"))
        ]
        if len(urls) == 1:
            outputs["Url"] = {
                key: each for key, each in outputs[urls[0]].items() if key != "Export"
            }
            told = f"the output {urls[0]} is Url, too, and so the environment's base_url"
            self.report.add_note(self.file, 0, told)

    # --- roles --------------------------------------------------------------------------------

    def _bound_roles(self) -> None:
        """Every role of an environment has its boundary."""
        found = False
        for kind, properties in self._properties():
            missing = "PermissionsBoundary" not in properties
            makes_role = kind == "AWS::Serverless::Function" and "Role" not in properties
            if missing and (kind == "AWS::IAM::Role" or makes_role):
                properties["PermissionsBoundary"] = {"Ref": "PermissionsBoundary"}
                found = True
        if found:
            self._declare("PermissionsBoundary", "")
            self.report.add_note(self.file, 0, "roles have the boundary that Slipway requires")

    # --- the tree -----------------------------------------------------------------------------

    def _properties(self) -> Iterator[tuple[str, Tree]]:
        """The type and the properties of each resource, and those that Globals have for all."""
        for kind, properties in _mapping(self.tree.get("Globals")).items():
            if isinstance(properties, dict):
                yield f"AWS::Serverless::{kind}", properties
        for resource in _mapping(self.tree.get("Resources")).values():
            kind = str(_mapping(resource).get("Type"))
            if kind == "AWS::IAM::Role":
                resource.setdefault("Properties", {})
            if isinstance(_mapping(resource).get("Properties"), dict):
                yield kind, resource["Properties"]

    def _parameters(self) -> Tree:
        found: Tree = self.tree.setdefault("Parameters", {})
        return found

    def _declare(self, name: str, default: str) -> None:
        declared = {"Type": Scalar.of("String", plain=True), "Default": Scalar.of(default)}
        self._parameters().setdefault(name, declared)

    def _default(self, value: Any) -> str | None:
        """The default of the parameter that the value is."""
        name = value.get("Ref") if isinstance(value, dict) else None
        found = _mapping(self._parameters().get(str(name))).get("Default")
        return str(found) if found is not None else None

    def _names(self, value: Any) -> Iterator[str]:
        """The names that a value refers to, in their order, without those of Parameters."""
        if isinstance(value, dict):
            for key, each in value.items():
                if key == "Ref" and isinstance(each, str):
                    yield str(each)
                elif key != "Parameters" or each is not self._parameters():
                    yield from self._names(each)
                if key == "Fn::Sub":
                    text = each[0] if isinstance(each, list) and each else each
                    yield from _SUBSTITUTED.findall(str(text))
        elif isinstance(value, list):
            for each in value:
                yield from self._names(each)

    def _note(self, name: str, text: str) -> None:
        self.report.add_note(self.file, self.line(name), text)


def _mapping(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}


def _is_url(value: Any) -> bool:
    """Whether an output is the address of something that answers HTTP."""
    text = str(next(iter(value.values())) if isinstance(value, dict) else value)
    return bool(re.search(r"https?://|ApiEndpoint|FunctionUrl|WebsiteURL", text))
