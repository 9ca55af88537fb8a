"""Preconditions of a request: `If-Match` and `If-None-Match` (RFC 9110, 13.1).

What follows `~` in an ETag stands for objects above the one that it is of: a GET shows what they
change, and a write of the object does not depend on it.

An ETag is weak if it begins with `W/`. `If-Match` compares strongly: a weak tag equals nothing.
`If-None-Match` compares weakly: the prefix does not count. `*` is any object that exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# The characters of RFC 9110, 8.8.3; a comma can be a part of a tag.
_NEXT = re.compile(r'[ \t,]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)')
_END = re.compile(r"[ \t,]*$")
ANY = "*"
BESIDE = "~"


def tags(header: str) -> Sequence[str]:
    """The tags that a header lists, or `*` alone. A malformed header lists none."""
    if header.strip(" \t") == ANY:
        return (ANY,)
    found, at = [], 0
    while not _END.match(header, at):
        tag = _NEXT.match(header, at)
        if tag is None:
            return ()
        found.append(tag[1])
        at = tag.end()
    return found


def _alone(tag: str) -> str:
    """The tag without what stands for other objects."""
    plain, beside, _ = tag.partition(BESIDE)
    return f'{plain}"' if beside else tag


class IfMatch:
    """The preconditions of a request that has some.

    It contains the versions of objects, and allows the ETags, for which the request is carried out.
    A malformed `If-Match` allows nothing, and a malformed `If-None-Match` everything.
    """

    def __init__(self, match: str | None = None, none_match: str | None = None) -> None:
        self._match = None if match is None else tags(match)
        self._none_match = () if none_match is None else tags(none_match)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> IfMatch | None:
        """The preconditions in these headers; None if there are none."""
        match, none_match = headers.get("if-match"), headers.get("if-none-match")
        return None if match is None and none_match is None else cls(match, none_match)

    def __contains__(self, version: object) -> bool:
        alone = IfMatch()
        alone._match = self._match and [_alone(tag) for tag in self._match]
        alone._none_match = [_alone(tag) for tag in self._none_match]
        return alone.allows(f'"{version}"')

    def allows(self, tag: str) -> bool:
        """Whether the request is carried out for an object with this ETag."""
        return self.matches(tag) and not self.is_known(tag)

    @property
    def allows_creation(self) -> bool:
        """Whether the request is carried out if the object does not exist."""
        return self._match is None

    def matches(self, tag: str) -> bool:
        """Whether `If-Match` is absent, or names this ETag."""
        if self._match is None or ANY in self._match:
            return True
        return tag in self._match and not tag.startswith("W/")

    def is_known(self, tag: str) -> bool:
        """Whether `If-None-Match` names this ETag: the caller has what it stands for."""
        if ANY in self._none_match:
            return True
        return tag.removeprefix("W/") in {each.removeprefix("W/") for each in self._none_match}
