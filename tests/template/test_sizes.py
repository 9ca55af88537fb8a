"""Modules and functions stay short enough to read at once. Tests and benchmarks are exempt."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.repository import ROOT

MODULE_LINES = 450
FUNCTION_LINES = 40  # from `def` to the last line, docstring included
FOLDERS = ("cli", "layers", "functions", "local", "deploy")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def too_long(path: Path) -> Iterator[str]:
    source = path.read_text()
    if (lines := len(source.splitlines())) > MODULE_LINES:
        yield f"{lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES:
                yield f"{node.name}: {lines} lines"


def test_modules_and_functions_are_short() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): faults
        for path in SOURCES
        if (faults := [*too_long(path)])
    }
    assert found == {}


def test_a_long_module_and_a_long_function_are_found(tmp_path: Path) -> None:
    longest = "def fits():\n" + "    ...\n" * (FUNCTION_LINES - 1)
    path = tmp_path / "module.py"
    path.write_text(longest + "\n" * (MODULE_LINES - FUNCTION_LINES))
    assert [*too_long(path)] == []

    path.write_text(longest + "    ...\n" * (MODULE_LINES - FUNCTION_LINES + 1))

    assert [*too_long(path)] == ["451 lines", "fits: 451 lines"]
