"""The tests themselves: none without an assertion."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.template.repository import ROOT, short

TREES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> list[tuple[Path, Function]]:
    return [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    ]


def called(node: ast.AST) -> set[str]:
    """The last word of everything that is called: `pytest.raises(…)` is raises."""
    return {
        each.func.attr if isinstance(each.func, ast.Attribute) else each.func.id
        for each in ast.walk(node)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute | ast.Name)
    }


def asserts(node: ast.AST) -> bool:
    return bool(called(node) & {"raises", "warns"}) or any(
        isinstance(each, ast.Assert) for each in ast.walk(node)
    )


def test_every_test_asserts_something() -> None:
    checks = {
        node.name for _, node in functions() if asserts(node) and not node.name.startswith("test_")
    }
    idle = [
        f"{short(path)}:{node.lineno} {node.name}"
        for path, node in functions()
        if node.name.startswith("test_") and not asserts(node) and not called(node) & checks
    ]

    assert idle == []


def test_test_names_are_sentences() -> None:
    names = [node.name for _, node in functions() if node.name.startswith("test_")]

    assert [name for name in names if len(name.split("_")) < 4] == []
