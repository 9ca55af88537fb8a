"""Faults tell callers nothing of roles, accounts, tables and traces, on any route."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from local import console
from slipway import aws, errors, observe
from slipway.aws import dynamodb
from slipway.http.app import Api
from slipway.store.table import ConditionFailed, TransactionFailed
from tests.support.api.client import CONTEXT, Answer, event
from tests.support.api.people import Stage, new_stage
from tests.support.api.routes import PATHS, filled, ids_of
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto
from tests.support.store import between, world

# This is not the account of the tests, which a successful answer may show.
ACCOUNT, ROLE = "210987654321", "slipway-ShipFunctionRole-1ABCDEFGHIJKL"
WHO = f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/slipway-ShipFunction"
DENIED = f"User: {WHO} is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb"
TABLE = "slipway-Table-1ABCDEF"
HIDDEN = (ACCOUNT, ROLE, "assumed-role", TABLE, "Traceback", "site-packages")
FAULTS = {
    "access denied": ("AccessDeniedException", 400),
    "throttling": ("ThrottlingException", 400),
    "no such table": ("ResourceNotFoundException", 400),
    "an internal error": ("InternalServerError", 500),
    "unknown": ("SomethingNew", 418),
}
# Deletions last, so that the others find what is there.
ROUTES = sorted(
    ((method, path) for path, methods in PATHS.items() for method in methods),
    key=lambda route: (route[0] == "DELETE", route),
)
BODIES: dict[str, Any] = {
    "register": {"email": "new@example.com", "password": "secret123"},
    "login": {"username": "ann@example.com", "password": "secret123"},
    "projects": {"name": "new", "type": "ephemeral"},
    "update": {"inputs": {"Size": "1"}},
    "extend": {"ttl_hours": 2},
    "pin": {"reason": "demo"},
    "by-external-id": {"name": "new", "type": "ephemeral"},
    "environments": {"version": "v1"},
    "templates": {"name": "new"},
}
TEMPLATE = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with moto(), as_on_lambda():
        empty()
        made = new_stage()
        stack = {"driver": "cloudformation", "template": "web-service@1.0"}
        world.becomes(made.environment, "running", **stack)
        assert made.ann.get("/api/v1/auth/me").status == 200
        yield made


def send(stage: Stage, method: str, path: str) -> Answer:
    where = filled(path, ids_of(stage))
    if method in ("GET", "DELETE"):
        return stage.ann.send(method, where)
    if path.endswith(("/versions", "/versions/<version>")):
        return stage.ann.send(method, where, TEMPLATE, media="application/yaml")
    body: Any = next((BODIES[part] for part in reversed(where.split("/")) if part in BODIES), {})
    return stage.ann.send(method, where, json.dumps(body))


def assert_tells_nothing(answer: Answer) -> None:
    said = answer.raw.decode(errors="replace") + str(answer.headers)
    hidden = HIDDEN if answer.status < 400 else (*HIDDEN, "arn:aws")
    assert [each for each in hidden if each in said] == [], (answer.status, said)


@pytest.mark.parametrize("code,status", FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_table_tells_no_caller_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    between.no_sleep(monkeypatch)
    said = f"{DENIED}:eu-central-1:{ACCOUNT}:table/{TABLE}"
    fault = dynamodb.DynamoDBError(code, {"message": said}, status)
    for operation in between.OPERATIONS:
        between.fails(monkeypatch, operation, *[fault] * 500)

    answers = [send(stage, method, path) for method, path in ROUTES]

    assert len([each for each in answers if each.status in (500, 503)]) > 25
    for answer in answers:
        assert_tells_nothing(answer)


@pytest.mark.parametrize("code,status", FAULTS.values(), ids=FAULTS)
def test_a_fault_of_another_service_tells_no_caller_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": f"{DENIED}:eu-central-1:{ACCOUNT}:x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    monkeypatch.setattr(aws, "client", lambda service: _Failing(ClientError(response, "Any")))

    for method, path in ROUTES:
        assert_tells_nothing(send(stage, method, path))


def test_no_answer_of_a_service_tells_no_caller_where_it_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = EndpointConnectionError(endpoint_url=f"https://{ACCOUNT}.example.com/{TABLE}")
    monkeypatch.setattr(aws, "client", lambda service: _Failing(gone))

    for method, path in ROUTES:
        assert_tells_nothing(send(stage, method, path))


class _Failing:
    """A client whose every method fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.meta = type("Meta", (), {"endpoint_url": "https://s3.example.com"})

    def __getattr__(self, method: str) -> Any:
        def fails(**request: Any) -> Any:
            raise self._error

        return fails


# --- errors that should not reach a route ---------------------------------------------------

INTERNAL = [
    errors.StaleWrite(f"by {WHO}"),
    errors.DriverRefused(DENIED),
    errors.RolledBack(DENIED),
    errors.StackGone(DENIED),
    errors.Canceled(DENIED),
    ConditionFailed({"pk": {"S": WHO}}),
    TransactionFailed({"record": {"pk": WHO}}),
    errors.SlipwayError(DENIED),
    RuntimeError(DENIED),
]


@pytest.mark.parametrize("error", INTERNAL, ids=lambda error: type(error).__name__)
def test_an_error_that_escapes_a_route_is_a_plain_500_and_logged_with_its_trace(
    aws: None, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    api = Api()

    @api.get("/api/v1/projects")
    def escapes() -> None:
        raise error

    answer = api.handler(event("GET", "/api/v1/projects"), CONTEXT)

    told = answer["body"]
    assert answer["statusCode"] == 500
    assert '"code": "internal_error"' in told
    assert [each for each in HIDDEN if each in told] == []
    [logged] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert logged.exc_info and logged.exc_info[1] is error


@pytest.mark.parametrize("fault", [errors.DriverFault, errors.StoreUnavailable, errors.Fault])
def test_a_fault_is_told_by_its_title_alone(aws: None, fault: type[errors.Fault]) -> None:
    api = Api()

    @api.get("/api/v1/projects")
    def fails() -> None:
        raise fault(DENIED)

    answer = api.handler(event("GET", "/api/v1/projects"), CONTEXT)

    assert answer["statusCode"] == 503
    assert fault.title in answer["body"]
    assert [each for each in HIDDEN if each in answer["body"]] == []


def test_make_local_shows_a_bug_in_one_line(
    aws: None, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api()

    @api.get("/api/v1/projects")
    def fails() -> None:
        raise KeyError("what broke")

    api.handler(event("GET", "/api/v1/projects"), CONTEXT)
    [logged] = [each for each in caplog.records if each.levelno == logging.ERROR]
    line = observe.log().registered_formatter.format(logged)
    capsys.readouterr()

    console.invoked("slipway-ProjectsFunction-1", {"log": f"{line}\n"})

    assert capsys.readouterr().out == "! ProjectsFunction: KeyError: 'what broke'\n"
