"""Renders the template's Jinja with a marker in place of each value, for one branch.

No code of the bundle runs: the syntax tree is walked, and only the statements listed here are
supported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes

from slipway.importers.proton.expressions import ITERATION, Expressions, Path, Scope
from slipway.importers.proton.jinja_text import source_text
from slipway.importers.proton.report import InvalidBundle
from slipway.importers.proton.session import Session
from slipway.importers.proton.symbols import AllItems, Equals, SchemaInput, UserSupplied

# These render lines of YAML, not a value.
_STRUCTURAL = {
    "proton_cfn_ecs_task_definition_formatted_env_vars",
    "proton_cfn_lambda_function_formatted_env_vars",
    "proton_cfn_iam_policy_arns",
}


@dataclass
class Rendering:
    """Renders one branch.

    decided  the outcomes of the branch's conditions
    lines    the line of the template from which each rendered line comes
    """

    session: Session
    decided: Mapping[Equals, bool]
    lines: list[int] = field(default_factory=lambda: [1])
    _parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._expressions = Expressions(self.session, self.decided)

    def text(self, template: nodes.Template) -> str:
        """Raises Undecided, InvalidBundle."""
        try:
            self._block(template.body, {})
        except RecursionError:
            file = self.session.bundle.template_file
            raise InvalidBundle(f"{file}: is nested too deeply") from None
        return "".join(self._parts)

    def _block(self, body: Sequence[nodes.Node], scope: dict[str, Any]) -> None:
        for position, node in enumerate(body):
            self.session.step(node)
            if isinstance(node, nodes.Output):
                after = body[position + 1] if position + 1 < len(body) else None
                self._output(node, scope, after)
            elif isinstance(node, nodes.If):
                self._if(node, scope)
            elif isinstance(node, nodes.For):
                self._for(node, scope)
            elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
                scope[node.target.name] = self._expressions.value(node.node, scope)
            else:
                self._gap(node, f"{{% {type(node).__name__.lower()} %}} is left out")

    def _if(self, node: nodes.If, scope: dict[str, Any]) -> None:
        for branch in (node, *node.elif_):
            if self._expressions.is_true(branch.test, scope):
                self._block(branch.body, scope)
                return
        self._block(node.else_, scope)

    def _for(self, node: nodes.For, scope: dict[str, Any]) -> None:
        over = self._expressions.value(node.iter, scope)
        if isinstance(over, dict):
            over = list(over)
        if isinstance(over, SchemaInput) and self.session.is_list(over):
            self._for_each(node, over, scope)
            return
        if not isinstance(over, list | tuple) or node.recursive:
            self._gap(node, f"{{% for … in {source_text(node.iter)} %}} is left out")
            return
        turns = [{**scope, **dict(_unpacked(node.target, item))} for item in over]
        if node.test is not None:
            turns = [inner for inner in turns if self._expressions.is_true(node.test, inner)]
        if not turns:
            self._block(node.else_, scope)
        for index, inner in enumerate(turns):
            loop = {
                "index": index + 1,
                "index0": index,
                "first": index == 0,
                "last": index == len(turns) - 1,
                "length": len(turns),
            }
            turn = f"{scope.get(ITERATION, '')}{index + 1}."
            self._block(node.body, {**inner, "loop": loop, ITERATION: turn})

    def _for_each(self, node: nodes.For, over: SchemaInput, scope: dict[str, Any]) -> None:
        """A loop over an input, which may do no more than repeat the value as a YAML item."""
        inner = {**scope, **dict(_unpacked(node.target, AllItems(over))), "loop": Path(("loop",))}
        before = len(self._parts), len(self.lines)
        self._block(node.body, inner)
        mark = self.session.markers.mark(AllItems(over), node.lineno)
        if node.test is None and re.fullmatch(
            rf"""\s*-\s+(['"]?){mark}\1\s*""", "".join(self._parts[before[0] :])
        ):
            return
        del self._parts[before[0] :], self.lines[before[1] :]
        self._gap(
            node, f"{{% for … in {source_text(node.iter)} %}} does more than repeat the values"
        )

    def _output(self, node: nodes.Output, scope: Scope, after: nodes.Node | None) -> None:
        for position, each in enumerate(node.nodes):
            if isinstance(each, nodes.TemplateData):
                self._write(each, each.data)
                continue
            value = self._expressions.value(each, scope)
            following = node.nodes[position + 1] if position + 1 < len(node.nodes) else after
            if isinstance(value, UserSupplied) and self._has_own_line(each, following):
                self._gap(each, f"{{{{ {value.text} }}}} may render whole lines and is left out")
                continue
            self._write(each, self._expressions.as_text(value, each, scope))

    def _has_own_line(self, node: nodes.Node, following: nodes.Node | None) -> bool:
        """Whether the expression is alone on its line, where it could render more than a value."""
        if isinstance(node, nodes.Filter) and node.name in _STRUCTURAL:
            return True
        if isinstance(following, nodes.Output):
            following = following.nodes[0]
        ends = following is None or (
            isinstance(following, nodes.TemplateData) and re.match(r"\s*(\n|$)", following.data)
        )
        return bool(ends) and not self._current_line().strip()

    def _current_line(self) -> str:
        """The unfinished line."""
        line = ""
        for part in reversed(self._parts):
            _, newline, end = part.rpartition("\n")
            line = end + line
            if newline:
                break
        return line

    def _write(self, node: nodes.Node, text: str) -> None:
        self.session.charge(node, len(text))
        self._parts.append(text)
        literal = isinstance(node, nodes.TemplateData)
        for n in range(text.count("\n")):
            self.lines.append(node.lineno + (n + 1 if literal else 0))

    def _gap(self, node: nodes.Node, text: str) -> None:
        self.session.loss(node, text, gap=True)


def _unpacked(target: nodes.Node, item: Any) -> Iterator[tuple[str, Any]]:
    """The loop's variables. A variable without a value in the item stays unknown."""
    if isinstance(target, nodes.Name):
        yield target.name, item
    elif isinstance(target, nodes.Tuple) and isinstance(item, list | tuple):
        for name, each in zip(target.items, item, strict=False):
            yield from _unpacked(name, each)
