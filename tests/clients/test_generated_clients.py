"""Clients that generators make from the OpenAPI document work against a running platform."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.platform import Platform
from tests.support.client_tools import (
    DOCUMENT,
    HERE,
    NODE_TOOLS,
    needs_node_tools,
    needs_python_tools,
    node,
    node_tool,
    python_tool,
)

pytestmark = pytest.mark.xdist_group("clients")


@needs_python_tools
def test_the_python_client_tells_the_first_story(platform: Platform, tmp_path: Path) -> None:
    config = HERE / "openapi-python-client.yaml"
    python_tool(
        *("openapi-python-client", "generate", "--path", DOCUMENT, "--config", config),
        *("--output-path", tmp_path / "slipway_client", "--meta", "none", "--fail-on-warning"),
    )

    told = python_tool("python", HERE / "story.py", platform.url, path=tmp_path)

    assert told.splitlines() == [
        "signed in as python",
        "environment preview-pr-123 provisioning",
        "deployment sha-1234567 succeeded",
        "environment preview-pr-123 tearing_down",
        "template published",
    ]


@needs_node_tools
def test_the_typescript_client_is_strict_and_tells_the_first_story(platform: Platform) -> None:
    # TypeScript looks for packages beside its sources.
    folder = NODE_TOOLS / "story"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "story.ts", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    node_tool("openapi-typescript", DOCUMENT, "--output", folder / "schema.d.ts")
    node_tool("tsc", "--project", folder)

    told = node(folder / "story.js", platform.url)

    assert told.splitlines() == [
        "environment preview-pr-123 provisioning",
        "deployment sha-1234567 succeeded",
        "environment preview-pr-123 is torn down",
    ]


@needs_python_tools
def test_generated_models_read_every_example(tmp_path: Path) -> None:
    python_tool(
        *("datamodel-codegen", "--input", DOCUMENT, "--input-file-type", "openapi"),
        *("--output", tmp_path / "slipway_models.py", "--formatters", "builtin"),
        *("--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11"),
    )

    read = python_tool("python", HERE / "check_models.py", DOCUMENT, path=tmp_path)

    assert int(read.split()[0]) > 500
