"""The configurations of environments in the parameter store: one parameter for each name.

A version is below `/<stack>/configurations/<scope>/<number>/`. The scope is a segment of its own,
so the boundary of environments' roles can name it exactly, and a version's path is its own, so what
runs reads the version that it was deployed with. A version never changes: what is there is right.
"""

from __future__ import annotations

from slipway.domain import scope
from slipway.settings import settings


def path(environment_id: str, number: int) -> str:
    """The path of a version, with a slash at its end; empty for 0, which is no version."""
    return f"{_below(environment_id)}/{number}/" if number else ""


def _below(environment_id: str) -> str:
    return f"/{settings().stack}/configurations/{scope.of(environment_id)}"
