"""A command line with a folder of its own, which never sleeps."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _its_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "PROJECT", "ENV"):
        monkeypatch.delenv(f"SLIPWAY_{name}", raising=False)
    monkeypatch.setenv("SLIPWAY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SLIPWAY_TOKEN", "slw_token")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
