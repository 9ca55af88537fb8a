"""Shared by the benchmarks: interleaved runs, medians and ratios, tables and plots."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
PLOTS = ROOT / "docs/performance"
# The measured code runs in a venv of its own, the measuring code does not.
VENV = ROOT / ".venv-bench"
PYTHON = VENV / "bin/python"

# ── Measuring ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Spent:
    """Milliseconds of processor time and of elapsed time."""

    cpu: float
    wall: float


def spent(command: Sequence[str | Path], environ: Mapping[str, str]) -> Spent:
    """The time of a whole process. Raises if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        env=dict(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    complaint = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(complaint.decode()[-2000:])
    return Spent((used.ru_utime + used.ru_stime) * 1000, wall * 1000)


Measured = TypeVar("Measured")


def in_turn(
    contestants: Mapping[str, Callable[[], Measured]], rounds: int
) -> dict[str, list[Measured]]:
    """Run each once in every round, so that disturbances affect all alike."""
    found: dict[str, list[Measured]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            found[name].append(run())
    return found


def ratio(these: Sequence[float], those: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return median(this / that for this, that in zip(these, those, strict=True))


# ── A PostgreSQL of our own ─────────────────────────────────────────────────────────────────


@contextmanager
def postgres() -> Iterator[str | None]:
    """SQLAlchemy's address of a new, empty PostgreSQL on 127.0.0.1; None if none is installed."""
    # Debian does not put its programs on PATH.
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (installed and str(installed[-1]))
    if not initdb:
        yield None
        return
    programs = Path(initdb).resolve().parent
    # It does not run as root.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        data = Path(folder) / "data"
        if user:
            shutil.chown(folder, user)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        make: list[Any] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "peer",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        subprocess.run(make, check=True, user=user, cwd=folder, **quiet)
        listen = ["-h", "127.0.0.1", "-p", str(port), "-k", folder]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *listen], user=user, cwd=folder, **quiet
        )
        try:
            ready: list[Any] = [
                programs / "pg_isready",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-t",
                "10",
            ]
            while subprocess.run(ready, **quiet).returncode:
                time.sleep(0.1)
            yield f"postgresql+psycopg://peer@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


# ── Results ─────────────────────────────────────────────────────────────────────────────────


def save(subject: str, found: Any) -> None:
    """Save results as JSON in benchmarks/results/, which is not in the repository."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{subject}.json").write_text(json.dumps(found, indent=1) + "\n")


def saved(subject: str) -> Any:
    return json.loads((RESULTS / f"{subject}.json").read_text())


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers are aligned to the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    right = [all(isinstance(row[n], int | float) for row in rows) for n in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(cells, widths, right, strict=True)
        )
        return f"| {' | '.join(aligned)} |"

    ruler = [
        "-" * (width - 1) + (":" if r else "-") for width, r in zip(widths, right, strict=True)
    ]
    return "\n".join([line(header), line(ruler), *map(line, texts)])


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.2f}" if abs(cell) < 10 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


_shown: list[str] = []


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, and keep it for docs/performance.md."""
    text = f"{title}\n\n{markdown(header, rows)}"
    print(f"\n{text}", flush=True)
    _shown.append(f"**{title}**{text[len(title) :]}")


def publish(subject: str) -> None:
    """Replace the subject's part of docs/performance.md with what was shown since the last call.

    Comments in the document mark the part.
    """
    report = ROOT / "docs/performance.md"
    begin, end = f"<!-- {subject} -->\n", f"<!-- end of {subject} -->"
    before, found, rest = report.read_text().partition(begin)
    assert found and end in rest, f"docs/performance.md has no place for {subject}"
    text = "\n\n".join(_shown)
    _shown.clear()
    report.write_text(f"{before}{begin}\n{text}\n\n{end}{rest.partition(end)[2]}")


_COLOURS = ("#3d6fb6", "#d98b2b", "#5aa469", "#a05195", "#8a8a8a", "#c44e52", "#4ea3a8", "#b5a642")


def bars(
    name: str,
    title: str,
    rows: Mapping[str, Mapping[str, float]],
    unit: str,
    budget: float | None = None,
) -> None:
    """Write docs/performance/<name>.svg: a bar for each row, of one part or of several.

    `budget` is drawn as a line.
    """
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    colours = {part: _COLOURS[n % len(_COLOURS)] for n, part in enumerate(parts)}
    longest = max(max(sum(row.values()) for row in rows.values()), budget or 0)
    left, width, high = 8 + 7 * max(map(len, rows)), 460, 24
    scale = width / longest
    legend = len(parts) > 1
    top = 58 if legend else 36
    height = top + high * len(rows) + 14
    drawn = [f'<text x="8" y="20" font-weight="bold">{escape(title)}</text>']
    at = 8.0
    for part in parts if legend else []:
        drawn.append(f'<rect x="{at:.0f}" y="33" width="10" height="10" fill="{colours[part]}"/>')
        drawn.append(f'<text x="{at + 14:.0f}" y="42">{escape(part)}</text>')
        at += 30 + 6.6 * len(part)
    for n, (label, row) in enumerate(rows.items()):
        y, x = top + n * high, float(left)
        drawn.append(f'<text x="{left - 6}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
        for part, value in row.items():
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="17" '
                f'fill="{colours[part]}"/>'
            )
            x += value * scale
        drawn.append(f'<text x="{x + 5:.1f}" y="{y + 13}">{_text(sum(row.values()))} {unit}</text>')
    if budget is not None:
        x = left + budget * scale
        drawn.append(
            f'<path d="M{x:.1f} {top - 6}V{height - 8}" stroke="#c00" stroke-dasharray="4 3"/>'
        )
    across = max(left + width + 90, round(at), 16 + 7 * len(title))
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{height}" '
        f'viewBox="0 0 {across} {height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )
