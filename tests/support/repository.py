"""The repository as data: its files, the template as it is written and as AWS gets it."""

from __future__ import annotations

import ast
import copy
import functools
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from boto3 import Session
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from local.package import load_yaml, with_includes

ROOT = Path(__file__).resolve().parents[2]
MACHINES = sorted((ROOT / "statemachines").iterdir())
FUNCTIONS = sorted(folder for folder in (ROOT / "functions").glob("*/*") if folder.is_dir())

_NOT_OURS = {".git", ".aws-sam", ".slipway", "__pycache__", "node_modules", "htmlcov"}


def files() -> Iterator[Path]:
    """Every file that is, or would be, in the repository."""
    for folder, names, here in os.walk(ROOT):
        names[:] = [
            name for name in names if name not in _NOT_OURS and not name.startswith((".venv", "."))
        ] + ([".ci"] if Path(folder) == ROOT else [])
        for name in sorted(here):
            # In a worktree, .git is a file.
            if not name.startswith((".coverage", ".git")) or name == ".gitignore":
                yield Path(folder) / name


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of Slipway, by its name: `slipway.store.table`."""
    folder = ROOT / "layers/core"
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): tree
        for path in sorted(folder.rglob("slipway/**/*.py"))
        if (tree := ast.parse(path.read_text()))
    }


def load_function(folder: Path) -> ModuleType:
    """The function's app.py as a module of its own, as Lambda would import it."""
    spec = importlib.util.spec_from_file_location(f"app_{folder.name}", folder / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def machine(path: Path) -> dict[str, Any]:
    """The state machine as it is written; to be read, not changed."""
    return load_yaml(path)


def camel(words: str) -> str:
    """retire_environment -> RetireEnvironment"""
    return "".join(word.capitalize() for word in words.split("_"))


@functools.cache
def _template() -> Any:
    return with_includes(ROOT, load_yaml(ROOT / "template.yaml"))


def template() -> dict[str, Any]:
    """template.yaml as it is written, with the files that it includes."""
    return copy.deepcopy(_template())


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The template's resources of one type, such as AWS::Serverless::Function."""
    return {
        name: resource
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def running(folder: str) -> list[str]:
    """The template's functions that run the code in the folder of this name, such as dispatch."""
    return [
        name
        for name, function in resources("AWS::Serverless::Function").items()
        if function["Properties"]["CodeUri"].rpartition("/")[2] == folder
    ]


@functools.cache
def _transformed() -> str:
    source = template()
    for resource in source["Resources"].values():
        for place in ("CodeUri", "ContentUri", "DefinitionUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"
    defaults = {
        name: parameter["Default"]
        for name, parameter in source["Parameters"].items()
        if "Default" in parameter
    }
    session = Session(region_name="us-east-1")
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    return json.dumps(translator.translate(source, defaults))


def transformed(kind: str = "") -> dict[str, dict[str, Any]]:
    """Resources of one type, or all, after the SAM transform: what CloudFormation is given."""
    return {
        name: resource
        for name, resource in json.loads(_transformed())["Resources"].items()
        if kind in ("", resource["Type"])
    }
