"""Every example of the OpenAPI document works as it stands on a fresh platform."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local.platform import Platform
from tests.support.administrator import administrator
from tests.support.client_tools import DOCUMENT
from tests.support.example_story import CANNOT_WORK, STORY, Step
from tests.support.http_user import Person

pytestmark = pytest.mark.xdist_group("clients")

_DOCUMENT = json.loads(DOCUMENT.read_text())
COMPONENTS = _DOCUMENT["components"]
OPERATIONS = {
    operation["operationId"]: operation
    for methods in _DOCUMENT["paths"].values()
    for operation in methods.values()
}
# The status and the body go where the test reads them; all else is as the document says.
_WRAPPED = 'curl() { command curl --max-time 30 -o "$ANSWER" -w "%{http_code}" "$@"; }\n'
SECONDS = 90


@dataclass
class Shell:
    """Runs the commands of the document, with variables that earlier answers set."""

    variables: dict[str, str]
    answer: str

    def run(self, step: Step) -> tuple[int, Any]:
        """The status and the body of the answer."""
        command = OPERATIONS[step.operation]["x-codeSamples"][step.which]["source"]
        known = {**self.variables, "TOKEN": self.variables.get(step.who, "")}
        known |= {name: self.variables[value] for name, value in step.sets.items()}
        done = subprocess.run(
            ["bash", "-c", f"set -u\n{_WRAPPED}{command}"],
            env={"PATH": os.environ["PATH"], "ANSWER": self.answer, **known},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with open(self.answer, encoding="utf-8") as file:
            text = file.read()
        open(self.answer, "w").close()
        return int(done.stdout), json.loads(text) if text[:1] in ("{", "[") else text

    def follow(self, step: Step) -> None:
        """Send the example until its answer is the awaited one, and keep what it says."""
        ends = time.monotonic() + SECONDS
        status, body = self.run(step)
        while status == step.status and not step.until(body):
            assert time.monotonic() < ends, (step.operation, body)
            time.sleep(0.1)
            status, body = self.run(step)
        assert status == step.status, (step.operation, body)
        assert faults(step, body) == []
        self.variables |= {name: body[value] for name, value in step.keeps.items()}


def faults(step: Step, body: Any) -> list[str]:
    """The differences between the answer and the document."""
    content = OPERATIONS[step.operation]["responses"][str(step.status)].get("content", {})
    if "application/json" not in content or isinstance(body, str):
        return []
    schema = {**content["application/json"]["schema"], "components": COMPONENTS}
    return [each.message for each in Draft202012Validator(schema).iter_errors(body)]


def agent(shell: Shell, url: str) -> str:
    """An API token of the owner for a machine, whose destructive requests wait for a person."""
    wanted = {"name": "nightly clean-up", "kind": "agent", "scopes": ["read", "destroy"]}
    made = Person(url, shell.variables["OWNER"]).ask("POST", "/api/v1/auth/tokens", wanted)
    return str(made.body["token"])


@pytest.fixture
def shell(platform: Platform, tmp_path: Any) -> Iterator[Shell]:
    bob = Person(platform.url, email="bob@example.com").sign_in()
    me = bob.ask("GET", "/api/v1/auth/me").body
    yield Shell(
        {
            "SLIPWAY": platform.url,
            "ADMIN": str(administrator(platform).token),
            "BOB": str(bob.token),
            "BOB_ID": me["id"],
            "ENVIRONMENT_NAME": "preview-pr-123",
        },
        str(tmp_path / "answer"),
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="the examples need curl")
def test_every_example_works_on_a_fresh_platform(shell: Shell, platform: Platform) -> None:
    for step in STORY:
        if step.who == "AGENT" and "AGENT" not in shell.variables:
            shell.variables["AGENT"] = agent(shell, platform.url)
        shell.follow(step)

    examples = {name: len(each["x-codeSamples"]) for name, each in OPERATIONS.items()}
    told = {(step.operation, step.which) for step in STORY}
    all_of_them = {(name, n) for name in examples for n in range(examples[name])}
    assert all_of_them - told - {(name, 0) for name in CANNOT_WORK} == set(), (
        "tell them in tests/support/example_story.py"
    )
    assert told <= all_of_them


def test_examples_that_cannot_work_are_refused_with_a_reason(
    shell: Shell, platform: Platform
) -> None:
    someone = Person(platform.url).sign_in()
    project = someone.project("payments")
    made = someone.ask(
        *("POST", f"/api/v1/environments/projects/{project}"),
        {"name": "preview-pr-123", "type": "persistent"},
    )
    shell.variables |= {"OWNER": str(someone.token), "ENVIRONMENT_ID": made.body["id"]}
    shell.variables |= {"PROJECT_ID": project, "RECEIVED_TOKEN": "not-a-token"}

    for name, (code, _) in CANNOT_WORK.items():
        status, body = shell.run(Step(name))
        assert status >= 400 and body["code"] == code, body
