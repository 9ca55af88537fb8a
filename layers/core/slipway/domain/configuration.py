"""Configurations: the variables and secrets of an environment, merged from three levels.

The levels are the project, the tier and the environment. The nearest level that has a name decides
about it, whatever it is there: the environment's own variable hides a secret that the project has
under the same name. `hidden` are names of the levels above that do not apply to an environment. It
has some only after an earlier configuration was restored, which must lack what the levels above
have gained since.

A secret is here by reference. Its `place` says where its value is in the parameter store, and no
two values ever have the same place. `stored` of a level lists the places of all values that it
keeps there: those in use, and earlier ones that configurations may still name.

Levels and configurations are plain dicts, as the table holds them (deflated JSON, in slices).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    from slipway.domain.records import AuthorRecord
    from slipway.domain.rights import Tier

    class VariableEntry(TypedDict):
        value: str
        at: str
        by: AuthorRecord

    class SecretEntry(TypedDict):
        """`from` is the parameter or the secret of the account that the value was copied from."""

        version: int
        place: str
        at: str
        by: AuthorRecord
        origin: NotRequired[str]

    class Level(TypedDict):
        """The variables and secrets of one level. `version` counts its changes.

        `stored`: for each name the versions whose values are in the parameter store, with their
        places, oldest first. `purged`: the version of the level with which a name was purged.
        """

        version: int
        variables: dict[str, VariableEntry]
        secrets: dict[str, SecretEntry]
        hidden: list[str]
        stored: dict[str, list[tuple[int, str]]]
        purged: dict[str, int]

    class ConfigurationRecord(TypedDict):
        """What is known about a configuration besides its content. Only `purged` changes.

        `levels` are the versions of the levels that it was made of: `project`, the tier's and
        `environment`. `restored` is the number whose content it has again, and `purged` has the
        names that were taken out of it.
        """

        number: int
        at: str
        by: AuthorRecord
        reason: str
        tier: Tier
        levels: dict[str, int]
        restored: NotRequired[int]
        variables: int
        secrets: int
        purged: NotRequired[list[str]]

    class MergedVariable(VariableEntry):
        source: Source

    class MergedSecret(SecretEntry):
        source: Source

    class Content(TypedDict):
        """What a configuration consists of."""

        variables: dict[str, MergedVariable]
        secrets: dict[str, MergedSecret]


Source = Literal["project", "tier", "environment"]
Difference = Literal["added", "removed", "changed"]

# In an environment, with what it inherits; a project and each of its tiers have no more either.
MOST_NAMES = 200
# Values and names of a level or an environment, as JSON: 200 values of 4 kB, but fewer if most of
# their characters have to be escaped. Lambda answers with at most 6 MB, and escapes them again.
MOST_BYTES = 900_000
# An item has at most 400 kB. UTF-8 has less than 7 bits of content in each byte, so that deflate
# saves an eighth of any text, and three slices hold a level.
SLICE_BYTES = 300_000
SLICES_OF_LEVEL = 3
# The values of a secret that a level keeps, and the names, with those that it no longer has.
MOST_VALUES = 20
MOST_STORED = 2 * MOST_NAMES
# A configuration has what three levels have, each within the limits.
SLICES_OF_CONFIGURATION = 6


class Levels(NamedTuple):
    """The levels of an environment of the tier. `of_tiers` has those of the other tiers too."""

    tier: Tier
    of_project: Level
    of_tiers: Mapping[Tier, Level]
    own: Level

    @property
    def of_tier(self) -> Level:
        """The level of the environment's tier."""
        return self.of_tiers[self.tier]

    def versions(self) -> dict[str, int]:
        """The versions of the levels above, by the level's name: `project` and the tier."""
        above = {"project": self.of_project["version"], self.tier: self.of_tier["version"]}
        return {name: version for name, version in above.items() if version}

    def inherited(self) -> Content:
        """What the environment would have without a level of its own."""
        return _merge([("project", self.of_project), ("tier", self.of_tier)])

    def merged(self) -> Content:
        """The variables and secrets of the environment."""
        levels: list[tuple[Source, Level]] = [
            ("project", self.of_project),
            ("tier", self.of_tier),
            ("environment", self.own),
        ]
        return _merge(levels, self.own["hidden"])


def empty() -> Level:
    """A level without variables and secrets."""
    return cast(
        "Level",
        {
            "version": 0,
            "variables": {},
            "secrets": {},
            "hidden": [],
            "stored": {},
            "purged": {},
        },
    )


def nothing() -> Content:
    """The configuration of an environment before it has any."""
    return {"variables": {}, "secrets": {}}


def _merge(levels: Iterable[tuple[Source, Level]], hidden: Iterable[str] = ()) -> Content:
    """`hidden` do not apply to the last of the levels."""
    variables: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for source, level in levels:
        if source == "environment":
            for name in hidden:
                variables.pop(name, None)
                secrets.pop(name, None)
        for name, entry in level["variables"].items():
            secrets.pop(name, None)
            variables[name] = {**entry, "source": source}
        for name, secret in level["secrets"].items():
            variables.pop(name, None)
            secrets[name] = {**secret, "source": source}
    return cast(
        "Content",
        {"variables": dict(sorted(variables.items())), "secrets": dict(sorted(secrets.items()))},
    )


def is_pending(environment: Mapping[str, Any], project: Mapping[str, Any] | None) -> bool:
    """Whether a level above has changed since the environment's newest configuration was made.

    Both are records. A change of the environment's tier counts too.
    """
    from slipway.domain.rights import tier_of

    now = (project or {}).get("configurations", {})
    above = {name: now[name] for name in ("project", tier_of(environment)) if now.get(name)}
    made_of: dict[str, int] = environment.get("configuration_levels", {})
    return above != made_of


def differences(before: Content, after: Content) -> dict[str, Difference]:
    """What becomes of each name whose variable or secret differs, by name."""
    old, new = _effect(before), _effect(after)
    found: dict[str, Difference] = {}
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            found[name] = "added"
        elif name not in new:
            found[name] = "removed"
        elif old[name] != new[name]:
            found[name] = "changed"
    return found


# --- restoring --------------------------------------------------------------------------------


def restored(content: Content, levels: Levels, at: str, by: AuthorRecord) -> Level:
    """The environment's own level with which its configuration is `content` again.

    What the levels above have as it was stays inherited. The caller counts the level's version.
    """
    inherited = levels.inherited()
    own = cast("Level", {**levels.own, "variables": {}, "secrets": {}})
    for name, variable in content["variables"].items():
        found = inherited["variables"].get(name)
        if found is None or found["value"] != variable["value"]:
            before = levels.own["variables"].get(name)
            same = before is not None and before["value"] == variable["value"]
            own["variables"][name] = (
                before if before and same else {"value": variable["value"], "at": at, "by": by}
            )
    for name, secret in content["secrets"].items():
        above = inherited["secrets"].get(name)
        if above is None or above["place"] != secret["place"]:
            entry = {key: value for key, value in secret.items() if key != "source"}
            own["secrets"][name] = cast("SecretEntry", entry)
    has = content["variables"].keys() | content["secrets"].keys()
    theirs = inherited["variables"].keys() | inherited["secrets"].keys()
    own["hidden"] = sorted(theirs - has)
    return own


def is_same(one: Content, other: Content) -> bool:
    """Whether both give an application the same variables and secrets."""
    return _effect(one) == _effect(other)


def _effect(content: Content) -> dict[str, tuple[str, str]]:
    """What an application sees: the kind of each name, with the value or its place."""
    variables = {name: ("variable", each["value"]) for name, each in content["variables"].items()}
    secrets = {name: ("secret", each["place"]) for name, each in content["secrets"].items()}
    return {**variables, **secrets}


def gone(content: Content, levels: Levels) -> list[str]:
    """The secrets of the content whose values are no longer kept by a level that applies.

    Those of a tier that the environment was in before do not come back: who may restore in the tier
    of now need not be trusted with them.
    """
    kept = {
        place
        for level in (levels.of_project, levels.of_tier, levels.own)
        for values in level["stored"].values()
        for _, place in values
    }
    return sorted(name for name, each in content["secrets"].items() if each["place"] not in kept)


# --- earlier values of secrets, and purged names ----------------------------------------------


def with_value(level: Level, name: str, entry: SecretEntry) -> tuple[Level, list[str]]:
    """The level with a new value of the secret, and the places of those that it keeps no longer.

    It keeps the last values of each name, and those of the names that were removed last, so that
    configurations which name them can be restored.
    """
    values = [*level["stored"].get(name, []), (entry["version"], entry["place"])]
    secrets = {**level["secrets"], name: entry}
    stored = {**level["stored"], name: values[-MOST_VALUES:]}
    removed = sorted(stored.keys() - secrets.keys(), key=lambda each: _age(stored[each]))
    beyond = removed[: max(0, len(stored) - MOST_STORED)]
    dropped = [place for each in beyond for _, place in stored.pop(each)]
    dropped += [place for _, place in values[:-MOST_VALUES]]
    after = {**level, "secrets": secrets, "stored": stored}
    after["hidden"] = [each for each in level["hidden"] if each != name]
    return cast("Level", after), dropped


def next_version(level: Level, name: str) -> int:
    """The version of the secret's next value."""
    return max((version for version, _ in level["stored"].get(name, [])), default=0) + 1


def _age(values: list[tuple[int, str]]) -> str:
    """The last part of a place sorts by age."""
    return values[-1][1].rpartition("/")[2]


def purging(level: Level, name: str) -> tuple[Level, list[str]]:
    """The level without anything of the name, and the places of the values of its secret.

    Configurations that were made before do not show it either (`purged`). Only the last names are
    remembered: by then, they have been taken out of all configurations.
    """
    purged = {**level["purged"], name: level["version"] + 1}
    newest = sorted(purged, key=lambda each: purged[each])[-MOST_NAMES:]
    after: dict[str, Any] = {**level, "purged": {each: purged[each] for each in newest}}
    for kind in ("variables", "secrets", "stored"):
        after[kind] = {each: value for each, value in after[kind].items() if each != name}
    return cast("Level", after), [place for _, place in level["stored"].get(name, [])]


def purged(content: Content, made_of: Mapping[str, int], tier: Tier, levels: Levels) -> set[str]:
    """The names that were purged since a configuration was made of these versions of levels.

    A name that the environment has purged is gone wherever its value came from. `tier` is the one
    that the environment was in.
    """
    of_tier = levels.of_tiers[tier]
    gone = set()
    for entries in (content["variables"], content["secrets"]):
        for name, entry in entries.items():
            source = entry["source"]
            level, version = levels.own, made_of.get("environment", 0)
            if version >= level["purged"].get(name, 0) and source != "environment":
                level = of_tier if source == "tier" else levels.of_project
                version = made_of.get(tier if source == "tier" else "project", 0)
            if version < level["purged"].get(name, 0):
                gone.add(name)
    return gone


def without(content: Content, names: set[str]) -> Content:
    """The content without these names."""
    return {
        "variables": {n: each for n, each in content["variables"].items() if n not in names},
        "secrets": {n: each for n, each in content["secrets"].items() if n not in names},
    }


# --- how the table holds them -----------------------------------------------------------------


def packed(document: Mapping[str, Any]) -> list[bytes]:
    """The document in slices, each of which fits in an item; at least one."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    data = zlib.compress(text.encode(), 6)
    return [data[at : at + SLICE_BYTES] for at in range(0, len(data), SLICE_BYTES)]


def unpacked(slices: Iterable[bytes]) -> Any:
    """The document that was packed."""
    return json.loads(zlib.decompress(b"".join(slices)))


def size(entries: Iterator[tuple[str, str]]) -> int:
    """The bytes of names and values, as JSON."""
    return sum(
        len(json.dumps(name)) + len(json.dumps(value, ensure_ascii=False).encode())
        for name, value in entries
    )
