"""The pictures of the state machines are those of their definitions and hide nothing."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import graphs
from deploy.layering import layout
from tests.support import asl
from tests.support.repository import MACHINES, ROOT, machine

SVG = "{http://www.w3.org/2000/svg}"
NAMES = [path.name.partition(".")[0] for path in MACHINES]
every_machine = pytest.mark.parametrize("path", MACHINES, ids=NAMES)


def test_the_committed_pictures_are_current() -> None:
    committed = {path.name: path.read_text() for path in graphs.TARGET.iterdir()}

    assert committed == graphs.pictures(), "write them with make graphs"


def test_the_page_about_the_architecture_shows_every_machine() -> None:
    page = (ROOT / "docs/architecture.md").read_text()

    assert set(re.findall(r"\(graphs/(\w+)\.svg\)", page)) == set(NAMES)


@every_machine
def test_every_state_and_every_transition_is_drawn(path: Path) -> None:
    definition = machine(path)

    root = ElementTree.fromstring(graphs.drawn("x", definition))

    texts = {each.text for each in root.iter(f"{SVG}text")}
    assert texts >= definition["States"].keys()
    told = [each.text or "" for each in root.iter(f"{SVG}title")]
    expected = {
        f"{name} to {after}"
        for name, state in definition["States"].items()
        for after in asl.targets(state)
    }
    assert {text.partition(",")[0] for text in told if " to " in text} >= expected


@every_machine
def test_no_box_lies_on_another(path: Path) -> None:
    root = ElementTree.fromstring(graphs.drawn("x", machine(path)))

    boxes = [
        [float(each.get(k, 0)) for k in ("x", "y", "width", "height")]
        for each in root.iter(f"{SVG}rect")
    ]
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(boxes, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
    whole = [float(each) for each in (root.get("viewBox") or "").split()]
    assert all(x >= 0 and x + w <= whole[2] and y + h <= whole[3] for x, y, w, h in boxes)


@every_machine
def test_an_error_is_told_apart_without_its_colour(path: Path) -> None:
    definition = machine(path)
    root = ElementTree.fromstring(graphs.drawn("x", definition))

    dashed = [each for each in root.iter(f"{SVG}path") if each.get("class") == "caught"]
    assert len(dashed) == len(graphs.caught(definition))
    assert "stroke-dasharray" in graphs._STYLE


def test_markup_in_a_definition_is_text() -> None:
    evil = "<script>alert(1)</script>"
    state = {"Type": "Wait", "Comment": evil, "Next": evil}
    definition = {"StartAt": evil, "Comment": evil, "States": {evil: state}}

    assert "<script" not in graphs.drawn(evil, definition)


names = st.integers(0, 14).map(str)


@given(st.lists(st.tuples(names, names), max_size=40))
def test_any_graph_gets_places_of_which_none_overlap(found: list[tuple[str, str]]) -> None:
    edges = [("0", "1"), *found]
    reached, size = {"0"}, 0
    while size != len(reached):
        size = len(reached)
        reached |= {b for a, b in edges if a in reached}
    edges = [edge for edge in edges if edge[0] in reached]
    widths = {each: 40.0 + 7 * int(each) for each in reached}

    placed = layout("0", edges, widths)

    assert placed.x.keys() == placed.layer.keys() == reached
    assert set(placed.routes) == {edge for edge in edges if edge[0] != edge[1]}
    for a, b in combinations(sorted(reached), 2):
        if placed.layer[a] == placed.layer[b]:
            assert abs(placed.x[a] - placed.x[b]) >= (widths[a] + widths[b]) / 2 - 1e-6
    for (a, b), route in placed.routes.items():
        assert route[0] == (placed.x[a], placed.layer[a])
        assert route[-1] == (placed.x[b], placed.layer[b])
        steps = {lower[1] - upper[1] for upper, lower in pairwise(route)}
        assert steps in ({1}, {-1})
    assert layout("0", edges, widths) == placed
