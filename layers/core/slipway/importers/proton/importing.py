"""Imports a bundle: returns the template and the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.domain import template_parser
from slipway.domain.template import MAX_BYTES
from slipway.errors import Refused
from slipway.importers.proton import bundle, schema
from slipway.importers.proton.branches import Branches
from slipway.importers.proton.intrinsics import Intrinsics
from slipway.importers.proton.report import InvalidBundle, Report
from slipway.importers.proton.session import Session
from slipway.importers.proton.writing import dump


@dataclass(frozen=True)
class Imported:
    kind: bundle.Kind
    body: str
    report: Report


def read(path: Path) -> Imported:
    """Raises InvalidBundle."""
    found = bundle.read(path)
    report = Report()
    if found.pipeline_file:
        report.add_loss(
            found.pipeline_file, 0, "pipelines are not carried over: Slipway has no pipelines"
        )
    session = Session(found, schema.inputs(found, report), report)
    body = _header(report, dump(Intrinsics(session).resolved(Branches(session).template())))
    if len(body.encode()) > MAX_BYTES:
        raise InvalidBundle(f"the template would have more than {MAX_BYTES} bytes")
    try:
        template_parser.read(body.encode(), is_json=False)
    except Refused as refused:
        said = "; ".join(f"{each.pointer} {each.detail}" for each in refused.fields)
        said = said or refused.detail
        if not report.gaps:
            raise InvalidBundle(f"the platform would refuse the template: {said}") from None
        # A part that was kept may refer to one that was left out.
        report.add_note(
            found.template_file, 0, f"the platform refuses the template until this is fixed: {said}"
        )
    return Imported(found.kind, body, report)


def _header(report: Report, body: str) -> str:
    """A comment with the report, which stays with the template."""
    if not report.losses:
        return body
    lines = "".join(f"#   {each}\n" for each in report.losses)
    return f"# Not carried over from AWS Proton:\n{lines}{body}"
