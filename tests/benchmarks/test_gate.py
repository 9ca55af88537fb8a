"""The gate fails only for counts that have grown."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from benchmarks import gate
from tests.support.repository import FUNCTIONS


def test_a_count_that_grows_by_more_than_two_per_cent_is_named() -> None:
    before = {"auth": 1000, "docs": 1000, "projects": 1000}

    assert gate.grown(before, {"auth": 1020, "docs": 1021, "projects": 900}) == ["docs"]


def test_a_function_that_was_never_measured_does_not_pass() -> None:
    assert gate.grown({"auth": 1000}, {"auth": 1000, "new": 1}) == ["new"]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="there is no valgrind")
def test_the_same_work_has_the_same_count_and_more_work_a_larger_one() -> None:
    def count(code: str) -> int:
        command = [sys.executable, "-S", "-B", "-c", code]
        return gate.instructions(command, {"PYTHONHASHSEED": "0"})

    little, again, more = count("1"), count("1"), count("sum(range(200_000))")

    assert abs(again - little) < little / 1000
    assert more > little * 1.02


def test_every_function_has_a_figure() -> None:
    for figures in json.loads(gate.COMMITTED.read_text()).values():
        assert set(figures) == {folder.name for folder in FUNCTIONS}


def test_without_valgrind_the_gate_says_that_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")

    assert gate.main([]) == 0
    assert "THE GATE IS SKIPPED" in capsys.readouterr().err


def test_figures_of_another_build_of_python_are_not_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(gate, "BUILD", "another")

    assert gate.main([]) == 0
    assert "THE GATE IS SKIPPED" in capsys.readouterr().err
