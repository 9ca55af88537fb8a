"""References within a template: each must have a target, and no output may refer to a secret.

CloudFormation finds missing targets too, but reports one at a time and not where. A reference that
it would accept is never refused here: resources that SAM may create, parts that a condition
selects, `Metadata` and `Rules` are left to CloudFormation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from slipway.errors import FieldError

MAX_NAME = 255

# The sections whose keys are names.
SECTIONS = ("Parameters", "Mappings", "Conditions", "Resources", "Outputs")

_OTHERS = (
    "AWSTemplateFormatVersion", "Description", "Metadata", "Rules", "Transform", "Hooks",
)  # fmt: skip
_FORMAT = "2010-09-09"
_PSEUDO = {
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
}
# SAM's names for resources that it derives from no single one. The others begin with its name.
_SAMS_OWN = (
    "ApiGatewayDomainName",
    "CodeDeployServiceRole",
    "DomainNameAccessAssociation",
    "RecordSetGroup",
    "Serverless",
)
# The property of an event that names its queue.
_SAMS_NAMES = frozenset({"QueueLogicalId", "QueuePolicyLogicalId"})
# A variable's name contains none of `${}`, so the search takes linear time.
_VARIABLE = re.compile(r"\$\{([^${}]+)\}")
_LONGEST_CIRCLE = 10

_MISSING = {
    "value": "is neither a parameter nor a resource",
    "parameter": "is not a parameter",
    "resource": "is not a resource",
    "condition": "is not a condition",
    "mapping": "is not a mapping",
}


_Sections = Mapping[str, Mapping[str, Any]]


class _Use(NamedTuple):
    """One use of a name: its kind, its place, and whether a condition selects it.

    The kind `operand` is `{"Condition": name}`, which refers to a condition only inside Conditions.
    The kind `called` is a name that SAM gives to a resource.
    """

    kind: str
    name: str
    at: tuple[int | str, ...]
    chosen: bool = False


def below(at: str, *parts: int | str) -> str:
    """The JSON pointer (RFC 6901) of a part."""
    escaped = (str(part)[:MAX_NAME].replace("~", "~0").replace("/", "~1") for part in parts)
    return "/".join([at, *escaped])


def unknown(tree: Mapping[str, Any], *, sam: bool) -> Iterator[FieldError]:
    """Unknown sections, and an unknown AWSTemplateFormatVersion."""
    for name in tree:
        if name not in (*SECTIONS, *_OTHERS) and not (sam and name == "Globals"):
            yield FieldError(below("#", name), "is not a section of a CloudFormation template")
    if tree.get("AWSTemplateFormatVersion", _FORMAT) != _FORMAT:
        yield FieldError("#/AWSTemplateFormatVersion", f"must be {_FORMAT}")


def missing(sections: _Sections, *, grows: bool) -> Iterator[FieldError]:
    """References without a target. `grows`: SAM or a module expands the resources."""
    names = {section: set(found) for section, found in sections.items()}
    resources = names["Resources"]
    known = {
        "value": names["Parameters"] | resources | _PSEUDO,
        "parameter": names["Parameters"] | _PSEUDO,
        "resource": resources,
        "condition": names["Conditions"],
        "mapping": names["Mappings"],
    }
    uses = [*_in_conditions(sections), *_in_resources(sections), *_in_outputs(sections)]
    uses += _uses(sections["Globals"], ["Globals"])
    called = {use.name for use in uses if use.kind == "called"}
    for use in uses:
        if use.kind not in known or use.name in known[use.kind]:
            continue
        grown = grows and use.kind in ("value", "resource")
        if not (grown and (use.name in called or _is_made(use.name, resources))):
            yield FieldError(below("#", *use.at), f"{use.name[:MAX_NAME]} {_MISSING[use.kind]}")


def circles(sections: _Sections) -> Iterator[FieldError]:
    """Resources that depend on each other in a circle. Dependencies that a condition selects, or
    that involve a resource which SAM or a module expands, are left out: they may not be circular
    in the end."""
    resources = sections["Resources"]
    needs: dict[str, list[str]] = {name: [] for name in resources}
    for use in _in_resources(sections):
        name, part = str(use.at[1]), use.at[2]
        if part not in ("DependsOn", "Properties") or use.name not in resources:
            continue
        always = not use.chosen and "Condition" not in resources[name]
        if always and not (_grows(resources[name]) or _grows(resources[use.name])):
            needs[name].append(use.name)
    for circle in _circles(needs):
        more = ["…"] if len(circle) > _LONGEST_CIRCLE else []
        way = " → ".join([*circle[:_LONGEST_CIRCLE], *more, circle[0]])
        yield FieldError(below("#/Resources", circle[0]), f"depends on itself: {way}")


def shown(sections: _Sections, secrets: Collection[str]) -> Iterator[FieldError]:
    """Outputs that would reveal a secret to everyone who can see the environment."""
    found = {
        (use.at[1], use.at[2], use.name): None
        for use in _in_outputs(sections)
        if use.kind == "value" and use.name in secrets
    }
    for output, part, name in found:
        yield FieldError(below("#/Outputs", output, part), f"would reveal the secret {name}")


def _grows(resource: Any) -> bool:
    kind = str(resource.get("Type")) if isinstance(resource, dict) else ""
    return kind.startswith("AWS::Serverless::") or kind.endswith("::MODULE")


def _is_made(name: str, resources: Collection[str]) -> bool:
    beginnings = (name[:end] for end in range(1, min(len(name), MAX_NAME) + 1))
    return name.startswith(_SAMS_OWN) or any(each in resources for each in beginnings)


def _circles(needs: Mapping[str, list[str]]) -> Iterator[list[str]]:
    done: set[str] = set()
    for start in needs:
        # From the start to here, and what each has still to be asked for.
        way, on, left = [start], {start}, [iter(needs[start])]
        while way:
            onward = next((each for each in left[-1] if each not in done), None)
            if onward is None:
                left.pop()
                here = way.pop()
                on.remove(here)
                done.add(here)
            elif onward in on:
                yield way[way.index(onward) :]
            else:
                way.append(onward)
                on.add(onward)
                left.append(iter(needs[onward]))


# --- names in use ---------------------------------------------------------------------------


def _in_conditions(sections: _Sections) -> Iterator[_Use]:
    kinds = {"value": "parameter", "operand": "condition"}
    for use in _uses(sections["Conditions"], ["Conditions"]):
        yield use._replace(kind=kinds.get(use.kind, use.kind))


def _in_resources(sections: _Sections) -> Iterator[_Use]:
    for name, resource in sections["Resources"].items():
        for key, value in resource.items() if isinstance(resource, dict) else ():
            at = ("Resources", name, key)
            if key == "DependsOn":
                several = enumerate(value) if isinstance(value, list) else ()
                one = [((), value), *(((n,), each) for n, each in several)]
                yield from (_Use("resource", w, at + n) for n, w in one if isinstance(w, str))
            elif key == "Condition" and isinstance(value, str):
                yield _Use("condition", value, at)
            elif key != "Metadata":
                yield from _uses(value, [*at])


def _in_outputs(sections: _Sections) -> Iterator[_Use]:
    for name, output in sections["Outputs"].items():
        condition = output.get("Condition") if isinstance(output, dict) else None
        if isinstance(condition, str):
            yield _Use("condition", condition, ("Outputs", name, "Condition"))
        yield from _uses(output, ["Outputs", name])


def _uses(value: Any, path: list[int | str], chosen: bool = False) -> Iterator[_Use]:
    """`path` is the place of the value. It is modified during the walk and restored."""
    if isinstance(value, dict):
        if len(value) == 1:
            for function, argument in value.items():
                for kind, name, part in _named(function, argument):
                    if isinstance(name, str):
                        yield _Use(kind, name, (*path, function, *part), chosen)
        for key, each in value.items():
            if key in _SAMS_NAMES and isinstance(each, str):
                yield _Use("called", each, (*path, key))
            path.append(key)
            yield from _uses(each, path, chosen or key == "Fn::If")
            path.pop()
    elif isinstance(value, list):
        for n, each in enumerate(value):
            path.append(n)
            yield from _uses(each, path, chosen)
            path.pop()


def _named(function: str, argument: Any) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """The names in a function's argument, each with its kind and its place there."""
    first = argument[0] if isinstance(argument, list) and argument else None
    if function == "Ref":
        yield "value", argument, ()
    elif function == "Condition":
        yield "operand", argument, ()
    elif function == "Fn::If":
        yield "condition", first, (0,)
    elif function == "Fn::FindInMap":
        yield "mapping", first, (0,)
    elif function == "Fn::GetAtt":
        attribute = argument if isinstance(argument, str) else first
        if isinstance(attribute, str):
            yield "resource", attribute.partition(".")[0], ()
    elif function == "Fn::Sub":
        text, own = (
            argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
        )
        yield from _variables(text, own)


def _variables(text: Any, own: Any) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    for found in _VARIABLE.findall(text) if isinstance(text, str) else ():
        name, dot, _ = found.strip().partition(".")
        its_own = isinstance(own, dict) and found.strip() in own
        # `${!Literal}` is no variable. CloudFormation refuses malformed names.
        if not its_own and name.replace(":", "").isalnum():
            yield ("resource" if dot else "value"), name, ()
