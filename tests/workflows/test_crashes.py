"""A crash at every call: whatever fails, is lost, refused, done twice, or is its caller's last.

Each scenario runs once to number its calls to the outside (DynamoDB, Step Functions, Lambda, the
driver), then again for each of them and each thing that can happen to it. Then time passes, TTL
sweeps, reconcile looks, and what must be true of a world at rest is true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.workflows import faults
from tests.support.workflows.confirming import confirmed, undecided
from tests.support.workflows.crashes import ROUNDS, chosen
from tests.support.workflows.invariants import broken
from tests.support.workflows.promoting import promoted
from tests.support.workflows.stories import (
    a_cascade,
    a_whole_life,
    canceled,
    configured,
    configured_and_deleted,
    deleted_while_it_comes_up,
    deleted_while_it_ships,
    faults_without_end,
    forgotten,
    idle,
    leased,
    mended,
    no_way_back,
    nothing_can_be_made,
    nothing_can_be_taken_away,
    refused,
    renamed,
    rolled_back,
    superseded,
    woken,
    written_by_users,
)
from tests.support.workflows.world import World

pytestmark = [pytest.mark.no_cover, pytest.mark.independent]


SCENARIOS = [
    a_whole_life,
    canceled,
    rolled_back,
    refused,
    faults_without_end,
    no_way_back,
    superseded,
    deleted_while_it_comes_up,
    deleted_while_it_ships,
    renamed,
    a_cascade,
    nothing_can_be_made,
    nothing_can_be_taken_away,
    forgotten,
    leased,
    idle,
    mended,
    woken,
    confirmed,
    undecided,
    configured,
    configured_and_deleted,
    promoted,
    written_by_users,
]


POLICIES: dict[Callable[[World], None], dict[str, Any]] = {
    leased: {"warn_before_hours": [0.5, 0.1]},
    idle: {"expiry_mode": "idle"},
}


def lived(story: Callable[[World], None], n: int | None, crash: str) -> tuple[list[str], list[str]]:
    """The calls of the scenario, and what is broken at its end if `crash` befell its nth."""
    with World(simulated_seconds=0.5) as world:
        world.use(world.new_project("payments", **POLICIES.get(story, {})))
        world.calls.made.clear()
        if n is not None:
            times = None if crash == "dies" else 1
            world.when(n, faults.CRASHES[crash], times)
        story(world)
        world.run(7200)
        calls = [call.name for call in world.calls.made]
        for _ in range(ROUNDS):
            world.recover()
            if not any("due" in item for item in world.items("")):
                break
        return calls, broken(world)


@pytest.mark.parametrize("story", SCENARIOS, ids=lambda story: story.__name__)
def test_a_crash_at_any_call_leaves_nothing_behind(
    environ: None, story: Callable[[World], None], record_property: Callable[[str, object], None]
) -> None:
    calls, unharmed = lived(story, None, "")

    cases = list(chosen(lived, SCENARIOS, story))
    harm = {
        f"call {n}, {calls[n]}, {crash}": found
        for n, crash in cases
        if (found := lived(story, n, crash)[1])
    }

    record_property("cases", len(cases))
    assert unharmed == []
    assert harm == {}
    assert len({n for n, _ in cases}) >= 5
