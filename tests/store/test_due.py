"""The sparse index of deadlines: which records are in it, since when, and what removes them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId
from slipway.services import rollout_queue, teardowns
from slipway.store import deadlines, deployment_records, environment_records, table
from slipway.store.table import Key
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws")

LATER = timedelta(minutes=6)
NOWHERE = Key("PROJECT#x", "ENV#x")


def at(key: Key) -> datetime:
    [item] = table.get(key)
    assert item
    return datetime.fromisoformat(item["due_at"])


def test_a_new_record_is_due_in_five_minutes(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    keys = {environment_records.key(running), deployment_records.key(made)}

    assert set(deadlines.overdue(timestamps.now() + LATER)) == keys
    assert list(deadlines.overdue(timestamps.now() + timedelta(minutes=4))) == []


def test_a_deadline_may_be_set_to_any_time(running: EnvironmentId) -> None:
    key = environment_records.key(running)
    moment = timestamps.now() + timedelta(hours=3)

    deadlines.postpone(key, str(running), moment)
    assert at(key) == moment
    deadlines.postpone(key, str(running))
    assert abs(at(key) - timestamps.now() - timedelta(minutes=5)) < timedelta(minutes=0.5)


def test_a_late_look_does_not_restore_a_removed_deadline(running: EnvironmentId) -> None:
    key = environment_records.key(running)
    deadlines.clear(key)
    before = world.everything()

    deadlines.postpone(key, str(running))
    deadlines.clear(key)

    assert world.everything() == before
    assert list(deadlines.overdue(timestamps.now() + LATER)) == []


def test_a_nudge_changes_the_record_and_its_deadline(running: EnvironmentId) -> None:
    key = environment_records.key(running)
    deadlines.clear(key)

    deadlines.nudge(key, str(running))

    [item] = table.get(key)
    assert item and item["nudged_at"]
    assert at(key) > timestamps.now()


def test_changing_the_deadline_of_a_missing_record_creates_nothing() -> None:
    before = world.everything()

    deadlines.postpone(NOWHERE, "x")
    deadlines.nudge(NOWHERE, "x")
    deadlines.clear(NOWHERE)

    assert world.everything() == before


def test_a_teardown_that_begins_sets_a_deadline(ann: Principal, running: EnvironmentId) -> None:
    deadlines.clear(environment_records.key(running))

    teardowns.begin(running, ann, None)

    assert list(deadlines.overdue(timestamps.now() + LATER)) == [environment_records.key(running)]


def test_a_canceled_deployment_has_no_deadline(ann: Principal, running: EnvironmentId) -> None:
    for _ in range(3):
        world.deployment(running, ann)
    rollout_queue.cancel_all(running, "gone")

    assert list(deadlines.overdue(timestamps.now() + LATER)) == [environment_records.key(running)]


def test_many_records_are_spread_over_the_index() -> None:
    shards = Counter(deadlines.due_fields(f"env_{ids.new_part()}")["due"] for _ in range(400))

    assert set(shards) == {f"DUE#{n}" for n in range(4)}
    assert min(shards.values()) > 40
