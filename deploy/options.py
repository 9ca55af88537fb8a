"""What `make deploy` was asked for: samconfig.toml, and what the command line says beside it."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import parameters
from local.package import load_yaml

ROOT = Path(__file__).resolve().parents[1]


class Refused(Exception):
    """What stands in the way, each in a sentence: nothing has been built or changed."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True)
class Options:
    """The stack to deploy: its name, and the values of the template's parameters that are given."""

    stage: str
    stack: str
    parameters: dict[str, str] = field(default_factory=dict)


def read(stage: str, stack: str, given: str, own: dict[str, str]) -> Options:
    """The stage's settings, with the stack's name and the parameters given in the place of theirs.

    `own` are parameters that the build decides; giving others by hand is refused, as the layer
    would not fit. Raises Refused.
    """
    stages = {name: each for name, each in _samconfig().items() if "deploy" in each}
    if stage not in stages:
        raise Refused(f"STAGE={stage}: samconfig.toml has {' and '.join(sorted(stages))}")
    settings = stages[stage]["deploy"]["parameters"]
    try:
        wanted = parameters.parse(given)
        found = parameters.parse(settings["parameter_overrides"]) | wanted
    except parameters.Malformed as error:
        raise Refused(f"PARAMETERS: {error}") from error
    if reasons := [
        f"{name}={wanted[name]}: the layer is built for {value}; say it once, for both: "
        f"make deploy {_VARIABLES[name]}={wanted[name]}"
        for name, value in own.items()
        if wanted.get(name, value) != value
    ]:
        raise Refused(*reasons)
    return Options(stage, stack or settings["stack_name"], found | own)


# How the Makefile calls what the build decides.
_VARIABLES = {"Architecture": "ARCHITECTURE", "PythonRuntime": "RUNTIME"}


def declared() -> dict[str, dict[str, Any]]:
    """The template's parameters, by name."""
    found: dict[str, dict[str, Any]] = load_yaml(ROOT / "template.yaml")["Parameters"]
    return found


def functions() -> int:
    """How many the template has."""
    resources = load_yaml(ROOT / "template.yaml")["Resources"].values()
    return sum(each["Type"] == "AWS::Serverless::Function" for each in resources)


def _samconfig() -> dict[str, Any]:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {name: each for name, each in config.items() if isinstance(each, dict)}
