"""The built functions behind SAM CLI's own HTTP service, under Lambda's runtime client and RIE.

The platform behind `make sam-local`, with processes instead of containers
(tests/support/sam_without_containers.py): SAM CLI reads the template and the variables, routes each
request and builds its event; the RIE and awslambdaric call the handler, which has the layer as
`sam build` makes it and nothing else of this environment.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local.iam_keys import Key
from local.package import load_yaml
from local.platform import HERE, Platform
from local.sam import build, front
from tests.support.container_engine import engine
from tests.support.http_user import PASSWORD, Answer, Person, until
from tests.support.runtime_folder import link_runtime

SAM = HERE / ".venv-sam" / "bin"
DRIVER = HERE / "tests" / "support" / "sam_without_containers.py"
TEMPLATE = load_yaml(HERE / "template.yaml")
PROBLEM = "application/problem+json"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("awslambdaric") is None,
        reason="Lambda's runtime client has wheels for Linux alone",
    ),
    pytest.mark.xdist_group("e2e"),
]


class Front(NamedTuple):
    """SAM CLI in front of the platform: its address, its files, the functions' logs."""

    url: str
    files: front.Files
    logs: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.fixture(scope="module")
def sam(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    here = tmp_path_factory.mktemp("sam")
    (logs := here / "logs").mkdir()
    assert (SAM / "sam").exists(), "make test makes SAM CLI's environment: .venv-sam"
    parameters = {
        "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": build.processor(),
    }
    folder = build.built(HERE, platform.cache, SAM, parameters)
    files = front.prepare(platform, folder, platform.endpoint)
    port = free_port()
    # The command of `make sam-local`, given to the driver instead of to SAM CLI itself.
    command = front.command(SAM, files, port, parameters)[1:]
    settings = {
        "python": sys.executable,
        "runtime": str(link_runtime(here / "runtime")),
        "logs": str(logs),
    }
    (here / "settings.json").write_text(json.dumps(settings))
    with (here / "sam.log").open("wb") as log:
        process = subprocess.Popen(
            [SAM / "python", DRIVER, here / "settings.json", *command],
            env=front.environment(SAM) | {"HOME": str(here)},
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: listens(port) or process.poll() is not None)
            assert process.poll() is None, (here / "sam.log").read_text()
            yield Front(f"http://127.0.0.1:{port}", files, logs)
        finally:
            front.ended(process)


@pytest.fixture
def ann(sam: Front) -> Person:
    return Person(sam.url).sign_in()


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code), answer.raw
    assert answer.headers["Content-Type"] == PROBLEM


# --- the variables --------------------------------------------------------------------------


def of_template(name: str) -> set[str]:
    """The variables that template.yaml gives the function."""
    common = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = TEMPLATE["Resources"][name]["Properties"].get("Environment", {}).get("Variables", {})
    return {*common, *own}


def functions() -> list[str]:
    resources = TEMPLATE["Resources"].items()
    return [name for name, each in resources if each["Type"] == "AWS::Serverless::Function"]


@pytest.mark.parametrize("name", functions())
def test_every_variable_of_the_template_has_the_deployed_value(
    platform: Platform, sam: Front, name: str
) -> None:
    given = json.loads(sam.files.variables.read_text())[name]
    named = json.loads(sam.files.template.read_text())["Resources"][name]["Properties"]

    # SAM CLI passes on none that its template does not name.
    assert set(named["Environment"]["Variables"]) == set(given)
    assert of_template(name) <= set(given)
    assert all(isinstance(value, str) for value in given.values())
    # The values are those of the deployed function, not placeholders.
    deployed = platform.client("lambda").get_function_configuration(
        FunctionName=given["AWS_LAMBDA_FUNCTION_NAME"]
    )
    variables = deployed["Environment"]["Variables"]
    assert {each: given[each] for each in of_template(name)} == {
        each: variables[each] for each in of_template(name)
    }
    assert given["TABLE"] == platform.outputs["TableName"]
    assert given["AWS_ENDPOINT_URL"] == platform.endpoint


def test_each_function_calls_with_the_key_of_its_own_role(platform: Platform, sam: Front) -> None:
    given = json.loads(sam.files.variables.read_text())

    for name in ("AuthFunction", "ProjectsFunction", "EnvironmentsFunction"):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        key = Key(*(given[name][each] for each in names))
        caller = platform.client("sts", key).get_caller_identity()["Arn"]
        configuration = platform.client("lambda").get_function_configuration(
            FunctionName=given[name]["AWS_LAMBDA_FUNCTION_NAME"]
        )
        role = configuration["Role"].rpartition("/")[2]
        assert f":assumed-role/{role}/" in caller


def test_nothing_of_the_developers_own_aws_reaches_a_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = {"AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "AKIAMINE", "AWS_SESSION_TOKEN": "mine"}
    for name, value in {**mine, "TABLE": "mine", "DOCKER_HOST": "unix:///run/x.sock"}.items():
        monkeypatch.setenv(name, value)

    given = front.environment(SAM)

    assert not {*mine, "TABLE"} & set(given)
    assert given["AWS_SHARED_CREDENTIALS_FILE"] == given["AWS_CONFIG_FILE"] == os.devnull
    assert given["DOCKER_HOST"] == "unix:///run/x.sock"


# --- what users do --------------------------------------------------------------------------


def test_the_walk_through_passes(platform: Platform, sam: Front) -> None:
    ann = Person(sam.url)
    secret = {"email": ann.email, "password": PASSWORD}
    form = {"username": ann.email, "password": PASSWORD}

    registered = ann.ask("POST", "/api/v1/auth/register", secret)
    assert registered.status == 201, registered.raw
    ann.token = ann.ask("POST", "/api/v1/auth/login", form=form).body["access_token"]
    me = ann.ask("GET", "/api/v1/auth/me").body
    made = ann.ask(
        "POST", "/api/v1/projects/", {"name": "payments", "description": "payment service"}
    )
    project = made.body["id"]
    wanted = {"name": "preview-pr-123", "type": "ephemeral", "ttl_hours": 24}
    environment = ann.ask("POST", f"/api/v1/environments/projects/{project}", wanted)
    running = ann.wait_for(environment.body["id"], "running", "failed")
    deployment = ann.deploy(running["id"], "sha-1234567")
    shipped = ann.wait_for(deployment.body["id"], "succeeded", "failed")
    lines = ann.ask("GET", f"/api/v1/deployments/{shipped['id']}/logs").body
    events = ann.ask("GET", f"/api/v1/environments/{running['id']}/events").body
    gone = ann.ask("DELETE", f"/api/v1/environments/{running['id']}")

    statuses = [each.status for each in (made, environment, deployment, gone)]
    assert statuses == [201, 201, 201, 202]
    assert (me["email"], running["status"], shipped["status"]) == (
        ann.email,
        "running",
        "succeeded",
    )
    assert made.headers["Location"] == f"/api/v1/projects/{project}"
    assert running["base_url"].startswith("http")
    # PublicUrl, which is that of the platform here; make sam-local sets it to its own URL.
    assert shipped["logs_url"].startswith(f"{platform.url}/")
    assert lines
    assert {"running", "succeeded"} <= {each["to"] for each in events}
    ann.wait_for(running["id"], "destroyed")


def test_headers_mean_what_they_say(platform: Platform, ann: Person) -> None:
    once = {"Idempotency-Key": secrets.token_hex(8)}
    first, again = (
        ann.ask("POST", "/api/v1/projects", {"name": "once"}, headers=once) for _ in range(2)
    )
    path = first.headers["Location"]
    late = ann.ask("PATCH", path, {"name": "late"}, headers={"If-Match": '"7"'})
    in_time = ann.ask(
        "PATCH", path, {"name": "in time"}, headers={"If-Match": first.headers["ETag"]}
    )
    ann.project("second")
    page = ann.ask("GET", "/api/v1/projects?limit=1")

    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert_problem(late, 412, "precondition_failed")
    assert (in_time.status, in_time.body["name"]) == (200, "in time")
    assert page.headers["Link"].startswith(f"<{platform.url}/api/v1/projects?limit=1&cursor=")


@pytest.mark.parametrize(
    "written,external_id",
    [("feature/x", "feature/x"), ("fix%2F1%23a", "fix/1#a"), ("50%25/%D0%B2", "50%/в")],
)
def test_an_environment_is_found_by_the_name_of_a_branch(
    ann: Person, written: str, external_id: str
) -> None:
    path = f"/api/v1/projects/{ann.project()}/environments/by-external-id/{written}"
    body = {"name": "preview", "type": "ephemeral"}

    made, again = ann.ask("PUT", path, body), ann.ask("PUT", path, body)
    tag = again.headers["ETag"]
    known = ann.ask("GET", path, headers={"If-None-Match": f'"7", W/{tag}'})
    head = ann.ask("HEAD", path)

    assert (made.status, made.body["external_id"]) == (201, external_id)
    assert (again.status, again.body["id"]) == (200, made.body["id"])
    assert (known.status, known.raw, head.status, head.raw) == (304, b"", 200, b"")
    assert int(head.headers["Content-Length"]) > 300


BODY = """
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true, MinLength: 8}
Resources:
  Jobs: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${AWS::StackName}-jobs"}}
Outputs:
  Queue: {Value: !GetAtt Jobs.QueueName}
"""


def test_an_environment_from_a_template_is_planned_made_and_shows_its_drift(
    ann: Person,
) -> None:
    name = f"queue-{secrets.token_hex(4)}"
    ann.ask("POST", "/api/v1/templates", {"name": name})
    versions = f"/api/v1/templates/{name}/versions"

    version = ann.ask("POST", versions, text=BODY, media="application/yaml")
    assert version.status == 201, version.raw
    published = ann.ask("POST", f"{versions}/1.0/publish")
    body = ann.ask("GET", f"{versions}/1.0/body")
    inputs = {"Password": "hunter22"}
    project = ann.project()
    dry_run = f"/api/v1/environments/projects/{project}?dry_run=true"
    wanted = {"name": "preview", "type": "ephemeral", "template": name, "inputs": inputs}
    plan = ann.ask("POST", dry_run, wanted)
    made = ann.environment(project, "preview", template=name, inputs=inputs)
    running = ann.wait_for(made["id"], "running", "failed")
    resources = ann.ask("GET", f"/api/v1/environments/{made['id']}/resources").body
    began = ann.ask("POST", f"/api/v1/environments/{made['id']}/drift")
    drift = until(lambda: drift_of(ann, made["id"]))

    assert published.body["state"] == "published"
    assert body.raw.decode() == BODY
    # The container's function invokes the platform's function for plans.
    assert plan.status == 200, plan.raw
    assert [each["logical_id"] for each in plan.body["change_set"]["changes"]] == ["Jobs"]
    assert running["status"] == "running", running
    assert running["inputs"] == {"Password": "****"}
    assert running["outputs"]["Queue"].endswith("-jobs")
    assert [each["logical_id"] for each in resources] == ["Jobs"]
    assert began.status == 202
    assert drift["status"] == "in_sync"


def drift_of(ann: Person, environment: str) -> dict[str, Any] | None:
    found: dict[str, Any] = ann.ask("GET", f"/api/v1/environments/{environment}/drift").body
    return found if found["status"] != "detecting" else None


# --- bodies that are not text, answers that are errors ---------------------------------------


def test_pages_and_binary_answers_arrive_as_they_are(sam: Front) -> None:
    anyone = Person(sam.url)
    assets = HERE / "functions" / "api" / "docs" / "assets"

    image = anyone.ask("GET", "/docs/assets/favicon.png")
    packed = anyone.ask(
        "GET", "/docs/assets/swagger-ui.css", headers={"Accept-Encoding": "gzip, br"}
    )
    plain = anyone.ask("GET", "/docs/assets/swagger-ui.css", headers={"Accept-Encoding": "br"})

    assert image.raw == (assets / "favicon.png").read_bytes()
    assert image.headers["Content-Type"] == "image/png"
    assert packed.raw == (assets / "swagger-ui.css.gz").read_bytes()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.raw == gzip.decompress(packed.raw)
    assert anyone.ask("GET", "/docs").raw.startswith(b"<!doctype html>")
    assert anyone.ask("GET", "/health").body == {"status": "ok"}


def test_errors_are_problems(sam: Front, ann: Person) -> None:
    anyone = Person(sam.url)

    assert_problem(anyone.ask("GET", "/api/v1/auth/me"), 401, "token_missing")
    assert_problem(ann.ask("GET", "/no/such/path"), 404, "not_found")
    assert_problem(ann.ask("GET", "/api/v1/projects/prj_x"), 404, "not_found")
    assert_problem(ann.ask("PUT", "/api/v1/projects", {}), 405, "method_not_allowed")
    assert_problem(ann.ask("POST", "/api/v1/projects", {}), 422, "invalid_request")
    assert_problem(ann.ask("POST", "/api/v1/projects", text="{"), 400, "malformed_body")
    assert_problem(
        ann.ask("POST", "/api/v1/projects", text="{}", media="text/plain"),
        415,
        "unsupported_media_type",
    )
    assert_problem(ann.ask("POST", "/api/v1/projects", text=" " * 70_000), 413, "body_too_large")


def test_a_function_logs_one_line_a_request(sam: Front, ann: Person) -> None:
    assert ann.ask("GET", "/api/v1/projects").status == 200

    lines = (sam.logs / "ProjectsFunction").read_text().splitlines()

    logged = json.loads([line for line in lines if line.startswith("{")][-1])
    assert (logged["message"], logged["method"], logged["status"]) == ("request", "GET", 200)


# --- the command ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_the_command_starts_both_and_an_interrupt_ends_both(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    own = {"PORT": str(port), "RUNTIME": f"python{sys.version_info.major}.{sys.version_info.minor}"}
    # Variables that make passed to pytest, as in `make test ARGS=…`, are not meant for this
    # command.
    own |= dict.fromkeys(["ARCHITECTURE", "ARGS", "HOST", "LOGS", "PARAMETERS"], "")
    own["HOME"] = str(tmp_path)
    with engine(tmp_path / "engine.sock", "127.0.0.2") as host, log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.sam"],
            cwd=HERE,
            env=os.environ | own | {"DOCKER_HOST": host},
            stdout=output,
            stderr=output,
        )
        try:
            until(lambda: listens(port) or process.poll() is not None, 60)
            printed = log.read_text()
            assert process.poll() is None, printed
            beyond = re.search(r"and http://127\.0\.0\.2:(\d+), where this machine's", printed)
            assert beyond, printed
            assert listens(int(beyond[1]), "127.0.0.2")
            [file] = (HERE / ".slipway").glob(f"run-{process.pid}*/sam-variables.json")
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            variables = json.loads(file.read_text())["AuthFunction"]
            assert variables["PUBLIC_URL"] == f"http://127.0.0.1:{port}"
            assert variables["AWS_ENDPOINT_URL"] == f"http://127.0.0.2:{beyond[1]}"

            process.send_signal(signal.SIGINT)

            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
    assert not listens(port)
    assert not listens(int(beyond[1]))
    assert not (HERE / ".slipway" / f"run-{process.pid}").exists()
