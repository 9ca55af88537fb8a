"""No request of up to 1 MB takes more than a second of processor time, on any route."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from slipway.domain import effort, inputs, template_parser
from slipway.domain.allowances import Allowances
from slipway.domain.template import Parameter
from slipway.errors import Invalid, Malformed, TooCostly
from tests.support.api.client import FORM, JSON, call, event
from tests.support.api.people import Stage
from tests.support.api.routes import PATHS, filled, ids_of
from tests.support.security.costly import KINDS, PATTERNS
from tests.support.security.processor_time import MOST_SECONDS, as_in_a_new_process, least_of

SIZE = 1_000_000
ALLOWED = Allowances(["AWS::SQS::*", "AWS::Lambda::*", "AWS::Serverless::Function"])


@pytest.fixture(scope="module", autouse=True)
def new_process() -> None:
    as_in_a_new_process()


def check_template(body: bytes, is_json: bool) -> None:
    with suppress(Invalid, Malformed):
        parsed = template_parser.read(body, is_json=is_json)
        template_parser.check_allowed(parsed, ALLOWED)


@pytest.mark.parametrize("shape", [0, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_checking_a_template_takes_less_than_a_second(kind: str, shape: int) -> None:
    body, is_json = KINDS[kind](SIZE, shape)

    assert SIZE / 100 < len(body) <= SIZE
    assert least_of(lambda: check_template(body, is_json)) < MOST_SECONDS


@pytest.mark.parametrize("pattern,text", PATTERNS)
def test_two_hundred_patterns_take_less_than_a_second(pattern: str, text: str) -> None:
    names = [f"P{n}" for n in range(200)]
    declared = [
        Parameter.model_validate({"name": name, "type": "String", "allowed_pattern": pattern})
        for name in names
    ]

    def check() -> None:
        with suppress(Invalid):
            inputs.checked(declared, {name: text * (4000 // len(text)) for name in names})

    assert least_of(check) < MOST_SECONDS


@pytest.mark.parametrize("type", ["List<Number>", "CommaDelimitedList"])
def test_long_lists_of_values_take_less_than_a_second(type: str) -> None:
    allowed = [str(10**6 + n) for n in range(15_000)]
    declared = [
        Parameter.model_validate({"name": f"P{n}", "type": type, "allowed_values": allowed})
        for n in range(10)
    ]
    given = {each.name: ",".join(allowed[:500]) for each in declared}

    assert least_of(lambda: inputs.checked(declared, given)) < MOST_SECONDS


def test_a_request_that_still_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "SECONDS", 0.01)
    body, is_json = KINDS["deep_branches"](SIZE, 0)

    with pytest.raises(TooCostly) as refused:
        template_parser.read(body, is_json=is_json)

    assert refused.value.code == "too_costly"
    assert [each.pointer for each in refused.value.fields] == ["#"]


def test_a_deadline_holds_for_its_block_alone() -> None:
    with effort.limited(0), pytest.raises(TooCostly):
        for _ in range(1000):
            effort.check()
    for _ in range(1000):
        effort.check()


# --- every route ------------------------------------------------------------------------------

HOSTILE: dict[str, Any] = {
    "nested": b"[" * SIZE,
    "nested objects": b'{"config":' * (SIZE // 10),
    "a long name": b'{"name":"' + b"x" * (SIZE - 20) + b'"}',
    "a name that grows": json.dumps({"name": "\ufdfa" * 20_000}, ensure_ascii=False).encode(),
    "repeated names": b'{"name":"x",' * (SIZE // 12),
    "a number": b'{"ttl_hours":' + b"9" * (SIZE - 20) + b"}",
    "many fields": json.dumps({f"f{n}": n for n in range(60_000)}).encode(),
    "many inputs": json.dumps({"inputs": {f"f{n}": "x" for n in range(50_000)}}).encode(),
    "config": json.dumps({"config": {f"f{n}": [[[]]] for n in range(50_000)}}).encode(),
    "escapes": b'{"name":"' + rb"\ud83d\ude80" * (SIZE // 13) + b'"}',
    "numbers": b'{"config":[' + b"1e308," * (SIZE // 7) + b"1]}",
    "an address": json.dumps({"email": "a." * 30_000 + "@" + "x." * 30_000 + "de"}).encode(),
    "a URL": json.dumps({"repo_url": "git@" + "a" * 60_000}).encode(),
    "labels": json.dumps({"labels": {f"k{n}": "v" * 60 for n in range(900)}}).encode(),
}


ROUTES = sorted((method, path) for path, methods in PATHS.items() for method in methods)


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_body_takes_more_than_a_second(stage: Stage, body: bytes) -> None:
    """Cut to what a route takes, so that it is not only refused for its size."""
    for method, path in ROUTES:
        if method not in ("POST", "PUT", "PATCH"):
            continue
        for part, media in ((body, JSON), (body[:65_000], JSON), (body[:65_000], FORM)):
            took = _seconds(stage, method, path, body=part, media=media)
            assert took < MOST_SECONDS, (method, path, media, took)


QUERIES = {
    "many pairs": "&".join(f"a{n}=b" for n in range(2000)),
    "a cursor": "cursor=" + "A" * 9000,
    "a cursor of markers": "cursor=" + "%" * 3000,
    "a limit": "limit=" + "9" * 9000,
    "escapes": "limit=" + "%F0%9F%9A%80" * 800,
    "separators": "&" * 9000,
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_no_query_takes_more_than_a_second(stage: Stage, query: str) -> None:
    for method, path in ROUTES:
        took = _seconds(stage, method, path, query=query)
        assert took < MOST_SECONDS, (method, path, took)


# API Gateway takes 10,240 bytes of request line and headers together.
LONG = [letter * (9000 // len(letter.encode())) for letter in ("a-", "\ufdfa", "0.")]
HEADERS = (
    *("if-match", "if-none-match", "idempotency-key", "accept", "accept-encoding", "origin"),
    *("authorization", "content-type", "host", "x-forwarded-for"),
)


@pytest.mark.parametrize("long", LONG, ids=["letters", "long when normalised", "numbers"])
def test_no_path_takes_more_than_a_second(stage: Stage, long: str) -> None:
    for method, path in ROUTES:
        took = _seconds(stage, method, filled(path, dict.fromkeys(ids_of(stage), long)))
        assert took < MOST_SECONDS, (method, path, took)


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_takes_more_than_a_second(stage: Stage, name: str) -> None:
    """On one route of each function and method: what reads headers is common to all routes."""
    some = {(method, *path.split("/")[3:4]): path for method, path in ROUTES}
    for (method, *_), path in some.items():
        for long in LONG:
            took = _seconds(stage, method, path, headers={name: long})
            assert took < MOST_SECONDS, (method, path, took)


def _seconds(
    stage: Stage,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    media: str = JSON,
) -> float:
    sent = {"authorization": f"Bearer {stage.ann.token}", "content-type": media, **(headers or {})}
    request = event(method, filled(path, ids_of(stage)), query, sent, body)

    def ask() -> None:
        assert call(request).status != 500

    return least_of(ask)
