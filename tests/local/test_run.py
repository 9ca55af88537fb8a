"""`python -m local` from outside: its messages, its processes, its files, its updates."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.platform import HERE, Platform
from local.sockets import PortInUse
from local.stack import StackFailed
from tests.support.local.platform import Call, calling, copy_of_app, eventually

Run = Callable[..., "Local"]


class Local:
    """A `python -m local` for the application in `root`, and the lines it printed."""

    def __init__(self, root: Path, port: str, parameters: str, **more: str) -> None:
        self.root = root
        user = {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
        user |= {"PORT": port, "PARAMETERS": parameters, **more}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=root,
            env=os.environ | user | {"PYTHONPATH": str(HERE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def printed(self, text: str) -> str:
        """The line that has `text` in it, once there is one."""

        def look() -> str | None:
            assert self.process.poll() is None, self.lines
            return next((line for line in self.lines if text in line), None)

        return eventually(look, 20)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Local] = []

    def run(port: str | None = None, parameters: str = "", **more: str) -> Local:
        root = tmp_path / "app"
        root = root if root.exists() else copy_of_app(tmp_path)
        started.append(Local(root, port or free_port(), parameters, **more))
        return started[-1]

    yield run
    for local in started:
        local.close()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def processes_of(root: Path) -> list[str]:
    """Command lines of the processes that have something to do with the run in `root`."""
    listed = subprocess.run(["ps", "axeww", "-o", "args"], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if f"{root}/.slipway/run-" in line]


def nothing_is_left(root: Path) -> bool:
    return not processes_of(root) and not list((root / ".slipway").glob("run-*"))


def test_a_port_in_use_is_one_clear_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        local = run(str(port))

        assert local.process.wait(10) == 1
    local.reader.join()
    [line] = local.lines
    assert f"port {port} is in use" in line


@pytest.mark.parametrize("port", ["0", "65536", "http", "", "-1"])
def test_a_malformed_port_is_reported_in_one_line(run: Run, port: str) -> None:
    local = run(port or " ")

    assert local.process.wait(10) == 1
    local.reader.join()
    assert [line.startswith("PORT must be a number") for line in local.lines] == [True]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("Greeting", "PARAMETERS: 'Greeting' is not Key=Value"),
        ("Color=red", "Parameters: [Color] do not exist in the template"),
        ("PythonRuntime=java21", "Parameter 'PythonRuntime' must be one of AllowedValues"),
    ],
)
def test_parameters_that_the_stack_refuses_are_one_clear_line(
    run: Run, parameters: str, said: str
) -> None:
    local = run(parameters=parameters)

    assert local.process.wait(20) == 1
    local.reader.join()
    assert local.lines[-1].startswith(said)
    assert nothing_is_left(local.root)


def test_a_parameter_may_hold_spaces_and_commas(run: Run) -> None:
    local = run(parameters="""Greeting="good day, it's one" """)

    call = calling(local.printed("  API").split()[-1])

    assert call("/things/implicit").json["greeting"] == "good day, it's one"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_leaves_nothing(run: Run, number: int) -> None:
    local = run()
    url = local.printed("  API").split()[-1]
    calling(url)("/things")
    assert len(processes_of(local.root)) >= 2

    began = time.monotonic()
    assert local.end(number) == 0

    assert time.monotonic() - began < 3
    assert nothing_is_left(local.root)


def test_a_signal_in_the_middle_of_the_start(run: Run) -> None:
    local = run()
    local.printed("starting the emulator")

    assert local.end(signal.SIGINT) == 0
    assert nothing_is_left(local.root)


def test_after_a_sigkill_everything_ends_and_the_next_start_works(run: Run) -> None:
    local = run()
    url = local.printed("  API").split()[-1]

    def be_cut_off() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            calling(url)("/things/slow?seconds=4")

    slow = threading.Thread(target=be_cut_off)
    slow.start()
    eventually(lambda: len(processes_of(local.root)) >= 2)
    time.sleep(0.3)

    local.end(signal.SIGKILL)

    eventually(lambda: not processes_of(local.root), 3)
    slow.join()
    (local.root / ".slipway" / "run-1").mkdir(exist_ok=True)  # what an emulator killed too leaves
    again = run(url.rsplit(":", 1)[1])
    assert calling(again.printed("API").split()[-1])("/things").status == 200
    assert not (local.root / ".slipway" / "run-1").exists()


def test_the_data_is_there_in_the_next_run_until_it_shall_begin_empty(run: Run) -> None:
    def made_tables(local: Local) -> bool:
        call = calling(local.printed("  API").split()[-1])
        return bool(call("/things").status == 200)

    first = run()
    assert made_tables(first)
    assert first.printed("The data is kept in .slipway/data")
    first.end(signal.SIGINT)
    again = run()
    assert made_tables(again)
    assert again.printed("continuing with the data of")
    again.end(signal.SIGTERM)

    fresh = run(FRESH="1")

    assert fresh.printed("beginning empty; the data until now is in .slipway/data.old")
    assert made_tables(fresh)


def test_a_second_run_is_told_who_has_the_data_and_can_run_without(run: Run) -> None:
    first = run()
    url = first.printed("  API").split()[-1]

    second = run()

    assert second.process.wait(20) == 1
    second.reader.join()
    [line] = second.lines
    assert line.startswith(f"the data in .slipway/data is in use by the make local at {url} ")
    assert "KEEP=0 make local" in line
    assert run(KEEP="0").printed("The data is kept nowhere")
    assert calling(url)("/things").status == 200


def test_broken_data_stops_the_start_with_what_to_do(run: Run) -> None:
    first = run()
    first.printed("  API")
    first.end(signal.SIGINT)
    data = first.root / ".slipway/data"
    for path in data.glob("state*"):
        os.truncate(path, 1000)

    again = run()

    assert again.process.wait(20) == 1
    again.reader.join()
    assert again.lines[0].startswith(".slipway/data/state cannot be used: it ends after")
    assert again.lines[-1].startswith("FRESH=1 make local begins empty")
    assert nothing_is_left(first.root)


@pytest.mark.parametrize("keep", ["-1", "inf", "nan", "often"])
def test_a_malformed_keep_is_reported_in_one_line(run: Run, keep: str) -> None:
    local = run(KEEP=keep)

    assert local.process.wait(10) == 1
    local.reader.join()
    assert local.lines == [f"KEEP must be the seconds between saves, or 0, not {keep!r}\n"]


def test_the_run_says_where_it_is(platform: Platform) -> None:
    [about] = [
        json.loads(path.read_text())
        for path in (platform.root / ".slipway").glob("run-*/emulator.json")
    ]

    assert about["endpoint"] == platform.endpoint
    assert about["api_url"] == platform.url
    assert about["pid"] == os.getpid()
    assert about["outputs"]["ApiId"]


def test_both_ports_are_on_loopback_only(platform: Platform) -> None:
    for port in (platform.port, int(platform.endpoint.rsplit(":", 1)[1])):
        with pytest.raises(PortInUse):
            Platform(platform.root, port).start()
        with socket.socket() as probe, pytest.raises(OSError):
            probe.connect(("127.0.0.2", port))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_edits_go_live_and_broken_ones_do_not(run: Run) -> None:
    local = run()
    call = calling(local.printed("  API").split()[-1])
    failures: list[int] = []
    stop = threading.Event()
    visitor = threading.Thread(target=visit, args=(call, failures, stop))
    visitor.start()

    def edited(path: str, old: str, new: str, said: str) -> None:
        count = sum(said in line for line in local.lines)
        began = time.monotonic()
        edit(local.root / path, old, new)
        eventually(lambda: sum(said in line for line in local.lines) > count, 10)
        assert time.monotonic() - began < 5

    edited("functions/echo/app.py", "CODE = 1", "CODE = 2", "deployed after")
    assert call("/things").json["code"] == 2
    edited("functions/echo/app.py", "CODE = 2", "CODE = (", "not deployed")
    assert call("/things").json["code"] == 2
    edited("functions/echo/app.py", "CODE = (", "CODE = 3", "deployed after")
    assert call("/things").json["code"] == 3
    edited("layers/core/fixturelib/__init__.py", "VERSION = 1", "VERSION = 2", "deployed after")
    assert call("/things").json["layer"] == 2
    edited("template.yaml", "Resources:", "Resources: [", "not deployed")
    edited("template.yaml", "Resources: [", "Resources:", "deployed after")
    edited("template.yaml", "Path: /things,", "Path: /stuff,", "deployed after")
    assert call("/stuff").json["event"]["routeKey"] == "ANY /stuff"
    edited("template.yaml", "!GetAtt Table.StreamArn", "!GetAtt Table.Nothing", "not deployed")
    edited("template.yaml", "!GetAtt Table.Nothing", "!GetAtt Table.StreamArn", "deployed after")
    assert call("/things").json["code"] == 3
    stop.set()
    visitor.join()
    assert failures == []


def visit(call: Call, failures: list[int], stop: threading.Event) -> None:
    """Ask for the same thing again and again, and note what is no success."""
    while not stop.wait(0.01):
        status = call("/things/slow?seconds=0.1").status
        if status != 200:
            failures.append(status)


def test_an_update_that_fails_takes_back_what_it_changed(tmp_path: Path) -> None:
    root = copy_of_app(tmp_path)
    with Platform(root) as platform:
        call = calling(platform.url)
        edit(root / "functions" / "echo" / "app.py", "CODE = 1", "CODE = 2")
        edit(root / "layers" / "core" / "fixturelib" / "__init__.py", "VERSION = 1", "VERSION = 2")
        edit(root / "template.yaml", "Outputs:\n", "Outputs:\n  X: { Value: !GetAtt Api.X }\n")
        with pytest.raises(StackFailed, match="X"):
            platform.update()
        told = call("/things").json
        assert (told["code"], told["layer"]) == (1, 1)

        edit(root / "template.yaml", "  X: { Value: !GetAtt Api.X }\n", "")
        platform.update()
        told = call("/things").json
        assert (told["code"], told["layer"]) == (2, 2)


def test_an_update_keeps_data_and_running_executions(tmp_path: Path) -> None:
    root = copy_of_app(tmp_path)
    with Platform(root) as platform:
        table, item = platform.outputs["TableName"], {"pk": {"S": "a"}, "sk": {"S": "b"}}
        dynamodb = platform.client("dynamodb")
        dynamodb.put_item(TableName=table, Item=item)
        machine = root / "statemachines" / "greet.asl.yaml"
        wait = "  Wait: {Type: Wait, Seconds: 3, Next: Greet}\n"
        edit(machine, "StartAt: Greet\nStates:\n", f"StartAt: Wait\nStates:\n{wait}")
        platform.update()
        client = platform.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=platform.outputs["Greet"], input='{"name": 1}')
        time.sleep(0.3)

        edit(machine, ".given.name", ".given")
        edit(root / "functions" / "task" / "app.py", '"given": event', '"given": {"name": 2}')
        platform.update()

        assert dynamodb.get_item(TableName=table, Key=item)["Item"] == item
        ended = eventually(
            lambda: (
                (found := client.describe_execution(executionArn=arn["executionArn"]))["status"]
                != "RUNNING"
                and found
            )
        )
        assert ended["output"] == "2"  # the definition it started with, the function's new code
