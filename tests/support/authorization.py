"""AWS's Service Authorization Reference, as cfn-lint carries it: which resource an action takes."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import cfnlint


@functools.cache
def _reference() -> dict[str, Any]:
    path = Path(cfnlint.__file__).parent / "data/AdditionalSpecs/Policies.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def is_known(action: str) -> bool:
    service, _, name = action.partition(":")
    return name.lower() in _reference()[service]["Actions"]


def takes(action: str, resource: str) -> bool:
    """Whether IAM may judge the action for the resource: an ARN of the right kind, or `*`."""
    service, _, name = action.partition(":")
    kinds = _reference()[service]["Actions"][name.lower()].get("Resources")
    if not kinds:
        return resource == "*"
    formats = [
        each
        for kind in kinds
        for each in _reference()[service]["Resources"].get(kind.lower(), {}).get("ARNFormats", [])
    ]
    return any(re.fullmatch(re.sub(r"\$\{\w+\}", "[^:]*", each), resource) for each in formats)
