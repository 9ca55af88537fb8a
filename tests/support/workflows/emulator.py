"""The pinned emulator's table and interpreter of state machines, in this process.

Nothing listens and nothing runs by itself: the client library's requests are answered before they
are sent, executions are strands of a Schedule, and each call to the outside goes through Calls.
The seams are private names of the emulator; test_harness.py fails loudly if one has moved.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import botocore.endpoint
import jsonata
import ministack
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from botocore.retries import quota

from local.patches import (
    canceled_tokens,
    execution_names,
    retry_delays,
    sdk_parameters,
    task_errors,
    task_results,
    wait_moments,
)
from slipway import aws
from slipway.aws import dynamodb as transport
from slipway.aws import event_rule, executions
from slipway.domain import timestamps
from slipway.store import table
from tests.support import permissions
from tests.support.lambda_environment import ACCOUNT, REGION
from tests.support.workflows import requests
from tests.support.workflows.faults import Call, Calls, Died, Trouble
from tests.support.workflows.schedule import OutOfTime, Schedule

CALL_SECONDS = 0.005

# The actor: a function's name, `workflow/State`, or `test`.
actor: ContextVar[str] = ContextVar("actor", default="test")


@contextmanager
def acting(name: str) -> Iterator[None]:
    token = actor.set(name)
    try:
        yield
    finally:
        actor.reset(token)


def _import_services() -> tuple[Any, ...]:
    """Without the thread that sweeps by the real clock and begins with the import."""
    start = threading.Thread.start

    def start_others(thread: threading.Thread) -> None:
        if thread.name != "dynamodb-ttl-reaper":
            start(thread)

    with mock.patch.object(threading.Thread, "start", start_others):
        from ministack.core import responses
        from ministack.services import dynamodb, eventbridge, lambda_svc, ssm, stepfunctions
    return dynamodb, eventbridge, lambda_svc, stepfunctions, responses, ssm


def _copied(function: Callable[[str], list[Any]]) -> Callable[[str], list[Any]]:
    return lambda text: list(function(text))


dynamodb, eventbridge, lambda_svc, stepfunctions, responses, ssm = _import_services()
# The service that the client library asks, by the beginning of the operation's name.
_SERVICES = {
    "AWSStepFunctions": ("states", stepfunctions),
    "AWSEvents": ("events", eventbridge),
    "AmazonSSM": ("ssm", ssm),
}

# They say the same of the same expression, and take their time to.
dynamodb._condition_syntax_error = cache(dynamodb._condition_syntax_error)
dynamodb._tokenize = _copied(cache(dynamodb._tokenize))
jsonata.parser.Parser.parse = cache(jsonata.parser.Parser.parse)
jsonata.jsonata.Jsonata.get_parser = cache(jsonata.jsonata.Jsonata.get_parser)

_TROUBLES: dict[Trouble, str] = {
    "fails": "InternalServerError",
    "lost": "SdkClientException",
    "throttled": "ProvisionedThroughputExceededException",
}
_LAMBDA_TROUBLES: dict[Trouble, str] = {
    "fails": "Lambda.ServiceException",
    "lost": "Lambda.SdkClientException",
    "throttled": "Lambda.TooManyRequestsException",
}

# The error that a workflow receives if a function's process has ended: on AWS and in the embedded
# platform.
KILLED = ("Lambda.Unknown", "Runtime.ExitError", "Runtime.OutOfMemory", "Sandbox.Timedout")


class Emulator:
    """`functions` has what a state machine may invoke, by its ARN."""

    def __init__(self, schedule: Schedule, calls: Calls) -> None:
        self.schedule = schedule
        self.calls = calls
        self.functions: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {}
        self.chance = Random(1)
        self._patch = pytest.MonkeyPatch()
        self._sent: dict[str, Call] = {}

    def __enter__(self) -> Emulator:
        self._scope = responses.request_scope(ACCOUNT, REGION)
        self._scope.__enter__()
        dynamodb.reset()
        stepfunctions.reset()
        eventbridge.reset()
        ssm.reset()
        self._keep_time()
        self._answer_clients()
        self._interpret()
        return self

    def __exit__(self, *_: object) -> None:
        self.schedule.close()
        self._patch.undo()
        _answers.pop()
        self._scope.__exit__(None, None, None)

    # ── Time and chance ─────────────────────────────────────────────────────────────────────

    def now(self) -> datetime:
        """To the millisecond, as it is written."""
        return datetime.fromtimestamp(int(self.schedule.now * 1000) / 1000, UTC)

    def _keep_time(self) -> None:
        from slipway.domain import ids

        chance = self.chance
        clock = SimpleNamespace(
            time=lambda: self.schedule.now,
            sleep=self.schedule.sleep,
            monotonic=self._no_other_clock,
        )
        for module in (ids, table, transport, dynamodb, stepfunctions, botocore.endpoint):
            self._patch.setattr(module, "time", clock)
        self._patch.setattr(timestamps, "now", self.now)
        for module in (dynamodb, stepfunctions):
            self._patch.setattr(module, "now_iso", lambda: timestamps.written(self.now()))
        self._patch.setattr(ids, "secrets", SimpleNamespace(randbits=chance.getrandbits))
        for module in (table, transport, retry_delays):
            self._patch.setattr(module, "random", chance)
        tokens = SimpleNamespace(uuid4=lambda: f"{chance.getrandbits(128):032x}")
        self._patch.setattr(transport, "uuid", tokens)
        # Readers of the stream remember their position, so nothing before it may be removed.
        self._patch.setattr(dynamodb, "_trim_stream_records", lambda *_, **__: None)
        self._patch.setattr(dynamodb, "_stream_seq_counter", 0)

    @staticmethod
    def _no_other_clock() -> float:
        raise AssertionError("there is one clock")

    # ── What the functions call through the client library ──────────────────────────────────

    def _answer_clients(self) -> None:
        _answers.append(self._answer)
        to_bytes = transport._body

        def body(operation: str, request: dict[str, Any]) -> _Body:
            made = _Body(to_bytes(operation, request))
            made.call = self.calls.new(f"{actor.get()} > dynamodb {operation}")
            return made

        wire = _Wire(self)
        self._patch.setattr(transport, "_body", body)
        self._patch.setattr(transport, "wire", lambda: wire)
        self._patch.setattr(executions, "_client", _client)
        self._patch.setattr(event_rule, "_client", _events_client)
        self._patch.setattr(aws, "client", _any_client)
        # The library stops to try again after many failures in one process; each world is new.
        self._patch.setattr(quota.RetryQuota, "acquire", lambda *_: True)

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        invocation = headers["amz-sdk-invocation-id"]
        prefix, _, operation = headers["x-amz-target"].rpartition(".")
        name, service = _SERVICES[prefix]
        if invocation not in self._sent:
            self._sent[invocation] = self.calls.new(f"{actor.get()} > {name} {operation}")
        permissions.check_rule(actor.get(), name, operation)

        def perform() -> AWSResponse:
            handle = service.handle_request
            status, answer, body = _driven(handle("POST", "/", headers, request.body, {}))
            return _response(request, status, answer, body)

        def refusal(trouble: Trouble) -> Exception:
            error: Exception
            if trouble == "throttled":
                error = _Answered(
                    400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
                )
            elif trouble == "lost":
                error = ReadTimeoutError(endpoint_url=request.url)
            else:
                error = ConnectTimeoutError(endpoint_url=request.url)
            return error

        try:
            return self.attempt(self._sent[invocation], perform, refusal)
        except _Answered as answered:
            return _response(request, answered.status, {}, json.dumps(answered.body))

    def attempt(self, call: Call, perform: Callable[[], Any], refusal: Any) -> Any:
        """One try at a call; the client library makes some by itself."""
        self.schedule.now += CALL_SECONDS
        name = actor.get()

        def as_the_caller() -> Any:
            with acting(name):
                return perform()

        # A fault's side effects are the test's, not the caller's.
        with acting("test"):
            return self.calls.make(call, as_the_caller, refusal)

    def call(
        self, what: str, perform: Callable[[], Any], refusal: Callable[[Trouble], Exception]
    ) -> Any:
        """A call to the outside that does not go through the client library."""
        return self.attempt(self.calls.new(f"{actor.get()} > {what}"), perform, refusal)

    def _mend(self) -> None:
        """Apply the patches that the embedded platform needs too; they are undone with the rest.

        The names that a patch sets are found by comparison, so that none can be missing here.
        """
        for module, mend in (
            (stepfunctions, execution_names.patch),
            (stepfunctions, retry_delays.patch),
            (stepfunctions, task_errors.patch),
            (stepfunctions, wait_moments.patch),
            (stepfunctions, sdk_parameters.patch),
            (stepfunctions, task_results.patch),
            (dynamodb, canceled_tokens.patch),
        ):
            stock = dict(vars(module))
            mend(module)
            mended = {
                name: value for name, value in vars(module).items() if stock.get(name) is not value
            }
            for name, value in mended.items():
                if name in stock:
                    setattr(module, name, stock[name])
                else:
                    delattr(module, name)
                self._patch.setattr(module, name, value, raising=False)

    # ── The interpreter ─────────────────────────────────────────────────────────────────────

    def _interpret(self) -> None:
        patch, module = self._patch.setattr, stepfunctions
        self._mend()
        stock_run, stock_task = module._run_execution, module._execute_task

        def run(arn: str) -> None:
            execution = module._executions[arn]
            strand = self.schedule.running
            definition = json.loads(
                module._state_machines[execution["stateMachineArn"]]["definition"]
            )
            if strand and "TimeoutSeconds" in definition:
                strand.deadline = self.schedule.now + definition["TimeoutSeconds"]
            try:
                stock_run(arn)
            except OutOfTime:
                execution |= {"status": "TIMED_OUT", "error": "States.Timeout"}
            except Died:
                execution |= {"status": "ABORTED"}

        def task(state: Any, given: Any, execution: Any, context: Any) -> Any:
            machine = context["StateMachine"]["Name"].removeprefix("slipway-")
            with acting(f"{machine}/{context['State']['Name']}"):
                return stock_task(state, given, execution, context)

        patch(module, "threading", SimpleNamespace(Thread=self._strand))
        patch(module, "_run_execution", run)
        patch(module, "_execute_task", task)
        patch(module, "_scaled_sleep", self.schedule.sleep)
        patch(module, "_sleep_until", self._sleep_until)
        patch(module, "_invoke_resource_with_timeout", self._invoke)
        patch(module, "_call_lambda", self._call_lambda)
        patch(module, "_emit_execution_status_event", lambda execution: None)
        # The whole server, whose import alone changes how this process logs.
        server = ModuleType("ministack.app")
        server.__dict__.update(
            AUTH=False,
            SERVICE_HANDLERS={"dynamodb": dynamodb.handle_request},
            call_service_handler_sync=lambda handler, *args: _driven(handler(*args)),
        )
        self._patch.setitem(sys.modules, "ministack.app", server)
        self._patch.setattr(ministack, "app", server, raising=False)

    def _strand(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> Any:
        """In the place of threading.Thread, for an execution."""
        name = args[-1]
        return SimpleNamespace(start=lambda: self.schedule.start(name, lambda: target(*args)))

    def _sleep_until(self, moment: str) -> None:
        seconds = datetime.fromisoformat(moment).timestamp() - self.schedule.now
        if seconds > 0:
            self.schedule.sleep(seconds)

    def _invoke(self, resource: str, given: Any, timeout: float) -> Any:
        """A Task: one call to the outside, which may take too long by our clock."""
        requests.check(resource, given)
        began = self.schedule.now
        optimized = resource.startswith("arn:aws:states:::dynamodb:")

        def refusal(trouble: Trouble) -> Exception:
            prefix = "DynamoDB" if optimized else "DynamoDb"
            return task_error(f"{prefix}.{_TROUBLES[trouble]}", trouble)

        if "lambda:invoke" in resource:
            answer = stepfunctions._invoke_resource(resource, given)
        else:
            operation = resource.rpartition(":")[2]
            what = f"dynamodb {operation[0].upper()}{operation[1:]}"
            answer = self.call(
                what, lambda: stepfunctions._invoke_resource(resource, given), refusal
            )
        if self.schedule.now - began > timeout:
            # As on AWS, without a cause.
            raise task_error("States.Timeout", "")
        return answer

    def _call_lambda(self, arn: str, event: Any) -> Any:
        name, handler = self.functions[arn]

        def perform() -> Any:
            with acting(name):
                return invoke(handler, event)

        def refusal(trouble: Trouble) -> Exception:
            return task_error(_LAMBDA_TROUBLES[trouble], trouble)

        return self.call(f"lambda {name}", perform, refusal)


def task_error(error: str, cause: str) -> Exception:
    """The exception that Retry and Catch of a state machine see as `error`."""
    made: Exception = stepfunctions._ExecutionError(error, cause)
    return made


CONTEXT = SimpleNamespace(aws_request_id="5e1c7f2a-0000-4000-8000-000000000000")


def invoke(handler: Callable[[Any, Any], Any], event: Any) -> Any:
    """Invoke like Lambda: JSON in, JSON out; an exception becomes an error of its class's name."""
    try:
        return json.loads(json.dumps(handler(json.loads(json.dumps(event)), CONTEXT)))
    except stepfunctions._ExecutionError:
        raise
    except Died as error:
        raise task_error("Lambda.Unknown", "The process is gone") from error
    except Exception as error:
        name = type(error).__name__
        cause = {"errorMessage": str(error), "errorType": name, "stackTrace": []}
        raise task_error(name, json.dumps(cause)) from error


class _Body(bytes):
    """The requests of one call, with its retries."""

    call: Call


class _Wire:
    """In the place of the store's connections to DynamoDB."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def send(self, operation: str, body: _Body) -> tuple[str, _Body]:
        return operation, body

    def receive(self, sent: tuple[str, _Body], until: float) -> tuple[int, bytes]:
        operation, body = sent
        permissions.check(actor.get(), operation, body)

        def perform() -> tuple[int, bytes]:
            headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
            status, _, answer = _driven(dynamodb.handle_request("POST", "/", headers, body, {}))
            return status, answer if isinstance(answer, bytes) else answer.encode()

        def refusal(trouble: Trouble) -> Exception:
            if trouble == "throttled":
                return _Answered(400, {"__type": "ThrottlingException"})
            return TimeoutError() if trouble == "lost" else ConnectionRefusedError()

        try:
            return self._emulator.attempt(body.call, perform, refusal)  # type: ignore[no-any-return]
        except _Answered as answered:
            return answered.status, json.dumps(answered.body).encode()


class _Answered(Exception):
    """The service says no."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def _driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the emulator waits for something")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _response(
    request: AWSPreparedRequest, status: int, headers: dict[str, str], body: str | bytes
) -> AWSResponse:
    raw = body.encode() if isinstance(body, str) else body
    return AWSResponse(request.url, status, headers, _Raw(raw))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


# Clients are costly to make, so they are made once and ask the emulator that lives now.
_answers: list[Callable[[AWSPreparedRequest], AWSResponse]] = []


def _answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    return _answers[-1](request)


@cache
def _session() -> boto3.Session:
    session = boto3.Session(region_name=REGION)
    session.events.register("before-send", _answer)
    return session


def _asking_us(make: Callable[[], Any]) -> Callable[[], Any]:
    """A client as the package makes it, with its settings, but of the session that asks us."""

    @cache
    def made() -> Any:
        with mock.patch.object(boto3, "client", _session().client):
            return make()

    return made


_client = _asking_us(executions._client.__wrapped__)
_events_client = _asking_us(event_rule._client.__wrapped__)


_make_client = aws.client.__wrapped__


@cache
def _any_client(service: str) -> Any:
    return _asking_us(lambda: _make_client(service))()
