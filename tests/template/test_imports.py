"""Imports point one way: functions -> slipway's doors and stores -> its model -> its errors."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template.repository import FUNCTIONS, ROOT, modules

AWS = {"aws_lambda_powertools", "boto3", "botocore", "jmespath"}
MODULES = modules()


def imported(tree: ast.Module) -> Iterator[str]:
    """`from slipway import ids` is slipway.ids; `from slipway.ids import new` is slipway.ids."""
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


def test_errors_import_nothing_of_slipway() -> None:
    assert ours("slipway.errors") == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("slipway.model")])
def test_the_model_imports_no_aws_and_only_what_lies_under_it(name: str) -> None:
    allowed = ("slipway.model", "slipway.errors", "slipway.ids")

    assert roots(MODULES[name]) & AWS == set()
    assert [each for each in ours(name) if not each.startswith(allowed)] == []


@pytest.mark.parametrize("name", MODULES)
def test_slipway_imports_nothing_of_what_is_built_on_it(name: str) -> None:
    assert roots(MODULES[name]) & {"functions", "local", "tests"} == set()


def test_no_module_imports_itself_by_a_detour() -> None:
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


def test_only_api_knows_http() -> None:
    knowing = {
        name
        for name, tree in MODULES.items()
        if any(each.startswith("aws_lambda_powertools.event_handler") for each in imported(tree))
    }

    assert knowing == {"slipway.api"}


def test_one_module_is_the_seam_to_dynamodb() -> None:
    for name, tree in MODULES.items():
        if name.startswith("slipway.store") and name != "slipway.store.table":
            assert roots(tree) & {"boto3", "botocore"} == set(), name
    importing = {name for name in MODULES if "slipway.store.dynamodb" in ours(name)}
    assert importing == {"slipway.store.table"}


def test_one_module_knows_passwords_and_tokens() -> None:
    knowing = {name for name, tree in MODULES.items() if roots(tree) & {"passlib", "jwt", "argon2"}}

    assert knowing == {"slipway.auth"}


def test_only_settings_reads_the_environment_of_the_process() -> None:
    reading = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }

    # The importer is no function: its token is in nobody's process but its own.
    assert reading == {"slipway.settings", "slipway.importers.proton.__main__"}


# What takes long to import and is for other functions, or for other requests than most.
AWS_SDK = {"boto3", "botocore.session", "urllib3"}
SIGNING_IN = {"argon2", "email_validator", "passlib"}
TOKENS = {"cryptography", "jwt"}
HTTP = {"aws_lambda_powertools.event_handler", "slipway.api"}
NEVER = {
    "aws_lambda_powertools.event_handler.openapi.params",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_xray_sdk",
    "cffi",
    "dns",
    "jinja2",
    "pycparser",
    "slipway.importers",
    "slipway.openapi",
    "yaml",
}
# Most environments are made without one.
TEMPLATES = {"slipway.model.inputs", "slipway.model.template", "slipway.store.templates"}
WORKFLOWS = {*AWS_SDK, *SIGNING_IN, *TOKENS, *HTTP, *NEVER, *TEMPLATES}
DOES_NOT_IMPORT = {
    "auth": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.store.queue",
    },
    "templates": {*AWS_SDK, *SIGNING_IN, *TOKENS, *NEVER, "slipway.drivers", "slipway.store.queue"},
    "projects": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.store.queue",
    },
    "environments": {*AWS_SDK, *SIGNING_IN, *TOKENS, *NEVER, *TEMPLATES, "slipway.drivers"},
    "deployments": {*AWS_SDK, *SIGNING_IN, *TOKENS, *NEVER, *TEMPLATES, "slipway.drivers"},
    "docs": {
        *AWS_SDK,
        *SIGNING_IN,
        *TOKENS,
        *NEVER,
        *TEMPLATES,
        "slipway.drivers",
        "slipway.store.projects",
    },
    "dispatch": WORKFLOWS,
    "reconcile": WORKFLOWS,
    "provision": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
    "retire": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
    "ship": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
    "restore": {*WORKFLOWS, "aws_lambda_powertools", "asyncio"},
}


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_starts_without_what_it_does_not_need(folder: Path) -> None:
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


def test_nothing_on_lambdas_path_is_named_after_the_standard_library() -> None:
    # /opt/python and the function's folder come before it.
    names = {path.name for path in (ROOT / "layers/core").iterdir() if path.is_dir()}
    names |= {path.stem for folder in FUNCTIONS for path in folder.glob("*.py")}
    names |= {path.name for folder in FUNCTIONS for path in folder.iterdir() if path.is_dir()}

    assert {"slipway", "app"} <= names
    assert names & sys.stdlib_module_names == set()
