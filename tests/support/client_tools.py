"""The generators and linters of the OpenAPI document, which `make clients` installs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT

HERE = ROOT / "tests/support/clients"
DOCUMENT = ROOT / "functions/api/docs/openapi.json"
PYTHON_TOOLS = ROOT / ".venv-clients"
NODE_TOOLS = ROOT / ".slipway/node"
# Where the tools are is another folder than that of the tests, so they are found nowhere else.
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
}

needs_python_tools = pytest.mark.skipif(
    not (PYTHON_TOOLS / "ready").exists(),
    reason="the generators of Python clients are not installed: run make clients",
)
needs_node_tools = pytest.mark.skipif(
    not (NODE_TOOLS / "ready").exists() or not shutil.which("node"),
    reason="the tools of npm are not installed: run make clients, which needs Node.js",
)


def python_tool(name: str, *arguments: object, path: Path | None = None) -> str:
    """What a command of `.venv-clients` prints; `path` is its PYTHONPATH. It must succeed."""
    also = {"PYTHONPATH": str(path)} if path else {}
    return _run(PYTHON_TOOLS / "bin" / name, *arguments, also=also).stdout


def node_tool(name: str, *arguments: object) -> str:
    """What a command that npm installed prints, and its notices. It must succeed."""
    done = _run(NODE_TOOLS / "node_modules/.bin" / name, *arguments)
    return done.stdout + done.stderr


def node(*arguments: object) -> str:
    """What a program for Node.js prints. It must succeed."""
    return _run(shutil.which("node") or "node", *arguments).stdout


def _run(*command: object, also: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        cwd=ROOT,
        env={**_ENVIRONMENT, **(also or {})},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done
