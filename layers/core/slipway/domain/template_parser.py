"""Parses a CloudFormation or SAM template without trusting it.

Only its parameters, outputs and resource types are read. The body is stored unchanged, and
CloudFormation has the last word (slipway.aws.template_bodies).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice, starmap
from typing import Any

from slipway.domain import (
    dynamic_references,
    effort,
    inputs,
    references,
    sam_events,
    template_interface,
    template_loops,
    template_parameters,
    template_reach,
    template_scan,
    template_syntax,
)
from slipway.domain.allowances import Allowances
from slipway.domain.capacity import Numbers
from slipway.domain.references import MAX_NAME, below
from slipway.domain.resource_types import INSTEAD
from slipway.domain.sam_events import Event
from slipway.domain.template import Parameter, ParameterGroup, not_allowed
from slipway.domain.template_loops import Expansion
from slipway.errors import FieldError, Invalid, Malformed

SAM = "AWS::Serverless-2016-10-31"
LANGUAGE = template_loops.TRANSFORM
_SERVERLESS = "AWS::Serverless::"
# AWS requires this order.
_TRANSFORMS: tuple[list[str], ...] = ([], [SAM], [LANGUAGE], [LANGUAGE, SAM])

# An item of the table has at most 400 kB, and idempotency records contain the answer.
_MAX_DESCRIBED = 150_000
_MAX_FAULTS = 20


@dataclass(frozen=True)
class ParsedTemplate:
    """The parts of a template's body that Slipway needs.

    types     each resource's type, by its logical id
    sam       whether SAM transforms the template
    groups    the groups of parameters
    events    the events for which SAM creates resources, by their JSON pointers
    sections  the sections of the body, with loops carried out
    expansion the loops of AWS::LanguageExtensions, and the inputs that they depend on
    rules     the section Rules
    repeated  the JSON pointers of keys that a mapping has more than once; the last one counts
    otherwise the template as it would be if the first one counted, if there are any
    """

    parameters: Sequence[Parameter]
    outputs: Sequence[str]
    types: Mapping[str, str]
    sam: bool
    groups: Sequence[ParameterGroup] = ()
    events: Mapping[str, Event] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict, repr=False)
    expansion: Expansion = field(default_factory=lambda: Expansion({}), repr=False, compare=False)
    rules: Any = field(default=None, repr=False)
    repeated: Sequence[str] = ()
    otherwise: ParsedTemplate | None = field(default=None, repr=False)

    @property
    def resources(self) -> dict[str, int]:
        return dict(sorted(Counter(self.types.values()).items()))


def read(body: bytes, *, is_json: bool, values: Mapping[str, str] | None = None) -> ParsedTemplate:
    """Parse a template's body. `values` are the inputs with which its loops are carried out, by
    default those of the template.

    Raises Malformed, Invalid, TooCostly.
    """
    try:
        text = body.decode()
    except ValueError:
        raise Malformed("The body is not valid UTF-8.") from None

    def tree(repeats: template_syntax.Repeats) -> Any:
        if is_json:
            return template_syntax.from_json(text, repeats)
        return template_syntax.from_yaml(text, repeats=repeats)

    repeats = template_syntax.Repeats()
    with effort.limited():
        found = _parsed(tree(repeats), values or {})
        if not repeats.pointers:
            return found
        # AWS does not say which one counts, so the template must be allowed in both cases.
        otherwise = _parsed(tree(template_syntax.Repeats(first=True)), values or {})
        return replace(found, repeated=repeats.pointers, otherwise=otherwise)


def read_stored(body: bytes, values: Mapping[str, str] | None = None) -> ParsedTemplate:
    """Parse a body that was accepted before. `values` and errors as of `read`."""
    # A mapping in braces may be JSON or YAML.
    with suppress(Malformed):
        if body.lstrip().startswith(b"{"):
            return read(body, is_json=True, values=values)
    return read(body, is_json=False, values=values)


def check_allowed(template: ParsedTemplate, allowances: Allowances) -> Numbers:
    """The capacity that the template reserves.

    Raises Invalid for types that are not allowed, and for what reaches beyond the environment;
    TooCostly.
    """
    if template.otherwise:
        check_allowed(template.otherwise, allowances)
    faults = types_not_allowed(template, allowances.types)
    beyond, numbers = template_reach.faults(
        template.sections, template.parameters, template.types, template.sam, allowances
    )
    known = {each.pointer for each in faults}
    shared = dynamic_references.elsewhere(template.sections, allowances.stack)
    with effort.limited():
        several = chain(faults, shared, (each for each in beyond if each.pointer not in known))
        _raise(template.expansion.source(list(islice(several, _MAX_FAULTS))))
    return numbers


_REFUSED = "is not allowed here: an administrator allows types by AllowedResourceTypes"


def _instead(types: Sequence[str]) -> str:
    known = [INSTEAD[kind] for kind in types if kind in INSTEAD]
    return f". Or {known[0]}" if known else ""


def types_not_allowed(template: ParsedTemplate, allowed: Sequence[str]) -> list[FieldError]:
    """Faults: resource types that no pattern of `allowed` matches, and events for which SAM would
    create such resources."""
    others = set(not_allowed(template.types.values(), allowed))
    events = set(template.events.values())
    made = {event: sam_events.refused(event.makes, allowed) for event in events}
    faults = {
        below("#/Resources", name, "Type"): f"{kind[:MAX_NAME]} {_REFUSED}{_instead([kind])}"
        for name, kind in template.types.items()
        if kind in others
    }
    faults |= {
        at: f"{event.kind} makes {', '.join(made[event])}, which {_REFUSED}{_instead(made[event])}"
        for at, event in template.events.items()
        if made[event]
    }
    return list(starmap(FieldError, faults.items()))


# --- sections --------------------------------------------------------------------


def _parsed(tree: Any, values: Mapping[str, str]) -> ParsedTemplate:
    if not isinstance(tree, dict):
        raise Invalid([FieldError("#", "is not a template: it must be a mapping")])
    faults: list[FieldError] = []
    section = _section(tree, "Parameters", faults)
    complete = not faults
    sam, language = _transforms(tree.get("Transform"), faults)
    parameters = template_parameters.declared(section, faults)
    expansion = template_loops.Expansion(tree)
    if language:
        # A loop's identifier can stand for an input, so it is a variable of a reference, too.
        faults += islice(template_scan.references(tree), _MAX_FAULTS)
        _raise(faults)
        expansion = template_loops.expanded(tree, parameters, values)
    try:
        found = _expanded(expansion, parameters, (sam, language), faults, complete)
    except Invalid as refused:
        raise Invalid(expansion.source(refused.fields)) from None
    shown = [each.model_dump() for each in (*found.parameters, *found.groups)]
    described = [shown, found.outputs, found.resources]
    if len(json.dumps(described).encode()) > _MAX_DESCRIBED:
        detail = f"and Outputs must be at most {_MAX_DESCRIBED} bytes together"
        raise Invalid([FieldError("#/Parameters", detail)])
    return found


def _expanded(
    expansion: Expansion,
    parameters: list[Parameter],
    transforms: tuple[bool, bool],
    faults: list[FieldError],
    complete: bool,
) -> ParsedTemplate:
    """The template whose loops are carried out. `faults` are those so far, and `complete` is
    whether the section of parameters is a mapping of names. Raises Invalid."""
    tree, (sam, language) = expansion.tree, transforms
    sections, of_sections = _sections(tree)
    faults += of_sections
    complete, resources = complete and not of_sections, sections["Resources"]
    if not resources and complete:
        faults.append(FieldError("#/Resources", "must have at least one resource"))
    written = {n: r for n, r in resources.items() if not n.startswith(template_loops.LOOP)}
    types = {name: _type(name, each, faults) for name, each in written.items()}
    if not sam:
        faults += _missing_transform(tree, types)
    events = dict(sam_events.found(resources, faults)) if sam else {}
    faults += references.unknown(tree)
    faults += islice(template_scan.faults(tree, language=language), _MAX_FAULTS)
    if complete:
        grows = sam or any(kind.endswith("::MODULE") for kind in types.values())
        faults += _references(sections, inputs.secrets(parameters), grows)
    _raise(faults)
    arranged, groups = template_interface.arranged(tree.get("Metadata"), parameters)
    return ParsedTemplate(
        parameters=arranged,
        outputs=list(sections["Outputs"]),
        types=types,
        sam=sam,
        groups=groups,
        events=events,
        sections=sections,
        expansion=expansion,
        rules=tree.get("Rules"),
    )


def _sections(tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The sections, and what is wrong with those that were not read before."""
    faults: list[FieldError] = []
    found = {name: _section(tree, name, faults) for name in (*references.SECTIONS[1:], "Globals")}
    return {"Parameters": _section(tree, "Parameters", []), **found}, faults


def _references(
    sections: Mapping[str, Any], secrets: frozenset[str], grows: bool
) -> Iterator[FieldError]:
    yield from islice(references.missing(sections, grows=grows), _MAX_FAULTS)
    yield from islice(references.shown(sections, secrets), _MAX_FAULTS)
    yield from islice(references.circles(sections), _MAX_FAULTS)


def _section(tree: Mapping[str, Any], name: str, faults: list[FieldError]) -> dict[str, Any]:
    section = tree.get(name, {})
    if not isinstance(section, dict):
        faults.append(FieldError(f"#/{name}", "must be a mapping"))
        return {}
    # CloudFormation decides which names of conditions are valid.
    for key in section if name != "Conditions" else ():
        # A loop that is not carried out is refused as such.
        if not re.fullmatch(r"[A-Za-z0-9]{1,255}|Fn::ForEach.*", key, re.DOTALL):
            faults.append(FieldError(below(f"#/{name}", key), "must be letters and digits"))
        if len(faults) >= _MAX_FAULTS:
            break
    return section


def _type(name: str, resource: Any, faults: list[FieldError]) -> str:
    kind = resource.get("Type") if isinstance(resource, dict) else None
    if isinstance(kind, str) and kind:
        return kind
    faults.append(FieldError(below("#/Resources", name, "Type"), "is required"))
    return ""


def _transforms(transform: Any, faults: list[FieldError]) -> tuple[bool, bool]:
    """Whether the template has the transform of SAM, and AWS::LanguageExtensions."""
    if transform is None:
        return False, False
    listed = transform if isinstance(transform, list) else [transform]
    if listed not in _TRANSFORMS:
        detail = f"must be {SAM}, {LANGUAGE}, the latter and then the former, or be left out"
        faults.append(FieldError("#/Transform", detail))
    return SAM in listed, LANGUAGE in listed


def _missing_transform(tree: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[FieldError]:
    """The fault of a template that needs SAM and does not say so."""
    of_sam = next((name for name, kind in types.items() if kind.startswith(_SERVERLESS)), None)
    user = of_sam and f"{of_sam[:MAX_NAME]} is of the type {types[of_sam][:MAX_NAME]}"
    if user or "Globals" in tree:
        detail = f"must have {SAM}, because {user or 'there are Globals'}"
        yield FieldError("#/Transform", detail)


def _raise(faults: Iterable[FieldError]) -> None:
    found = list(islice(faults, _MAX_FAULTS))
    if found:
        raise Invalid(found)
