"""Rules for what API Gateway and topics call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.domain.template_rules import NOT_OWN, Check, Rule, arn_fields, each_text, is_own
from slipway.domain.template_text import Part, Text, literal
from slipway.errors import FieldError

_NOT_AN_ENDPOINT = (
    "must be a queue, a function or an API of this template: environments send no e-mail, SMS or "
    "requests to others"
)


def target(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        return text[:1] == (Part("text", "integrations/"),) and is_own(check, text[1:])

    detail = "must be an integration of this template: !Sub integrations/${Name}"
    yield from each_text(check, value, at, fits, detail)


def integration(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        first = text[0] if text else Part("unknown")
        if first.kind == "text" and first.value.startswith(("https://", "http://")):
            return True
        return is_own(check, text) or is_own(check, _invoked(text)) or _is_of_service(text)

    detail = f"{NOT_OWN}; or be a URL of the internet"
    yield from each_text(check, value, at, fits, detail)


def _is_of_service(text: Text) -> bool:
    """Whether API Gateway calls a service, with the rights of a role of the template."""
    fields = arn_fields(text)
    if fields is None or literal(fields[2]) != "apigateway":
        return False
    service, first = literal(fields[4]), fields[5][:1]
    is_action = bool(first) and first[0].value.startswith("action/")
    return service is not None and service != "lambda" and is_action


def _invoked(text: Text) -> Text:
    """The function in API Gateway's ARN for its invocation; nothing if the text is none."""
    fields = arn_fields(text)
    if fields is None or literal(fields[2]) != "apigateway" or literal(fields[4]) != "lambda":
        return ()
    path = "path/2015-03-31/functions/"
    first, *rest = fields[5] or (Part("unknown"),)
    if first.kind != "text" or not first.value.startswith(path):
        return ()
    begins = first.value.removeprefix(path)
    return (Part("text", begins), *rest) if begins else tuple(rest)


def endpoint(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        is_url = text[:1] == (Part("text", "https://"),)
        ours = text[1:2] if is_url else text
        return is_own(check, ours) and not (is_url and ours[0].kind != "resource")

    yield from each_text(check, value, at, fits, _NOT_AN_ENDPOINT)


RULES: Mapping[str, Rule] = {
    "endpoint": endpoint,
    "integration": integration,
    "target": target,
}
