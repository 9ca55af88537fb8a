"""A caller sends as many requests a minute as the stack allows, and hears how many are left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slipway.aws import dynamodb
from slipway.domain.ids import ProjectId
from slipway.settings import limits
from slipway.store import rates
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client
from tests.support.api.people import signed_in
from tests.support.store import between

PROJECTS = "/api/v1/projects"
ME = "/api/v1/auth/me"


class Clock:
    """The time, 18 seconds into a minute: into the last one, because PyJWT reads the real time and
    refuses a token that was issued later."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = time.time() // 60 * 60 - 42
        patch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def allow(
    ann: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Sets the requests a minute, once ann has signed in."""

    def sets(number: int) -> None:
        given = limits()._replace(requests_per_minute=number)
        monkeypatch.setenv("LIMITS", ",".join(map(str, given)))
        limits.cache_clear()

    yield sets
    limits.cache_clear()


def statuses(client: Client, count: int, path: str = PROJECTS) -> list[int]:
    return [client.get(path).status for _ in range(count)]


def test_the_next_request_after_the_last_is_refused_until_the_minute_ends(
    ann: Client, clock: Clock, allow: Callable[[int], None]
) -> None:
    allow(5)

    assert statuses(ann, 5) == [200] * 5
    answer = ann.get(PROJECTS)

    assert_refused(answer, 429, "too_many_requests")
    assert answer.json["limit"] == 5
    assert answer.headers["retry-after"] == "42"
    assert answer.headers["ratelimit"] == '"requests";r=0;t=42'
    clock.now += 41
    assert ann.get(PROJECTS).status == 429
    clock.now += 1
    assert ann.get(PROJECTS).headers["ratelimit"] == '"requests";r=4;t=60'


def test_every_answer_to_a_caller_tells_the_policy_and_what_is_left(
    ann: Client, project: ProjectId, allow: Callable[[int], None]
) -> None:
    allow(600)
    new = {"name": "web"}

    answers = [
        ann.get(PROJECTS),
        ann.get(f"{PROJECTS}/{project}"),
        ann.get(f"{PROJECTS}/prj_unknown"),
        ann.post(PROJECTS, {}),
        ann.post(PROJECTS, {"name": "payments"}),
        ann.with_headers(idempotency_key="1").post(PROJECTS, new),
        ann.with_headers(idempotency_key="1").post(PROJECTS, new),
        ann.delete(f"{PROJECTS}/{project}"),
        ann.get(ME),
    ]

    assert [each.status for each in answers] == [200, 200, 404, 422, 409, 201, 201, 204, 200]
    left = [each.headers["ratelimit"] for each in answers]
    assert left == [f'"requests";r={n};t=42' for n in range(599, 590, -1)]
    assert {each.headers["ratelimit-policy"] for each in answers} == {'"requests";q=600;w=60'}


def test_strangers_hear_of_no_limit_and_are_not_counted(
    ann: Client, nobody: Client, allow: Callable[[int], None]
) -> None:
    allow(1)

    for _ in range(3):
        answer = nobody.get(PROJECTS)
        assert answer.status == 401
        assert not [name for name in answer.headers if name.startswith("ratelimit")]
        assert nobody.get("/.well-known/jwks.json").status == 200
    assert ann.get(PROJECTS).status == 200


def test_callers_are_counted_apart(ann: Client, bob: Client, allow: Callable[[int], None]) -> None:
    allow(1)

    assert statuses(ann, 2) == statuses(bob, 2) == [200, 429]


def test_two_processes_share_the_count_and_together_serve_no_read_too_many(
    ann: Client, allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(100)
    served = []
    processes: list[dict[str, Any]] = [{}, {}, {}]
    for n in range(180):
        monkeypatch.setattr(rates, "_known", processes[n % 3])
        served.append(ann.get(PROJECTS).status)

    # Each lease is at most a fiftieth, of which all but one may be lost in each process.
    assert 100 - 3 <= served.count(200) <= 100
    assert set(served) == {200, 429}


def test_a_write_beyond_the_limit_is_refused_and_changes_nothing(
    ann: Client, allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(1)
    assert ann.get(PROJECTS).status == 200
    monkeypatch.setattr(rates, "_known", {})

    refused = ann.post(PROJECTS, {"name": "web"})

    assert (refused.status, refused.json["code"]) == (429, "too_many_requests")
    allow(0)
    assert ann.get(PROJECTS).json == []


def test_counting_adds_no_round_trip_and_one_write_in_a_dozen_requests(
    ann: Client, allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(600)
    ann.get(PROJECTS)
    made = between.counted(monkeypatch)

    statuses(ann, 120)

    assert len(made) == 120
    writes = [each for each in made if "UpdateItem" in each]
    assert len(writes) <= 3 + 120 / 12
    assert set(made) - set(writes) == {"Query + BatchGetItem"}


def test_a_refused_caller_costs_no_call(
    ann: Client, allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(1)
    ann.get(PROJECTS)
    made = between.counted(monkeypatch)

    assert statuses(ann, 5) == [429] * 5
    assert made == []


def test_a_count_that_cannot_be_written_refuses_nobody_and_is_logged(
    ann: Client,
    allow: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    allow(5)
    real = dynamodb._each_once

    def fails(bodies: Any) -> Any:
        busy = dynamodb.DynamoDBError("ThrottlingException", {})
        outcomes = real(bodies)
        return [
            busy if op == "UpdateItem" else o for (op, _), o in zip(bodies, outcomes, strict=True)
        ]

    monkeypatch.setattr(dynamodb, "_each_once", fails)

    answers = [ann.get(PROJECTS) for _ in range(3)]

    assert [each.status for each in answers] == [200] * 3
    assert caplog.messages.count("A caller's requests could not be counted") == 3
    assert answers[-1].headers["ratelimit"] == '"requests";r=2;t=42'


def test_nothing_is_counted_where_the_stack_sets_no_limit(
    ann: Client, allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(0)
    ann.get(PROJECTS)
    made = between.counted(monkeypatch)

    answer = ann.get(PROJECTS)

    assert not [name for name in answer.headers if re.match("ratelimit", name)]
    assert made == ["Query + BatchGetItem"]


def test_a_process_remembers_a_bounded_number_of_callers(
    clock: Clock, environ: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITS", "1,1,1,1,1,1,1,1,5")
    limits.cache_clear()
    monkeypatch.setattr(rates, "_MOST_CALLERS", 3)

    for n in range(10):
        rates.begin(f"usr_{n}")

    assert list(rates._known) == ["usr_7", "usr_8", "usr_9"]


def test_the_session_is_told_before_the_limit(
    ann: Client, allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(2)
    assert ann.post("/api/v1/auth/logout").status == 204
    monkeypatch.setattr(rates, "_known", {})

    assert ann.get(PROJECTS).status == 401


def test_a_new_user_has_requests_of_their_own(ann: Client, allow: Callable[[int], None]) -> None:
    allow(2)
    statuses(ann, 3)

    assert statuses(signed_in("carl@example.com"), 3) == [200, 200, 429]
