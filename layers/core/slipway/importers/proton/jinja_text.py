"""Jinja expressions as text, for the report and for descriptions of inputs."""

from __future__ import annotations

from jinja2 import nodes

_BETWEEN = {
    "eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=",
    "in": "in", "notin": "not in",
}  # fmt: skip


def source_text(node: nodes.Node) -> str:
    """The expression as it was probably written."""
    match node:
        case nodes.Const():
            return repr(node.value)
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{source_text(node.node)}.{node.attr}"
        case nodes.Getitem():
            return f"{source_text(node.node)}[{source_text(node.arg)}]"
        case nodes.Filter():
            called = (
                f"{node.name}({', '.join(map(source_text, node.args))})" if node.args else node.name
            )
            if node.node is None:
                return called
            compound = isinstance(node.node, nodes.Concat | nodes.BinExpr | nodes.Compare)
            of = source_text(node.node)
            return f"({of}) | {called}" if compound else f"{of} | {called}"
        case nodes.Call():
            return f"{source_text(node.node)}({', '.join(map(source_text, node.args))})"
        case nodes.Test():
            return f"{source_text(node.node)} is {node.name}"
        case nodes.Not():
            return f"not {source_text(node.node)}"
        case nodes.And() | nodes.Or():
            return (
                f"{source_text(node.left)} {type(node).__name__.lower()} {source_text(node.right)}"
            )
        case nodes.Compare():
            rest = " ".join(f"{_BETWEEN[each.op]} {source_text(each.expr)}" for each in node.ops)
            return f"{source_text(node.expr)} {rest}"
        case nodes.Concat():
            return " ~ ".join(map(source_text, node.nodes))
        case nodes.BinExpr():
            return f"{source_text(node.left)} {node.operator} {source_text(node.right)}"
        case nodes.List() | nodes.Tuple():
            return f"[{', '.join(map(source_text, node.items))}]"
    return type(node).__name__.lower()


def first_line(node: nodes.Node) -> int:
    """The first line of the expression. A filter can be below its operand."""
    while isinstance(node, nodes.Filter) and node.node is not None:
        node = node.node
    return node.lineno
