"""References within a template: each must have a target, and no output may refer to a secret.

CloudFormation finds missing targets too, but reports one at a time and not where. A reference that
it would accept is never refused here: resources that SAM may create, parts that a condition
selects, `Metadata` and `Rules` are left to CloudFormation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from slipway.domain import effort
from slipway.errors import FieldError

MAX_NAME = 255

# The sections whose keys are names.
SECTIONS = ("Parameters", "Mappings", "Conditions", "Resources", "Outputs")

_OTHERS = (
    "AWSTemplateFormatVersion", "Description", "Globals", "Metadata", "Rules", "Transform", "Hooks",
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


Place = tuple[Any, ...]
"""Where a value is: its key and the place of what contains it, or `()` at the top.

A chain, because putting together the pointer of every value would take longer than checking it.
"""


class _Use(NamedTuple):
    """One use of a name: its kind, its place, and whether a condition selects it.

    The kind `operand` is `{"Condition": name}`, which refers to a condition only inside Conditions.
    The kind `called` is a name that SAM gives to a resource.
    """

    kind: str
    name: str
    place: Place
    chosen: bool = False


def place(*keys: int | str) -> Place:
    found: Place = ()
    for key in keys:
        found = (key, found)
    return found


def path(place: Place) -> list[int | str]:
    """The keys that lead to a place, from the top."""
    keys = []
    while place:
        key, place = place
        keys.append(key)
    return keys[::-1]


def inside(value: Any) -> Iterable[tuple[int | str, Any]]:
    """The parts of a mapping or a list with their keys; nothing for anything else."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def below(at: str, *parts: int | str) -> str:
    """The JSON pointer (RFC 6901) of a part."""
    escaped = (str(part)[:MAX_NAME].replace("~", "~0").replace("/", "~1") for part in parts)
    return "/".join([at, *escaped])


def unknown(tree: Mapping[str, Any]) -> Iterator[FieldError]:
    """Unknown sections, and an unknown AWSTemplateFormatVersion."""
    for name in tree:
        if name not in (*SECTIONS, *_OTHERS):
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
    uses += _uses(sections["Globals"], place("Globals"))
    called = {use.name for use in uses if use.kind == "called"}
    made: dict[str, bool] = {}
    for use in uses:
        if use.kind not in known or use.name in known[use.kind]:
            continue
        grown = grows and use.kind in ("value", "resource")
        if grown and use.name not in made:
            made[use.name] = use.name in called or _is_made(use.name, resources)
        if not (grown and made[use.name]):
            at = below("#", *path(use.place))
            yield FieldError(at, f"{use.name[:MAX_NAME]} {_MISSING[use.kind]}")


def used(sections: _Sections) -> set[str]:
    """The names of parameters and resources that conditions, resources and outputs refer to."""
    uses = [*_in_conditions(sections), *_in_resources(sections), *_in_outputs(sections)]
    uses += _uses(sections["Globals"], place("Globals"))
    return {use.name for use in uses if use.kind in ("value", "parameter")}


def circles(sections: _Sections) -> Iterator[FieldError]:
    """Resources that depend on each other in a circle. Dependencies that a condition selects, or
    that involve a resource which SAM or a module expands, are left out: they may not be circular
    in the end."""
    resources = sections["Resources"]
    needs: dict[str, list[str]] = {name: [] for name in resources}
    for name, resource in resources.items():
        if not isinstance(resource, dict) or "Condition" in resource or _grows(resource):
            continue
        uses = [
            use for part in ("DependsOn", "Properties") for use in _in_part(name, part, resource)
        ]
        needed = {use.name: None for use in uses if not use.chosen and use.name in resources}
        needs[name] = [each for each in needed if not _grows(resources[each])]
    for circle in _circles(needs):
        more = ["…"] if len(circle) > _LONGEST_CIRCLE else []
        way = " → ".join([*circle[:_LONGEST_CIRCLE], *more, circle[0]])
        yield FieldError(below("#/Resources", circle[0]), f"depends on itself: {way}")


def shown(sections: _Sections, secrets: Collection[str]) -> Iterator[FieldError]:
    """Outputs that would reveal a secret to everyone who can see the environment."""
    found = set()
    for use in _in_outputs(sections):
        if use.kind == "value" and use.name in secrets:
            at = below("#", *path(use.place)[:3])
            if (at, use.name) not in found:
                found.add((at, use.name))
                yield FieldError(at, f"would reveal the secret {use.name}")


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
    for use in _uses(sections["Conditions"], place("Conditions")):
        yield use._replace(kind=kinds.get(use.kind, use.kind))


def _in_resources(sections: _Sections) -> Iterator[_Use]:
    for name, resource in sections["Resources"].items():
        for part in resource if isinstance(resource, dict) else ():
            if part != "Metadata":
                yield from _in_part(name, part, resource)


def _in_part(name: str, part: str, resource: Mapping[str, Any]) -> Iterator[_Use]:
    """The uses in one part of a resource, such as its properties."""
    value, at = resource.get(part), place("Resources", name, part)
    if part == "DependsOn":
        one = [(value, at), *((each, (key, at)) for key, each in inside(value))]
        yield from (_Use("resource", each, where) for each, where in one if isinstance(each, str))
    elif part == "Condition" and isinstance(value, str):
        yield _Use("condition", value, at)
    else:
        yield from _uses(value, at)


def _in_outputs(sections: _Sections) -> Iterator[_Use]:
    for name, output in sections["Outputs"].items():
        condition = output.get("Condition") if isinstance(output, dict) else None
        if isinstance(condition, str):
            yield _Use("condition", condition, place("Outputs", name, "Condition"))
        yield from _uses(output, place("Outputs", name))


def _uses(value: Any, at: Place) -> Iterator[_Use]:
    """The uses in a value, in their order. This is not recursive, so each takes the same time."""
    left = [(value, at, False)]
    while left:
        effort.check()
        value, at, chosen = left.pop()
        if isinstance(value, dict):
            if len(value) == 1:
                [(function, argument)] = value.items()
                for kind, name, part in _named(function, argument):
                    if isinstance(name, str):
                        here = (function, at)
                        yield _Use(kind, name, (*part, here) if part else here, chosen)
            for key in _SAMS_NAMES.intersection(value):
                if isinstance(value[key], str):
                    yield _Use("called", value[key], (key, at))
        left += [
            (each, (key, at), chosen or key == "Fn::If")
            for key, each in inside(value)
            if isinstance(each, dict | list)
        ][::-1]


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
