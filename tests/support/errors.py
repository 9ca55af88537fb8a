"""Every class of error that Slipway raises."""

from __future__ import annotations

from collections.abc import Iterator

from slipway import errors
from slipway.errors import (
    SlipwayError,
)


def tree(root: type[SlipwayError]) -> Iterator[type[SlipwayError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


EVERY = list(tree(SlipwayError))
