"""Configurations: how three levels are merged, restored, and packed into slices."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from slipway.domain import configuration
from slipway.domain.configuration import MOST_BYTES, SLICE_BYTES, SLICES_OF_LEVEL, Levels

if TYPE_CHECKING:
    from slipway.domain.configuration import Level
    from slipway.domain.records import AuthorRecord

ANN: AuthorRecord = {"id": "usr_1", "kind": "user", "name": "ann@example.com"}
AT, LATER = "2026-11-29T08:00:00.000Z", "2026-11-29T09:00:00.000Z"


def level(version: int = 1, secrets: dict[str, int] | None = None, **variables: str) -> Level:
    """A level with these variables, and with secrets of these versions."""
    found = configuration.empty()
    found["version"] = version
    found["variables"] = {name: {"value": v, "at": AT, "by": ANN} for name, v in variables.items()}
    for name, number in (secrets or {}).items():
        place = f"place/{name}/{version}.{number}"
        found["secrets"][name] = {"version": number, "place": place, "at": AT, "by": ANN}
        found["stored"][name] = [(number, place)]
    return found


def levels(
    project: Level | None = None, tier: Level | None = None, own: Level | None = None
) -> Levels:
    none = configuration.empty()
    tiers: Any = {"preview": none, "staging": tier or none, "production": none}
    return Levels("staging", project or none, tiers, own or none)


def values(content: configuration.Content) -> dict[str, tuple[str, str]]:
    return {n: (each["value"], each["source"]) for n, each in content["variables"].items()}


def test_the_nearest_level_decides() -> None:
    merged = levels(
        level(A="project", B="project", C="project"), level(B="tier", C="tier"), level(C="own")
    ).merged()

    assert values(merged) == {
        "A": ("project", "project"),
        "B": ("tier", "tier"),
        "C": ("own", "environment"),
    }


def test_a_name_is_a_variable_or_a_secret_by_the_nearest_level() -> None:
    merged = levels(
        level(secrets={"A": 1}, B="project"), None, level(secrets={"B": 2}, A="own")
    ).merged()

    assert values(merged) == {"A": ("own", "environment")}
    assert [(n, s["source"]) for n, s in merged["secrets"].items()] == [("B", "environment")]


def test_a_level_of_another_tier_does_not_apply() -> None:
    tiers: Any = {"preview": level(A="preview"), "staging": level(), "production": level(A="p")}

    assert values(Levels("staging", level(), tiers, level()).merged()) == {}
    assert values(Levels("preview", level(), tiers, level()).merged()) == {"A": ("preview", "tier")}


def test_hidden_names_are_not_inherited_but_can_be_set_again() -> None:
    own = level(B="own")
    own["hidden"] = ["A", "B", "S"]

    merged = levels(level(A="project", B="project"), level(secrets={"S": 1}), own).merged()

    assert values(merged) == {"B": ("own", "environment")}
    assert merged["secrets"] == {}


@pytest.mark.parametrize(
    ("project", "made_of", "pending"),
    [
        ({}, {}, False),
        ({"project": 1}, {}, True),
        ({"project": 1, "staging": 2}, {"project": 1, "staging": 2}, False),
        ({"project": 1, "staging": 3}, {"project": 1, "staging": 2}, True),
        ({"production": 4}, {}, False),
        # Its tier was production when its configuration was made.
        ({"production": 4, "staging": 1}, {"production": 4}, True),
    ],
)
def test_a_change_above_is_pending_if_it_applies(
    project: dict[str, int], made_of: dict[str, int], pending: bool
) -> None:
    environment = {"tier": "staging", "configuration_levels": made_of}

    assert configuration.is_pending(environment, {"configurations": project}) is pending


def test_nothing_is_pending_in_records_without_configurations() -> None:
    assert configuration.is_pending({"type": "ephemeral"}, {}) is False
    assert configuration.is_pending({"type": "ephemeral"}, None) is False


def test_differences_are_told_by_name() -> None:
    before = levels(level(A="1", B="1", C="1", secrets={"S": 1, "T": 1})).merged()
    after = levels(level(A="1", B="2", D="1", S="1", secrets={"C": 1, "T": 1})).merged()

    assert configuration.differences(before, before) == {}
    assert configuration.differences(before, after) == {
        "B": "changed",
        "C": "changed",
        "D": "added",
        "S": "changed",
    }
    assert configuration.differences(after, before)["D"] == "removed"


# --- restoring ----------------------------------------------------------------------------


def test_restoring_leaves_what_the_levels_above_have_unchanged_inherited() -> None:
    before = levels(level(A="project", B="project", secrets={"S": 1}), None, level(C="own"))
    content = before.merged()
    now = before._replace(own=level(version=2, C="other", D="new"))

    own = configuration.restored(content, now, LATER, ANN)

    assert {n: each["value"] for n, each in own["variables"].items()} == {"C": "own"}
    assert (own["secrets"], own["hidden"]) == ({}, [])
    assert configuration.is_same(now._replace(own=own).merged(), content)


def test_restoring_brings_back_what_the_levels_above_have_changed_removed_and_gained() -> None:
    before = levels(level(A="1", B="1", secrets={"S": 1, "T": 1}))
    content = before.merged()
    now = levels(level(version=2, A="2", N="new", secrets={"S": 2, "M": 1}))
    now.of_project["stored"]["S"].insert(0, (1, "place/S/1.1"))

    own = configuration.restored(content, now, LATER, ANN)

    assert {n: each["value"] for n, each in own["variables"].items()} == {"A": "1", "B": "1"}
    assert {n: each["version"] for n, each in own["secrets"].items()} == {"S": 1, "T": 1}
    assert own["hidden"] == ["M", "N"]
    assert configuration.is_same(now._replace(own=own).merged(), content)
    assert configuration.gone(content, now) == ["T"]


def test_a_secret_of_the_tier_that_it_was_in_before_does_not_come_back() -> None:
    before = levels(None, level(secrets={"S": 1}), level(secrets={"T": 1}))

    assert configuration.gone(before.merged(), before) == []
    assert configuration.gone(before.merged(), before._replace(tier="preview")) == ["S"]


def test_what_is_restored_and_already_so_keeps_its_author() -> None:
    own = level(A="same", B="old")
    content = levels(None, None, own).merged()
    changed = level(version=2, A="same", B="new")

    after = configuration.restored(content, levels(None, None, changed), LATER, ANN)

    assert (after["variables"]["A"]["at"], after["variables"]["B"]["at"]) == (AT, LATER)


def test_restoring_any_content_gives_that_content() -> None:
    chance = random.Random(16)
    for _ in range(300):
        before, now = (
            levels(*(_any_level(chance, version) for _ in range(3))) for version in (1, 2)
        )
        content = before.merged()

        own = configuration.restored(content, now, LATER, ANN)

        assert configuration.is_same(now._replace(own=own).merged(), content)


def _any_level(chance: random.Random, version: int) -> Level:
    variables = {n: chance.choice("xyz") for n in "ABCD" if chance.random() < 0.4}
    rest = [n for n in "ABCD" if n not in variables and chance.random() < 0.4]
    found = level(chance.choice([1, version]), {n: chance.choice([1, 2]) for n in rest})
    found["variables"] = {n: {"value": v, "at": AT, "by": ANN} for n, v in variables.items()}
    return found


# --- slices -------------------------------------------------------------------------------


def test_a_level_of_two_hundred_values_that_cannot_be_deflated_fits_into_its_slices() -> None:
    chance = random.Random(16)
    # The letters and their frequencies that have the most content in a byte of UTF-8.
    blocks = [[chr(n) for n in range(32, 127) if chr(n) not in '"\\']]
    blocks += [[chr(n) for n in range(0xA1, 0x800)], [chr(n) for n in range(0x800, 0xD800)]]
    letters = [letter for block in blocks for letter in block]
    weights = [119.0 ** -len(letter.encode()) for letter in letters]
    drawn = ("".join(chance.choices(letters, weights, k=4096)) for _ in range(200))
    values = [text.encode()[:4096].decode(errors="ignore") for text in drawn]
    big = level()
    big["variables"] = {
        f"NAME_{n}": {"value": value, "at": AT, "by": ANN} for n, value in enumerate(values)
    }
    big["stored"] = {f"S{n}": [(v, f"{chance.random()}" * 5) for v in range(20)] for n in range(9)}
    pairs = ((name, each["value"]) for name, each in big["variables"].items())

    slices = configuration.packed(big)

    assert configuration.size(pairs) <= MOST_BYTES
    assert len(slices) <= SLICES_OF_LEVEL
    assert max(map(len, slices)) <= SLICE_BYTES
    assert configuration.unpacked(slices) == {
        **big,
        "stored": {name: [list(pair) for pair in each] for name, each in big["stored"].items()},
    }


def test_the_size_of_a_value_is_that_of_its_json() -> None:
    assert configuration.size(iter([("A", 'a"\n')])) == len('"A"') + len('"a\\"\\n"')
    assert configuration.size(iter([("A", "ü")])) == len('"A"') + 2 + 2
