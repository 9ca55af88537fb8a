"""Moments and durations for people."""

from __future__ import annotations

from datetime import UTC, datetime

from slipway.console.markup import NOTHING, Markup, html

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def read(at: str) -> datetime:
    """The moment that the API has written."""
    return datetime.fromisoformat(at)


def now() -> datetime:
    return datetime.now(UTC)


def duration(seconds: float) -> str:
    """`1 h 5 min`: the two greatest units, `0.4 s` below one second."""
    if seconds < 1:
        return f"{max(seconds, 0):.1f} s"
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def ago(at: str | None) -> Markup:
    """How long ago or ahead a moment is; the script keeps it right."""
    if not at:
        return NOTHING
    moment = read(at)
    seconds = (now() - moment).total_seconds()
    shown = f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
    return html(
        '<time datetime="{at}" title="{full}" data-ago>{shown}</time>',
        at=at,
        full=written(moment),
        shown="just now" if abs(seconds) < 2 else shown,
    )


def full(at: str | None) -> Markup:
    """A moment to the second."""
    if not at:
        return NOTHING
    return html('<time datetime="{at}">{shown}</time>', at=at, shown=written(read(at)))


def clock(at: str) -> Markup:
    """The time of day to the second, for the lines of a log."""
    moment = read(at)
    return html(
        '<time datetime="{at}" title="{full}">{shown}</time>',
        at=at,
        full=written(moment),
        shown=f"{moment:%H:%M:%S}",
    )


def written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC"
