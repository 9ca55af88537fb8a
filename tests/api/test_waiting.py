"""`Prefer: wait`: a request that waits until there is something else to answer."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from slipway.access import tokens
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import TokenExpired
from slipway.http import waiting
from slipway.services import rollout_queue, rollouts
from slipway.settings import limits
from slipway.store import log_records, project_records, table, waits
from slipway.store.table import Delete
from tests.support.api.checks import assert_refused
from tests.support.api.client import HOST, Answer, Client
from tests.support.store import between, world
from tests.support.waiting_clock import Clock, clock

__all__ = ["clock"]

ENVIRONMENTS = "/api/v1/environments"
DEPLOYMENTS = "/api/v1/deployments"
AT = "2026-11-23T01:02:0{}.456Z"
AHEAD = "wait=20"


@pytest.fixture
def coming(ann: Client, project: ProjectId) -> EnvironmentId:
    """An environment that is being provisioned."""
    return world.environment(project, ann.principal)


def wait(caller: Client, path: str, prefer: str = AHEAD, **query: Any) -> Answer:
    """The answer to a caller who has seen what is at the path, and waits for something else."""
    tag = caller.get(path, **query).headers["etag"]
    return caller.with_headers(prefer=prefer, if_none_match=tag).get(path, **query)


def entries() -> list[str]:
    [item] = table.get(table.Key("WAITS", "WAITS"))
    return [name for name in item or {} if name.startswith("wait_")]


# --- until something changes ------------------------------------------------------------------


def test_a_request_waits_until_the_environment_changes(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    clock.after(3, lambda: world.comes_up(coming))

    answer = wait(ann, f"{ENVIRONMENTS}/{coming}")

    assert (answer.status, answer.json["status"]) == (200, "running")
    assert answer.headers["preference-applied"] == "wait=20"
    assert 3 <= clock.waited < 4.3
    assert entries() == []


@pytest.mark.parametrize(
    "path", ["/api/v1/projects/{}/environments", "/api/v1/environments/projects/{}"]
)
def test_a_request_waits_until_a_list_of_environments_changes(
    ann: Client, project: ProjectId, coming: EnvironmentId, clock: Clock, path: str
) -> None:
    clock.after(2, lambda: world.comes_up(coming))
    changed = wait(ann, path.format(project))
    clock.after(2, lambda: world.environment(project, ann.principal, "another"))
    longer = wait(ann, path.format(project))
    in_vain = wait(ann, path.format(project), status="failed")

    assert [each["status"] for each in changed.json] == ["running"]
    assert [each["name"] for each in longer.json] == ["another", "preview"]
    assert (in_vain.status, in_vain.raw) == (304, b"")
    assert entries() == []


def test_a_request_that_has_waited_in_vain_is_told_that_nothing_has_changed(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    answer = wait(ann, f"{ENVIRONMENTS}/{coming}")

    assert (answer.status, answer.raw) == (304, b"")
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["etag"] == ann.get(f"{ENVIRONMENTS}/{coming}").headers["etag"]
    assert clock.waited == pytest.approx(20)
    # The pauses grow to a second.
    assert clock.pauses[0] < 0.3 and max(clock.pauses) <= 1.2
    assert len(clock.pauses) <= 30


def test_a_longer_wait_is_cut_and_says_so(ann: Client, coming: EnvironmentId, clock: Clock) -> None:
    answer = wait(ann, f"{ENVIRONMENTS}/{coming}", "respond-async, wait=600")

    assert (answer.status, answer.headers["preference-applied"]) == (304, "wait=20")
    assert clock.waited == pytest.approx(20)


def test_each_read_of_a_wait_is_one_round_trip(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{ENVIRONMENTS}/{coming}"
    tag = ann.get(path).headers["etag"]
    made = between.counted(monkeypatch)

    ann.with_headers(prefer="wait=2", if_none_match=tag).get(path)

    reads = 1 + len(clock.pauses)
    assert made == ["BatchGetItem", "UpdateItem", *["BatchGetItem"] * (reads - 1), "UpdateItem"]


def test_a_wait_counts_as_one_request(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITS", "100,100,500,200,200,200,200,200,10,5,3")
    limits.cache_clear()

    answers = [wait(ann, f"{ENVIRONMENTS}/{coming}", "wait=5") for _ in range(4)]

    assert [each.status for each in answers] == [304] * 4
    assert answers[-1].headers["ratelimit"].startswith('"requests";r=2;')


@pytest.mark.parametrize(
    "prefer", ["", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", 'foo="a, wait=9"', "hold=9"]
)
def test_a_preference_that_is_not_understood_is_ignored(
    ann: Client, coming: EnvironmentId, clock: Clock, prefer: str
) -> None:
    answer = wait(ann, f"{ENVIRONMENTS}/{coming}", prefer)

    assert (answer.status, clock.waited) == (304, 0)
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=0", 0),
        ("wait=7", 7),
        ("Wait = 7", 7),
        ('wait="7"', 7),
        ("wait=007", 7),
        ("wait=7; foo=bar", 7),
        ("respond-async, wait=7", 7),
        ('foo="a, wait=9", wait=7', 7),
        ("wait=7, wait=9", 7),
        ("wait=x, wait=9", None),
        ("wait=21", 20),
        (f"wait={'9' * 5000}", 20),
        ("wait=\u0667", None),
        ('"' * 9000, None),
        ("await=7", None),
    ],
)
def test_a_preference_is_read_as_the_rfc_says(header: str, seconds: int | None) -> None:
    assert waiting.seconds(header) == seconds


def test_nothing_is_waited_for_without_a_known_state(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    path = f"{ENVIRONMENTS}/{coming}"

    plain = ann.with_headers(prefer=AHEAD).get(path)
    other = ann.with_headers(prefer=AHEAD, if_none_match='"99"').get(path)
    outdated = ann.with_headers(prefer=AHEAD, if_match='"99"').get(path)

    assert [plain.status, other.status, outdated.status] == [200, 200, 412]
    assert clock.waited == 0


def test_a_request_without_time_to_wait_is_answered_at_once(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    answer = wait(ann, f"{ENVIRONMENTS}/{coming}", "wait=0")

    assert (answer.status, answer.headers["preference-applied"]) == (304, "wait=0")
    assert clock.waited == 0


def test_nobody_waits_for_what_never_changes(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    world.comes_up(coming)
    deployment = world.deployment(coming, ann.principal)
    rollouts.acquire_next(coming)
    world.succeeds(deployment)
    world.is_destroyed(coming)

    answers = [wait(ann, f"{ENVIRONMENTS}/{coming}"), wait(ann, f"{DEPLOYMENTS}/{deployment}")]

    assert [each.status for each in answers] == [304, 304]
    assert clock.waited == 0


def test_a_head_waits_as_a_get_does(ann: Client, coming: EnvironmentId, clock: Clock) -> None:
    path = f"{ENVIRONMENTS}/{coming}"
    tag = ann.get(path).headers["etag"]
    clock.after(3, lambda: world.comes_up(coming))

    answer = ann.with_headers(prefer=AHEAD, if_none_match=tag).send("HEAD", path)

    assert (answer.status, answer.raw) == (200, b"")
    assert clock.waited >= 3


def test_a_deployment_and_a_queue_are_waited_for(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    def ends() -> None:
        rollouts.acquire_next(environment)
        world.succeeds(deployment)

    queue = f"{ENVIRONMENTS}/{environment}/queue"
    in_vain = wait(ann, queue)
    clock.after(2, ends)
    changed = wait(ann, queue)
    clock.after(2, lambda: world.deployment(environment, ann.principal))
    longer = wait(ann, queue)
    answers = [in_vain, changed, longer]

    assert [each.status for each in answers] == [304, 200, 200]
    assert [len(each.json) for each in (changed, longer)] == [0, 1]
    clock.after(2, lambda: world.begins(parse(longer.json[0]["id"])))
    begun = wait(ann, f"{DEPLOYMENTS}/{longer.json[0]['id']}")
    assert (begun.status, begun.json["status"]) == (200, "running")


def parse(text: str) -> DeploymentId:
    return DeploymentId(*text.split("_")[1:])


# --- the next line of a log -------------------------------------------------------------------


def test_a_follower_of_a_log_waits_for_the_next_line(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    """From a deployment that waits to its last line, by the Link of each answer alone."""
    rollouts.acquire_next(environment)
    clock.after(4, lambda: log_records.write(deployment, "ship", AT.format(1), "one"))
    clock.after(9, lambda: rollout_ends(deployment))
    follower = ann.with_headers(prefer=AHEAD)
    said, asked = [], 0

    answer = follower.get(f"{DEPLOYMENTS}/{deployment}/logs")
    while True:
        asked += 1
        said += [line["message"] for line in answer.json]
        link = answer.headers.get("link")
        if link is None:
            break
        path, _, query = link.removeprefix(f"<https://{HOST}").partition(">")[0].partition("?")
        answer = follower.send("GET", path, query=query)

    assert said == ["one", "EnvironmentGone: It is going"]
    assert (asked, clock.waited < 12) == (2, True)


def rollout_ends(deployment: DeploymentId) -> None:
    rollout_queue.cancel_all(deployment.environment, "It is going")


def test_a_log_that_gets_no_line_is_empty_and_can_be_followed(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    path = f"{DEPLOYMENTS}/{deployment}/logs"

    answer = ann.with_headers(prefer=AHEAD).get(path)
    known = wait(ann, path)

    assert (answer.status, answer.json) == (200, [])
    assert known.status == 304
    assert answer.headers["link"] == known.headers["link"]
    assert answer.headers["preference-applied"] == "wait=20"
    assert clock.waited == pytest.approx(40)


def test_the_log_of_an_environment_is_waited_for_until_it_ends(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    event = {"action": "running", "to": "running", "actor": "x", "at": AT.format(1)}
    clock.after(5, lambda: log_records.tell(coming, event, {}))

    first = ann.with_headers(prefer=AHEAD).get(f"{ENVIRONMENTS}/{coming}/logs")
    world.is_destroyed(coming)
    last = ann.with_headers(prefer=AHEAD).get(f"{ENVIRONMENTS}/{coming}/logs", cursor="TE9HI34")

    assert [line["step"] for line in first.json] == ["running"]
    assert (last.status, last.json, "link" in last.headers) == (200, [], False)
    assert 5 <= clock.waited < 6.3


# --- what the query names ---------------------------------------------------------------------


def test_a_request_waits_for_the_state_that_it_names(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    path = f"{ENVIRONMENTS}/{coming}"
    fields = {"live_version": "sha-2", "live_deployment_id": "dep"}
    clock.after(2, lambda: world.becomes(coming, "provisioning", action="stack_known"))
    clock.after(5, lambda: world.comes_up(coming))
    clock.after(9, lambda: world.becomes(coming, "running", action="deployed", **fields))
    waits_for = ann.with_headers(prefer=AHEAD)

    up = waits_for.get(path, wait_for="running")
    live = waits_for.get(path, wait_for="version:sha-2")
    still = waits_for.get(path, wait_for="version:sha-2")

    assert (up.status, up.json["status"]) == (200, "running")
    assert (live.status, live.json["live_version"]) == (200, "sha-2")
    assert live.headers["preference-applied"] == "wait=20"
    assert (still.status, "preference-applied" in still.headers) == (200, False)
    assert 9 <= clock.waited < 10.3


def test_what_cannot_be_any_more_is_not_waited_for(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    path = f"{ENVIRONMENTS}/{coming}"
    clock.after(3, lambda: world.becomes(coming, "failed"))
    waits_for = ann.with_headers(prefer=AHEAD)

    failed = waits_for.get(path, wait_for="running")
    again = waits_for.get(path, wait_for="version:sha-2")
    past = waits_for.get(path, wait_for="provisioning")

    assert [each.json["status"] for each in (failed, again, past)] == ["failed"] * 3
    assert 3 <= clock.waited < 4.3


def test_a_version_that_was_not_shipped_is_waited_for_until_its_deployment_has_ended(
    ann: Client, environment: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, goal = f"{ENVIRONMENTS}/{environment}", "version:sha-2"
    waits_for = ann.with_headers(prefer=AHEAD)
    never_asked_for = waits_for.get(path, wait_for=goal)
    deployment = world.deployment(environment, ann.principal, "sha-2")
    clock.after(3, lambda: rollout_ends(deployment))
    made = between.counted(monkeypatch)

    failed = waits_for.get(path, wait_for=goal)
    at_once = waits_for.get(path, wait_for=goal)
    world.deployment(environment, ann.principal, "sha-2")
    again = ann.with_headers(prefer="wait=2").get(path, wait_for=goal)

    assert [each.status for each in (never_asked_for, failed, at_once, again)] == [200] * 4
    assert "live_version" in failed.json and failed.json["live_version"] is None
    assert 20 + 3 + 2 <= clock.waited < 20 + 4.3 + 2
    assert made[0] == "Query + BatchGetItem"


def test_when_the_time_is_up_the_answer_is_what_is_there(
    ann: Client, coming: EnvironmentId, clock: Clock
) -> None:
    answer = ann.with_headers(prefer="wait=3").get(
        f"{ENVIRONMENTS}/{coming}", wait_for="version:sha-2"
    )

    assert (answer.status, answer.json["status"]) == (200, "provisioning")
    assert answer.headers["preference-applied"] == "wait=3"
    assert clock.waited == pytest.approx(3)


def test_a_version_that_is_in_doubt_is_not_live(
    ann: Client, environment: EnvironmentId, clock: Clock
) -> None:
    doubt = {"live_version": "sha-2", "live_in_doubt": "dep_1"}
    world.becomes(environment, "running", action="live_in_doubt", **doubt)

    ann.with_headers(prefer="wait=3").get(f"{ENVIRONMENTS}/{environment}", wait_for="version:sha-2")

    assert clock.waited == pytest.approx(3)


@pytest.mark.parametrize("goal", ["ended", "canceled"])
def test_a_request_waits_until_a_deployment_has_ended(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock, goal: str
) -> None:
    clock.after(2, lambda: rollouts.acquire_next(environment))
    clock.after(4, lambda: rollout_ends(deployment))
    path = f"{DEPLOYMENTS}/{deployment}"

    ended = ann.with_headers(prefer=AHEAD).get(path, wait_for=goal)
    never = ann.with_headers(prefer=AHEAD).get(path, wait_for="succeeded")

    assert [each.json["status"] for each in (ended, never)] == ["canceled"] * 2
    assert 4 <= clock.waited < 5.3


@pytest.mark.parametrize("prefer", [None, AHEAD])
@pytest.mark.parametrize(
    ("path", "goals"),
    [
        (ENVIRONMENTS, ["flying", "", "ended", "version:", "version:a b", "version:" + "a" * 101]),
        (DEPLOYMENTS, ["running ", "destroyed", "version:sha-1"]),
    ],
)
def test_what_can_never_be_is_refused(
    ann: Client,
    deployment: DeploymentId,
    clock: Clock,
    path: str,
    goals: list[str],
    prefer: str | None,
) -> None:
    caller = ann.with_headers(prefer=prefer) if prefer else ann
    thing = deployment if path == DEPLOYMENTS else deployment.environment

    for goal in goals:
        answer = caller.get(f"{path}/{thing}", wait_for=goal)
        assert_refused(answer, 422, "invalid_request", "?wait_for")
    assert clock.waited == 0


# --- who may wait, and how many ---------------------------------------------------------------


def test_a_wait_ends_with_the_session(ann: Client, coming: EnvironmentId, clock: Clock) -> None:
    clock.after(3, lambda: ann.post("/api/v1/auth/logout"))

    answer = wait(ann, f"{ENVIRONMENTS}/{coming}")

    assert_refused(answer, 401, "session_ended")
    assert 3 <= clock.waited < 4.3
    assert entries() == []


def test_a_wait_ends_with_the_membership(
    ann: Client, project: ProjectId, coming: EnvironmentId, clock: Clock
) -> None:
    key = project_records.member(project, ann.user_id)
    clock.after(3, lambda: table.write(Delete(key)))

    assert_refused(wait(ann, f"{ENVIRONMENTS}/{coming}"), 404, "not_found")
    assert clock.waited < 4.3


def test_a_wait_ends_with_the_token(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expires() -> None:
        monkeypatch.setattr(tokens, "authenticate", Mock(side_effect=TokenExpired()))

    clock.after(3, expires)

    assert_refused(wait(ann, f"{ENVIRONMENTS}/{coming}"), 401, "token_expired")
    assert clock.waited < 4.3


def allow(monkeypatch: pytest.MonkeyPatch, waits: int, per_caller: int) -> None:
    given = f"100,100,500,200,200,200,200,200,0,{waits},{per_caller}"
    monkeypatch.setenv("LIMITS", given)
    limits.cache_clear()


def test_one_caller_too_often_does_not_wait(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, 5, 2)
    places = [waits.take(ann.user_id, 20) for _ in range(2)]
    path = f"{ENVIRONMENTS}/{coming}"

    full = wait(ann, path)
    named = ann.with_headers(prefer=AHEAD).get(path, wait_for="running")
    assert places[0]
    waits.give_back(places[0])
    free = wait(ann, path)

    assert (full.status, full.headers["preference-applied"]) == (304, "wait=0")
    assert (named.status, named.headers["preference-applied"]) == (200, "wait=0")
    assert free.headers["preference-applied"] == "wait=20"
    assert clock.waited == pytest.approx(20)


def test_all_callers_together_leave_executions_to_others(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, 3, 2)
    places = [waits.take(f"usr_{n}", 20) for n in range(5)]

    answer = wait(ann, f"{ENVIRONMENTS}/{coming}")

    assert [place is not None for place in places] == [True] * 3 + [False] * 2
    assert (answer.headers["preference-applied"], clock.waited) == ("wait=0", 0)
    assert len(entries()) == 3


def test_many_at_once_never_take_more_places_than_there_are(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, 3, 3)

    places = between.side_by_side(*[lambda: waits.take("usr_1", 20)] * 8)

    assert sum(place is not None for place in places) <= 3
    assert len(entries()) == sum(place is not None for place in places)


def test_the_place_of_a_process_that_was_killed_is_free_again(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, 1, 1)
    assert waits.take("usr_1", 20)
    assert waits.take("usr_1", 20) is None
    later = time.time() + 31
    monkeypatch.setattr(waits, "time", SimpleNamespace(time=lambda: later))

    place = waits.take("usr_2", 20)
    assert place
    waits.give_back(place)

    assert entries() == []


def test_nobody_waits_where_the_stack_allows_none(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, 0, 0)

    answer = wait(ann, f"{ENVIRONMENTS}/{coming}")

    assert (answer.status, answer.headers["preference-applied"]) == (304, "wait=0")
    assert clock.waited == 0


def test_a_request_whose_place_cannot_be_written_does_not_wait(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{ENVIRONMENTS}/{coming}"
    tag = ann.get(path).headers["etag"]
    between.fails(monkeypatch, "UpdateItem", between.error("ThrottlingException"))

    answer = ann.with_headers(prefer=AHEAD, if_none_match=tag).get(path)

    assert (answer.status, answer.headers["preference-applied"]) == (304, "wait=0")


def test_a_wait_during_which_the_table_fails_says_so_and_gives_its_place_back(
    ann: Client, coming: EnvironmentId, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        between.fails(monkeypatch, "BatchGetItem", between.error("ThrottlingException"))

    clock.after(2, fails)

    answer = wait(ann, f"{ENVIRONMENTS}/{coming}")

    assert (answer.status, answer.headers["retry-after"] != "") == (503, True)
    assert entries() == []


def test_other_routes_do_not_wait(ann: Client, project: ProjectId, clock: Clock) -> None:
    answer = wait(ann, f"/api/v1/projects/{project}")

    assert (answer.status, clock.waited) == (304, 0)
    assert "preference-applied" not in answer.headers
