"""The state that the renderings of all branches share, with its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jinja2 import Environment, TemplateSyntaxError, nodes

from slipway.importers.proton.bundle import Bundle
from slipway.importers.proton.jinja_text import first_line
from slipway.importers.proton.report import InvalidBundle, Report
from slipway.importers.proton.schema import Input
from slipway.importers.proton.symbols import (
    Markers,
    SchemaInput,
    Symbol,
    UserSupplied,
    is_marked,
)

# These limits apply to all branches together.
_MAX_STEPS = 500_000
_MAX_WRITTEN = 20_000_000


@dataclass
class Session:
    """The import of one bundle: its inputs, its report, its markers and the work done so far."""

    bundle: Bundle
    inputs: Mapping[str, Input]
    report: Report
    markers: Markers = field(default_factory=Markers)
    jinja: Environment = field(default_factory=Environment)
    steps: int = 0
    written: int = 0

    def parsed(self) -> nodes.Template:
        """The template's syntax tree. Raises InvalidBundle."""
        file = self.bundle.template_file
        if is_marked(self.bundle.template):
            raise InvalidBundle(f"{file}: contains characters from Unicode's private use area")
        try:
            return self.jinja.parse(self.bundle.template)
        except TemplateSyntaxError as error:
            raise InvalidBundle(
                f"{file}:{error.lineno}: is not valid Jinja: {error.message}"
            ) from None
        except RecursionError:
            raise InvalidBundle(f"{file}: is nested too deeply") from None

    def texts(self, symbol: Symbol) -> list[str] | None:
        """Every text that the symbol can have; None if the texts are not known."""
        if isinstance(symbol, UserSupplied) and symbol.is_boolean:
            return ["true", "false"]
        if not isinstance(symbol, SchemaInput):
            return None
        declared = self.inputs[symbol.name]
        return declared.texts and [*declared.texts, *([""] if declared.can_be_absent else [])]

    def is_list(self, symbol: SchemaInput) -> bool:
        return self.inputs[symbol.name].is_list

    def step(self, node: nodes.Node) -> None:
        """Count a step of the rendering. Raises InvalidBundle beyond the limit."""
        self.steps += 1
        if self.steps > _MAX_STEPS:
            file = self.bundle.template_file
            raise InvalidBundle(f"{file}:{node.lineno}: takes more than {_MAX_STEPS} steps")

    def charge(self, node: nodes.Node, size: int) -> None:
        """Count characters that are written. Raises InvalidBundle beyond the limit."""
        self.written += size
        if self.written > _MAX_WRITTEN:
            file = self.bundle.template_file
            raise InvalidBundle(
                f"{file}:{node.lineno}: renders more than {_MAX_WRITTEN} characters"
            )

    def loss(self, node: nodes.Node, text: str, *, gap: bool = False) -> None:
        self.report.add_loss(self.bundle.template_file, first_line(node), text, gap=gap)
