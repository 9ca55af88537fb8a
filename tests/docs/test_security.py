"""docs/security.md promises nothing without a test, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/security.md"
TEST = re.compile(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`")
# A row without a test names the owner as responsible, or says that the promise is not met.
ANSWERS = re.compile(r"\*\*(owner|not met)\*\*")


def tables() -> list[list[str]]:
    """The cells of each row whose table has a column `shown by`."""
    rows, shown = [], False
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            shown = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells[-1].strip() == "shown by":
            shown = True
        elif shown and not set(line) <= set("|- "):
            rows.append(cells)
    return rows


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_has_its_tables() -> None:
    first = [row[0] for row in tables()]

    assert {f"API{number}" for number in range(1, 11)} <= {each.split()[0] for each in first}
    assert len(first) >= 45


@pytest.mark.parametrize("row", tables(), ids=lambda row: " ".join(row[:2])[:60])
def test_every_row_names_a_test_or_who_answers_for_it(row: list[str]) -> None:
    assert TEST.search(row[-1]) or ANSWERS.search(row[-1]), row[-1]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(TEST.findall(PAGE.read_text()))
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or (name and name not in functions(path))
    ]

    assert len(named) > 40
    assert missing == []
