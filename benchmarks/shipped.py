"""The functions as they are deployed, each with a request and DynamoDB's answers to it."""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks.loopback import Watched, can, canned, environ, issue
from benchmarks.round_trips import handlers
from benchmarks.stage import Stage
from benchmarks.support import ROOT, VENV

Event = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request for the function in `folder` (below functions/)."""

    folder: str
    event: Event
    answers: Mapping[str, str]


def _api(method: str, path: str, body: str | None = None, form: bool = False) -> Any:
    def made(stage: Stage) -> Event:
        from tests.support.api.client import FORM, JSON, event

        headers = {"authorization": f"Bearer {stage.ann.token}"}
        if body is not None:
            headers["content-type"] = FORM if form else JSON
        return event(method, path.format(s=stage), "", headers, body)

    return made


def _changed(stage: Stage) -> Event:
    """The stream's record when an environment is created."""
    from slipway.access.principal import Principal
    from slipway.store import environment_records
    from slipway.store.wire import encode_value

    made = stage.world.environment(
        stage.project, Principal(stage.ann.user_id, "environments:create"), "another"
    )
    item = {
        name: encode_value(value) for name, value in (environment_records.find(made) or {}).items()
    }
    keys = {name: item[name] for name in ("pk", "sk")}
    change = {"Keys": keys, "NewImage": item, "SequenceNumber": "1"}
    record = {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change}
    return {"Records": [record]}


def _step(verb: str) -> Callable[[Stage], Event]:
    def made(stage: Stage) -> Event:
        from slipway.access.principal import Principal
        from slipway.domain import timestamps

        now = timestamps.written(timestamps.now())
        common = {"execution": "an-execution", "started_at": now, "entered_at": now}
        if verb == "provision":
            new = stage.world.environment(
                stage.project, Principal(stage.ann.user_id, "environments:create"), "another"
            )
            return {"environment_id": str(new), **common}
        if verb == "retire":
            return {"environment_id": str(stage.environment), **common}
        from slipway.services import rollouts

        rollouts.acquire_next(stage.environment)
        stage.world.begins(stage.deployment)
        return {"deployment_id": str(stage.deployment), "token": 1, **common}

    return made


def _preview(stage: Stage) -> Event:
    """The preview of an update of an environment that has no stack yet."""
    from slipway.access.principal import Principal
    from slipway.store import environment_records

    new = stage.world.environment(
        stage.project, Principal(stage.ann.user_id, "environments:create"), "another"
    )
    return {"creates": False, "environment": environment_records.find(new), "secrets": {}}


SHIP = json.dumps({"version": "sha-1234567"})
PREVIEW = json.dumps({"name": "preview-pr-124", "type": "ephemeral", "ttl_hours": 24})
FORM = "username=ann%40example.com&password=secret123"

# The first request of each function.
FIRST: dict[str, tuple[str, Callable[[Stage], Event]]] = {
    "auth": ("api/auth", _api("GET", "/api/v1/auth/me")),
    "people": ("api/people", _api("GET", "/api/v1/projects/{s.project}/members")),
    "projects": ("api/projects", _api("GET", "/api/v1/projects/{s.project}")),
    "templates": ("api/templates", _api("GET", "/api/v1/templates")),
    "environments": ("api/environments", _api("GET", "/api/v1/environments/{s.environment}")),
    "inspection": (
        "api/inspection",
        _api("GET", "/api/v1/environments/{s.environment}/resources"),
    ),
    "runtime": (
        "api/runtime",
        _api("GET", "/api/v1/environments/{s.environment}/runtime-logs"),
    ),
    "configuration": (
        "api/configuration",
        _api("GET", "/api/v1/environments/{s.environment}/variables"),
    ),
    "deployments": ("api/deployments", _api("GET", "/api/v1/deployments/{s.deployment}")),
    "confirmations": ("api/confirmations", _api("GET", "/api/v1/confirmations")),
    "promotions": ("api/promotions", _api("GET", "/api/v1/projects/{s.project}/stages")),
    "console": ("api/console", _api("GET", "/console/sign-in")),
    "docs": ("api/docs", _api("GET", "/openapi.json")),
    "plans": ("invoked/plans", _preview),
    "dispatch": ("events/dispatch", _changed),
    "reconcile": ("events/reconcile", lambda stage: {}),
    "provision": ("steps/provision", _step("provision")),
    "retire": ("steps/retire", _step("retire")),
    "ship": ("steps/ship", _step("ship")),
    "restore": ("steps/restore", _step("restore")),
}
# The most frequent requests.
DAILY: dict[str, tuple[str, Callable[[Stage], Event]]] = {
    "get environment": FIRST["environments"],
    "list environments": (
        "api/environments",
        _api("GET", "/api/v1/environments/projects/{s.project}"),
    ),
    "create deployment": (
        "api/deployments",
        _api("POST", "/api/v1/deployments/environments/{s.environment}", SHIP),
    ),
    "sign in": ("api/auth", _api("POST", "/api/v1/auth/login", FORM, form=True)),
}


def recorded(asked: Mapping[str, tuple[str, Callable[[Stage], Event]]]) -> dict[str, Request]:
    """Send each request once to the emulator's table, for its answers."""
    from tests.support.api.client import CONTEXT
    from tests.support.repository import load_function

    found = {}
    with Watched() as dynamodb, handlers(dynamodb):
        for name, (folder, make) in asked.items():
            dynamodb.create_table()
            stage = Stage()
            event = make(stage)
            from slipway.access import signing, tokens

            # Like a new function, it reads the public keys as well.
            tokens.forget()
            signing.forget()
            with dynamodb.watching() as calls, redirect_stdout(StringIO()):
                load_function(ROOT / "functions" / folder).handler(
                    json.loads(json.dumps(event)), CONTEXT
                )
            found[name] = Request(folder, event, can(calls))
    return found


class Shipped:
    """Copies of the functions and of the layer's own code with bytecode, as `sam build` makes.

    The layer's dependencies come from `venv`; `-S` keeps Python from loading anything else of it.
    """

    def __init__(self, place: Path, venv: Path) -> None:
        self.place = place
        self.python = [str(venv / "bin/python"), "-S", "-B"]
        [site_packages] = venv.glob("lib/python*/site-packages")
        self.path = f"{place}/opt:{site_packages}"
        shutil.copytree(ROOT / "functions", place / "task", ignore=_NO_CACHE)
        shutil.copytree(ROOT / "layers/core/slipway", place / "opt/slipway", ignore=_NO_CACHE)
        compileall.compile_dir(
            place / "opt", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )

    def command(
        self, request: Request, endpoint: str, event: Path
    ) -> tuple[list[str], dict[str, str]]:
        folder = self.place / "task" / request.folder
        invoke = ROOT / "benchmarks/invoke.py"
        return [*self.python, str(invoke), str(folder), str(event)], self.environ(endpoint)

    def environ(self, endpoint: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": self.path,
            "PYTHONHASHSEED": "0",
            **environ(endpoint),
        }


_NO_CACHE = shutil.ignore_patterns("__pycache__")


@contextmanager
def shipped(venv: Path = VENV) -> Iterator[Shipped]:
    with tempfile.TemporaryDirectory(prefix="slipway-") as place:
        yield Shipped(Path(place), venv)


@contextmanager
def all_ready(
    here: Shipped, asked: Mapping[str, Request], *, tls: bool = False
) -> Iterator[dict[str, tuple[list[str], dict[str, str]]]]:
    """The command of each request, with a server of its own."""
    identity, bundle = (here.place / name for name in ("identity.pem", "bundle.pem"))
    if tls:
        issue(identity, bundle)
    with ExitStack() as stack:
        found = {}
        for name, request in asked.items():
            event = here.place / f"{name.replace(' ', '-')}.json"
            event.write_text(json.dumps(request.event))
            server = canned(request.answers, identity if tls else None)
            command, environ = here.command(request, stack.enter_context(server), event)
            if tls:
                # The variables that OpenSSL and boto3 read.
                environ |= {"SSL_CERT_FILE": str(bundle), "AWS_CA_BUNDLE": str(bundle)}
            found[name] = command, environ
        yield found
