"""Answers of AWS, from tests/aws/fixtures."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "aws" / "fixtures"


@cache
def fixture(name: str) -> dict[str, Any]:
    """All of a fixture: `says`, `recordings`, `facts`."""
    read: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return read


def facts(name: str) -> dict[str, Any]:
    """The facts of a fixture."""
    found: dict[str, Any] = fixture(name)["facts"]
    return found
