"""Configurations in the table: how they are made, read whole, and guarded against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from slipway.access.principal import Principal
from slipway.domain.configuration import Levels
from slipway.domain.ids import EnvironmentId
from slipway.errors import Busy
from slipway.errors.configurations import SecretsGone
from slipway.services import configuration
from slipway.services.configuration import Made
from slipway.store import configuration_records, environment_records, table
from slipway.store.table import Action, Transaction, TransactionFailed, Update
from tests.support.store.configurations import noise

if TYPE_CHECKING:
    from slipway.domain.configuration import Content, Level
    from slipway.domain.records import EnvironmentRecord

pytestmark = pytest.mark.usefixtures("aws")


def read(this: EnvironmentId) -> tuple[EnvironmentRecord, Levels]:
    item, *found = table.get(environment_records.key(this), *configuration.keys(this))
    return item, configuration.levels(item, found)


def with_variables(levels: Levels, **values: str) -> Level:
    entries = {
        name: {"value": value, "at": "2026-11-29T08:00:00.000Z", "by": {"id": "usr_1"}}
        for name, value in values.items()
    }
    return cast("Level", {**levels.own, "variables": {**levels.own["variables"], **entries}})


def record_update(this: EnvironmentId, made: Made) -> Action:
    change, values = table.setting(made.fields)
    return Update(environment_records.key(this), change, {**values, **made.values}, made.condition)


def commit(this: EnvironmentId, made: Made) -> None:
    parts = {**made.actions, "environment": record_update(this, made)}
    Transaction(parts).commit()


def changes(this: EnvironmentId, ann: Principal, **values: str) -> Made:
    item, levels = read(this)
    own = with_variables(levels, **values)
    made = configuration.new_version(item, levels, ann.author(), "a test", own=own)
    commit(this, made)
    return made


def content(this: EnvironmentId, number: int) -> Content:
    return configuration.content(table.get(*configuration.content_keys(this, number)))


def shown(content: Content) -> dict[str, str]:
    return {name: each["value"] for name, each in content["variables"].items()}


def test_an_environment_without_configuration_has_nothing(running: EnvironmentId) -> None:
    item, levels = read(running)

    assert "configuration" not in item
    assert levels.merged() == content(running, 0) == {"variables": {}, "secrets": {}}


def test_each_change_makes_the_next_number_and_earlier_ones_stay(
    running: EnvironmentId, ann: Principal
) -> None:
    made = [
        changes(running, ann, A="1"),
        changes(running, ann, A="2"),
        changes(running, ann, B="3"),
    ]

    item, levels = read(running)
    assert [each.number for each in made] == [1, 2, 3]
    assert (item.get("configuration"), levels.own["version"]) == (3, 3)
    assert [shown(content(running, n)) for n in (1, 2, 3)] == [
        {"A": "1"},
        {"A": "2"},
        {"A": "2", "B": "3"},
    ]


def test_of_two_changes_of_the_same_level_one_is_refused(
    running: EnvironmentId, ann: Principal
) -> None:
    item, levels = read(running)
    two = [
        configuration.new_version(
            item, levels, ann.author(), "a test", own=with_variables(levels, A=value)
        )
        for value in "12"
    ]
    commit(running, two[0])

    with pytest.raises(TransactionFailed) as failed:
        commit(running, two[1])

    for part in ("environment", "level", "configuration"):
        assert failed.value.get(part) is not None
    assert shown(content(running, 1)) == {"A": "1"}


def test_a_level_that_was_read_before_a_change_does_not_pass_for_the_new_one(
    running: EnvironmentId, ann: Principal
) -> None:
    """The record and the level are not read at the same moment."""
    _, stale = read(running)
    changes(running, ann, A="1")
    item, _ = read(running)

    for own in (None, with_variables(stale, B="2")):
        made = configuration.new_version(item, stale, ann.author(), "a test", own=own)
        with pytest.raises(TransactionFailed):
            commit(running, made)


def test_slices_of_two_versions_are_read_again(
    running: EnvironmentId, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = {f"N{n}": noise(n) for n in range(200)}
    changes(running, ann, **big)
    item, *old = table.get(environment_records.key(running), *configuration.keys(running))
    changes(running, ann, LAST="1", **{name: value[::-1] for name, value in big.items()})
    item, *new = table.get(environment_records.key(running), *configuration.keys(running))
    torn = [*new[:-2], *old[-2:]]
    assert all(torn[-3:]) and len({each["version"] for each in torn[-3:]}) == 2

    levels = configuration.levels(item, torn)

    assert levels.own["version"] == 2
    assert len(levels.merged()["variables"]) == 201
    monkeypatch.setattr(table, "get", lambda *_: torn)
    with pytest.raises(Busy):
        configuration.levels(item, torn)


def test_a_level_that_shrinks_leaves_no_slice_behind(
    running: EnvironmentId, ann: Principal
) -> None:
    changes(running, ann, **{f"N{n}": noise(n) for n in range(200)})
    item, levels = read(running)
    own = cast("Level", {**levels.own, "variables": {}})
    commit(running, configuration.new_version(item, levels, ann.author(), "a test", own=own))

    slices = table.get(*configuration_records.level_keys(running))

    assert [each is not None for each in slices] == [True, False, False]
    assert len(content(running, 1)["variables"]) == 200


def test_an_earlier_configuration_is_restored_under_a_new_number(
    running: EnvironmentId, ann: Principal
) -> None:
    for value in "123":
        changes(running, ann, A=value)
    item, levels = read(running)

    made = configuration.restored(
        item, levels, 1, content(running, 1), ann.author(), "configuration 1 is restored"
    )
    commit(running, made)

    [head] = table.get(configuration_records.head_key(running, 4))
    assert (made.number, head["restored"], shown(content(running, 4))) == (4, 1, {"A": "1"})
    assert shown(read(running)[1].merged()) == {"A": "1"}


def test_a_configuration_whose_secret_is_gone_is_not_restored(
    running: EnvironmentId, ann: Principal
) -> None:
    item, levels = read(running)
    secret: Any = {"version": 1, "place": "environments/env/secrets/S/1", "source": "environment"}

    with pytest.raises(SecretsGone, match="S") as refused:
        configuration.restored(
            item, levels, 1, {"variables": {}, "secrets": {"S": secret}}, ann.author(), "a test"
        )

    assert refused.value.extra == {"names": ["S"]}
