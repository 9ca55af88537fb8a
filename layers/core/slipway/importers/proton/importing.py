"""Imports a bundle: returns the template and the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.domain import template_parser
from slipway.domain.template import MAX_BYTES
from slipway.errors import Refused
from slipway.importers.proton import bundle, schema
from slipway.importers.proton.intrinsics import Intrinsics
from slipway.importers.proton.rendering import Source
from slipway.importers.proton.report import Broken, Report
from slipway.importers.proton.ways import Ways
from slipway.importers.proton.writing import dump


@dataclass(frozen=True)
class Imported:
    kind: bundle.Kind
    body: str
    report: Report


def read(path: Path) -> Imported:
    """Raises Broken."""
    found = bundle.read(path)
    report = Report()
    if found.pipeline_file:
        report.lose(found.pipeline_file, 0, "pipelines are not carried over; Slipway has none")
    source = Source(found, schema.inputs(found, report), report)
    body = _header(report, dump(Intrinsics(source).resolved(Ways(source).template())))
    if len(body.encode()) > MAX_BYTES:
        raise Broken(f"the template would have more than {MAX_BYTES} bytes")
    try:
        template_parser.read(body.encode(), is_json=False)
    except Refused as refused:
        said = "; ".join(f"{each.pointer} {each.detail}" for each in refused.fields)
        said = said or refused.detail
        if not report.holes:
            raise Broken(f"the template would be refused: {said}") from None
        # Something that was kept may refer to something that was left out.
        report.note(found.template_file, 0, f"until it is mended it is refused: {said}")
    return Imported(found.kind, body, report)


def _header(report: Report, body: str) -> str:
    """A comment with the report, which stays with the template."""
    if not report.lost:
        return body
    lines = "".join(f"#   {each}\n" for each in report.lost)
    return f"# Not carried over from AWS Proton:\n{lines}{body}"
