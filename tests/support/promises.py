"""Pages whose tables promise something, with a column `shown by` that names the tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.support.repository import ROOT

TEST = re.compile(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`")


def rows(page: Path) -> list[list[str]]:
    """The cells of each row whose table has `shown by` as its last column."""
    found, shown = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            shown = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells[-1].strip() == "shown by":
            shown = True
        elif shown and not set(line) <= set("|- "):
            found.append(cells)
    return found


def missing(page: Path) -> list[str]:
    """The tests that the page names and that do not exist."""
    return [
        f"{path}::{name}"
        for path, name in named(page)
        if not (ROOT / path).exists() or (name and name not in _functions(path))
    ]


def named(page: Path) -> set[tuple[str, str]]:
    """(file, function) of every test that the page names; the function may be empty."""
    return set(TEST.findall(page.read_text(encoding="utf-8")))


@cache
def _functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
