"""The options of `make deploy`, from samconfig.toml and the command line."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import parameters
from local.package import load_yaml

ROOT = Path(__file__).resolve().parents[1]


class Refused(Exception):
    """The reasons, one sentence each, why nothing was built or changed."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True)
class Options:
    """The stack to deploy, and the values of the template's parameters."""

    stage: str
    stack: str
    parameters: dict[str, str] = field(default_factory=dict)


def read(stage: str, stack: str, given: str, own: dict[str, str]) -> Options:
    """The stage's settings, overridden by the stack's name and the parameters that are given.

    `own` are the parameters that the build decides. Another value for one is refused, because the
    layer would not match. Raises Refused.
    """
    stages = {name: each for name, each in _samconfig().items() if "deploy" in each}
    if stage not in stages:
        raise Refused(
            f"STAGE={stage}: samconfig.toml has the stages {' and '.join(sorted(stages))}"
        )
    settings = stages[stage]["deploy"]["parameters"]
    try:
        wanted = parameters.parse(given)
        found = parameters.parse(settings["parameter_overrides"]) | wanted
    except parameters.Malformed as error:
        raise Refused(f"PARAMETERS: {error}") from error
    if reasons := [
        f"{name}={wanted[name]}: the layer is built for {value}. Set both with "
        f"make deploy {_VARIABLES[name]}={wanted[name]}"
        for name, value in own.items()
        if wanted.get(name, value) != value
    ]:
        raise Refused(*reasons)
    return Options(stage, stack or settings["stack_name"], found | own)


# The Makefile's variables for the parameters that the build decides.
_VARIABLES = {"Architecture": "ARCHITECTURE", "PythonRuntime": "RUNTIME"}


def declared() -> dict[str, dict[str, Any]]:
    """The template's parameters, by name."""
    found: dict[str, dict[str, Any]] = load_yaml(ROOT / "template.yaml")["Parameters"]
    return found


def functions() -> int:
    """The number of functions in the template."""
    resources = load_yaml(ROOT / "template.yaml")["Resources"].values()
    return sum(each["Type"] == "AWS::Serverless::Function" for each in resources)


def _samconfig() -> dict[str, Any]:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {name: each for name, each in config.items() if isinstance(each, dict)}
