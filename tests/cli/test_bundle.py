"""The command line as one file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.repository import ROOT


def test_the_file_runs_commands_with_nothing_installed(tmp_path: Path) -> None:
    target = tmp_path / "slipway.pyz"
    subprocess.run([sys.executable, ROOT / "cli/bundle.py", target], check=True)
    # Without the packages of this environment.
    command = [sys.executable, "-S", str(target), "projects", "list", "--url", "http://127.0.0.1:9"]
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    for _ in range(2):
        run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

        assert "bug in slipway" not in run.stderr
        # Nobody is signed in.
        assert run.returncode == 4, run.stderr
    [unpacked] = (tmp_path / ".cache/slipway").iterdir()
    assert (unpacked / "slipway_cli").is_dir()
