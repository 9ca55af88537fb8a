"""Groups: the roles that the groups of the company's sign-in give.

The stack's parameter OidcGroups has entries `<group>=<role>`, separated by semicolons. A role is
one on the platform (`admin`, `publisher`), or one in a project (`prj_…:maintainer`). A group can
have several entries; of several roles for one thing, the one with the most rights counts.

A role that a group gives is remembered beside the role that people gave (`Held`), so that it goes
when the group goes, and the other one stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from slipway.domain.rights import ROLES

PLATFORM_ROLES = ("member", "publisher", "admin")
"""From the role with the fewest rights to the one with the most."""

# Groups give none but the first three: a project keeps an owner whatever happens to groups.
PROJECT_ROLES = ROLES


class Roles(NamedTuple):
    """The roles that somebody's groups give. `projects` has a role for the id of each project."""

    platform: str | None
    projects: Mapping[str, str]


class Entry(NamedTuple):
    """One entry of the mapping. `project` is empty for a role on the platform."""

    group: str
    project: str
    role: str


def entries(text: str) -> Iterator[Entry]:
    """The entries of the stack's parameter. Its pattern has refused a text that is malformed."""
    for each in text.split(";"):
        group, _, given = each.strip().rpartition("=")
        if group:
            project, _, role = given.rpartition(":")
            yield Entry(group.strip(), project, role)


def roles(text: str, groups: Collection[str]) -> Roles:
    """The roles that the mapping `text` gives to a member of these groups."""
    platform: str | None = None
    projects: dict[str, str] = {}
    for entry in entries(text):
        if entry.group not in groups:
            continue
        if entry.project:
            known = projects.get(entry.project)
            projects[entry.project] = _higher(PROJECT_ROLES, known, entry.role)
        else:
            platform = _higher(PLATFORM_ROLES, platform, entry.role)
    return Roles(platform, projects)


def _higher(ranks: Sequence[str], known: str | None, other: str) -> str:
    return other if known is None else max(known, other, key=ranks.index)


class Held(NamedTuple):
    """A role as a record holds it: the one that counts, None if there is none.

    `by_groups` is the role that groups gave, if that is the one that counts, and `by_hand` then the
    role that people gave beside it, if any.
    """

    role: str | None
    by_groups: str | None = None
    by_hand: str | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any] | None, field: str) -> Held:
        """The role in the record's `field`."""
        if not record:
            return cls(None)
        return cls(record[field], record.get("role_by_groups"), record.get("role_by_hand"))

    def fields(self, field: str) -> dict[str, str | None]:
        """The fields of the record."""
        return {
            field: self.role,
            "role_by_groups": self.by_groups,
            "role_by_hand": self.by_hand,
        }


def held(now: Held, given: str | None, ranks: Sequence[str]) -> Held:
    """The role that is held once groups give the role `given`, or none.

    A role that people have changed since groups gave it counts as given by hand.
    """
    by_groups = now.by_groups is not None and now.role == now.by_groups
    by_hand = now.by_hand if by_groups else now.role
    if given is None or (by_hand is not None and ranks.index(given) <= ranks.index(by_hand)):
        return Held(by_hand)
    return Held(given, given, by_hand)


def of_claim(value: Any) -> frozenset[str]:
    """The groups in a claim: a list of names, or one name. Anything else is no group."""
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list):
        return frozenset(each for each in value if isinstance(each, str))
    return frozenset()
