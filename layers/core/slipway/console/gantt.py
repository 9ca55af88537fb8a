"""Steps and how long each took, as a picture: a bar for each, on one scale of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from slipway.console import moments
from slipway.console.markup import NOTHING, Markup, html

_WIDTH = 400.0


class Step(NamedTuple):
    """A step. `ended` is None while it goes on; `failed` is why it failed, or empty."""

    name: str
    began: datetime
    ended: datetime | None
    failed: str = ""


def of_lines(lines: Sequence[Mapping[str, Any]], ended: str | None) -> list[Step]:
    """The steps that a log tells of, each until the next begins; the last until `ended`."""
    begun: list[tuple[str, datetime, str]] = []
    for line in lines:
        failed = str(line["message"]) if line["level"] == "error" else ""
        if not begun or begun[-1][0] != line["step"]:
            begun.append((line["step"], moments.read(line["ts"]), failed))
        elif failed:
            begun[-1] = (*begun[-1][:2], failed)
    ends = [began for _, began, _ in begun[1:]] + [moments.read(ended) if ended else None]
    return [
        Step(name, began, end, failed)
        for (name, began, failed), end in zip(begun, ends, strict=False)
    ]


def of_timeline(steps: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The steps of the API's timeline."""
    return [
        Step(
            each["step"],
            moments.read(each["entered_at"]),
            moments.read(each["left_at"]) if each["left_at"] else None,
            each["error"] or "",
        )
        for each in steps
    ]


def picture(steps: Sequence[Step]) -> Markup:
    """The steps with bars. What a bar shows is also said in words."""
    if not steps:
        return NOTHING
    first = steps[0].began
    last = max(each.ended or moments.now() for each in steps)
    total = max((last - first).total_seconds(), 0.001)
    rows = [_row(each, first, last, total) for each in steps]
    return html(
        '<div class="scroll" tabindex="0" role="region" aria-label="Steps"><table class="gantt">'
        '<caption class="unseen">Steps and how long each took</caption>'
        '<thead class="unseen"><tr><th scope="col">Step</th><th scope="col">When</th>'
        '<th scope="col">How long</th></tr></thead><tbody>{rows}</tbody></table></div>',
        rows=rows,
    )


def _row(step: Step, first: datetime, last: datetime, total: float) -> Markup:
    end = step.ended or last
    seconds = (end - step.began).total_seconds()
    x = (step.began - first).total_seconds() / total * _WIDTH
    kind = "failed" if step.failed else "running" if step.ended is None else "done"
    return html(
        '<tr><th scope="row">{name}</th><td class="bar"><svg viewBox="0 0 400 14" '
        'preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="{kind}" x="{x}" y="1" width="{width}" height="12" rx="2"/></svg></td>'
        "<td>{how_long}{more}</td></tr>",
        name=step.name,
        kind=kind,
        x=f"{min(x, _WIDTH - 2):.1f}",
        width=f"{max(seconds / total * _WIDTH, 2):.1f}",
        how_long=moments.duration(seconds),
        more={"failed": ", failed", "running": " so far"}.get(kind, ""),
    )
