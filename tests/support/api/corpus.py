"""The templates in tests/api/templates, and what their first lines say of them."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from tests.support.repository import ROOT

FOLDER = ROOT / "tests/api/templates"
CORPUS = sorted(path.stem for path in FOLDER.glob("*.yaml"))


class Sample(NamedTuple):
    """A template. `refused` are the pointers of its faults, `warned` the codes and pointers of its
    warnings, and `made` the pointers of refusals (None for none) with the inputs."""

    about: str
    body: str
    refused: list[str]
    warned: list[tuple[str, str]]
    made: list[tuple[str | None, dict[str, Any]]]


def sample(name: str) -> Sample:
    body = (FOLDER / f"{name}.yaml").read_text()
    about = body.partition("\n")[0].removeprefix("# ")
    said = re.search(r"^# Added: (\w+) ?(.*)$", body, re.MULTILINE)
    assert said, f"{name} does not say what becomes of it"
    verdict, rest = said.groups()
    assert verdict in ("accepted", "warned", "refused")
    pairs = [each.split(" ") for each in rest.split(", ")] if verdict == "warned" else []
    made = re.findall(r"^# Made: (?:accepted|refused (\S+)) (.+)$", body, re.MULTILINE)
    return Sample(
        about,
        body,
        rest.split() if verdict == "refused" else [],
        [(code, pointer) for code, pointer in pairs],
        [(pointer or None, json.loads(inputs)) for pointer, inputs in made],
    )
