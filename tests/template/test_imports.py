"""Imports point one way: functions -> http, access, services -> store, drivers, aws -> domain."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.heavy_imports import AWS_SDK, NEVER, SIGNING_IN, TOKENS
from tests.support.repository import FUNCTIONS, ROOT, modules

AWS = {"aws_lambda_powertools", "boto3", "botocore", "jmespath"}
MODULES = modules()


def imported(tree: ast.Module) -> Iterator[str]:
    """`from slipway.domain import ids` is slipway.domain.ids, and so is
    `from slipway.domain.ids import new_part`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def roots(tree: ast.Module) -> set[str]:
    return {name.partition(".")[0] for name in imported(tree)}


def ours(name: str) -> set[str]:
    """The modules of Slipway that this one imports, its own package left out."""
    return {each for each in imported(MODULES[name]) if each in MODULES and each != name}


# Each part of the package, and the parts that it may import besides itself.
BASE = {"errors", "settings", "observe"}
MAY_IMPORT = {
    "errors": set(),
    "settings": {"errors"},
    "observe": {"errors", "settings"},
    "domain": {"errors"},
    "aws": {*BASE, "domain"},
    "store": {*BASE, "domain", "aws"},
    "drivers": {*BASE, "domain", "aws"},
    "access": {*BASE, "domain", "aws", "store"},
    "services": {*BASE, "domain", "aws", "store", "drivers", "access"},
    "http": {*BASE, "domain", "store", "access"},
    # A client of the API: its secret, and the headers that all answers have.
    "console": {*BASE, "aws", "http", "domain"},
    "importers": {"errors", "domain"},
}


def part(name: str) -> str:
    """`slipway.store.table` is a module of the part `store`."""
    return name.split(".")[1]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "slipway"])
def test_a_module_imports_only_parts_below_its_own(name: str) -> None:
    allowed = {part(name), *MAY_IMPORT[part(name)]}

    assert [each for each in ours(name) if part(each) not in allowed] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("slipway.domain")])
def test_the_domain_knows_no_aws(name: str) -> None:
    assert roots(MODULES[name]) & AWS == set()


@pytest.mark.parametrize("name", MODULES)
def test_slipway_imports_none_of_its_users(name: str) -> None:
    assert roots(MODULES[name]) & {"functions", "local", "tests"} == set()


def test_imports_have_no_cycles() -> None:
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for each in sorted(ours(name)):
                walk(each, (*way, name))
            done.add(name)

    for name in MODULES:
        walk(name, ())
    assert done == set(MODULES)


def test_one_module_uses_powertools_routing() -> None:
    knowing = {
        name
        for name, tree in MODULES.items()
        if any(each.startswith("aws_lambda_powertools.event_handler") for each in imported(tree))
    }

    assert knowing == {"slipway.http.app"}


def test_one_module_sends_requests_to_dynamodb() -> None:
    importing = {name for name in MODULES if "slipway.aws.dynamodb" in ours(name)}
    assert importing == {"slipway.store.table"}


def test_one_module_handles_passwords_and_tokens() -> None:
    knowing = {name for name, tree in MODULES.items() if roots(tree) & {"passlib", "jwt", "argon2"}}

    allowed = ("id_tokens", "oidc.verifying", "passwords", "signing", "tokens")
    assert knowing == {f"slipway.access.{name}" for name in allowed}


def test_only_settings_reads_the_environment_of_the_process() -> None:
    reading = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }

    # The importer is not a function. Its token is in its own process only.
    assert reading == {"slipway.settings", "slipway.importers.proton.__main__"}


HTTP = {"aws_lambda_powertools.event_handler", "slipway.http"}
# Most environments are made without one.
TEMPLATES = {"slipway.domain.inputs", "slipway.domain.template", "slipway.store.template_records"}
WORKFLOWS = {*AWS_SDK, *SIGNING_IN, *TOKENS, *HTTP, *NEVER, *TEMPLATES}
DOES_NOT_IMPORT = {
    "auth": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "people": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.access.signing",
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "confirmations": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.access.signing",
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "promotions": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "templates": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "projects": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "environments": {*AWS_SDK, *SIGNING_IN, *TOKENS, *NEVER, *TEMPLATES, "slipway.drivers"},
    "inspection": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "configuration": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "runtime": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.services.rollout_queue",
    },
    "deployments": {*AWS_SDK, *SIGNING_IN, *TOKENS, *NEVER, *TEMPLATES, "slipway.drivers"},
    "plans": {*AWS_SDK, *SIGNING_IN, *TOKENS, *HTTP, *NEVER, *TEMPLATES, "slipway.access"},
    "docs": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.store.project_records",
    },
    "console": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "aws_lambda_powertools.event_handler",
        "pydantic",
        "slipway.access",
        "slipway.console.pages",
        "slipway.domain.fields",
        "slipway.drivers",
        "slipway.services",
        "slipway.store",
    },
    "dispatch": WORKFLOWS,
    "reconcile": WORKFLOWS,
    "provision": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
    "retire": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
    "ship": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
    "restore": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
}


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_imports_nothing_that_it_does_not_need_at_the_start(folder: Path) -> None:
    path = f"{ROOT / 'layers/core'}{os.pathsep}{folder}"
    told = subprocess.run(
        [sys.executable, "-c", "import app, sys; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "slipway" in told.stdout.split()
    assert DOES_NOT_IMPORT[folder.name] & set(told.stdout.split()) == set()


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_imports_slipway_and_no_other_function(folder: Path) -> None:
    found = roots(ast.parse((folder / "app.py").read_text()))

    assert found & {"functions", "local", "tests", "app"} == set()
    assert "slipway" in found


def test_no_module_shadows_the_standard_library() -> None:
    # /opt/python and the function's folder come before it.
    names = {path.name for path in (ROOT / "layers/core").iterdir() if path.is_dir()}
    names |= {path.stem for folder in FUNCTIONS for path in folder.glob("*.py")}
    names |= {path.name for folder in FUNCTIONS for path in folder.iterdir() if path.is_dir()}

    assert {"slipway", "app"} <= names
    assert names & sys.stdlib_module_names == set()
