"""The sparse index of deadlines: who is in it, since when, and who takes it away."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from slipway import ids
from slipway.ids import EnvironmentId
from slipway.model import moments
from slipway.store import deployments, due, environments, queue, table, teardowns
from slipway.store.table import Key
from tests.store import world

pytestmark = pytest.mark.usefixtures("aws")

LATER = timedelta(minutes=6)
NOWHERE = Key("PROJECT#x", "ENV#x")


def at(key: Key) -> datetime:
    [item] = table.get(key)
    assert item
    return datetime.fromisoformat(item["due_at"])


def test_what_is_new_is_due_in_five_minutes(ann: str, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    keys = {environments.key(running), deployments.key(made)}

    assert set(due.overdue(moments.now() + LATER)) == keys
    assert list(due.overdue(moments.now() + timedelta(minutes=4))) == []


def test_a_deadline_may_be_set_to_any_moment(running: EnvironmentId) -> None:
    key = environments.key(running)
    moment = moments.now() + timedelta(hours=3)

    due.look_again(key, str(running), moment)
    assert at(key) == moment
    due.look_again(key, str(running))
    assert abs(at(key) - moments.now() - timedelta(minutes=5)) < timedelta(minutes=0.5)


def test_who_was_done_with_is_not_brought_back_by_a_late_look(running: EnvironmentId) -> None:
    key = environments.key(running)
    due.done(key)
    before = world.everything()

    due.look_again(key, str(running))
    due.done(key)

    assert world.everything() == before
    assert list(due.overdue(moments.now() + LATER)) == []


def test_a_nudge_changes_the_record_and_its_deadline(running: EnvironmentId) -> None:
    key = environments.key(running)
    due.done(key)

    due.nudge(key, str(running))

    [item] = table.get(key)
    assert item and item["nudged_at"]
    assert at(key) > moments.now()


def test_what_is_gone_is_not_made_by_looking_after_it() -> None:
    before = world.everything()

    due.look_again(NOWHERE, "x")
    due.nudge(NOWHERE, "x")
    due.done(NOWHERE)

    assert world.everything() == before


def test_whatever_begins_to_go_is_due_again(ann: str, running: EnvironmentId) -> None:
    due.done(environments.key(running))

    teardowns.begin(running, ann, None)

    assert list(due.overdue(moments.now() + LATER)) == [environments.key(running)]


def test_who_is_canceled_or_superseded_is_not_due_any_more(
    ann: str, running: EnvironmentId
) -> None:
    for _ in range(3):
        world.deployment(running, ann)
    queue.cancel_all(running, "gone")

    assert list(due.overdue(moments.now() + LATER)) == [environments.key(running)]


def test_many_records_are_spread_over_the_index() -> None:
    shards = Counter(due.by(f"env_{ids.new_part()}")["due"] for _ in range(400))

    assert set(shards) == {f"DUE#{n}" for n in range(4)}
    assert min(shards.values()) > 40
