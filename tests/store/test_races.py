"""Changes by others between any two reads that the acceptance of one deployment takes."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.ids import EnvironmentId
from slipway.errors import OutdatedDeployment, QueueBusy
from slipway.services import queues, rollout_queue
from slipway.store import queue_records, table
from tests.support.store import between, world
from tests.support.store.records import joins, runs, waiting_in

pytestmark = [pytest.mark.usefixtures("aws"), pytest.mark.no_cover, pytest.mark.independent]


def is_accepted(environment: EnvironmentId, user_id: Principal) -> None:
    joins(environment, user_id, sequence=10)


def has_the_lock(environment: EnvironmentId, user_id: Principal) -> None:
    runs(environment)


def succeeds(environment: EnvironmentId, user_id: Principal) -> None:
    [held] = table.get(queue_records.lock(environment))
    assert held
    world.succeeds(ids.parse_deployment(held["holder"]))


def last_is_canceled(environment: EnvironmentId, user_id: Principal) -> None:
    rollout_queue.cancel(ids.parse_deployment(waiting_in(environment)[-1]), user_id)


# Writes of other callers while one looks at the queue.
IS_SHIPPED = (is_accepted, has_the_lock, succeeds)
IS_BEING_SHIPPED = (is_accepted, has_the_lock)
ONE_WAITS = (is_accepted, is_accepted, last_is_canceled)
REJECT: dict[str, Any] = {"on_conflict": "reject"}
AN_ORDER: dict[str, Any] = {"sequence": 5}


@pytest.mark.parametrize(
    "mode,acts,old",
    [
        (REJECT, IS_SHIPPED, False),
        (REJECT, IS_SHIPPED, True),
        (REJECT, IS_BEING_SHIPPED, False),
        (REJECT, IS_BEING_SHIPPED, True),
        (REJECT, ONE_WAITS, False),
        (AN_ORDER, IS_BEING_SHIPPED, False),
        (AN_ORDER, IS_BEING_SHIPPED, True),
    ],
    ids=[
        "one comes and goes",
        "one was there and goes",
        "one comes",
        "one was there",
        "two come and one goes",
        "a newer comes",
        "a newer was there",
    ],
)
def test_no_deployment_is_overlooked_when_its_state_changes_meanwhile(
    ann: Principal,
    running: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
    mode: dict[str, Any],
    acts: tuple[Callable[..., None], ...],
    old: bool,
) -> None:
    told, begin_anew = Counter[str](), world.as_now()
    if old:
        monkeypatch.setattr(queue_records, "_YOUNG_SECONDS", 0)
    for nth, order in enumerate(itertools.permutations(["Query", "LOCK", "ENV"])):
        moments = itertools.combinations_with_replacement(range(4), len(acts))
        # Each order of the reads with every third way to do the rest, all ways among them.
        for when in itertools.islice(moments, nth % 3, None, 3):
            if old and any(n for n, act in zip(when, acts, strict=True) if act is is_accepted):
                continue

            def moment(n: int, when: tuple[int, ...] = when) -> None:
                for each, act in zip(when, acts, strict=True):
                    if each == n:
                        act(running, ann)

            begin_anew()
            with pytest.MonkeyPatch.context() as patch:
                between.apart(patch, order, [functools.partial(moment, n) for n in range(4)])
                try:
                    made = str(joins(running, ann, **mode))
                except (QueueBusy, OutdatedDeployment) as refused:
                    told[refused.code] += 1
                    assert any(when) or acts is not IS_SHIPPED, (order, when)
                    continue
            told["accepted"] += 1
            ahead = {each.id for each in queues.list_(running, ann)} - {made}
            assert ahead == set(), (order, when)

    assert len(told) == (2 if acts is IS_SHIPPED else 1), told
