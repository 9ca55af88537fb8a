"""Every class of error that Slipway raises."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.errors import SlipwayError
from slipway.errors import company as company


def tree(root: type[SlipwayError]) -> Iterator[type[SlipwayError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__.partition(".errors")[0] == "slipway":
            yield from tree(child)


EVERY = list(tree(SlipwayError))
