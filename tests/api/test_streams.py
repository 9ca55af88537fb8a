"""Logs as event streams, which EventSource and curl follow, and the page for a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.services import rollout_queue, rollouts
from slipway.settings import limits
from slipway.store import log_records
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.event_source import EventSource, Response
from tests.support.store import world
from tests.support.waiting_clock import Clock, clock

__all__ = ["clock"]

ENVIRONMENTS = "/api/v1/environments"
DEPLOYMENTS = "/api/v1/deployments"
STREAM = "text/event-stream"
AT = "2026-11-23T01:02:{:02}.456Z"


def source(
    caller: Client, path: str, cut: Callable[[], int | None] = lambda: None, **query: object
) -> EventSource:
    """An EventSource of the path. `cut` is after how many bytes a connection ends; None: none."""

    def ask(headers: dict[str, str]) -> Response:
        named = {name.replace("-", "_"): value for name, value in headers.items()}
        answer = caller.with_headers(**named).get(path, **query)
        return Response(answer.status, answer.headers.get("content-type", ""), answer.raw[: cut()])

    return EventSource(ask)


def messages(stream: EventSource) -> list[str]:
    return [json.loads(data)["message"] for data in stream.data]


def ends(deployment: DeploymentId) -> None:
    rollout_queue.cancel_all(deployment.environment, "It is going")


def streamed(caller: Client, path: str, **headers: str) -> Answer:
    return caller.with_headers(accept=STREAM, **headers).get(path)


# --- following --------------------------------------------------------------------------------


def test_an_event_source_follows_a_rollout_from_its_beginning_to_its_end(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    rollouts.acquire_next(environment)
    clock.after(4, lambda: log_records.write(deployment, "ship", AT.format(1), "one", "two"))
    clock.after(9, lambda: ends(deployment))
    stream = source(ann, f"{DEPLOYMENTS}/{deployment}/logs")

    stream.follow()

    assert messages(stream) == ["one", "two", "EnvironmentGone: It is going"]
    # Lines, the last line, and the 204 that says that there are no more.
    assert (stream.asked, stream.retry) == (3, 1000)
    assert clock.waited < 12


def test_a_line_is_neither_lost_nor_repeated_when_connections_are_cut(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    rollouts.acquire_next(environment)
    lines = [f"line {n}" for n in range(120)]
    for second in range(4):
        some = lines[second * 30 : second * 30 + 30]
        log_records.write(deployment, "ship", AT.format(second), *some)
    ends(deployment)
    path = f"{DEPLOYMENTS}/{deployment}/logs"
    lengths = count(700, 13)
    whole = source(ann, path, limit=100)
    cut = source(ann, path, lambda: next(lengths), limit=50)

    whole.follow()
    cut.follow()

    # Within a second, DynamoDB orders the lines by their numbers as text.
    assert sorted(messages(whole)[:-1]) == sorted(lines)
    assert messages(cut) == messages(whole)
    assert cut.asked > 10


def test_the_last_event_id_goes_before_the_cursor_of_the_address(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    rollouts.acquire_next(environment)
    log_records.write(deployment, "ship", AT.format(1), "one", "two", "three")
    path = f"{DEPLOYMENTS}/{deployment}/logs"
    page = ann.get(path, limit=1)
    cursor = page.headers["link"].partition("cursor=")[2].partition(">")[0]
    stream = source(ann, path, cursor=cursor, limit=1)

    stream.connect()
    stream.connect()

    assert messages(stream) == ["two", "three"]


def test_the_log_of_an_environment_is_a_stream_as_well(
    ann: Client, environment: EnvironmentId, clock: Clock
) -> None:
    event = {"action": "running", "to": "running", "actor": "x", "at": AT.format(1)}
    clock.after(5, lambda: log_records.tell(environment, event, {}))
    stream = source(ann, f"{ENVIRONMENTS}/{environment}/logs")

    stream.connect()
    world.is_destroyed(environment)
    stream.follow()

    assert messages(stream) == ["The environment is running"]
    assert 5 <= clock.waited < 6.3


def test_a_stream_without_lines_keeps_its_place(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    rollouts.acquire_next(environment)
    stream = source(ann, f"{DEPLOYMENTS}/{deployment}/logs")

    stream.connect()
    kept = stream.last_id
    stream.connect()

    assert (kept != "", stream.last_id, stream.data) == (True, kept, [])
    assert clock.waited == pytest.approx(40)
    assert stream.retry == 1000


def test_a_stream_that_cannot_wait_asks_less_often(
    ann: Client,
    environment: EnvironmentId,
    deployment: DeploymentId,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = limits()._replace(waits=0)
    monkeypatch.setattr("slipway.store.waits.limits", lambda: none)
    stream = source(ann, f"{DEPLOYMENTS}/{deployment}/logs")

    stream.connect()

    assert (clock.waited, stream.retry, stream.is_open) == (0, 5000, True)


def test_a_preference_shortens_the_wait_of_a_stream(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId, clock: Clock
) -> None:
    answer = streamed(ann, f"{DEPLOYMENTS}/{deployment}/logs", prefer="wait=3")

    assert answer.headers["preference-applied"] == "wait=3"
    assert clock.waited == pytest.approx(3)


# --- the answer -------------------------------------------------------------------------------


def test_the_answer_says_what_it_is_and_is_not_cached(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    log_records.write(deployment, "ship", AT.format(1), "one")
    path = f"{DEPLOYMENTS}/{deployment}/logs"

    stream, plain = streamed(ann, path), ann.get(path)

    assert stream.headers["content-type"] == STREAM
    assert stream.headers["cache-control"] == "no-store"
    assert (stream.headers["vary"], plain.headers["vary"]) == ("Accept", "Accept")
    assert ("etag" in stream.headers, "etag" in plain.headers) == (False, True)
    first, event, rest = stream.text.split("\n\n")
    assert (first, rest) == ("retry: 1000", "")
    assert event.startswith("id: ") and "\ndata: {" in event


def test_curl_follows_by_the_ids_alone(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    log_records.write(deployment, "ship", AT.format(1), "one", "two")
    path = f"{DEPLOYMENTS}/{deployment}/logs"

    [first_id, _] = [line for line in streamed(ann, path).text.split("\n") if "id: " in line[:4]]
    rest = streamed(ann, path, last_event_id=first_id.removeprefix("id: "))

    assert '"two"' in rest.text and '"one"' not in rest.text


def test_json_stays_the_answer_of_those_who_like_it_as_much(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    log_records.write(deployment, "ship", AT.format(1), "one")
    path = f"{DEPLOYMENTS}/{deployment}/logs"

    better = ann.with_headers(accept=f"application/json, {STREAM};q=0.5").get(path)
    anything = ann.with_headers(accept="*/*").get(path)
    object_ = ann.with_headers(accept=STREAM).get(f"{DEPLOYMENTS}/{deployment}")

    media = [each.headers["content-type"] for each in (better, anything, object_)]
    assert media == ["application/json"] * 3


# --- refusals ---------------------------------------------------------------------------------


def test_an_id_that_is_none_of_the_log_is_refused(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    path = f"{DEPLOYMENTS}/{deployment}/logs"
    forged = ("x", "TE9H", "%00", "a" * 201, "&limit=1")

    for last_id in forged:
        answer = streamed(ann, path, last_event_id=last_id)
        assert_refused(answer, 422, "invalid_request", "?cursor")


def test_a_stream_needs_a_token_and_a_membership(
    ann: Client, bob: Client, nobody: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    path = f"{DEPLOYMENTS}/{deployment}/logs"

    assert_refused(streamed(nobody, path), 401, "token_missing")
    assert_refused(streamed(bob, path), 404, "not_found")


# --- a browser --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [DEPLOYMENTS, ENVIRONMENTS])
def test_a_browser_is_sent_to_the_page(nobody: Client, path: str) -> None:
    browser = nobody.with_headers(accept="text/html,application/xhtml+xml,*/*;q=0.8")

    answer = browser.get(f"{path}/some_id/logs")

    assert (answer.status, answer.raw) == (303, b"")
    assert answer.headers["location"] == f"/console/{path.rpartition('/')[2]}/some_id"
    assert answer.headers["vary"] == "Accept, Authorization"


def test_the_address_of_the_page_stays_on_the_platform(nobody: Client) -> None:
    browser = nobody.with_headers(accept="text/html")

    answers = [
        browser.get(f"{DEPLOYMENTS}/{part}/logs")
        for part in ("%5C%5Cevil.example", "..%252f..", "a%0d%0aSet-Cookie:%20a", "%2f%2fevil")
    ]

    for answer in answers:
        location = answer.headers.get("location", "/console/deployments/")
        assert location.startswith("/console/deployments/")
        assert "/" not in location.removeprefix("/console/deployments/")
        assert not {"\r", "\n", "\\"} & {*location}


def test_a_program_with_a_token_gets_the_log_whatever_it_accepts(
    ann: Client, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    answer = ann.with_headers(accept="text/html").get(f"{DEPLOYMENTS}/{deployment}/logs")

    assert (answer.status, answer.json) == (200, [])
