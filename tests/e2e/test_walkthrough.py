"""The README's first five minutes, and the seed's contract, as a user pastes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.platform import Platform

README = (Path(__file__).parents[2] / "README.md").read_text()


def _run(block: str) -> list[Any]:
    """The JSON values that the block prints; it must not fail anywhere."""
    script = "set -euo pipefail\n" + block
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    values, rest = [], done.stdout
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        values.append(value)
        rest = rest[end:].lstrip()
    return values


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="the block needs curl and jq"
)
def test_the_readmes_block_works_line_for_line(platform: Platform) -> None:
    block = re.search(r"as it stands\. -->\n```bash\n(.*?)```", README, re.DOTALL)
    assert block

    printed = _run(block[1].replace("http://127.0.0.1:8000", platform.url))

    user, deployment, lines, environment = printed
    assert user["email"] == "test@example.com"
    assert deployment["version"] == "sha-1234567"
    assert deployment["status"] in ("pending", "running", "succeeded")
    assert isinstance(lines, list)
    assert environment["name"] == "preview-pr-123"
    assert environment["status"] == "tearing_down"
