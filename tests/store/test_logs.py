"""The lines of a rollout: in order, without duplicates, and followed while more may come."""

from __future__ import annotations

from datetime import timedelta

import pytest

from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.paging import Page
from slipway.errors import NotFound
from slipway.services import history, rollout_queue, rollouts, teardowns
from slipway.store import deployment_records, log_records, table
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

AT = "2026-11-23T01:02:0{}.456Z"


@pytest.fixture
def made(ann: Principal, running: EnvironmentId) -> DeploymentId:
    deployment = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(deployment)
    return deployment


def test_lines_are_read_in_the_order_they_were_written(ann: Principal, made: DeploymentId) -> None:
    log_records.write(made, "ship", AT.format(2), "second", "third")
    log_records.write(made, "begin", AT.format(1), "first")

    lines = history.deployment_logs(made, ann, world.page())

    assert [line.message for line in lines] == ["first", "second", "third"]
    assert lines[0].model_dump() == {
        "ts": AT.format(1),
        "step": "begin",
        "level": "info",
        "message": "first",
    }


def test_a_step_that_is_retried_writes_no_line_twice(ann: Principal, made: DeploymentId) -> None:
    log_records.write(made, "ship", AT.format(1), "shipping")
    log_records.write(made, "ship", AT.format(1), "shipping, tried again")
    log_records.write(made, "ship", AT.format(2), "shipping")

    lines = history.deployment_logs(made, ann, world.page())

    assert [line.message for line in lines] == ["shipping", "shipping"]


def test_lines_can_be_followed_until_the_end(ann: Principal, made: DeploymentId) -> None:
    log_records.write(made, "ship", AT.format(1), "one", "two", "three")
    first = history.deployment_logs(made, ann, world.page(limit=2))
    second = history.deployment_logs(made, ann, world.page(limit=2, cursor=first.cursor))

    nothing_yet = history.deployment_logs(made, ann, world.page(cursor=second.cursor))
    log_records.write(made, "ship", AT.format(2), "four")
    world.succeeds(made)
    last = history.deployment_logs(made, ann, world.page(cursor=nothing_yet.cursor))

    pages = (first, second, nothing_yet, last)
    assert [[line.message for line in page] for page in pages] == [
        ["one", "two"],
        ["three"],
        [],
        ["four"],
    ]
    assert last.cursor is None


def test_lines_are_not_missed_when_the_rollout_ends_meanwhile(
    ann: Principal, made: DeploymentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_records.write(made, "ship", AT.format(1), "one")

    def ends() -> None:
        log_records.write(made, "ship", AT.format(2), "two")
        world.succeeds(made)

    # The page is read by then, and the record is not.
    between.first(monkeypatch, "BatchGetItem", ends)
    lines = history.deployment_logs(made, ann, world.page())

    assert [line.message for line in lines] == ["one", "two"]
    assert lines.cursor is None


def test_a_line_with_a_later_time_than_the_end_is_not_the_last_line(
    ann: Principal, made: DeploymentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation's clock may be ahead of ours."""
    ahead = timestamps.now() + timedelta(seconds=30)
    line = {"ts": ahead, "step": "stack", "level": "info", "message": "Queue is made"}
    log_records.keep(made, [LogLine.model_validate(line)])

    def ends() -> None:
        world.succeeds(made)
        ended = deployment_records.find(made)
        assert ended
        log_records.write(made, "succeed", ended["finished_at"], "v1 is live")

    between.first(monkeypatch, "BatchGetItem", ends)
    lines = history.deployment_logs(made, ann, world.page())

    assert [each.message for each in lines] == ["v1 is live", "Queue is made"]


def test_a_log_is_one_round_trip(
    ann: Principal, made: DeploymentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_records.write(made, "ship", AT.format(1), "one")
    made_while_running = between.counted(monkeypatch)
    history.deployment_logs(made, ann, world.page())

    world.succeeds(made)
    later = timestamps.now() + timedelta(minutes=2)
    monkeypatch.setattr(timestamps, "now", lambda: later)
    made_long_after = between.counted(monkeypatch)
    history.deployment_logs(made, ann, world.page())

    assert made_while_running[0] == "Query + BatchGetItem"
    assert made_long_after == ["Query + BatchGetItem"]


@pytest.mark.parametrize("seen", [False, True])
def test_a_log_that_has_just_ended_is_one_round_trip_if_it_is_complete(
    ann: Principal, made: DeploymentId, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    world.succeeds(made)
    ended = deployment_records.find(made)
    assert ended
    log_records.write(made, "succeed", ended["finished_at"], "v1 is live")
    [line], _ = table.query(log_records.pk(made), log_records.PREFIX, limit=9)
    after = {"cursor": Page([], line["sk"]).cursor} if seen else {}

    calls = between.counted(monkeypatch)
    lines = history.deployment_logs(made, ann, world.page(**after))

    assert calls == ["Query + BatchGetItem"]
    assert [each.message for each in lines] == ([] if seen else ["v1 is live"])
    assert lines.cursor is None


def test_a_log_without_lines_is_empty(ann: Principal, made: DeploymentId) -> None:
    assert history.deployment_logs(made, ann, world.page()) == []


def test_the_log_of_an_unknown_deployment_is_not_found(ann: Principal, made: DeploymentId) -> None:
    with pytest.raises(NotFound):
        history.deployment_logs(DeploymentId(made.p, made.e, "0" * 20), ann, world.page())


def test_the_log_of_an_environment_can_be_followed_until_it_is_destroyed(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = world.environment(project, ann)
    lines = [said(1, "Queue is made"), said(2, "Topic is made"), said(3, "Queue is gone")]

    log_records.keep(environment, lines[:1])
    first = history.environment_logs(environment, ann, world.page())
    log_records.keep(environment, lines[:2])
    world.becomes(environment, "running")
    second = history.environment_logs(environment, ann, world.page(cursor=first.cursor))
    later = timestamps.now() + timedelta(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr(timestamps, "now", lambda: later)
        none_yet = history.environment_logs(environment, ann, world.page(cursor=second.cursor))
    world.becomes(environment, "tearing_down")
    log_records.keep(environment, lines[2:])
    every = history.environment_logs(environment, ann, world.page())

    assert (list(first), list(second), list(every)) == (lines[:1], lines[1:2], lines)
    assert (list(none_yet), none_yet.cursor) == ([], second.cursor)
    assert first.cursor and second.cursor and every.cursor


def test_the_log_of_an_environment_that_is_forgotten_ends_with_who_and_why(
    ann: Principal, project: ProjectId
) -> None:
    environment = world.environment(project, ann)
    log_records.keep(environment, [said(1, "Queue is made")])
    for state in ("running", "tearing_down", "teardown_failed"):
        world.becomes(environment, state)
    before = history.environment_logs(environment, ann, world.page())

    teardowns.forget(environment, ann.asking("environments:force"), None)
    log_records.keep(environment, [said(1, "Queue is made"), said(9, "Queue is gone")])
    after = history.environment_logs(environment, ann, world.page(cursor=before.cursor))

    [last] = after
    assert (last.step, last.level) == ("forget", "warning")
    assert last.message.startswith(f"Forgotten by {ann.id}. What remains: ")
    assert before.cursor is not None
    assert after.cursor is None


def test_only_members_read_the_log_of_an_environment(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    log_records.keep(running, [said(1, "secret")])

    with pytest.raises(NotFound):
        history.environment_logs(running, bob, world.page())


def said(second: int, message: str) -> LogLine:
    return LogLine.model_validate(
        {"ts": AT.format(second), "step": "stack", "level": "error", "message": message}
    )


def test_an_event_of_the_infrastructure_is_kept_once(ann: Principal, made: DeploymentId) -> None:
    lines = [said(1, "Queue is made"), said(1, "Topic is made"), said(2, "Alarm is made")]
    for n in range(1, 4):
        log_records.keep(made, lines[:n])
    log_records.keep(made, [])

    kept = history.deployment_logs(made, ann, world.page())

    assert list(kept) == lines


def test_a_line_that_comes_too_late_for_followers_is_left_out(
    ann: Principal, made: DeploymentId
) -> None:
    log_records.keep(made, [said(2, "second")])
    log_records.keep(made, [said(1, "first"), said(2, "second"), said(3, "third")])

    kept = history.deployment_logs(made, ann, world.page())

    assert [line.message for line in kept] == ["second", "third"]


def test_the_log_of_a_deployment_that_waits_can_be_followed(
    ann: Principal, running: EnvironmentId
) -> None:
    waiting = world.deployment(running, ann)

    lines = history.deployment_logs(waiting, ann, world.page())
    again = history.deployment_logs(waiting, ann, world.page(cursor=lines.cursor))

    assert [*lines, *again] == []
    assert again.cursor == lines.cursor is not None


@pytest.mark.parametrize("gone", [True, False], ids=["environment gone", "execution lost"])
def test_a_rollout_that_somebody_else_ends_has_a_last_line_and_none_behind_it(
    ann: Principal, running: EnvironmentId, made: DeploymentId, gone: bool
) -> None:
    log_records.write(made, "ship", AT.format(1), "Shipping v1")
    waiting = world.deployment(running, ann)
    if gone:
        rollout_queue.cancel_all(running, "Its environment is going")
    else:
        record = deployment_records.find(made)
        assert record and rollouts.record_lost_execution(record, "FAILED")
    late = timestamps.written(timestamps.now() + timedelta(seconds=1))
    log_records.keep(made, [LogLine(ts=late, step="ship", level="info", message="late")])

    lines = history.deployment_logs(made, ann, world.page())

    said = "EnvironmentGone: Its environment is going"
    lost = "ExecutionLost: Its execution has FAILED unrecorded"
    assert [line.message for line in lines] == ["Shipping v1", said if gone else lost]
    assert lines.cursor is None
    if gone:
        [last] = history.deployment_logs(waiting, ann, world.page())
        assert (last.step, last.level, last.message) == ("cancel", "warning", said)
