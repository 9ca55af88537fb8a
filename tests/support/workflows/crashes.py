"""Which calls of a scenario crash, and how."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import takewhile

from tests.support.workflows import faults
from tests.support.workflows.stories import written_by_users
from tests.support.workflows.world import World

READS = ("BatchGetItem", "Query")
# How often reconcile looks, at most, until nothing is left to be looked after.
ROUNDS = 8
Story = Callable[[World], None]
Lived = Callable[[Story, int | None, str], tuple[list[str], list[str]]]


@cache
def calls_of(lived: Lived, story: Story) -> list[str]:
    return lived(story, None, "")[0]


def chosen(lived: Lived, stories: Sequence[Story], story: Story) -> Iterator[tuple[int, str]]:
    """Every third call of each name, the first one too, with one crash by turns; with CRASHES=all
    (`make crashes`) every call with each.

    Reads in a row are one moment: nothing differs between them. Calls before the story first
    differs from each earlier story are left out, too.
    """
    turns: Counter[str] = Counter()
    crashes = list(faults.CRASHES)
    calls = calls_of(lived, story)
    before = (calls_of(lived, each) for each in stories[: stories.index(story)])
    shared = max((_alike(calls, each) for each in before), default=0)
    for n, name in enumerate(calls):
        if story is written_by_users and not name.startswith("test > "):
            continue
        if os.environ.get("CRASHES") == "all":
            yield from ((n, crash) for crash in crashes)
            continue
        if n < shared or (name.endswith(READS) and calls[n + 1 : n + 2] == [name]):
            continue
        turns[name] += 1
        if turns[name] % 3 == 1:
            yield n, crashes[(turns[name] // 3 + n) % len(crashes)]


def _alike(calls: list[str], others: list[str]) -> int:
    """How many of their first calls are the same."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(calls, others, strict=False))
    return sum(1 for _ in pairs)
