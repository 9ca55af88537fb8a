"""Pictures: rows of bars over time, as SVG. The API and the console draw with it.

A picture is readable without colours and by a screen reader: it has a title and a description, each
bar says what it is, and each row ends with its outcome in words. It has no script, loads nothing,
is escaped, and follows the reader's light or dark theme. Its size is bounded by `MOST_ROWS` and by
bars that would lie on one another being drawn as one.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

Kind = Literal["good", "bad", "busy", "idle"]

MEDIA = "image/svg+xml"
MOST_ROWS = 40
STYLE = (
    ".pic{background:#fff;font:12px system-ui,sans-serif}.pic text{fill:#1f2328}"
    ".pic .soft{fill:#59636e}.pic .grid{stroke:#d1d9e0}.pic .good{fill:#1a7f37}"
    ".pic .bad{fill:#cf222e}.pic .busy{fill:#0969da}.pic .idle{fill:#818b98}"
    "@media(prefers-color-scheme:dark){.pic{background:#0d1117}.pic text{fill:#e6edf3}"
    ".pic .soft{fill:#9198a1}.pic .grid{stroke:#3d444d}.pic .good{fill:#3fb950}"
    ".pic .bad{fill:#f85149}.pic .busy{fill:#58a6ff}.pic .idle{fill:#7d8590}}"
)
"""The style of every picture. A page that has pictures within it brings it itself."""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""The Content-Security-Policy of a picture that is opened by itself."""

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 170, 130, 22, 48
_BAR = 12
_PLOT = _WIDTH - _LEFT - _RIGHT
_LABEL_LETTERS, _END_LETTERS, _NOTE_LETTERS, _TITLE_LETTERS = 23, 18, 300, 90
_MOST_TICKS = 6
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000),
)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


class Bar(NamedTuple):
    """`begin` and `end` are in seconds since 1970; `note` says what it is."""

    begin: float
    end: float
    kind: Kind
    note: str


class Row(NamedTuple):
    """`label` stands before the bars, and `outcome` after them."""

    label: str
    bars: Sequence[Bar]
    outcome: str = ""


class Picture(NamedTuple):
    """`name` is a word that begins the ids of its elements, one of its own in a page. `clock`: the
    axis shows dates and times (UTC), and not the time since the beginning."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    clock: bool = False


def svg(picture: Picture, *, alone: bool = True) -> str:
    """The picture as SVG; `alone`: with its style, as a document of its own.

    Of more than MOST_ROWS rows the first ones are drawn, and the number of the others is told.
    """
    rows = picture.rows[:MOST_ROWS]
    left_out = len(picture.rows) - len(rows)
    height = _TOP + _ROW * max(len(rows), 1) + (_ROW if left_out else 0) + 10
    name = picture.name
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" width="{_WIDTH}" '
        f'height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'aria-labelledby="{name}-title {name}-desc">',
        f'<title id="{name}-title">{_text(picture.title, _NOTE_LETTERS)}</title>',
        f'<desc id="{name}-desc">{_text(picture.description, 4 * _NOTE_LETTERS)}</desc>',
    ]
    if alone:
        parts.append(f"<style>{STYLE}</style>")
    parts.append(
        f'<text x="8" y="20" font-weight="600">{_text(picture.title, _TITLE_LETTERS)}</text>'
    )
    parts += _plot(rows, height, clock=picture.clock)
    if left_out:
        y = _TOP + _ROW * len(rows) + 15
        parts.append(f'<text class="soft" x="8" y="{y}">and {left_out} more</text>')
    return "".join([*parts, "</svg>"])


def span(seconds: float) -> str:
    """The length of time for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = round(seconds)
    parts: list[str] = []
    for unit, size in units:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def _plot(rows: Sequence[Row], height: int, *, clock: bool) -> Iterator[str]:
    """The axis and the rows."""
    bars = [bar for row in rows for bar in row.bars]
    if not bars:
        yield f'<text class="soft" x="8" y="{_TOP + 14}">Nothing has happened yet.</text>'
        return
    begin, end = min(bar.begin for bar in bars), max(max(b.end, b.begin) for b in bars)
    scale = _PLOT / max(end - begin, 0.001)
    yield from _axis(begin, end, scale, height, clock=clock)
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number
        yield f'<text x="8" y="{y + 14}">{_text(row.label, _LABEL_LETTERS)}</text>'
        for bar in _merged(row.bars, scale):
            x = _LEFT + (bar.begin - begin) * scale
            width = max((bar.end - bar.begin) * scale, 3)
            yield (
                f'<rect class="{bar.kind}" x="{min(x, _LEFT + _PLOT - 3):.1f}" y="{y + 4}" '
                f'width="{width:.1f}" height="{_BAR}" rx="2">'
                f"<title>{_text(bar.note, _NOTE_LETTERS)}</title></rect>"
            )
        x = _WIDTH - _RIGHT + 8
        yield f'<text class="soft" x="{x}" y="{y + 14}">{_text(row.outcome, _END_LETTERS)}</text>'


def _merged(bars: Iterable[Bar], scale: float) -> Iterator[Bar]:
    """The bars; those of one kind that would lie on one another are one, so that a row has no more
    than its width can show."""
    last: Bar | None = None
    for bar in sorted(bars, key=lambda bar: bar.begin):
        bar = bar._replace(end=max(bar.end, bar.begin))
        if last and last.kind == bar.kind and (bar.begin - last.end) * scale < 1:
            last = last._replace(end=max(last.end, bar.end))
            continue
        if last:
            yield last
        last = bar
    if last:
        yield last


def _axis(begin: float, end: float, scale: float, height: int, *, clock: bool) -> Iterator[str]:
    step = next((each for each in _STEPS if (end - begin) / each <= _MOST_TICKS), _STEPS[-1])
    first = begin if not clock else -(-begin // step) * step
    count = int((end - first) // step) + 1
    for number in range(min(max(count, 0), 4 * _MOST_TICKS)):
        at = first + number * step
        x = _LEFT + (at - begin) * scale
        words = _moment(at, step) if clock else _since(at - begin)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - 8}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{_TOP - 6}" text-anchor="middle">{words}</text>'


def _since(seconds: float) -> str:
    return span(seconds) if seconds >= 10 else f"{seconds:.0f} s"


def _moment(at: float, step: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%d %b}" if step >= 86400 else f"{moment:%d %b %H:%M}"


def _text(text: str, letters: int) -> str:
    """The text escaped, in one line, and cut to so many letters."""
    shown = "".join(" " if unicodedata.category(each)[0] == "C" else each for each in text)
    width, kept = 0, 0
    for kept, each in enumerate(shown):
        width += 2 if unicodedata.east_asian_width(each) in "WF" else 1
        if width > letters:
            shown = shown[:kept].rstrip() + "…"
            break
    return "".join(_ESCAPES.get(each, each) for each in shown)
