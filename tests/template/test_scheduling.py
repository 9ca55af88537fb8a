"""pytest-xdist gets the groups of the tests, which say what runs in one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from tests.support.scheduling import group_in, groups_in_ids

MODULE = """
import os
import pathlib
import pytest

pytestmark = pytest.mark.{mark}

@pytest.mark.parametrize("n", range(8))
def test_that_runs_in_this_modules_group(n):
    with open(pathlib.Path(__file__).with_name("ran"), "a") as ran:
        ran.write(f"{{os.environ['PYTEST_XDIST_WORKER']}} {{pathlib.Path(__file__).stem}}\\n")
"""
CONFTEST = """
import pytest
from tests.support.scheduling import ByGroup, groups_in_ids

@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session):
    if not hasattr(session.config, "workerinput"):
        return (yield)
    with groups_in_ids(session):
        return (yield)

def pytest_xdist_make_scheduler(config, log):
    return ByGroup(config, log)
"""


def test_ids_carry_the_group_while_they_are_distributed(request: pytest.FixtureRequest) -> None:
    before = [item.nodeid for item in request.session.items]

    with groups_in_ids(request.session):
        sent = [item.nodeid for item in request.session.items]

    assert [item.nodeid for item in request.session.items] == before
    groups = [group_in(each) for each in sent]
    here = before.index(request.node.nodeid)
    assert groups[here] == "tests/template/test_scheduling.py"


def test_the_tests_of_one_group_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name, mark in (("a", "xdist_group('one')"), ("b", "xdist_group('one')"), ("c", "slow")):
        (tmp_path / f"test_{name}.py").write_text(MODULE.format(mark=mark))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 24
    one = {worker for worker, module in ran if module in ("test_a", "test_b")}
    other = {worker for worker, module in ran if module == "test_c"}
    assert (len(one), len(other)) == (1, 1)
    assert one != other
