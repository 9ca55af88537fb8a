"""Templates that try to reach, keep or cost what is not their environment's, each in one way.

The first lines of a template say what it tries and where it is refused: when its version is added,
or when an environment is made of it, through the handlers that a caller reaches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from slipway.aws import template_bodies
from slipway.domain import ids
from slipway.settings import settings
from tests.support.api.client import Client
from tests.support.api.people import signed_in
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto
from tests.support.repository import ROOT, template
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

FOLDER = Path(__file__).parent / "templates"
ATTACKS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
YAML = "application/yaml"


class Attack(NamedTuple):
    """`when` it is refused, the pointer to what is refused, and the inputs of the environment."""

    body: str
    when: str
    pointer: str
    inputs: dict[str, object]


def attack(name: str) -> Attack:
    body = (FOLDER / f"{name}.yaml").read_text()
    said = re.search(r"^# Refused when (added|made): (\S+)(?: with (.+))?$", body, re.MULTILINE)
    assert said, f"{name} does not say where it is refused"
    return Attack(body, said[1], said[2], json.loads(said[3] or "{}"))


@pytest.fixture(scope="module", autouse=True)
def _platform() -> Iterator[None]:
    """The functions, with the stack's default parameters and no real CloudFormation."""
    with moto(), as_on_lambda(), pytest.MonkeyPatch.context() as patch:
        empty()
        declared = template()["Parameters"]
        patch.setenv("ALLOWED_RESOURCE_TYPES", declared["AllowedResourceTypes"]["Default"])
        patch.setattr(template_bodies, "_cloudformation", CloudFormation)
        settings.cache_clear()
        yield


@pytest.fixture
def mallory(_platform: None) -> Client:
    # Another user for each test, because a user has at most a number of templates.
    return signed_in(f"{ids.new_part()}@example.com")


def versions_of(owner: Client, name: str) -> str:
    path = f"/api/v1/templates/{name[:60].strip('-')}"
    owner.post("/api/v1/templates", {"name": path.rpartition("/")[2]})
    return f"{path}/versions"


def told(answer: object) -> dict[str, str]:
    fields: list[dict[str, str]] = answer.json["errors"]  # type: ignore[attr-defined]
    return {each["pointer"]: each["detail"] for each in fields}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_before_anything_is_made(mallory: Client, name: str) -> None:
    tried = attack(name)
    versions = versions_of(mallory, name)

    added = mallory.send("POST", versions, tried.body, media=YAML)

    if tried.when == "added":
        assert (added.status, added.json["code"]) == (422, "invalid_request"), added.text
        assert tried.pointer in told(added)
        assert mallory.get(versions).json == []
        return
    assert added.status == 201, added.text
    assert mallory.post(f"{versions}/1.0/publish").status == 200
    project = world.project(mallory.principal, name[:60])
    wanted = {"name": "x", "type": "ephemeral", "template": versions.split("/")[4]}
    path = f"/api/v1/environments/projects/{project}"

    made = mallory.post(path, {**wanted, "inputs": tried.inputs})

    assert (made.status, made.json["code"]) == (422, "invalid_request"), made.text
    assert list(told(made)) == [tried.pointer]
    assert mallory.get(path).json == []


def test_each_refusal_says_what_to_do() -> None:
    assert len(ATTACKS) >= 80
    assert len({attack(name).body.split("\n")[0] for name in ATTACKS}) == len(ATTACKS)


# --- what is allowed stays allowed ------------------------------------------------------------

LEGITIMATE = sorted((Path(__file__).parent / "legitimate").glob("*.yaml"))
LEGITIMATE += sorted((ROOT / "examples").glob("*/template.yaml"))


@pytest.mark.parametrize("path", LEGITIMATE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_template_that_keeps_to_itself_is_accepted(mallory: Client, path: Path) -> None:
    versions = versions_of(mallory, f"fine-{path.parent.name}-{path.stem}")

    added = mallory.send("POST", versions, path.read_text(), media=YAML)

    assert added.status == 201, added.text
