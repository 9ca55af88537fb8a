"""The metadata AWS::CloudFormation::Interface: groups, labels and the order of parameters.

CloudFormation does not check it, so what does not have the form of AWS's documentation is left out:
groups that are no mapping, parameters that are not declared, and those that an earlier group has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.domain.fields import is_visible
from slipway.domain.template import Parameter, ParameterGroup

_INTERFACE = "AWS::CloudFormation::Interface"
_LONGEST = 1000


def arranged(
    metadata: Any, parameters: Sequence[Parameter]
) -> tuple[list[Parameter], list[ParameterGroup]]:
    """The parameters with their labels, those of groups first, and the groups. The others follow in
    the order of the template."""
    found = _mapping(_mapping(metadata).get(_INTERFACE))
    labels = _mapping(found.get("ParameterLabels"))
    known = {each.name: _labelled(each, labels) for each in parameters}
    groups = list(_groups(found.get("ParameterGroups"), known))
    first = [name for group in groups for name in group.parameters]
    order = dict.fromkeys([*first, *known])
    return [known[name] for name in order], groups


def _groups(listed: Any, known: Mapping[str, Parameter]) -> Iterator[ParameterGroup]:
    taken: set[str] = set()
    for each in listed if isinstance(listed, list) else ():
        names = _mapping(each).get("Parameters")
        own = dict.fromkeys(
            name
            for name in (names if isinstance(names, list) else ())
            if isinstance(name, str) and name in known and name not in taken
        )
        taken.update(own)
        if own:
            label = _text(_mapping(_mapping(each).get("Label")).get("default"))
            yield ParameterGroup(label=label, parameters=list(own))


def _labelled(parameter: Parameter, labels: Mapping[str, Any]) -> Parameter:
    label = _text(_mapping(labels.get(parameter.name)).get("default"))
    return parameter if label is None else parameter.model_copy(update={"label": label})


def _text(value: Any) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST and is_visible(value)
    return value if fits else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
