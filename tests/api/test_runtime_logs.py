"""`GET /environments/{id}/runtime-logs`: what an environment's own functions write."""

from __future__ import annotations

import json
import random
import time
from types import SimpleNamespace
from typing import Any

import pytest

from slipway import aws
from slipway.domain.following import FRESH, OVERLAP, SETTLES
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.masking import WITHHELD
from slipway.errors import DriverFault, DriverRefused
from slipway.services import known_secrets, rollouts, runtime_logs, runtime_sources
from slipway.settings import limits
from slipway.store import deployment_records, rates, source_records, table
from slipway.store.table import Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import HOST, Answer, Client
from tests.support.api.people import joins
from tests.support.cloudwatch import CloudWatch, throttled
from tests.support.event_source import EventSource, Response
from tests.support.store import world
from tests.support.waiting_clock import Clock, clock

__all__ = ["clock"]

NOW = 1_800_000_000_000
STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/slipway-env-x/1"
REQUEST = "8f507cfc-3b1c-4697-b07a-ac58fc914c95"


@pytest.fixture
def cloud(environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    """The environment has a stack with one function, `Web`."""
    world.is_of_a_template(environment)
    world.becomes(environment, "running", stack_id=STACK)
    known_secrets.forget()
    made = CloudWatch(str(environment), NOW)
    made.add_function("Web")
    monkeypatch.setattr(aws, "call", made.call)
    fake = SimpleNamespace(time=lambda: made.now / 1000)
    monkeypatch.setattr(runtime_logs, "time", fake)
    return made


@pytest.fixture
def path(environment: EnvironmentId) -> str:
    return f"/api/v1/environments/{environment}/runtime-logs"


def group(cloud: CloudWatch, source: str = "Web") -> str:
    return cloud.functions[source]


def messages(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [line["message"] for line in answer.json]


def following(answer: Answer) -> tuple[str, str]:
    """The path and the query of the next page."""
    link = answer.headers["link"].removeprefix(f"<https://{HOST}").partition(">")[0]
    where, _, query = link.partition("?")
    return where, query


def go_on(caller: Client, answer: Answer) -> Answer:
    where, query = following(answer)
    return caller.send("GET", where, query=query)


# --- what a line says -------------------------------------------------------------------------


def test_a_line_is_told_with_its_source_level_and_request(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    told = {"level": "WARNING", "message": "slow", "function_request_id": REQUEST, "took": 9}
    cloud.write(group(cloud), json.dumps(told) + "\n")

    answer = ann.get(path)

    assert answer.json == [
        {
            "ts": "2027-01-15T08:00:00.000Z",
            "source": "Web",
            "level": "warning",
            "message": "slow",
            "request_id": REQUEST,
            "deployment_id": None,
            "fields": {"took": 9},
        }
    ]


@pytest.mark.parametrize(
    ("text", "level", "request_id", "message"),
    [
        (f"START RequestId: {REQUEST} Version: 3", None, REQUEST, None),
        (f"REPORT RequestId: {REQUEST}\tDuration: 3 ms", None, REQUEST, None),
        (f"[ERROR]\t2026-11-23T01:02:03.456Z\t{REQUEST}\tno", "error", REQUEST, None),
        (f"2026-11-23T01:02:03.456Z\t{REQUEST}\tWARN\tno", "warning", REQUEST, None),
        ("plain", None, None, None),
        ('{"message": "half', None, None, None),
        ("{}", None, None, None),
        ('["message"]', None, None, None),
        ('{"severity": "FATAL", "msg": "gone"}', "error", None, "gone"),
        ('{"level": 30, "msg": "as pino writes"}', None, None, "as pino writes"),
        ('{"level": "INFO", "requestId": "r-1", "order": 1}', "info", "r-1", None),
        ('{"message": "\\ud800", "n": 1}', None, None, None),
        ('{"message": {"nested": true}}', None, None, None),
        (
            f'{{"type": "platform.start", "record": {{"requestId": "{REQUEST}"}}}}',
            None,
            REQUEST,
            None,
        ),
        ("[" * 100_000, None, None, None),
    ],
)
def test_lines_are_read_as_their_loggers_write_them(
    ann: Client,
    cloud: CloudWatch,
    path: str,
    text: str,
    level: str | None,
    request_id: str | None,
    message: str | None,
) -> None:
    cloud.write(group(cloud), text)

    [line] = ann.get(path).json

    assert (line["level"], line["request_id"]) == (level, request_id)
    assert line["message"] == (message or (text if len(text) < 1000 else text[:15_993] + "… (cut)"))


def test_deeply_nested_fields_and_strange_numbers_are_answered(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    nested = "[" * 900 + "]" * 900
    cloud.write(group(cloud), f'{{"message": "deep", "a": {nested}}}')
    cloud.write(group(cloud), '{"message": "numbers", "a": NaN, "b": 1e999, "c": -0}')
    cloud.write(group(cloud), f'{{"message": "long", "a": {"9" * 5000}}}')

    answer = ann.get(path)

    assert (answer.status, len(answer.json)) == (200, 3)


def test_a_line_names_the_deployment_that_was_live(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId, deployment: DeploymentId
) -> None:
    rollouts.acquire_next(environment)
    world.succeeds(deployment)
    finished = "2027-01-15T08:00:10.000Z"
    table.write(
        Update(deployment_records.key(deployment), "SET finished_at = :at", {"at": finished})
    )
    cloud.write(group(cloud), "before", at=NOW + 9_999)
    cloud.write(group(cloud), "after", at=NOW + 10_000)
    cloud.now = NOW + 60_000

    lines = ann.get(path, since="2027-01-15T08:00:00Z").json

    assert [line["deployment_id"] for line in lines] == [None, str(deployment)]


def test_a_simulated_environment_has_no_lines(ann: Client, environment: EnvironmentId) -> None:
    answer = ann.get(f"/api/v1/environments/{environment}/runtime-logs")

    assert (answer.status, answer.json) == (200, [])
    assert "link" in answer.headers


# --- following --------------------------------------------------------------------------------


def test_ten_thousand_lines_are_followed_by_two_whose_connections_are_cut(
    ann: Client, cloud: CloudWatch, path: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EventSource and pages side by side, while lines come late, out of order, and are found later:
    each gets every line once."""
    any_number = limits()._replace(requests_per_minute=0)
    monkeypatch.setattr(rates, "limits", lambda: any_number)
    cloud.add_function("Worker")
    chance = random.Random(7)
    for n in range(10_000):
        cloud.write(
            group(cloud, chance.choice(["Web", "Worker"])),
            f"line {n:05}",
            at=NOW + chance.randrange(60_000),
            late=chance.choice([0, 0, 0, 400, 9_000]),
            unseen=chance.choice([0, 0, 200, SETTLES - 1]),
        )
    until = "2027-01-15T08:01:00Z"
    query = {"since": "2027-01-15T08:00:00Z", "until": until}

    def ask(headers: dict[str, str]) -> Response:
        cloud.now += chance.randrange(2_000)
        named = {name.replace("-", "_"): value for name, value in headers.items()}
        answer = ann.with_headers(prefer="wait=0", **named).get(path, **query)
        whole = chance.random() < 0.8
        end = None if whole else chance.randrange(len(answer.raw) + 1)
        return Response(answer.status, answer.headers.get("content-type", ""), answer.raw[:end])

    stream = EventSource(ask)
    pages: list[str] = []
    page: Answer | None = ann.get(path, **query)
    last = NOW + 60_000 + OVERLAP + 2 * SETTLES
    for _ in range(2_000):
        if stream.is_open:
            stream.connect()
        if page is not None:
            pages += messages(page)
            page = go_on(ann, page) if "link" in page.headers else None
        if not stream.is_open and page is None:
            break
        if len(pages) == len(stream.data) == 10_000:
            cloud.now = max(cloud.now, last)

    expected = [f"line {n:05}" for n in range(10_000)]
    assert (stream.is_open, page) == (False, None)
    assert sorted(pages) == expected
    assert sorted(json.loads(each)["message"] for each in stream.data) == expected
    print(f"{stream.asked} connections, {cloud.calls.count('filter_log_events')} searches")


def test_a_page_has_a_link_as_long_as_the_environment_lives(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    cloud.write(group(cloud), "one")
    first = ann.get(path)
    empty = go_on(ann, first)
    cloud.now += 3_600_000
    much_later = go_on(ann, empty)
    world.is_destroyed(environment)
    record_ended = int(time.time() * 1000)
    cloud.now = record_ended + 1
    just_ended = go_on(ann, much_later)
    cloud.now = record_ended + OVERLAP + SETTLES + 2_000
    over = go_on(ann, just_ended)

    pages = (first, empty, much_later, just_ended, over)
    assert [messages(each) for each in pages] == [["one"], [], [], [], []]
    assert ["link" in each.headers for each in pages] == [True] * 4 + [False]


def test_the_same_cursor_gives_the_same_lines_again(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    for n in range(9):
        cloud.write(group(cloud), f"{n}", at=NOW - 60_000 + n)

    first = ann.get(path, limit=4)
    again = [go_on(ann, first) for _ in range(3)]

    assert [messages(each) for each in again] == [["4", "5", "6", "7"]] * 3


def test_a_cursor_keeps_the_beginning_that_was_meant_by_default(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    cloud.write(group(cloud), "old", at=NOW - 3_600_001)
    cloud.write(group(cloud), "new", at=NOW - 3_599_000)

    first = ann.get(path)
    cloud.now += 7_200_000
    cloud.write(group(cloud), "late", at=NOW + 1)
    second = go_on(ann, first)

    assert (messages(first), messages(second)) == (["new"], ["late"])


def test_a_request_waits_for_a_line_and_searches_seldom(
    ann: Client, cloud: CloudWatch, path: str, clock: Clock
) -> None:
    clock.after(6, lambda: cloud.write(group(cloud), "at last"))

    answer = ann.with_headers(prefer="wait=20").get(path)

    assert messages(answer) == ["at last"]
    assert answer.headers["preference-applied"] == "wait=20"
    assert 6 <= clock.waited < 12
    assert cloud.calls.count("filter_log_events") < 7


def test_a_busy_log_lags_a_little_and_loses_nothing(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    for n in range(FRESH + 5):
        cloud.write(group(cloud), f"{n:03}", at=NOW - 1_000 + n)

    first = ann.get(path)
    cloud.now += SETTLES
    second = go_on(ann, first)

    assert len(first.json) == FRESH
    assert messages(first) + messages(second) == [f"{n:03}" for n in range(FRESH + 5)]


# --- what the query asks for ------------------------------------------------------------------


def test_times_sources_and_texts_are_chosen(ann: Client, cloud: CloudWatch, path: str) -> None:
    cloud.add_function("Worker")
    for n in range(5):
        cloud.write(group(cloud), f"web {n}", at=NOW - 60_000 + n * 1000)
        cloud.write(group(cloud, "Worker"), f"worker {n}", at=NOW - 60_000 + n * 1000)
    at = {"since": "2027-01-15T07:59:01Z", "until": "2027-01-15T07:59:02.500+00:00"}

    both = ann.get(path, **at)
    one = ann.get(path, source="Worker", **at)
    text = ann.get(path, filter="er 4")

    assert messages(both) == ["web 1", "worker 1", "web 2", "worker 2"]
    assert messages(one) == ["worker 1", "worker 2"]
    assert messages(text) == ["worker 4"]


def test_lines_that_are_passed_over_are_not_waited_for(
    ann: Client, cloud: CloudWatch, path: str, clock: Clock
) -> None:
    for n in range(12_000):
        cloud.write(group(cloud), f"{n:05}", at=NOW - 600_000 + n)

    answer, pages = ann.with_headers(prefer="wait=20").get(path, filter="11999"), 1
    while not answer.json:
        answer = go_on(ann.with_headers(prefer="wait=20"), answer)
        pages += 1

    assert (messages(answer), clock.waited) == (["11999"], 0)
    assert pages < 5


def test_a_text_is_looked_for_in_what_is_shown(ann: Client, cloud: CloudWatch, path: str) -> None:
    cloud.write(group(cloud), json.dumps({"message": "gr\u00fc\u00df \u201eGott\u201c"}))

    assert len(ann.get(path, filter="gr\u00fc\u00df \u201eG").json) == 1
    assert ann.get(path, filter="Gr\u00fc\u00df").json == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "?limit"),
        ({"limit": "101"}, "?limit"),
        ({"since": "yesterday"}, "?since"),
        ({"since": "2026-11-23T01:02:03"}, "?since"),
        ({"until": "1800000000"}, "?until"),
        ({"since": "2027-01-02T00:00:00Z", "until": "2027-01-01T00:00:00Z"}, "?"),
        ({"source": "No-Id"}, "?source"),
        ({"source": "Api"}, "?source"),
        ({"filter": ""}, "?filter"),
        ({"filter": "a" * 201}, "?filter"),
        ({"cursor": "x"}, "?cursor"),
        ({"cursor": "TE9HI34"}, "?cursor"),
        ({"cursor": "a" * 1001}, "?cursor"),
        ({"tail": "true"}, "?tail"),
    ],
)
def test_what_the_query_cannot_mean_is_refused(
    ann: Client, cloud: CloudWatch, path: str, query: dict[str, str], pointer: str
) -> None:
    answer = ann.get(path, **query)

    assert_refused(answer, 422, "invalid_request", pointer)
    assert "filter_log_events" not in cloud.calls


def test_one_of_many_functions_has_to_be_named(ann: Client, cloud: CloudWatch, path: str) -> None:
    for n in range(runtime_sources.MOST):
        cloud.add_function(f"F{n}")
    cloud.write(group(cloud, "F3"), "three")

    refused, answer = ann.get(path), ann.get(path, source="F3")

    assert_refused(refused, 422, "invalid_request", "?source")
    assert "F3" in refused.json["detail"]
    assert messages(answer) == ["three"]


# --- who may read, and what is hidden ---------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("deployer", 200), ("maintainer", 200), ("owner", 200)]
)
def test_reading_is_a_right_of_its_own(
    role: Any, status: int, bob: Client, project: ProjectId, cloud: CloudWatch, path: str
) -> None:
    joins(project, bob, role)

    answer = bob.get(path)

    assert answer.status == status
    if status == 403:
        assert_refused(answer, 403, "forbidden")
        assert answer.json["required_role"] == "deployer"
        assert "filter_log_events" not in cloud.calls


def test_a_role_can_be_lowered_in_a_tier(
    bob: Client, project: ProjectId, environment: EnvironmentId, cloud: CloudWatch, path: str
) -> None:
    world.becomes(environment, "running", tier="production")
    joins(project, bob, "deployer", {"production": "viewer"})

    assert_refused(bob.get(path), 403, "forbidden")


def test_nobody_else_learns_that_there_is_a_log(
    bob: Client, nobody: Client, cloud: CloudWatch, path: str
) -> None:
    assert_refused(bob.get(path), 404, "not_found")
    assert_refused(nobody.get(path), 401, "token_missing")
    assert cloud.calls == []


def test_secrets_are_masked_in_every_form_that_a_line_gives_them(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    of_scope = cloud.prefix.removeprefix("slipway-env-")[:8]
    cloud.secrets = {
        f"/slipway/environments/{environment}/Password": "hunter2-hunter2",
        f"/slipway/environments/{environment}/secrets/KEY/1": 'k\u00e9y/with+"quotes"',
        f"/slipway/configurations/{of_scope}/4/TOKEN": "tok_0123456789",
        "/slipway/environments/another/Password": "of another",
    }
    cloud.write(group(cloud), "signed in with hunter2-hunter2")
    cloud.write(
        group(cloud), json.dumps({"message": 'k\u00e9y/with+"quotes"', "n": "tok_0123456789"})
    )
    cloud.write(group(cloud), '{"message": "\\u0068unter2-hunter2", "\\u0074ok_0123456789": 1}')
    cloud.write(group(cloud), "of another")

    text = ann.get(path).text

    for value in ("hunter2", "quotes", "tok_0123456789"):
        assert value not in text
    assert text.count("****") >= 4
    assert "of another" in text


def test_a_filter_does_not_tell_a_secret(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    cloud.secrets = {f"/slipway/environments/{environment}/Password": "hunter2-hunter2"}
    cloud.write(group(cloud), "signed in with hunter2-hunter2")
    cloud.write(group(cloud), json.dumps({"message": "\u0000hunter2-hunter2"}))

    found = {text: len(ann.get(path, filter=text).json) for text in ("hunter", "h", "with", "****")}

    assert found == {"hunter": 0, "h": 1, "with": 1, "****": 2}


def test_a_short_secret_withholds_the_line(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    cloud.secrets = {f"/slipway/environments/{environment}/Pin": "42"}
    cloud.write(group(cloud), "the pin is 42")

    assert messages(ann.get(path)) == [WITHHELD]


def test_secrets_are_read_once_for_many_pages_and_again_when_the_environment_changes(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    for _ in range(3):
        ann.get(path)
    before = cloud.calls.count("get_parameters_by_path")
    cloud.secrets = {f"/slipway/environments/{environment}/secrets/KEY/2": "a new value"}
    world.becomes(environment, "running", stack_id=STACK)
    cloud.write(group(cloud), "a new value")

    # Once to look up the functions, and of two paths to mask their lines.
    assert before == 3
    assert messages(ann.get(path)) == ["****"]


def test_a_line_whose_secrets_cannot_be_read_is_not_shown(
    ann: Client, cloud: CloudWatch, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.write(group(cloud), "perhaps a secret")

    def refuse(**_: Any) -> None:
        raise DriverRefused("AccessDeniedException: not authorized")

    monkeypatch.setattr(cloud, "_get_parameters_by_path", refuse)

    assert_refused(ann.get(path), 503, "driver_fault")


def test_the_log_of_another_environment_or_of_the_platform_is_not_read(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    for name, other in (
        ("A", "slipway-env-00000000zzzz-Web"),
        ("B", "/aws/lambda/slipway-env-00000000zzzz-Web"),
        ("C", "slipway-FunctionLogs-ABC"),
        ("D", "/aws/lambda/slipway-AuthFunction"),
    ):
        cloud.add_function(name, other)
        cloud.write(other, "not yours")
    cloud.write(group(cloud), "yours")

    answer = ann.get(path)

    assert messages(answer) == ["yours"]
    assert messages(ann.get(path, source="A")) == []


# --- what it costs ----------------------------------------------------------------------------


def test_a_search_counts_as_several_requests_of_the_caller(
    ann: Client, cloud: CloudWatch, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = limits()._replace(requests_per_minute=60)
    monkeypatch.setattr(rates, "limits", lambda: few)
    rates.forget()

    answers = [ann.get(path) for _ in range(30)]

    served = [each for each in answers if each.status == 200]
    assert 60 // (1 + runtime_logs.SEARCH) <= len(served) <= 60 // runtime_logs.SEARCH + 2
    assert_refused(answers[-1], 429, "too_many_requests")
    assert cloud.calls.count("filter_log_events") == len(served)


def test_functions_are_looked_up_once_and_again_after_a_deployment(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    for _ in range(3):
        ann.get(path)
    once = (
        cloud.calls.count("list_stack_resources"),
        cloud.calls.count("get_function_configuration"),
    )
    cloud.add_function("New")
    cloud.write(group(cloud, "New"), "new")
    world.becomes(environment, "running", live_deployment_id="dep_2")

    assert once == (1, 1)
    assert messages(ann.get(path)) == ["new"]


def test_no_lookup_changes_the_environment(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    with nothing_changes(but="SOURCES"):
        assert ann.get(path).status == 200
    [kept] = table.get(source_records.key(environment))
    assert kept["sources"]["Web"]["group"] == group(cloud)


@pytest.mark.parametrize("page", [10_000, 100])
def test_each_request_makes_few_searches_however_much_there_is(
    ann: Client, cloud: CloudWatch, path: str, page: int
) -> None:
    cloud.page = page
    for n in range(3_000):
        cloud.write(group(cloud), f"{n:04}", at=NOW - 60_000 + n)

    had: list[str] = []
    answer = ann.get(path)
    while len(had) < 3_000:
        before = len(cloud.calls)
        had += messages(answer)
        answer = go_on(ann, answer)
        assert cloud.calls[before:].count("filter_log_events") <= 8

    assert had == [f"{n:04}" for n in range(3_000)]


def test_empty_answers_before_the_first_line_are_passed(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    cloud.empty = 3
    cloud.write(group(cloud), "found")

    answer = ann.get(path)
    for _ in range(5):
        if answer.json:
            break
        answer = go_on(ann, answer)

    assert messages(answer) == ["found"]


def test_long_lines_make_short_pages(ann: Client, cloud: CloudWatch, path: str) -> None:
    for n in range(20):
        cloud.write(group(cloud), f"{n:02} " + "x" * 200_000, at=NOW - 60_000 + n)

    had: list[str] = []
    answer = ann.get(path)
    while len(had) < 20:
        assert len(answer.raw) < 2_000_000
        had += [line["message"][:2] for line in answer.json]
        answer = go_on(ann, answer)

    assert had == [f"{n:02}" for n in range(20)]


# --- faults -----------------------------------------------------------------------------------


def test_a_group_that_does_not_exist_has_no_lines(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    del cloud.groups[group(cloud)]

    answer = ann.get(path)

    assert (answer.status, answer.json, "link" in answer.headers) == (200, [], True)


def test_a_throttled_search_says_when_to_try_again(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    cloud.faults = [throttled()]

    answer = ann.get(path)

    assert_refused(answer, 429, "logs_busy")
    assert answer.headers["retry-after"] == "5"


def test_a_throttled_search_does_not_end_a_stream_or_a_wait(
    ann: Client, cloud: CloudWatch, path: str, clock: Clock
) -> None:
    cloud.faults = [throttled()]
    stream = ann.with_headers(accept="text/event-stream").get(path)
    clock.after(2, lambda: cloud.faults.append(throttled()))
    clock.after(6, lambda: cloud.write(group(cloud), "at last"))
    waited = ann.with_headers(prefer="wait=20").get(path)

    assert (stream.status, stream.text) == (200, "retry: 5000\n\n")
    assert messages(waited) == ["at last"]


def test_a_fault_of_aws_is_a_503_without_its_words(
    ann: Client, cloud: CloudWatch, path: str
) -> None:
    cloud.faults = [DriverFault("InternalFailure: role arn:aws:iam::123456789012:role/x")]

    answer = ann.get(path)

    assert_refused(answer, 503, "driver_fault")
    assert "123456789012" not in answer.text


# --- after its end ----------------------------------------------------------------------------


def test_the_lines_can_be_read_after_the_end_as_long_as_the_group_lives(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    cloud.write(group(cloud), "the last words")
    ann.get(path)
    world.is_destroyed(environment)
    cloud.functions.clear()

    answer = ann.get(path)
    cloud.groups.clear()
    gone = ann.get(path)

    assert messages(answer) == ["the last words"]
    assert (gone.status, gone.json) == (200, [])


@pytest.mark.parametrize(
    "had", [{"secret_inputs": ["Password"]}, {"configuration": 3}, {"secret_inputs": []}]
)
def test_lines_are_withheld_when_the_secrets_in_them_are_gone(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId, had: dict[str, Any]
) -> None:
    cloud.write(group(cloud), "signed in with hunter2-hunter2")
    world.becomes(environment, "running", stack_id=STACK, **had)
    if had.get("secret_inputs"):
        cloud.secrets = {f"/slipway/environments/{environment}/Password": "hunter2-hunter2"}
        assert messages(ann.get(path)) == ["signed in with ****"]
        cloud.secrets = {}
    world.is_destroyed(environment)

    answer = ann.get(path)

    withheld = bool(had.get("secret_inputs") or had.get("configuration"))
    assert messages(answer) == [WITHHELD if withheld else "signed in with hunter2-hunter2"]
    assert ann.get(path, filter="hunter").json == [] or not withheld


def test_what_was_never_read_before_the_end_is_found_by_the_stack(
    ann: Client, cloud: CloudWatch, path: str, environment: EnvironmentId
) -> None:
    cloud.write(group(cloud), "the last words")
    world.is_destroyed(environment)

    assert messages(ann.get(path)) == ["the last words"]
