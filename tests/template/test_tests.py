"""Rules for the tests: each one asserts something, and shared code is in tests/support."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.repository import ROOT, files, short

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


# ── Shared code ──────────────────────────────────────────────────────────────────────────────


def imported(tree: ast.AST) -> Iterator[str]:
    """Each module that is imported, and each name that is imported from one, as `module.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_test_module(name: str) -> bool:
    """Whether `tests.store.test_leases.lease` or `tests.conftest` is, or is in, a test module."""
    parts = name.split(".")
    return parts[0] == "tests" and any(
        part == "conftest" or (ROOT.joinpath(*parts[:n]) / f"{part}.py").is_file()
        for n, part in enumerate(parts)
        if part == "conftest" or part.startswith("test_")
    )


def test_no_module_imports_a_test_module_or_a_conftest() -> None:
    sources = [path for path in files() if path.suffix == ".py"]
    importing = {
        short(path): found
        for path in sources
        if (found := [n for n in imported(ast.parse(path.read_bytes())) if is_test_module(n)])
    }

    assert importing == {}
    assert len(sources) > len(TREES) > 100


def test_an_import_of_a_test_module_is_found() -> None:
    tree = ast.parse(
        "import tests.template.test_tests\n"
        "from tests.template import test_tests\n"
        "from tests.template.test_tests import short\n"
        "from tests.conftest import environ\n"
        "from tests.support.workflows import faults\n"
    )

    assert [is_test_module(name) for name in imported(tree)] == [True, True, True, True, False]


def test_shared_modules_are_in_tests_support() -> None:
    elsewhere = [
        short(path)
        for path in TREES
        if path.name != "conftest.py"
        and not path.name.startswith("test_")
        and not short(path).startswith(("tests/support/", "tests/local/app/"))
    ]

    assert elsewhere == []


def places(tree: ast.AST) -> list[str]:
    """Names that depend on the place of a test: attributes of pytest's items, and names of
    files."""
    attributes = {"fspath", "location", "nodeid", "path", "reportinfo"}
    file = re.compile(r"(tests/)?(\w+/)*((test)?_\w+\.py|test_\w+)|tests/[\w/]*")
    nodes = list(ast.walk(tree))
    texts = [str(each.value) for each in nodes if isinstance(each, ast.Constant)]
    return [
        *(n.attr for n in nodes if isinstance(n, ast.Attribute) and n.attr in attributes),
        *(each for each in texts if file.fullmatch(each)),
    ]


def test_no_conftest_decides_by_the_place_of_a_test() -> None:
    conftests = {path: tree for path, tree in TREES.items() if path.name == "conftest.py"}

    assert {short(path): found for path, tree in conftests.items() if (found := places(tree))} == {}
    assert len(conftests) > 5


def test_a_decision_by_the_place_of_a_test_is_found() -> None:
    for source in (
        "item.path.name == chosen",
        "item.nodeid in chosen",
        "name == 'test_clock.py'",
        "name.endswith('_crashes.py')",
        "name.startswith('tests/e2e/')",
    ):
        assert places(ast.parse(source)), source
    assert places(ast.parse("item.get_closest_marker('independent')")) == []
