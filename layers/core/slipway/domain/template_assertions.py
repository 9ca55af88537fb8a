"""The assertions in a template's `Rules`, held against the inputs.

CloudFormation evaluates them when it makes a change set. Here they are evaluated before anything is
made, as far as the values are known: an assertion is broken only if it certainly does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.domain import effort, inputs
from slipway.domain.template import Parameter
from slipway.domain.template_text import intrinsic

# Longer ones are left to CloudFormation: a version's record holds them.
_MOST_CHARACTERS = 20_000
_LONGEST = 500

# None is a value, or a truth, that is not known.
Value = str | Sequence[str] | None


def written(rules: Any) -> str | None:
    """The rules as a version's record holds them; None if there are none, or too many."""
    if not isinstance(rules, dict) or not rules:
        return None
    text = json.dumps(rules)
    return text if len(text) <= _MOST_CHARACTERS else None


def broken(rules: str, parameters: Sequence[Parameter], values: Mapping[str, str]) -> Iterator[str]:
    """What each assertion that does not hold says. `values` are those of inputs; others have
    defaults, except secrets, what Slipway fills in and what CloudFormation reads from the store,
    which are not known."""
    known = dict(_known(parameters, values))
    for name, rule in json.loads(rules).items():
        if not isinstance(rule, dict) or not isinstance(rule.get("Assertions"), list):
            continue
        if "RuleCondition" in rule and not _holds(rule["RuleCondition"], known):
            continue
        for each in rule["Assertions"]:
            if isinstance(each, dict) and _holds(each.get("Assert"), known) is False:
                said = each.get("AssertDescription")
                yield said[:_LONGEST] if isinstance(said, str) and said else f"the rule {name}"


def _known(
    parameters: Sequence[Parameter], values: Mapping[str, str]
) -> Iterator[tuple[str, Value]]:
    for each in parameters:
        if each.is_read:
            continue  # Rules are about the value that CloudFormation reads.
        hidden = each.no_echo or each.name in inputs.CONVENTIONS
        value = values.get(each.name, None if hidden else each.default)
        if value is not None:
            is_list = each.type.startswith(("List<", "CommaDelimitedList"))
            yield each.name, [part.strip() for part in value.split(",")] if is_list else value


def _holds(expression: Any, known: Mapping[str, Value]) -> bool | None:
    """Whether the expression is true; None if that is not known."""
    effort.check()
    call = intrinsic(expression)
    if call is None or not isinstance(call[1], list):
        return None
    function, arguments = call
    if function == "Fn::Not" and len(arguments) == 1:
        found = _holds(arguments[0], known)
        return None if found is None else not found
    if function in ("Fn::And", "Fn::Or"):
        each = [_holds(one, known) for one in arguments]
        decides = function == "Fn::Or"
        return decides if decides in each else None if None in each else not decides
    if len(arguments) != 2:
        return None
    left, right = (_value(one, known) for one in arguments)
    return _compared(function, left, right)


def _compared(function: str, left: Value, right: Value) -> bool | None:
    if left is None or right is None:
        return None
    if isinstance(left, str):
        return left == right if function == "Fn::Equals" and isinstance(right, str) else None
    if function == "Fn::Contains" and isinstance(right, str):
        return right in left
    if function == "Fn::EachMemberEquals" and isinstance(right, str):
        return all(each == right for each in left)
    if function == "Fn::EachMemberIn" and not isinstance(right, str):
        return set(left) <= set(right)
    return None


def _value(value: Any, known: Mapping[str, Value]) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        found = [_value(each, known) for each in value]
        texts = [each for each in found if isinstance(each, str)]
        return texts if len(texts) == len(found) else None
    call = intrinsic(value)
    if call and call[0] == "Ref" and isinstance(call[1], str):
        return known.get(call[1])
    return None
