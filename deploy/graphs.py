"""The graph of each state machine as SVG, from its definition.

    python -m deploy.graphs        writes docs/graphs/<state machine>.svg

Solid arrows are how it goes on, dashed ones where it goes on after an error.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml

from deploy.layering import Edge, Layout, layout

_ROOT = Path(__file__).parents[1]
TARGET = _ROOT / "docs/graphs"
_HEIGHT, _LEVEL, _MARGIN, _TOP = 38.0, 78.0, 20.0, 44.0
_LETTER, _SMALL, _PADDING = 7.4, 5.8, 26.0
_BESIDE = 9.0  # How far the way up is beside the way down.
_STYLE = (
    ".graph{background:#fff;font:12px system-ui,sans-serif}.graph text{fill:#1f2328}"
    ".graph .soft{fill:#59636e;font-size:10px}.graph rect{fill:#f6f8fa;stroke:#818b98}"
    ".graph .Succeed{stroke:#1a7f37}.graph .Fail{stroke:#cf222e}.graph .Choice{stroke:#8250df}"
    ".graph .Task{stroke:#0969da}.graph path{fill:none;stroke:#59636e}"
    ".graph .caught{stroke:#bc4c00;stroke-dasharray:4 3}.graph marker path{fill:#59636e}"
    ".graph .dot{fill:#1f2328}"
    "@media(prefers-color-scheme:dark){.graph{background:#0d1117}.graph text{fill:#e6edf3}"
    ".graph .soft{fill:#9198a1}.graph rect{fill:#151b23;stroke:#7d8590}"
    ".graph .Succeed{stroke:#3fb950}.graph .Fail{stroke:#f85149}.graph .Choice{stroke:#ab7df8}"
    ".graph .Task{stroke:#58a6ff}.graph path{stroke:#9198a1}.graph .caught{stroke:#f0883e}"
    ".graph marker path{fill:#9198a1}.graph .dot{fill:#e6edf3}}"
)


def edges(machine: Mapping[str, Any]) -> dict[Edge, str]:
    """The transitions, each with what it says: "" for the next state, or when it is taken."""
    found: dict[Edge, str] = {}
    for name, state in machine["States"].items():
        for branch in state.get("Catch", ()):
            found[name, branch["Next"]] = "after " + ", ".join(branch["ErrorEquals"])
        for branch in state.get("Choices", ()):
            found[name, branch["Next"]] = "if " + _condition(branch)
        for key, said in (("Default", "otherwise"), ("Next", "")):
            if key in state:
                found[name, state[key]] = said
    return found


def _condition(branch: Mapping[str, Any]) -> str:
    text = str(branch.get("Condition") or branch.get("Comment") or "")
    return " ".join(text.replace("{%", "").replace("%}", "").split())


def caught(machine: Mapping[str, Any]) -> set[Edge]:
    """The transitions that are taken after an error alone."""
    found = set()
    for name, state in machine["States"].items():
        ways = [state.get("Next"), state.get("Default")]
        ways += [branch["Next"] for branch in state.get("Choices", ())]
        found |= {(name, branch["Next"]) for branch in state.get("Catch", ())}
        found -= {(name, way) for way in ways}
    return found


def drawn(name: str, machine: Mapping[str, Any]) -> str:
    """The machine as SVG."""
    states, ways = machine["States"], edges(machine)
    widths = {each: _wide(each, states[each]) for each in states}
    placed = layout(machine["StartAt"], [*ways], widths)
    right = [placed.x[each] + widths[each] / 2 for each in states]
    right += [x + _BESIDE for route in placed.routes.values() for x, _ in route]
    width = max(right) + 2 * _MARGIN
    height = _y(max(placed.layer.values())) + _HEIGHT + _MARGIN
    title = escape(f"The state machine {name}")
    comment = escape(" ".join(str(machine.get("Comment", "")).split()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'aria-labelledby="title desc">',
        f'<title id="title">{title}</title>',
        f'<desc id="desc">{comment} {escape(_told(machine))}</desc>',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
        *_start(placed, machine["StartAt"]),
        *_arrows(placed, ways, caught(machine), widths),
        *(line for each in states for line in _box(each, states[each], placed, widths[each])),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _told(machine: Mapping[str, Any]) -> str:
    """The transitions in words, for those who do not see the picture."""
    after: dict[str, list[str]] = {}
    for a, b in edges(machine):
        after.setdefault(a, []).append(b)
    told = [f"{a} leads to {' or '.join(each)}." for a, each in after.items()]
    return f"It begins with {machine['StartAt']}. " + " ".join(told)


def _y(layer: int) -> float:
    return _TOP + layer * _LEVEL


def _start(placed: Layout, start: str) -> Iterator[str]:
    x = placed.x[start] + _MARGIN
    yield f'<circle class="dot" cx="{x:.0f}" cy="12" r="6"/>'
    yield f'<path d="M{x:.0f} 18V{_TOP - 2:.0f}" marker-end="url(#end)"/>'


def _arrows(
    placed: Layout, ways: Mapping[Edge, str], errors: set[Edge], widths: Mapping[str, float]
) -> Iterator[str]:
    for edge, said in ways.items():
        kind = ' class="caught"' if edge in errors else ""
        path = _path(placed, edge) if edge in placed.routes else _loop(placed, edge[0], widths)
        words = f"{edge[0]} to {edge[1]}" + (f", {said}" if said else "")
        title = f"<title>{escape(words)}</title>"
        yield f'<path{kind} d="{path}" marker-end="url(#end)">{title}</path>'


def _path(placed: Layout, edge: Edge) -> str:
    """A curve through the places of the edge, from the edge of one box to that of the next."""
    points = [(x + _MARGIN, _y(n) + _HEIGHT / 2) for x, n in placed.routes[edge]]
    side = 1 if points[-1][1] > points[0][1] else -1
    shift = 0.0 if side == 1 else _BESIDE
    points = [(x + shift, y) for x, y in points]
    (x, y), (last_x, last_y) = points[0], points[-1]
    points[0], points[-1] = (x, y + side * _HEIGHT / 2), (last_x, last_y - side * _HEIGHT / 2)
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        half = (ay + by) / 2
        path += f"C{ax:.0f} {half:.0f} {bx:.0f} {half:.0f} {bx:.0f} {by:.0f}"
    return path


def _loop(placed: Layout, name: str, widths: Mapping[str, float]) -> str:
    """An arrow from a state to itself."""
    x, y = placed.x[name] + _MARGIN + widths[name] / 2, _y(placed.layer[name])
    return f"M{x:.0f} {y + 28:.0f}c22 4 22-22 0-18"


def _box(name: str, state: Mapping[str, Any], placed: Layout, width: float) -> Iterator[str]:
    x, y = placed.x[name] + _MARGIN, _y(placed.layer[name])
    comment = " ".join(str(state.get("Comment", "")).split())
    title = f"<title>{escape(comment)}</title>" if comment else ""
    kind = state["Type"]
    yield (
        f'<rect class="{kind}" x="{x - width / 2:.0f}" y="{y:.0f}" width="{width:.0f}" '
        f'height="{_HEIGHT:.0f}" rx="6">{title}</rect>'
    )
    yield f'<text x="{x:.0f}" y="{y + 17:.0f}" text-anchor="middle">{escape(name)}</text>'
    yield (
        f'<text class="soft" x="{x:.0f}" y="{y + 31:.0f}" text-anchor="middle">'
        f"{escape(_kind(state))}</text>"
    )


def _wide(name: str, state: Mapping[str, Any]) -> float:
    """The width of a state's box."""
    return max(len(name) * _LETTER, len(_kind(state)) * _SMALL) + _PADDING


def _kind(state: Mapping[str, Any]) -> str:
    """The kind of the state, such as `Task: lambda invoke`."""
    service = str(state.get("Resource", "")).partition(":states:::")[2].removeprefix("aws-sdk:")
    return f"{state['Type']}: {service.replace(':', ' ')}" if service else str(state["Type"])


def pictures() -> dict[str, str]:
    """The picture of each state machine, by the name of its file."""
    return {
        f"{path.name.partition('.')[0]}.svg": drawn(
            path.name.partition(".")[0], yaml.safe_load(path.read_text(encoding="utf-8"))
        )
        for path in sorted((_ROOT / "statemachines").glob("*.asl.yaml"))
    }


def main() -> None:
    """Write all pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in pictures().items():
        (TARGET / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
