"""A greedy path variable of an HTTP API may match an empty rest of the path.

Defect: the stock `{proxy+}` requires at least one character, so `/things/` does not match
`/things/{proxy+}`. On AWS it does, and `/things` does not (seen in aws/aws-lambda-go, issue 297).
"""

import re
from typing import Any

_VARIABLE = re.compile(r"(\{[^}]+\})")


def parameters(route: str, path: str) -> dict[str, str] | None:
    """The values of the route's variables in the path; None if the route does not match."""
    names, pattern = [], ""
    for part in _VARIABLE.split(route):
        if not _VARIABLE.fullmatch(part):
            pattern += re.escape(part)
            continue
        name = part[1:-1]
        names.append(name.rstrip("+"))
        pattern += "(.*)" if name.endswith("+") else "([^/]+)"
    found = re.fullmatch(pattern, path, re.DOTALL)
    return dict(zip(names, found.groups(), strict=True)) if found else None


def patch(module: Any) -> None:
    module._extract_path_params = parameters


TARGETS = {"ministack.services.apigateway": patch}
