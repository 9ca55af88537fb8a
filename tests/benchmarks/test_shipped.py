"""The benchmarks still find what they measure, after functions were renamed or moved."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.again import Parts
from benchmarks.shipped import DAILY, FIRST
from slipway.http import responses
from tests.support.repository import FUNCTIONS, ROOT

RECORD = """
import json
from benchmarks.shipped import DAILY, FIRST, recorded
print(json.dumps(list(recorded(FIRST | DAILY))))
"""


def test_the_first_request_of_each_function_can_be_recorded() -> None:
    # In a process of its own: handlers keep clients and keys for as long as they live.
    done = subprocess.run(
        [sys.executable, "-c", RECORD],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "layers/core"},
    )

    assert set(FIRST) == {folder.name for folder in FUNCTIONS}
    assert set(json.loads(done.stdout)) == {*FIRST, *DAILY}


def test_the_functions_that_a_request_is_divided_into_exist() -> None:
    render = responses.render

    with Parts():
        assert responses.render is not render

    assert responses.render is render
