"""Every class of error that Slipway raises."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.errors import SlipwayError
from slipway.errors import company as company
from slipway.errors import device as device
from slipway.errors import promotions as promotions
from slipway.errors import rollbacks as rollbacks


def tree(root: type[SlipwayError]) -> Iterator[type[SlipwayError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__.partition(".errors")[0] == "slipway":
            yield from tree(child)


EVERY = list(tree(SlipwayError))
