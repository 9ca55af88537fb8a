"""`make demo` as it is: from a template to a page that answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local.platform import Platform

pytestmark = pytest.mark.xdist_group("e2e")


DEMO = Path(__file__).parents[2] / "examples/hello-web/demo.py"


def test_the_demo_ends_with_the_second_version(platform: Platform) -> None:
    ran = subprocess.run(
        [sys.executable, str(DEMO), platform.url],
        env={"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    said = [line for line in ran.stdout.splitlines() if line.startswith("Hello")]
    assert said == [
        *(f"Hello from preview, version {version}, visit 1" for version in ("none", "v1", "v2")),
        "Hello from preview, version v2, visit 2",
    ]
    shown = ran.stdout.partition("version v2, visit 2\n")[2].splitlines()
    assert shown == ["Open on Sunday", "The secret API_KEY is set."]


def test_the_demo_says_when_the_platform_does_not_answer() -> None:
    ran = subprocess.run(
        [sys.executable, str(DEMO), "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 1
    assert "make local" in ran.stderr
