"""`python -m slipway.importers.proton`: what it writes, what it prints, its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from slipway.aws import template_bodies
from slipway.importers.proton import publishing
from slipway.importers.proton.__main__ import main
from tests.support.api.client import Answer, Client, call, event
from tests.support.api.people import signed_in
from tests.support.importers.bundles import BUNDLES, files, write
from tests.support.repository import ROOT
from tests.support.store.cloudformation import CloudFormation

WORKER = str(BUNDLES / "worker")
QUEUE = str(BUNDLES / "queue")
WEB_SERVICE = str(BUNDLES / "web-service")
VERSIONS = "/api/v1/templates/worker/versions"
Captured = pytest.CaptureFixture[str]


def test_the_template_is_written_to_stdout_and_the_report_to_stderr(capsys: Captured) -> None:
    ended = main([WORKER])

    said = capsys.readouterr()
    assert ended == 4
    assert said.out.startswith("AWSTemplateFormatVersion: '2010-09-09'\n")
    refused, _, notes = said.err.partition("Notes:\n")
    assert refused.startswith("Refused by the platform until it is changed:\n  #/Resources/Queue1/")
    assert "  instance_infrastructure/cloudformation.yaml:14: " in notes
    assert "Not carried over" not in said.err


def test_what_a_platform_accepts_is_reported_as_carried_over(capsys: Captured) -> None:
    assert main([QUEUE]) == 0

    assert "Refused" not in capsys.readouterr().err


def test_losses_change_the_exit_code(capsys: Captured) -> None:
    ended = main([WEB_SERVICE])

    said = capsys.readouterr()
    assert ended == 1
    assert said.out.startswith("# Not carried over from AWS Proton:\n#   instance_infra")
    assert said.err.startswith("Not carried over:\n  instance_infrastructure/cloudformation.yaml:")
    assert "the pipeline is left out" in said.err.partition("Notes:")[2]


def test_strict_writes_everything_or_nothing(capsys: Captured, tmp_path: Path) -> None:
    assert main([WEB_SERVICE, "--strict", "--output", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.endswith("Nothing is written, because --strict is given.\n")

    assert main([WORKER, "--strict", "--output", str(tmp_path)]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["template.yaml"]


def test_the_template_is_written_to_a_folder(capsys: Captured, tmp_path: Path) -> None:
    assert main([WORKER, "--output", str(tmp_path / "made" / "here")]) == 4

    assert capsys.readouterr().out == ""
    (tmp_path / "file").write_text("")
    assert main([WORKER, "--output", str(tmp_path / "file")]) == 2
    main([WORKER])
    assert (tmp_path / "made/here/template.yaml").read_text() == capsys.readouterr().out


def test_a_broken_bundle_is_reported_without_a_traceback(capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path, {**files("a: [", "a: {type: string}")})

    assert main([str(tmp_path)]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{tmp_path}: infrastructure/cloudformation.yaml: The body is not")


def test_a_missing_file_is_reported_once(capsys: Captured, tmp_path: Path) -> None:
    missing, words = tmp_path / "missing", tmp_path / "words.tar.gz"
    words.write_text("no archive")

    assert main([str(missing)]) == main([str(words)]) == 2

    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{missing}: No such file or directory"
    assert second.startswith(f"{words}: Not a gzipped file")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [WORKER, "--publish-to", "https://slipway.example.com"],
        [WORKER, "--name", "worker"],
        [WORKER, "--publish-to", "https://slipway.example.com", "--name", "worker"],
        [WORKER, "--wrong"],
    ],
)
def test_a_wrong_command_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, arguments: list[str]
) -> None:
    monkeypatch.delenv("SLIPWAY_TOKEN", raising=False)

    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_guide_shows_the_command() -> None:
    command = "python -m slipway.importers.proton"
    assert f"{command} BUNDLE" in (ROOT / "docs/proton.md").read_text()

    told = subprocess.run(
        [sys.executable, *command.split()[1:], WORKER],
        env={**os.environ, "PYTHONPATH": str(ROOT / "layers/core")},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (told.returncode, told.stdout.splitlines()[1]) == (
        4,
        "Transform: AWS::Serverless-2016-10-31",
    )


# --- a platform over HTTP -----------------------------------------------------------------------


@dataclass
class Served:
    """The handlers behind a real server. `faults`: what it answers first, None for no answer."""

    url: str = ""
    faults: list[int | None] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    lose_answers: int = 0


@contextmanager
def served() -> Iterator[Served]:
    about = Served()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            about.seen.append(f"{self.command} {path}")
            about.keys += self.headers.get_all("Idempotency-Key", [])
            fault = about.faults.pop(0) if about.faults else 200
            if fault is None:
                self.close_connection = True
                return
            if fault != 200:
                self.give(Answer(fault, {"location": "http://127.0.0.1:1/elsewhere"}, b"<html>"))
                return
            sent = event(self.command, path, query, dict(self.headers), body or None)
            found = call(sent)
            if about.lose_answers:
                about.lose_answers -= 1
                self.close_connection = True
                return
            self.give(found)

        def give(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.raw)))
            self.end_headers()
            self.wfile.write(answer.raw)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    about.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield about
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    word = CloudFormation()
    monkeypatch.setattr(template_bodies, "_cloudformation", lambda: word)
    return word


@pytest.fixture
def ann(aws: None, monkeypatch: pytest.MonkeyPatch) -> Client:
    types = "AWS::SQS::*,AWS::SNS::*,AWS::Serverless::*,AWS::Lambda::EventSourceMapping"
    monkeypatch.setenv("ALLOWED_RESOURCE_TYPES", types)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(publishing, "_PAUSES", (0.0, 0.0))
    made = signed_in("ann@example.com")
    monkeypatch.setenv("SLIPWAY_TOKEN", str(made.token))
    return made


@pytest.fixture
def platform(ann: Client, cloudformation: CloudFormation) -> Iterator[Served]:
    with served() as about:
        yield about


def publish(platform: Served, bundle: str = QUEUE, *more: str) -> int:
    return main([bundle, "--publish-to", platform.url, "--name", "worker", *more])


def test_an_upload_becomes_a_draft_of_a_template(
    platform: Served, ann: Client, capsys: Captured, tmp_path: Path
) -> None:
    ended = publish(platform, QUEUE, "--output", str(tmp_path))

    assert ended == 0
    assert "Draft: worker@1.0 (draft)\n" in capsys.readouterr().err
    body = ann.get(f"{VERSIONS}/1.0/body")
    assert (body.text, body.headers["content-type"]) == (
        (tmp_path / "template.yaml").read_text(),
        "application/yaml",
    )
    assert ann.post(f"{VERSIONS}/1.0/publish").status == 200


def test_an_upload_after_a_publication_gets_another_version(
    platform: Served, ann: Client, capsys: Captured
) -> None:
    publish(platform)
    again = publish(platform)
    twice = capsys.readouterr().err
    other = publish(platform, QUEUE, "--strict")

    assert (again, other) == (0, 0)
    assert "\nDraft: worker@1.0 (draft, already exists)\n" in twice
    assert len(ann.get(VERSIONS).json) == 1


def test_another_body_is_the_next_version(
    platform: Served, ann: Client, capsys: Captured, tmp_path: Path
) -> None:
    publish(platform)
    text = "Resources:\n  Jobs: {Type: AWS::SQS::Queue}\n"

    publish(platform, str(write(tmp_path, files(text, "a: {type: string}"))))

    assert [each["version"] for each in ann.get(VERSIONS).json] == ["1.1", "1.0"]
    assert "\nDraft: worker@1.1 (draft)\n" in capsys.readouterr().err


@pytest.mark.parametrize("lost", range(1, 3))
def test_a_lost_answer_makes_no_second_version(platform: Served, ann: Client, lost: int) -> None:
    platform.lose_answers = 1
    platform.faults = [503] * (lost - 1)

    assert publish(platform) == 0

    assert len(ann.get(VERSIONS).json) == 1
    assert len(ann.get("/api/v1/templates").json) == 1
    # The same request keeps its key.
    assert len(set(platform.keys)) == 2 < len(platform.keys)


def test_a_refusal_of_the_platform_is_shown_with_its_fields(
    platform: Served, ann: Client, capsys: Captured
) -> None:
    ended = publish(platform, str(BUNDLES / "network"))

    said = capsys.readouterr().err
    assert ended == 3
    assert "POST /api/v1/templates/worker/versions: 422 invalid_request: " in said
    assert "  #/Resources/VPC/Type AWS::EC2::VPC is not allowed here: " in said
    left = "The template worker was created and remains without a version.\n"
    assert said.endswith(left)
    assert ann.get(VERSIONS).json == []
    # It was there before; and a bundle that fits becomes its version.
    publish(platform, str(BUNDLES / "network"))
    assert left not in capsys.readouterr().err
    assert publish(platform) == 0


def test_a_template_of_another_user_is_not_changed(platform: Served, capsys: Captured) -> None:
    bob = signed_in("bob@example.com")
    assert bob.post("/api/v1/templates", {"name": "worker"}).status == 201

    assert publish(platform) == 3
    assert "403 forbidden" in capsys.readouterr().err


def test_a_malformed_token_is_refused(
    platform: Served, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("SLIPWAY_TOKEN", "none")

    assert publish(platform) == 3
    assert "POST /api/v1/templates: 401 token_invalid" in capsys.readouterr().err


@pytest.mark.parametrize("faults", [[503] * 3, [None] * 3, [302], [404]])
def test_a_server_that_is_not_the_platform_is_reported(
    platform: Served, capsys: Captured, faults: list[int | None]
) -> None:
    platform.faults = list(faults)

    assert publish(platform) == 3

    said = capsys.readouterr().err
    assert "does not answer" in said or f": {faults[0]}: " in said
    # The token goes nowhere else, and nothing is asked after the last try.
    assert len(platform.seen) == len(faults)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "slipway.example.com", "https://", "ftp://a"]
)
def test_a_malformed_url_is_refused(ann: Client, url: str, capsys: Captured) -> None:
    assert main([QUEUE, "--publish-to", url, "--name", "worker"]) == 3
    assert "is not the URL of a platform" in capsys.readouterr().err


def test_strict_uploads_nothing_when_something_is_lost(platform: Served) -> None:
    assert publish(platform, WEB_SERVICE, "--strict") == 1
    assert platform.seen == []
