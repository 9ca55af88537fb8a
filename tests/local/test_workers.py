"""Lambda workers (patches/lambda_workers.py, runtime.py)."""

import json
import os
import queue
import signal
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import runtime
from local.patches import lambda_workers
from local.platform import Platform
from tests.support.local.platform import Call, eventually


def invoke(platform: Platform, function: str, event: Any) -> tuple[str | None, Any]:
    """(FunctionError, payload) of a direct invocation."""
    answer = platform.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_an_error_keeps_its_class_and_its_trace(platform: Platform) -> None:
    kind, error = invoke(platform, platform.outputs["TaskFunction"], {"fail": "Refused"})

    assert kind == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("Refused", "no")
    assert 'raise Refused("no")' in error["stackTrace"][-1]


def test_a_worker_survives_its_handlers_errors(platform: Platform) -> None:
    task = platform.outputs["TaskFunction"]
    _, before = invoke(platform, task, {})

    invoke(platform, task, {"fail": "Faulty"})

    _, after = invoke(platform, task, {})
    assert after["calls"] == before["calls"] + 2


def test_a_handler_that_takes_too_long_is_ended(platform: Platform) -> None:
    _, error = invoke(platform, platform.outputs["TaskFunction"], {"sleep": 5})

    assert error["errorType"] == "Sandbox.Timedout"
    assert "timed out after 1.00 seconds" in error["errorMessage"]


def test_a_handler_that_exits_is_an_error_of_the_runtime(platform: Platform) -> None:
    _, error = invoke(platform, platform.outputs["EchoFunction"], {"rawPath": "/things/exit"})

    assert error["errorType"] == "Runtime.ExitError"


def test_a_worker_that_is_killed_at_work_is_an_error_of_the_runtime(
    platform: Platform, call: Call
) -> None:
    _, error = invoke(platform, platform.outputs["EchoFunction"], {"rawPath": "/things/killed"})

    assert error["errorType"] == "Runtime.ExitError"
    assert call("/things").status == 200


def test_a_worker_that_dies_before_its_first_request_is_an_error_of_the_runtime() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    worker = SimpleNamespace(
        _proc=subprocess.Popen(["sleep", "0.2"]),
        channel=ours,
        stream=ours.makefile("rwb"),
        lines=queue.SimpleQueue(),
        config={"FunctionArn": "arn"},
    )
    worker.lines.put(runtime.END)

    reply = lambda_workers._invoke(worker, {}, "id", arn="arn", trace_id=None)

    assert reply["error"]["errorType"] == "Runtime.ExitError"
    assert worker._proc is None


def has_ended(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip()[:1] in ("", "Z")


def test_a_killed_idle_worker_is_replaced_unnoticed(call: Call) -> None:
    pid = call("/things/slow?seconds=0").json["pid"]

    os.kill(pid, signal.SIGKILL)
    eventually(lambda: has_ended(pid))

    reply = call("/things/slow?seconds=0")
    assert (reply.status, reply.json["pid"] != pid) == (200, True)


def test_a_silent_handler_waits_for_nothing(call: Call) -> None:
    call("/things")
    times = []
    for _ in range(20):
        began = time.perf_counter()
        call("/things")
        times.append(time.perf_counter() - began)

    assert statistics.median(times) < 0.045


def test_a_function_has_the_layer_and_the_sdk_and_nothing_else_of_ours(call: Call) -> None:
    wanted = "fixturelib,boto3,botocore,ministack,yaml,pytest,pip,local"

    assert call(f"/things?import={wanted}").json["found"] == ["fixturelib", "boto3", "botocore"]


def test_a_function_sees_lambdas_environment_and_nothing_of_the_users(
    call: Call, platform: Platform
) -> None:
    environ = call("/things").json["environ"]

    assert environ["GREETING"] == "hi"
    assert environ["TABLE"] == platform.outputs["TableName"]
    assert environ["AWS_ENDPOINT_URL"] == platform.endpoint
    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == platform.outputs["EchoFunction"]
    assert environ["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")
    # Lambda sets its own keys; this process has others while a fixture of moto's is alive.
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    shared = set(os.environ) & set(environ)
    assert shared <= {"PATH", "HOME", "LANG", "TMPDIR", "TZ", "LC_CTYPE", *keys}
    assert all(environ[name] != os.environ[name] for name in keys & shared)
    assert str(platform.run_dir) in environ["TMPDIR"]


def test_output_of_a_handler_is_in_its_log_group(call: Call, platform: Platform) -> None:
    call("/things/print?text=mark-7f3a")

    logs = platform.client("logs")
    group = f"/aws/lambda/{platform.outputs['EchoFunction']}"
    found = logs.filter_log_events(logGroupName=group, filterPattern="mark-7f3a")["events"]
    assert [event["message"] for event in found] == ["mark-7f3a"]


def test_a_burst_shares_a_few_workers(call: Call) -> None:
    with ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(call, ["/things/slow?seconds=0.05"] * 48))

    assert {reply.status for reply in replies} == {200}
    assert len({reply.json["pid"] for reply in replies}) <= lambda_workers.WORKERS


def test_requests_that_prefer_to_wait_take_no_worker_of_others(call: Call) -> None:
    usual = {call("/things").json["pid"] for _ in range(3)}
    many = 4 * lambda_workers.WORKERS

    with ThreadPoolExecutor(many) as pool:
        waiting = [
            pool.submit(call, "/things/slow?seconds=3", Prefer="wait=3") for _ in range(many)
        ]
        other = call("/things")
        assert not any(each.done() for each in waiting)
        replies = [each.result() for each in waiting]

    pids = {reply.json["pid"] for reply in replies}
    assert {reply.status for reply in replies} == {200}
    assert other.json["pid"] in usual
    assert len(pids) == many and not pids & usual
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_request_that_waits_has_lambdas_environment_and_its_output_is_logged(
    call: Call, platform: Platform
) -> None:
    plain = call("/things").json["environ"]

    forked = call("/things", Prefer="wait=1").json["environ"]
    call("/things/print?text=mark-forked", Prefer="wait=1")

    differ = {name for name in plain if plain[name] != forked.get(name)}
    assert differ <= {"AWS_LAMBDA_LOG_STREAM_NAME", "_X_AMZN_TRACE_ID"}
    group = f"/aws/lambda/{platform.outputs['EchoFunction']}"
    logs = platform.client("logs")
    found = logs.filter_log_events(logGroupName=group, filterPattern="mark-forked")["events"]
    assert [event["message"] for event in found] == ["mark-forked"]


@pytest.mark.parametrize("path", ["/things/raise", "/things/exit", "/things/killed"])
def test_an_error_of_a_request_that_waits_is_told_as_any(call: Call, path: str) -> None:
    assert call(path, Prefer="wait=1").status == call(path).status == 500


@pytest.mark.parametrize("n", [1, 1_000_000])
def test_events_of_any_size_go_there_and_back(platform: Platform, n: int) -> None:
    _, answer = invoke(platform, platform.outputs["TaskFunction"], {"text": "ä" * n})

    assert answer["given"]["text"] == "ä" * n


def test_the_errors_told_to_the_developer_name_the_line() -> None:
    from local.console import _told

    frame = '  File "/tmp/code-0123456789abcdef/python/slipway/ids.py", line 7, in parse\n'
    error = {"errorType": "KeyError", "errorMessage": "'id'", "stackTrace": [frame]}

    assert _told(error) == "KeyError: 'id' (slipway/ids.py:7 in parse)"


def test_a_logged_exception_is_shown_by_its_root_cause() -> None:
    from local.console import logged_exceptions

    code = "/tmp/code-0123456789abcdef/python/slipway"
    chain = (
        "Traceback (most recent call last):\n"
        f'  File "{code}/store/table.py", line 41, in read\n    return ask()\n'
        '  File "/tmp/botocore/client.py", line 1, in b\n'
        "botocore.exceptions.ClientError: User: x is not authorized to perform: s3:GetObject\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\nslipway.errors.StoreUnavailable: no answer"
    )
    log = json.dumps({"level": "ERROR", "exception": chain}) + '\nplain text\n{"exception": 7}'

    assert logged_exceptions(log) == [
        "botocore.exceptions.ClientError: User: x is not authorized to perform: s3:GetObject"
        " (slipway/store/table.py:41 in read)"
    ]


def test_an_outcome_of_a_step_is_not_shown_and_a_fault_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from local import console, runtime
    from slipway.errors import Canceled, DriverFault, RolledBack

    for error in (Canceled("stop"), RolledBack("no such image"), DriverFault("AWS is away")):
        console.invoked("slipway-ShipFunction-1", {**runtime.failure(error), "log": ""})

    shown = capsys.readouterr().out.splitlines()
    assert shown == ["! ShipFunction: DriverFault: AWS is away"]
