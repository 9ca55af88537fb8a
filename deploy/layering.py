"""A layered layout of a directed graph: nodes in layers from top to bottom, edges downwards.

Edges of a cycle that lead back are drawn upwards. An edge that spans several layers passes through
a place in each of them, so that it crosses no node. The order within the layers is improved by
barycentres (Sugiyama, Tagawa and Toda, 1981), and nothing in it is random.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Edge = tuple[str, str]
_SWEEPS, _SETTLINGS = 24, 60
_GAP, _PLACE = 24.0, 14.0


@dataclass(frozen=True)
class Layout:
    """`x` and `layer` of each node, and the points (x, layer) of each edge from its source on."""

    x: Mapping[str, float]
    layer: Mapping[str, int]
    routes: Mapping[Edge, Sequence[tuple[float, int]]]


def layout(start: str, edges: Sequence[Edge], widths: Mapping[str, float]) -> Layout:
    """Places for the nodes, all of which are reached from `start`.

    `widths` has the width of each node. Edges from a node to itself are left out.
    """
    straight = [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1]]
    back = _back_edges(start, straight)
    down = {edge: edge[::-1] if edge in back else edge for edge in straight}
    layer = _layers(start, [*dict.fromkeys(down.values())], widths)
    chains = {edge: [*_chain(down[edge], layer)] for edge in straight}
    places = {place: n for chain in chains.values() for place, n in chain}
    width = {place: widths.get(place, _PLACE) for place in (*layer, *places)}
    rows: list[list[str]] = [[] for _ in range(max(layer.values()) + 1)]
    for place, n in {**layer, **places}.items():
        rows[n].append(place)
    links = [(a, b) for chain in chains.values() for (a, _), (b, _) in _pairs(chain)]
    x = _settled(_ordered(rows, links), links, width)
    routes = {
        edge: [(x[place], n) for place, n in (chain[::-1] if edge in back else chain)]
        for edge, chain in chains.items()
    }
    return Layout({node: x[node] for node in layer}, layer, routes)


def _pairs(chain: Sequence[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    return itertools.pairwise(chain)


def _back_edges(start: str, edges: Sequence[Edge]) -> set[Edge]:
    """The edges that lead to a node which is on the way from the start to their own."""
    following: dict[str, list[str]] = {}
    for a, b in edges:
        following.setdefault(a, []).append(b)
    found: set[Edge] = set()
    done: set[str] = set()
    path: list[tuple[str, Iterator[str]]] = [(start, iter(following.get(start, ())))]
    on_path = {start}
    while path:
        node, left = path[-1]
        after = next(left, None)
        if after is None:
            path.pop()
            on_path.discard(node)
            done.add(node)
        elif after in on_path:
            found.add((node, after))
        elif after not in done:
            on_path.add(after)
            path.append((after, iter(following.get(after, ()))))
    return found


def _layers(start: str, edges: Sequence[Edge], nodes: Mapping[str, float]) -> dict[str, int]:
    """The layer of each node: one below the lowest of those that lead to it."""
    layer = dict.fromkeys([start, *nodes], 0)
    for _ in range(len(layer)):
        changed = False
        for a, b in edges:
            if layer[b] <= layer[a]:
                layer[b], changed = layer[a] + 1, True
        if not changed:
            break
    return layer


def _chain(edge: Edge, layer: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The edge's nodes with their layers, and a place in each layer between."""
    a, b = edge
    yield a, layer[a]
    for n in range(layer[a] + 1, layer[b]):
        yield f"{a}\0{b}\0{n}", n
    yield b, layer[b]


def _ordered(rows: list[list[str]], links: Sequence[Edge]) -> list[list[str]]:
    """The rows in the order of the sweep with the fewest crossings."""
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for a, b in links:
        below.setdefault(a, []).append(b)
        above.setdefault(b, []).append(a)
    best, least = [[*row] for row in rows], _crossings(rows, below)
    for sweep in range(_SWEEPS):
        near = above if sweep % 2 == 0 else below
        at = {place: n / max(len(row), 1) for row in rows for n, place in enumerate(row)}
        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(key=lambda place: _mean([at[each] for each in near.get(place, ())], at[place]))
            at.update({place: n / len(row) for n, place in enumerate(row)})
        crossings = _crossings(rows, below)
        if crossings < least:
            best, least = [[*row] for row in rows], crossings
    return best


def _crossings(rows: Sequence[Sequence[str]], below: Mapping[str, Sequence[str]]) -> int:
    found = 0
    for upper, lower in itertools.pairwise(rows):
        at = {place: n for n, place in enumerate(lower)}
        ends = [sorted(at[each] for each in below.get(place, ())) for place in upper]
        flat = [end for each in ends for end in each]
        found += sum(a > b for n, a in enumerate(flat) for b in flat[n + 1 :])
    return found


def _settled(
    rows: Sequence[Sequence[str]], links: Sequence[Edge], width: Mapping[str, float]
) -> dict[str, float]:
    """The x of each place: near those it is linked with, in the order of its row, and apart."""
    near: dict[str, list[str]] = {}
    for a, b in links:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    x: dict[str, float] = {}
    for row in rows:
        at = 0.0
        for place in row:
            x[place] = at + width[place] / 2
            at += width[place] + _GAP
    for settling in range(_SETTLINGS):
        for row in rows if settling % 2 == 0 else reversed(rows):
            wanted = [_mean([x[each] for each in near.get(place, ())], x[place]) for place in row]
            x.update(zip(row, _apart(wanted, [width[place] for place in row]), strict=True))
    left = min(x[place] - width[place] / 2 for place in x)
    return {place: at - left for place, at in x.items()}


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The wanted places, moved so that none overlap: half way between pushing right and left."""
    right, left = [*wanted], [*wanted]
    for n in range(1, len(wanted)):
        least = right[n - 1] + (widths[n - 1] + widths[n]) / 2 + _GAP
        right[n] = max(right[n], least)
    for n in range(len(wanted) - 2, -1, -1):
        most = left[n + 1] - (widths[n + 1] + widths[n]) / 2 - _GAP
        left[n] = min(left[n], most)
    return [(a + b) / 2 for a, b in zip(left, right, strict=True)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
