"""Imports a bundle: returns the template and the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.domain import template_parser
from slipway.domain.allowances import PARAMETERS, Allowances
from slipway.domain.template import MAX_BYTES
from slipway.errors import FieldError, Invalid, Refused
from slipway.importers.proton import bundle, schema
from slipway.importers.proton.branches import Branches
from slipway.importers.proton.deployments import Deployments
from slipway.importers.proton.intrinsics import Intrinsics
from slipway.importers.proton.report import InvalidBundle, Report
from slipway.importers.proton.session import Session
from slipway.importers.proton.writing import dump


@dataclass(frozen=True)
class Imported:
    """`refused`: what a platform with default parameters refuses in the template, however well it
    was carried over."""

    kind: bundle.Kind
    body: str
    report: Report
    refused: list[FieldError]


def read(path: Path) -> Imported:
    """Raises InvalidBundle."""
    found = bundle.read(path)
    report = Report()
    if found.pipeline_file:
        text = "the pipeline is left out: your CI builds, and asks Slipway to deploy (docs/ci.md)"
        report.add_note(found.pipeline_file, 0, text)
    session = Session(found, schema.inputs(found, report), report)
    intrinsics = Intrinsics(session)
    tree = intrinsics.resolved(Branches(session).template())
    tree = Deployments(tree, report, found.template_file, intrinsics.line).adapt()
    body = _header(report, dump(intrinsics.complete(tree)))
    if len(body.encode()) > MAX_BYTES:
        raise InvalidBundle(f"the template would have more than {MAX_BYTES} bytes")
    refused_there: list[FieldError] = []
    try:
        refused_there = _refused(template_parser.read(body.encode(), is_json=False))
    except Refused as refused:
        said = "; ".join(f"{each.pointer} {each.detail}" for each in refused.fields)
        said = said or refused.detail
        if not report.gaps:
            raise InvalidBundle(f"the platform would refuse the template: {said}") from None
        # A part that was kept may refer to one that was left out.
        report.add_note(
            found.template_file, 0, f"the platform refuses the template until this is fixed: {said}"
        )
    return Imported(found.kind, body, report, refused_there)


class _Anything(tuple[str, ...]):
    """The buckets of a platform that is not known yet."""

    def __contains__(self, name: object) -> bool:
        return name is not None


def _refused(template: template_parser.ParsedTemplate) -> list[FieldError]:
    """The parts that no environment may have, whatever the platform's parameters are."""
    most = dict.fromkeys(PARAMETERS, 10**9)
    try:
        template_parser.check_allowed(template, Allowances(["*"], _Anything(), limits=most))
    except Invalid as refused:
        return list(refused.fields)
    return []


def _header(report: Report, body: str) -> str:
    """A comment with the report, which stays with the template."""
    if not report.losses:
        return body
    lines = "".join(f"#   {each}\n" for each in report.losses)
    return f"# Not carried over from AWS Proton:\n{lines}{body}"
