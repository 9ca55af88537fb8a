"""The README's first five minutes, and the first contract of the API, as a user pastes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.platform import Platform

pytestmark = pytest.mark.xdist_group("e2e")


ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TEMPLATES = (ROOT / "docs/templates.md").read_text()
FIRST_CONTRACT = Path(__file__).with_name("first_contract.sh").read_text()

needs_curl_and_jq = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="the block needs curl and jq"
)


def _run(block: str) -> str:
    """The block's output. It must not fail anywhere."""
    script = "set -euo pipefail\n" + block
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=150, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def _block(document: str, marker: str, platform: Platform) -> str:
    """The block below the comment that ends in `marker`, for this platform."""
    found = re.search(rf"{marker}\. -->\n```bash\n(.*?)```", document, re.DOTALL)
    assert found
    return found[1].replace("http://127.0.0.1:8000", platform.url)


def _json_values(text: str) -> list[Any]:
    values = []
    while text:
        value, end = json.JSONDecoder().raw_decode(text)
        values.append(value)
        text = text[end:].lstrip()
    return values


@needs_curl_and_jq
def test_the_readme_and_the_template_guide_end_in_a_page_that_answers(
    platform: Platform,
) -> None:
    block = _block(README, "run this block, twice", platform)

    for run in (1, 2):
        *_, environment, deployment, page, greeting = _run(block).splitlines()

        assert environment == "environment preview-pr-123: running"
        assert deployment == "deployment of v1: succeeded"
        assert page.startswith(f"page: {platform.environments_url}/")
        assert greeting == f"Hello from preview-pr-123, version v1, visit {run}"

    # On its own this block means nothing, so it is held against the same platform.
    block += _block(TEMPLATES, "run this block after the README's", platform)
    printed = _run(block).splitlines()

    assert printed[-1] == "Good morning from preview-pr-123, version v1, visit 4"
    assert "1.1 is published" in printed
    assert '  "change_set": "ready"' in printed

    block = _block(TEMPLATES, "run this block after the README's, too", platform)
    newest = '"$(ls -t .slipway/run-*/aws.env | head -1)"'
    assert newest in block
    # Another platform may run in this checkout.
    block = block.replace(newest, f"{platform.run_dir}/aws.env")
    assert _run(_block(README, "run this block, twice", platform) + block).endswith(
        "A job is queued.\nJob board, version v1\n"
    )


@needs_curl_and_jq
def test_the_commands_of_the_first_contract_still_work(platform: Platform) -> None:
    printed = _run(FIRST_CONTRACT.replace("http://127.0.0.1:8000", platform.url))

    user, deployment, lines, environment = _json_values(printed)
    assert user["email"] == "test@example.com"
    assert deployment["version"] == "sha-1234567"
    assert deployment["status"] in ("pending", "running", "succeeded")
    assert isinstance(lines, list)
    assert environment["name"] == "preview-pr-123"
    assert environment["status"] == "tearing_down"
