"""Decides requests by IAM policies, as AWS does. No calls, no state.

The check of a template version and the laptop's AWS decide with this module, so that what one
refuses the other would deny.

    layers = [[parse(document)], [parse(boundary)]]
    decide(layers, Request("sqs:SendMessage", queue_arn, {"aws:PrincipalTag/team": "blue"}))

It implements all elements of identity-based policies: actions and resources with their negations
and wildcards, conditions with all operators, set operators and `…IfExists`, and policy variables in
resources and conditions, with defaults. It knows no resource-based policies and fills in no
condition keys: the caller supplies the context. Its laws:

- Each of the layers (the identity-based policies, the permissions boundary, a session policy) must
  allow a request; a deny in any of them denies it.
- A statement with a variable that has no value in the context does not match.
- The value of a variable is text: a `*` in it is no wildcard.
- Names of actions, condition keys and operators ignore case; resources and values do not.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

Value = str | Sequence[str] | None
Lookup = Callable[[str], Value]


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement of a policy. Absent elements are empty."""

    effect: str
    sid: str = ""
    actions: Sequence[str] = ()
    not_actions: Sequence[str] = ()
    resources: Sequence[str] = ()
    not_resources: Sequence[str] = ()
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request: an action, the ARN that it acts on (`*` for none), and the condition keys."""

    action: str
    resource: str = "*"
    context: Mapping[str, Value] = field(default_factory=dict)


class Decision(NamedTuple):
    """`layer` is the index of the layer that refuses; `sid` names the statement that decided."""

    effect: Literal["Allow", "Deny", "ImplicitDeny"]
    layer: int = 0
    sid: str = ""

    @property
    def allowed(self) -> bool:
        return self.effect == "Allow"


def parse(document: Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document. Malformed ones are left out, so they allow nothing."""
    found = []
    for each in _as_list(document.get("Statement")):
        if isinstance(each, Mapping) and each.get("Effect") in ("Allow", "Deny"):
            found.append(
                Statement(
                    effect=each["Effect"],
                    sid=each.get("Sid", ""),
                    actions=_texts(each.get("Action")),
                    not_actions=_texts(each.get("NotAction")),
                    resources=_texts(each.get("Resource")),
                    not_resources=_texts(each.get("NotResource")),
                    conditions=each.get("Condition") or {},
                )
            )
    return found


def decide(layers: Sequence[Iterable[Iterable[Statement]]], request: Request) -> Decision:
    """Decide a request by the documents of each layer."""
    context = {key.lower(): value for key, value in request.context.items()}

    def lookup(key: str) -> Value:
        return context.get(key.lower())

    statements = [[it for document in layer for it in document] for layer in layers]
    for index, layer in enumerate(statements):
        if found := first(layer, "Deny", request.action, request.resource, lookup):
            return Decision("Deny", index, found.sid)
    allowing = None
    for index, layer in enumerate(statements):
        found = first(layer, "Allow", request.action, request.resource, lookup)
        if found is None:
            return Decision("ImplicitDeny", index)
        allowing = allowing or found
    return Decision("Allow", 0, allowing.sid) if allowing else Decision("ImplicitDeny")


def first(
    statements: Iterable[Any], effect: str, action: str, resource: str, lookup: Lookup
) -> Any | None:
    """The first statement with this effect that applies. `lookup` returns a condition key's value.

    A deny whose variable has no value does not match either, as on AWS.
    """
    for statement in statements:
        if statement.effect == effect and applies(statement, action, resource, lookup):
            return statement
    return None


def applies(statement: Any, action: str, resource: str, lookup: Lookup) -> bool:
    """Whether a statement applies to a request, whatever its effect."""
    return (
        _selects(statement.actions, statement.not_actions, lambda it: like(action, it, fold=True))
        and _selects(
            statement.resources,
            statement.not_resources,
            lambda it: _resource_matches(resource, it, lookup),
        )
        and all(
            _holds(operator, key, expected, lookup)
            for operator, keys in statement.conditions.items()
            for key, expected in keys.items()
        )
    )


def allows_somewhere(statements: Iterable[Any], action: str) -> bool:
    """Whether a statement allows the action on any resource, under any condition."""
    return any(
        each.effect == "Allow"
        and _selects(each.actions, each.not_actions, lambda it: like(action, it, fold=True))
        for each in statements
    )


def _selects(
    wanted: Sequence[str], unwanted: Sequence[str], matches: Callable[[str], bool]
) -> bool:
    if wanted:
        return any(map(matches, wanted))
    return not any(map(matches, unwanted))


def _texts(value: Any) -> list[str]:
    return [str(each) for each in _as_list(value)]


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


# ── Text with wildcards and variables ─────────────────────────────────────────────────────


def like(text: str, pattern: str, fold: bool = False) -> bool:
    """Whether the text matches a pattern with `*` and `?`; `fold` ignores case.

    It takes time proportional to the product of the lengths, whatever the pattern.
    """
    if fold:
        text, pattern = text.lower(), pattern.lower()
    head, *rest = pattern.split("*")
    if not rest:
        return len(text) == len(head) and _begins(text, head)
    *middle, tail = rest
    if not _begins(text, head) or len(text) < len(head) + len(tail):
        return False
    end = len(text) - len(tail)
    at = len(head)
    for part in middle:
        # The leftmost place leaves the most for the parts that follow.
        at = _find(text, part, at, end)
        if at < 0:
            return False
        at += len(part)
    return _begins(text, tail, end)


def _find(text: str, part: str, at: int, end: int) -> int:
    """The first place of a part without stars, between two places; -1 if there is none."""
    if "?" not in part:
        return text.find(part, at, end)
    places = range(at, end - len(part) + 1)
    return next((place for place in places if _begins(text, part, place)), -1)


def _begins(text: str, part: str, at: int = 0) -> bool:
    """Whether a part without stars is at this place of the text."""
    if "?" not in part:
        return text.startswith(part, at)
    found = text[at : at + len(part)]
    return len(found) == len(part) and all(p in ("?", t) for t, p in zip(found, part, strict=True))


_VARIABLE = re.compile(r"\$\{\s*([^},]+?)\s*(?:,\s*'([^']*)'\s*)?\}")
_LITERAL = {"*": "*", "?": "?", "$": "$"}
# Stand for characters that are no wildcards, while a pattern has variables filled in.
_PLAIN = str.maketrans({"*": "\ue000", "?": "\ue001"})


class Unresolved(Exception):
    """A policy variable has no single value."""


def fill_in(text: str, lookup: Lookup) -> str:
    """The text with its variables replaced. Wildcards in values are replaced by private characters.

    Raises Unresolved if a variable has no value, or several, and no default.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in _LITERAL:
            return _LITERAL[name].translate(_PLAIN)
        found = lookup(name)
        if found is None and default is not None:
            found = default
        if not isinstance(found, str):
            raise Unresolved(name)
        return found.translate(_PLAIN)

    return _VARIABLE.sub(value, text) if "${" in text else text


def _resource_matches(resource: str, pattern: str, lookup: Lookup) -> bool:
    try:
        filled = fill_in(pattern, lookup)
    except Unresolved:
        return False
    return like(resource if filled == pattern else resource.translate(_PLAIN), filled)


# ── Conditions ────────────────────────────────────────────────────────────────────────────


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compares(actual: str, expected: str) -> bool:
        try:
            return compare(float(actual), float(expected))
        except ValueError:
            return False

    return compares


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.fromtimestamp(float(text), UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    def compares(actual: str, expected: str) -> bool:
        try:
            return compare(_moment(actual), _moment(expected))
        except (ValueError, OverflowError):
            return False

    return compares


def _ip(actual: str, expected: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(expected, strict=False)
    except ValueError:
        return False


def arn_like(actual: str, pattern: str) -> bool:
    """Compare ARNs part by part: a `*` does not reach beyond its part. The last may have colons."""
    parts, patterns = actual.split(":", 5), pattern.split(":", 5)
    if len(patterns) < 6:
        return pattern == "*"
    return len(parts) == 6 and all(map(like, parts, patterns))


OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": lambda a, e: a == e,
    "stringequalsignorecase": lambda a, e: a.lower() == e.lower(),
    "stringlike": like,
    "numericequals": _number(lambda a, e: a == e),
    "numericlessthan": _number(lambda a, e: a < e),
    "numericlessthanequals": _number(lambda a, e: a <= e),
    "numericgreaterthan": _number(lambda a, e: a > e),
    "numericgreaterthanequals": _number(lambda a, e: a >= e),
    "dateequals": _date(lambda a, e: a == e),
    "datelessthan": _date(lambda a, e: a < e),
    "datelessthanequals": _date(lambda a, e: a <= e),
    "dategreaterthan": _date(lambda a, e: a > e),
    "dategreaterthanequals": _date(lambda a, e: a >= e),
    "bool": lambda a, e: a.lower() == e.lower(),
    "binaryequals": lambda a, e: a == e,
    "ipaddress": _ip,
    "arnequals": arn_like,
    "arnlike": arn_like,
}
# Each is the negation of an operator above.
NEGATIONS: Mapping[str, str] = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}


def is_operator(name: str) -> bool:
    """Whether IAM has a condition operator of this name, with its prefix and suffix."""
    plain = re.sub(r"^for(?:all|any)values?:", "", name.lower()).removesuffix("ifexists")
    return plain == "null" or plain in OPERATORS or plain in NEGATIONS


def _holds(operator: str, key: str, expected: Any, lookup: Lookup) -> bool:
    """Whether a condition holds. One with an unknown operator does not."""
    wanted = [str(it) for it in _as_list(expected)]
    name, actual = operator.lower(), lookup(key)
    if name == "null":
        return (actual is None) == (not wanted or wanted[0].lower() == "true")
    name, of = _prefix(name)
    plain = name.removesuffix("ifexists")
    is_negative = plain in NEGATIONS
    compare = OPERATORS.get(NEGATIONS.get(plain, plain))
    if compare is None:
        return False
    if actual is None:
        # ForAllValues holds for no values, a negation for an absent key.
        return plain != name or of == "all" or (is_negative and of != "any")
    try:
        patterns = [fill_in(each, lookup) for each in wanted]
    except Unresolved:
        return False
    values = [actual] if isinstance(actual, str) else [str(it) for it in actual]
    if any("\ue000" in each or "\ue001" in each for each in patterns):
        values = [each.translate(_PLAIN) for each in values]

    def matches(value: str) -> bool:
        return any(compare(value, each) for each in patterns) != is_negative

    every = of == "all" or (is_negative and not of)
    return all(map(matches, values)) if every else any(map(matches, values))


def _prefix(name: str) -> tuple[str, str]:
    for prefix, of in (("forallvalues:", "all"), ("foranyvalue:", "any")):
        if name.startswith(prefix):
            return name.removeprefix(prefix), of
    return name, ""
