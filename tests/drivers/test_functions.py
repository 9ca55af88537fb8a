"""Invoking another function: what is sent, and what each answer of Lambda means."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from slipway import aws
from slipway.aws.functions import invoke
from slipway.errors import DriverFault
from tests.support.repository import resources

REQUEST = {"FunctionName": "plans", "Payload": b'{"names": ["a", "b"]}'}


def streamed(value: Any) -> StreamingBody:
    raw = json.dumps(value).encode()
    return StreamingBody(io.BytesIO(raw), len(raw))


@pytest.fixture
def service(environ: None) -> Any:
    aws.client.cache_clear()
    with Stubber(aws.client("lambda")) as stub:
        yield stub
    aws.client.cache_clear()


def test_the_answer_is_returned_and_sets_are_sent_as_lists(service: Stubber) -> None:
    answer = {"StatusCode": 200, "Payload": streamed({"change_set": {"status": "pending"}})}
    service.add_response("invoke", answer, REQUEST)

    assert invoke("plans", {"names": {"b", "a"}}) == {"change_set": {"status": "pending"}}
    service.assert_no_pending_responses()


@pytest.mark.parametrize(
    "told",
    [
        # "raised" and "timed_out" in tests/aws/fixtures/function_errors.json and sandbox.json.
        {"errorMessage": "secret", "errorType": "KeyError", "requestId": "1", "stackTrace": []},
        {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out"},
    ],
)
def test_a_function_that_fails_is_a_fault_that_does_not_repeat_its_words(
    service: Stubber, told: dict[str, Any]
) -> None:
    answer = {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": streamed(told)}
    service.add_response("invoke", answer)

    with pytest.raises(DriverFault) as refused:
        invoke("plans", {})

    assert told["errorMessage"] not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TooManyRequestsException", 429),
        ("ServiceException", 500),
        ("AccessDeniedException", 403),
        ("ResourceNotFoundException", 404),
    ],
)
def test_a_refusal_of_lambda_is_a_fault_and_is_not_repeated(
    service: Stubber, code: str, status: int
) -> None:
    service.add_client_error("invoke", code, "no", status)

    with pytest.raises(DriverFault):
        invoke("plans", {})
    service.assert_no_pending_responses()


def test_an_answer_that_breaks_off_is_a_fault(
    environ: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def read(self) -> bytes:
            raise ReadTimeoutError(endpoint_url="https://lambda")

    monkeypatch.setattr(aws, "call", lambda *_, **__: {"Payload": Broken()})

    with pytest.raises(DriverFault, match="did not answer"):
        invoke("plans", {})


def test_a_caller_waits_longer_than_the_function_may_take_and_asks_once(environ: None) -> None:
    functions = resources("AWS::Serverless::Function")
    aws.client.cache_clear()
    config = aws.client("lambda").meta.config
    aws.client.cache_clear()

    assert config.retries["total_max_attempts"] == 1
    callee = functions["PlansFunction"]["Properties"]["Timeout"]
    caller = functions["EnvironmentsFunction"]["Properties"]["Timeout"]
    assert callee < config.read_timeout < caller - 1
