"""Medians, ratios and tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmarks import support


def test_the_ratio_is_the_median_of_the_ratios_of_all_turns() -> None:
    # The second turn was disturbed, and disturbed them both.
    assert support.ratio([1.0, 40.0, 2.0], [2.0, 80.0, 2.0]) == 0.5


def test_contestants_take_turns() -> None:
    order: list[str] = []

    def turn(name: str) -> int:
        order.append(name)
        return len(order)

    found = support.in_turn({name: partial(turn, name) for name in "ab"}, rounds=2)

    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1, 3], "b": [2, 4]}


def test_numbers_in_a_table_are_aligned_right() -> None:
    assert support.markdown(("", "ms"), [("one", 1234.0), ("two", 0.5)]).splitlines() == [
        "|     |    ms |",
        "| --- | ----: |",
        "| one | 1,234 |",
        "| two |  0.50 |",
    ]


def test_a_result_replaces_only_its_own_part_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    report = tmp_path / "docs/performance.md"
    report.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n<!-- y -->\n<!-- end of y -->\n")
    monkeypatch.setattr(support, "ROOT", tmp_path)

    support.show("Found", ("", "ms"), [("one", 1)])
    support.publish("x")

    written = report.read_text()
    assert "old" not in written
    assert written.startswith("a\n<!-- x -->\n\n**Found**\n\n|     | ms |")
    assert written.endswith("<!-- end of x -->\nb\n<!-- y -->\n<!-- end of y -->\n")


def test_the_report_has_a_place_for_every_subject() -> None:
    from benchmarks.__main__ import SUBJECTS

    report = (support.ROOT / "docs/performance.md").read_text()

    for subject in SUBJECTS:
        assert f"<!-- {subject} -->" in report, subject
        assert f"<!-- end of {subject} -->" in report, subject


def test_every_plot_of_the_report_exists() -> None:
    report = (support.ROOT / "docs/performance.md").read_text()

    plots = {path.name for path in support.PLOTS.glob("*.svg")}
    assert plots
    assert {name for name in plots if f"performance/{name}" in report} == plots
    assert report.count(".svg)") == len(plots)
