"""The access that a template grants by policies, roles and function permissions.

A policy is read strictly: an element that is not known here is refused, and so is one that is
computed. `Deny` statements are free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slipway.domain.references import below
from slipway.domain.resource_types import PASSED_TO
from slipway.domain.template_rules import (
    ACCOUNT,
    Check,
    arn_fields,
    branches,
    is_own,
    may_be_absent,
)
from slipway.domain.template_text import Part, Text, intrinsic, literal
from slipway.errors import FieldError

# The services that roles of environments are for: the making role passes them to these.
SERVICES = frozenset(PASSED_TO.values())
_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition"}
_DOCUMENT = {"Version", "Id", "Statement"}
# Those that a missing key does not satisfy.
_OPERATORS = {"StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike"}
_SOURCES = {"aws:sourcearn", "aws:sourceaccount", "aws:sourceowner"}
_PRINCIPALS = {"aws:principalaccount", "aws:principalarn"}

_WRITTEN_OUT = "must be written out as a mapping, so that it can be checked"
_OTHERS = (
    "lets others in: name roles of this template, services, or accounts that the stack's "
    "TrustedAccounts lists"
)
_CONFUSED = (
    "lets every account of AWS in: restrict it to what sends, by a resource of this template or "
    "${AWS::AccountId}, in "
)
_ASSUMED = "must be a service that environments use, such as lambda.amazonaws.com"


def is_granted(check: Check, text: Text) -> bool:
    """Whether the text names this environment, its account, or a trusted account."""
    accounts: list[Text] = [(ACCOUNT,), *((Part("text", n),) for n in check.allowances.accounts)]
    if text in accounts or is_own(check, text):
        return True
    fields = arn_fields(text)
    return fields is not None and fields[4] in accounts


def _are_granted(check: Check, value: Any) -> bool:
    several = [
        one for each in branches(value) for one in (each if isinstance(each, list) else [each])
    ]
    if may_be_absent(value) or any(map(may_be_absent, several)):
        return False
    texts = [text for each in several for text in check.reader.texts(each)]
    return bool(texts) and all(is_granted(check, text) for text in texts)


# --- documents ---------------------------------------------------------------------------------


def policy(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    """The policy of a queue, a topic or a table."""
    for statement, here in _statements(check, value, at):
        limited = _is_limited(check, statement.get("Condition"), _SOURCES)
        alone = limited or _is_limited(check, statement.get("Condition"), _PRINCIPALS)
        for kind, one, place in _principals(statement, here):
            if kind == "Service":
                if not limited:
                    yield FieldError(place, f"{_CONFUSED}a Condition on aws:SourceArn")
            elif kind not in ("AWS", "*") or (not alone and not _is_trusted(check, one)):
                yield FieldError(place, _OTHERS)


def assume(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    """Only services may assume a role."""
    for statement, here in _statements(check, value, at):
        for kind, one, place in _principals(statement, here):
            known = [literal(text) for text in check.reader.texts(one)]
            if kind != "Service" or not known or not SERVICES.issuperset(map(_service, known)):
                yield FieldError(place, _ASSUMED)


def _service(named: str | None) -> str:
    return (named or "").removesuffix(".cn")


def _statements(check: Check, value: Any, at: str) -> Iterator[Any]:
    """The statements that allow something, with their pointers; or a fault."""
    for document in branches(value):
        if not isinstance(document, dict) or not _DOCUMENT.issuperset(document):
            raise _Unreadable(at)
        several = document.get("Statement")
        for n, each in enumerate(several if isinstance(several, list) else [several]):
            here = (
                below(at, "Statement", n) if isinstance(several, list) else below(at, "Statement")
            )
            for statement in branches(each):
                if not isinstance(statement, dict) or not _ELEMENTS.issuperset(statement):
                    raise _Unreadable(here)
                effects = [literal(text) for text in check.reader.texts(statement.get("Effect"))]
                if effects != ["Deny"]:
                    yield statement, here


class _Unreadable(Exception):
    """A part of a policy that cannot be checked. Its argument is the pointer."""


def readable(rule: Any) -> Any:
    """The rule, with a fault for what it cannot read."""

    def checked(check: Check, value: Any, at: str) -> Iterator[FieldError]:
        try:
            yield from rule(check, value, at)
        except _Unreadable as error:
            yield FieldError(str(error), _WRITTEN_OUT)

    return checked


def _principals(statement: dict[str, Any], at: str) -> Iterator[tuple[str, Any, str]]:
    """The kind of each principal, its value and its pointer."""
    here = below(at, "Principal")
    for principal in branches(statement.get("Principal")):
        if principal == "*":
            yield "*", principal, here
        elif not isinstance(principal, dict) or intrinsic(principal) or not principal:
            raise _Unreadable(here)
        else:
            for kind, several in principal.items():
                for each in branches(several):
                    for n, one in enumerate(each if isinstance(each, list) else [each]):
                        parts = (kind, n) if isinstance(each, list) else (kind,)
                        yield kind, one, below(here, *parts)


def _is_trusted(check: Check, value: Any) -> bool:
    """Whether the principal is a role of this template, this account or a trusted one."""
    return _are_granted(check, value)


def _is_limited(check: Check, condition: Any, keys: set[str]) -> bool:
    """Whether one of the keys must name this environment, its account or a trusted one."""
    if not isinstance(condition, dict):
        return False
    return any(
        _are_granted(check, wanted)
        for operator, tests in condition.items()
        if operator in _OPERATORS and isinstance(tests, dict) and intrinsic(tests) is None
        for name, wanted in tests.items()
        if name.lower() in keys
    )


# --- functions ---------------------------------------------------------------------------------


def permission(check: Check, properties: dict[str, Any], at: str) -> Iterator[FieldError]:
    """Everyone may call a function by its own URL; services may call it for this environment."""
    if "PrincipalOrgID" in properties:
        yield FieldError(below(at, "PrincipalOrgID"), _OTHERS)
    principal = properties.get("Principal")
    here = below(at, "Principal")
    limited = any(_are_granted(check, properties.get(n)) for n in ("SourceArn", "SourceAccount"))
    for text in check.reader.texts(principal) if principal is not None else ():
        known = literal(text)
        if known is not None and re.fullmatch(
            r"[a-z0-9.-]+\.(amazonaws|amazon)\.com(\.cn)?", known
        ):
            if not limited:
                yield FieldError(here, f"{_CONFUSED}SourceArn or SourceAccount")
        elif known == "*":
            if not _is_for_url(check, properties):
                yield FieldError(here, "lets everybody in: only a function's URL may do so")
        elif not is_granted(check, text):
            yield FieldError(here, _OTHERS)


def _is_for_url(check: Check, properties: dict[str, Any]) -> bool:
    def known(name: str) -> str | None:
        texts = check.reader.texts(properties.get(name, ""))
        return literal(texts[0]) if len(texts) == 1 else None

    if known("Action") == "lambda:InvokeFunctionUrl":
        return known("FunctionUrlAuthType") == "NONE"
    return known("Action") == "lambda:InvokeFunction" and known("InvokedViaFunctionUrl") == "true"
