"""What the parameter store of a world has."""

from __future__ import annotations

from slipway.domain import scope
from slipway.domain.ids import EnvironmentId
from tests.support.workflows.emulator import ssm


def stored(below: str = "") -> dict[str, str]:
    """The values of all parameters in the parameter store below the path, by name."""
    return {
        name: each["OriginalValue"]
        for name, each in ssm._parameters.items()
        if name.startswith(below)
    }


def delivered(environment: EnvironmentId) -> dict[str, dict[str, str]]:
    """What the parameter store has for the environment: values by name, by version."""
    below = f"/slipway/configurations/{scope.of(str(environment))}/"
    found: dict[str, dict[str, str]] = {}
    for path, value in stored(below).items():
        number, _, name = path.removeprefix(below).partition("/")
        found.setdefault(number, {})[name] = value
    return found
