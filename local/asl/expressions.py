"""Checks JSONata expressions as Step Functions does when a definition is created.

Two rules: an expression must parse, and it must begin with `$states` or a variable: "Reference to
'phone' at the top level is not supported." (measured, floci-io/floci#2670 and #2745).
"""

from collections.abc import Iterator
from typing import Any

INVALID, UNSUPPORTED = "INVALID_JSONATA_EXPRESSION", "UNSUPPORTED_JSONATA_EXPRESSION"


def is_expression(text: str) -> bool:
    return text.startswith("{%") and text.endswith("%}")


def problems(node: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """The code, message and location of each problem in `node` and below it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from problems(value, f"{path}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from problems(value, f"{path}[{number}]")
    elif isinstance(node, str) and is_expression(node):
        for code, message in _check(node[2:-2].strip()):
            yield code, message, path


def _check(text: str) -> Iterator[tuple[str, str]]:
    from jsonata import jsonata

    try:
        tree = jsonata.Jsonata(text).ast
    except Exception as error:
        yield INVALID, str(error)
        return
    for name in dict.fromkeys(_references(tree)):
        yield UNSUPPORTED, f"Reference to '{name}' at the top level is not supported."


def _references(node: Any) -> Iterator[str]:
    """Names that are looked up in the context of the whole expression, which is empty."""
    if node is None:
        return
    kind = node.type
    if kind == "name":
        yield str(node.value)
    elif kind == "path":
        yield from _references(node.steps[0])
    elif kind not in ("lambda", "transform", "regex"):
        for below in _below(node):
            yield from _references(below)


def _below(node: Any) -> Iterator[Any]:
    """The parts of a node that are evaluated in the node's own context."""
    for name in ("lhs", "rhs", "expression", "condition", "then", "_else"):
        part = getattr(node, name, None)
        if name in ("lhs", "rhs") and isinstance(part, list):
            continue
        yield part
    for name in ("expressions", "arguments"):
        yield from getattr(node, name, None) or []
    for pair in getattr(node, "lhs_object", None) or []:
        yield from pair
