"""Faults of Slipway itself: what callers are told, what the log says, and what neither contains."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from slipway import observe
from slipway.access import signing
from slipway.aws import dynamodb
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from tests.support.api.bodies import GOOD, Send, sender
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client, call, event
from tests.support.api.people import Stage
from tests.support.store import between, world

READS = [
    "/api/v1/auth/me",
    "/api/v1/projects",
    f"/api/v1/projects/prj_{'0' * 20}",
    f"/api/v1/environments/env_{'0' * 20}_{'0' * 20}",
    f"/api/v1/deployments/dep_{'0' * 20}_{'0' * 20}_{'0' * 20}/logs",
]


@pytest.fixture
def send(
    ann: Client, project: ProjectId, environment: EnvironmentId, deployment: DeploymentId
) -> Send:
    return sender(Stage(ann, project, environment, deployment))


@pytest.mark.parametrize("name", GOOD)
def test_without_a_fault_each_request_is_carried_out(send: Send, name: str) -> None:
    """Else neither these tests nor those of bad bodies would prove anything."""
    assert send(name).status in (200, 201)


def break_all(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    for operation in between.OPERATIONS:
        between.fails(monkeypatch, operation, *[error] * 50)


DOWN = {
    "throttled": between.error("ThrottlingException"),
    "no answer": between.error(dynamodb.NO_ANSWER),
    "an error of DynamoDB's": between.error("InternalServerError", 500),
}


@pytest.mark.parametrize("error", DOWN.values(), ids=DOWN.keys())
def test_a_table_that_does_not_answer_is_unavailable_with_retry_after(
    send: Send, ann: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert ann.get("/api/v1/auth/me").status == 200
    break_all(monkeypatch, error)

    answers = [send(name) for name in GOOD] + [ann.get(path) for path in READS]

    for answer in answers:
        assert_refused(answer, 503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret detail"),
        between.error("ValidationException"),
        KeyError("secret detail"),
    ],
    ids=["a bug", "a request that could never work", "another bug"],
)
def test_a_bug_is_answered_with_a_problem_without_details(
    send: Send, ann: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert ann.get("/api/v1/auth/me").status == 200
    break_all(monkeypatch, error)

    answers = [send(name) for name in GOOD] + [ann.get(path) for path in READS]

    for answer in answers:
        assert_refused(answer, 500, "internal_error")
        assert "secret" not in answer.text
        assert "stubbed" not in answer.text


def test_too_many_conflicting_writes_are_answered_as_busy(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.no_sleep(monkeypatch)
    conflict = between.canceled("None", "TransactionConflict")
    between.fails(monkeypatch, "TransactWriteItems", *[conflict] * 50)

    answer = ann.post("/api/v1/projects", {"name": "x"})

    assert_refused(answer, 429, "busy")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_fault_changes_nothing(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.everything()
    between.fails(monkeypatch, "TransactWriteItems", between.error("InternalServerError", 500))

    assert ann.post("/api/v1/projects", {"name": "x"}).status == 503
    assert world.everything() == before
    assert ann.post("/api/v1/projects", {"name": "x"}).status == 201


# --- the log --------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[Any]:
    return [record for record in caplog.records if record.levelno == level]


def test_each_request_writes_one_line_to_the_log(
    ann: Client, caplog: pytest.LogCaptureFixture
) -> None:
    ann.get("/api/v1/projects/x")

    [line] = lines(caplog, logging.INFO)
    assert len(caplog.records) == 1
    assert (line.message, line.status, line.method) == ("request", 404, "GET")
    assert line.path == "/api/v1/projects/x"
    assert line.request_id == "JKJaXPLvDoEEJiA="
    assert line.ms >= 0


def test_a_line_of_the_log_has_no_secret_and_no_long_path(
    ann: Client, caplog: pytest.LogCaptureFixture
) -> None:
    form = {"username": "ann@example.com", "password": "hunter2-secret"}
    Client().form("/api/v1/auth/login", form)
    ann.get("/api/v1/projects/" + "x" * 5000)

    said = json.dumps([vars(record) for record in caplog.records], default=str)
    assert len(caplog.records) == 2
    assert "hunter2" not in said
    assert (ann.token or "?") not in said
    assert "x" * 200 not in said


@pytest.mark.parametrize("letter", ["x", "\0", '"', "\\", "ü", "\U0001f680", "%"])
def test_a_line_of_the_log_has_at_most_600_bytes(
    aws: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-69226e4b-0123456789abcdef01234567;Sampled=1")
    request = event("OPTIONS", "/api/v1/projects/x")
    request["rawPath"] = f"/api/v1/projects/{letter * 5000}"
    request["routeKey"] = "ANY /api/v1/projects/{project_id}/environments/{proxy+}"
    request["requestContext"]["http"]["method"] = "M" * 1000

    call(request)

    [record] = caplog.records
    line = observe.log().registered_formatter.format(record)
    assert len(line.encode()) < 600
    assert json.loads(line)["path"].startswith("/api/v1/projects/")
    assert "xray_trace_id" in line


@pytest.mark.parametrize("error", [RuntimeError("what broke"), DOWN["throttled"]], ids=repr)
def test_the_traceback_is_in_the_log_with_the_request_id(
    ann: Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    break_all(monkeypatch, error)

    ann.get("/api/v1/projects")

    [broken], [line] = (lines(caplog, level) for level in (logging.ERROR, logging.INFO))
    assert broken.exc_info
    assert line.status in (500, 503)
    assert line.request_id == broken.request_id == "JKJaXPLvDoEEJiA="


# --- odd events -----------------------------------------------------------------------------


def test_a_request_without_headers_is_answered(aws: None) -> None:
    request = event("GET", "/api/v1/projects")
    del request["headers"]

    assert_refused(call(request), 401, "token_missing")


def test_a_body_that_is_wrongly_declared_as_base64_is_refused(ann: Client) -> None:
    headers = {"authorization": f"Bearer {ann.token}", "content-type": "application/json"}
    request = event("POST", "/api/v1/projects", "", headers, b"{}")
    request |= {"body": "a", "isBase64Encoded": True}

    assert_refused(call(request), 400, "malformed_body")


def test_without_the_secret_no_token_is_signed(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_secret", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        signing.mint("usr_1")
    assert world.everything() == []
