"""Matches a value against a parameter's AllowedPattern in linear time.

CloudFormation matches with Java's regular expressions, which backtrack: `(a+)+` takes practically
forever for a few dozen characters. Here a pattern becomes an automaton (Thompson, 1968), which is
in several states at once and reads each character once. A budget of steps bounds what a pattern
costs to parse, to build and to match, however many patterns one request has.

CloudFormation has the last word, so a value is refused only if it certainly does not match. Syntax
that an automaton cannot express matches anything here: lookarounds and word boundaries match the
empty text, and back-references any text. A pattern in which Java's versions differ, that is not
Java's, or that exceeds the budget, is not checked (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slipway.domain.effort import Budget, Exhausted
from slipway.domain.pattern_syntax import LINE_ENDS, Node, Unreadable, parse


class Pattern:
    """A compiled pattern. Compiling and matching spend steps of the budget, and never raise."""

    def __init__(self, pattern: str, budget: Budget) -> None:
        self._budget = budget
        self._states: list[Any] = []
        self._start: int | None = None
        try:
            self._start = self._build(parse(pattern, budget), self._add(("end",)))
        except (Unreadable, Exhausted):
            self._states = []

    def refuses(self, text: str) -> bool:
        """Whether the text as a whole certainly does not match."""
        if self._start is None:
            return False
        try:
            return not self._matches(text)
        except Exhausted:
            return False

    # --- the automaton: each state is a tuple of its kind and its arguments -------------------

    def _add(self, state: tuple[Any, ...]) -> int:
        self._budget.spend(1)
        self._states.append(state)
        return len(self._states) - 1

    def _build(self, node: Node, then: int) -> int:
        """The first state of the node, from whose end the automaton continues with `then`."""
        kind = node[0]
        if kind == "cat":
            for part in reversed(node[1]):
                then = self._build(part, then)
            return then
        if kind == "alt":
            return self._add(("fork", [self._build(part, then) for part in node[1]]))
        if kind == "repeat":
            return self._repeat(node[1], node[2], node[3], then)
        return self._add((kind, node[1], then))

    def _repeat(self, node: Node, least: int, most: int | None, then: int) -> int:
        if most is None:
            loop = self._add(("fork", [then]))
            self._states[loop][1].append(self._build(node, loop))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._add(("fork", [end, self._build(node, then)]))
        for _ in range(least):
            then = self._build(node, then)
        return then

    def _matches(self, text: str) -> bool:
        assert self._start is not None
        budget, cache = self._budget, dict[tuple[int, str], bool]()
        current = [*self._reachable([self._start], text, 0)]
        for at, letter in enumerate(text, 1):
            onward = []
            for state in current:
                if state[0] != "set":
                    continue
                key = (id(state[1]), letter)
                if key not in cache:
                    cache[key] = state[1](ord(letter), budget)
                if cache[key]:
                    onward.append(state[2])
            if not onward:
                return False
            current = [*self._reachable(onward, text, at)]
        return any(state[0] == "end" for state in current)

    def _reachable(self, first: list[int], text: str, at: int) -> Iterator[tuple[Any, ...]]:
        """The states that these lead to without reading a character."""
        seen, left = set(first), list(first)
        while left:
            self._budget.spend(1)
            state = self._states[left.pop()]
            if state[0] == "fork":
                onward = state[1]
            elif state[0] == "anchor":
                onward = [state[2]] if _ANCHORS[state[1]](text, at) else []
            else:
                yield state
                continue
            self._budget.spend(len(onward))
            for each in onward:
                if each not in seen:
                    seen.add(each)
                    left.append(each)


def _at_last_line(text: str, at: int) -> bool:
    return text[at:] in ("", "\r\n", *LINE_ENDS) if len(text) - at <= 2 else False


_ANCHORS: dict[str, Callable[[str, int], bool]] = {
    "start": lambda text, at: at == 0,
    "end": lambda text, at: at == len(text),
    "last line": _at_last_line,
}
