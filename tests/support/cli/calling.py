"""Call the command line in this process."""

from __future__ import annotations

import pytest

from slipway_cli.main import run
from tests.support.cli.scripted import Scripted


def call(script: Scripted, *arguments: str) -> int:
    """The exit code of the command, asked of the scripted platform."""
    with pytest.raises(SystemExit) as ended:
        run(["--url", script.url, *arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code
