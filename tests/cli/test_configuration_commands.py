"""Variables, secrets, rollbacks, promotions, holds and runtime logs by the command line."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway_cli.commands import following
from tests.support.cli.calling import call
from tests.support.cli.scripted import DEPLOYMENT, ENVIRONMENT, Request, Scripted, serving

OF_ENV = f"/api/v1/environments/{ENVIRONMENT}"
OF_PROJECT = "/api/v1/projects/payments"
CHANGED = {"configuration": 5, "variables": []}
HERE = ("--env", ENVIRONMENT)


def sent(platform: Scripted, method: str) -> Request:
    """The last request with this method."""
    return [each for each in platform.requests if each.method == method][-1]


def platform_with(method: str, path: str, answer: Any, status: int = 200) -> Scripted:
    return Scripted(answers={(method, path): (status, answer)})


# --- variables --------------------------------------------------------------------------------


def test_variables_are_set_and_unset_in_one_request_each() -> None:
    with serving(platform_with("PATCH", f"{OF_ENV}/variables", CHANGED)) as platform:
        assert call(platform, "variables", "set", "A=1", "B=x=y", *HERE) == 0
        assert sent(platform, "PATCH").body == {"A": "1", "B": "x=y"}
        assert call(platform, "variables", "unset", "A", "B", *HERE) == 0
        assert sent(platform, "PATCH").body == {"A": None, "B": None}

    assert sent(platform, "PATCH").headers["content-type"] == "application/merge-patch+json"


@pytest.mark.parametrize(
    ("flags", "where"),
    [
        (["--of-project"], f"{OF_PROJECT}/variables"),
        (["--tier", "production"], f"{OF_PROJECT}/variables?tier=production"),
    ],
)
def test_a_project_and_a_tier_have_levels_of_their_own(flags: list[str], where: str) -> None:
    with serving(platform_with("PATCH", f"{OF_PROJECT}/variables", CHANGED)) as platform:
        assert call(platform, "variables", "set", "A=1", "-p", "payments", *flags) == 0

    assert sent(platform, "PATCH").path == where


def test_a_change_says_when_it_takes_effect(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(platform_with("PATCH", f"{OF_ENV}/variables", CHANGED)) as platform:
        assert call(platform, "variables", "set", "A=1", *HERE) == 0

    assert "with the next deployment, or at once with --apply" in capsys.readouterr().err


def test_apply_asks_for_a_deployment_at_once() -> None:
    answer = {**CHANGED, "deployment_id": DEPLOYMENT}
    with serving(platform_with("PATCH", f"{OF_ENV}/variables", answer)) as platform:
        assert call(platform, "variables", "set", "A=1", "--apply", *HERE) == 0

    assert sent(platform, "PATCH").path.endswith("?apply=now")


@pytest.mark.parametrize(
    ("name", "text", "media"),
    [
        (".env", "A=1\n# why\nB='x y'\n", "text/plain"),
        ("a.json", '{"A": "1"}', "application/merge-patch+json"),
    ],
)
def test_a_file_is_sent_as_it_is(tmp_path: Path, name: str, text: str, media: str) -> None:
    (tmp_path / name).write_text(text)
    with serving(platform_with("PATCH", f"{OF_ENV}/variables", CHANGED)) as platform:
        assert call(platform, "variables", "import", name, *HERE) == 0

    request = sent(platform, "PATCH")
    assert request.headers["content-type"] == media
    assert request.body == (json.loads(text) if "json" in media else text)


def test_a_file_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("A=1\n"))
    with serving(platform_with("PATCH", f"{OF_ENV}/variables", CHANGED)) as platform:
        assert call(platform, "variables", "import", "-", *HERE) == 0

    assert sent(platform, "PATCH").body == "A=1\n"


def test_an_export_is_the_file_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(platform_with("GET", f"{OF_ENV}/variables", {"A": "1"})) as platform:
        assert call(platform, "variables", "export", "--format", "json", *HERE) == 0

    assert json.loads(capsys.readouterr().out) == {"A": "1"}
    assert sent(platform, "GET").headers["accept"] == "application/merge-patch+json"


@pytest.mark.parametrize(
    "arguments",
    [
        ["variables", "set", "A", *HERE],
        ["variables", "set", "A=1", "A=2", *HERE],
        ["variables", "set", "A=1", "--wait", *HERE],
        ["variables", "set", "A=1", "--of-project", "--tier", "production", "-p", "x"],
        ["variables", "import", "no-such-file", *HERE],
        ["variables", "export", "--format", "yaml", *HERE],
        ["secrets", "set", "A", "--wait", "--from", "/x", *HERE],
        ["rollback", ENVIRONMENT],
        ["promote", ENVIRONMENT],
        ["logs", ENVIRONMENT, "--since", "15m"],
        ["logs", DEPLOYMENT, "--runtime"],
        ["logs", ENVIRONMENT, "--runtime", "--since", "soon"],
    ],
)
def test_wrong_usage_changes_nothing(arguments: list[str]) -> None:
    with serving(Scripted()) as platform:
        assert call(platform, *arguments) == 2

    assert [each for each in platform.requests if each.method != "GET"] == []


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "value"), [("hunter2\n", "hunter2"), ("a\nb\n\n", "a\nb\n"), (" x ", " x ")]
)
def test_a_secret_is_read_from_standard_input_and_shown_nowhere(
    typed: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    answer = {"name": "PASSWORD", "version": 2, "configuration": 5}
    with serving(platform_with("PUT", f"{OF_ENV}/secrets/PASSWORD", answer)) as platform:
        assert call(platform, "secrets", "set", "PASSWORD", *HERE) == 0

    assert sent(platform, "PUT").body == {"value": value}
    told = capsys.readouterr()
    assert "hunter2" not in told.out + told.err


def test_an_empty_secret_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with serving(Scripted()) as platform:
        assert call(platform, "secrets", "set", "PASSWORD", *HERE) == 2

    assert platform.requests == []
    assert "standard input is empty" in capsys.readouterr().err


def test_a_secret_that_is_removed_asks_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with serving(Scripted()) as platform:
        assert call(platform, "secrets", "unset", "PASSWORD", *HERE) == 2

    assert "Add --yes" in capsys.readouterr().err
    assert platform.requests == []


# --- rollbacks, promotions, holds -------------------------------------------------------------


def test_a_rollback_says_why_and_where_to() -> None:
    with serving(Scripted()) as platform:
        rolled = ["rollback", ENVIRONMENT, "--reason", "it answers 500", "--to", DEPLOYMENT]
        assert call(platform, *rolled, "--confirm", "production") == 0

    request = sent(platform, "POST")
    assert request.path == f"{OF_ENV}/rollback"
    assert request.body == {"reason": "it answers 500", "to": DEPLOYMENT}
    assert request.headers["x-confirm"] == "production"


def test_a_dry_run_shows_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    plan = {"version": {"before": "v2", "after": "v1"}}
    with serving(platform_with("POST", f"{OF_ENV}/rollback", plan)) as platform:
        assert call(platform, "rollback", ENVIRONMENT, "--reason", "x", "--dry-run") == 0

    assert json.loads(capsys.readouterr().out) == plan
    assert sent(platform, "POST").path.endswith("?dry_run=true")


def test_a_promotion_names_its_targets() -> None:
    with serving(Scripted(["running", "succeeded"])) as platform:
        to = ["--to", "env_1_2", "--to", "env_1_3", "--confirm", "eu", "--confirm", "us"]
        assert call(platform, "promote", ENVIRONMENT, *to, "--keep-template") == 0

    request = sent(platform, "POST")
    assert request.path == "/api/v1/promotions"
    assert request.body == {"from": ENVIRONMENT, "to": ["env_1_2", "env_1_3"], "template": False}
    assert request.headers["x-confirm"] == "eu,us"


def test_a_hold_is_shown_and_released(capsys: pytest.CaptureFixture[str]) -> None:
    held = {"at": "2026-11-28T12:00:00Z", "by": {"name": "ann"}, "reason": "it answers 500"}
    found = {"id": ENVIRONMENT, "name": "production", "status": "running", "hold": held}
    answers: dict[tuple[str, str], tuple[int, Any]] = {
        ("GET", OF_ENV): (200, found),
        ("DELETE", f"{OF_ENV}/hold"): (200, {**found, "hold": None}),
    }
    with serving(Scripted(answers=answers)) as platform:
        assert call(platform, "hold", "show", ENVIRONMENT) == 0
        assert "it answers 500" in capsys.readouterr().out
        assert call(platform, "hold", "release", ENVIRONMENT) == 0

    assert sent(platform, "DELETE").path == f"{OF_ENV}/hold"


# --- what waits for a person ------------------------------------------------------------------

CONFIRMATION = "cnf_1_1"


class Asked(Scripted):
    """Answers a machine's rollback with a confirmation, which ends so; then shows the rollout."""

    def __init__(self, end: str, result: Any = None, rolled: str = "succeeded") -> None:
        super().__init__(["running", rolled])
        self.end, self.result, self.times = end, result, 0

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        waiting = {"id": CONFIRMATION, "status": "awaiting_confirmation", "target": ENVIRONMENT}
        if request.path.endswith("/rollback"):
            return 202, waiting, {}
        if "/confirmations/" not in request.path:
            return super().answer(request)
        self.times += 1
        if self.times == 1:
            return 200, waiting, {"ETag": '"1"'}
        return 200, {**waiting, "status": self.end, "result": self.result}, {"ETag": '"2"'}


MADE = {"status": 201, "body": {"id": DEPLOYMENT}}


@pytest.mark.parametrize(
    ("end", "result", "rolled", "code"),
    [
        ("rejected", None, "succeeded", 1),
        ("expired", None, "succeeded", 1),
        ("failed", {"status": 412}, "succeeded", 1),
        ("carried_out", MADE, "succeeded", 0),
        ("carried_out", MADE, "failed", 1),
        ("carried_out", {"status": 201, "body": json.dumps({"id": DEPLOYMENT})}, "canceled", 1),
        ("carried_out", {"status": 201, "body": None}, "succeeded", 5),
    ],
)
def test_what_a_person_has_to_approve_ends_as_it_ends_then(
    end: str, result: Any, rolled: str, code: int
) -> None:
    with serving(Asked(end, result, rolled)) as platform:
        assert call(platform, "rollback", ENVIRONMENT, "--reason", "x", "--wait") == code


def test_without_wait_a_confirmation_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Asked("rejected")) as platform:
        assert call(platform, "rollback", ENVIRONMENT, "--reason", "x") == 0

    told = capsys.readouterr()
    assert "awaiting_confirmation" in told.out
    assert "waits for a person" in told.err


# --- what runs --------------------------------------------------------------------------------


def test_the_log_of_what_runs_is_searched(capsys: pytest.CaptureFixture[str]) -> None:
    line = {"ts": "2026-11-28T12:00:00Z", "source": "Web", "level": "error", "message": "No."}
    with serving(platform_with("GET", f"{OF_ENV}/runtime-logs", [line])) as platform:
        asked = ["--runtime", "--since", "15m", "--filter", "order 7", "--source", "Web"]
        assert call(platform, "logs", ENVIRONMENT, *asked) == 0

    assert "Web          ERROR No." in capsys.readouterr().out
    [request] = platform.requests
    assert "filter=order+7" in request.path
    assert "source=Web" in request.path
    since = request.path.partition("since=")[2].partition("&")[0].replace("%3A", ":")
    ago = datetime.now(UTC) - datetime.fromisoformat(since)
    assert timedelta(minutes=15) <= ago < timedelta(minutes=16)


def test_the_time_left_is_what_rollouts_usually_take() -> None:
    began = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()

    found = {"started_at": began, "created_at": began}

    assert following._time_left(found, None) == ""
    assert following._time_left(found, 300) in ("  about 4m 29s left", "  about 4m left")
    assert following._time_left(found, 10) == "  longer than usual"


def test_the_usual_time_is_the_median_of_the_last_rollouts() -> None:
    def took(seconds: int) -> dict[str, str]:
        return {
            "started_at": "2026-11-28T12:00:00+00:00",
            "finished_at": f"2026-11-28T12:00:{seconds}+00:00",
        }

    done = [took(10), took(50), took(20), {"started_at": None}]
    answers: dict[tuple[str, str], tuple[int, Any]] = {
        ("GET", f"{OF_ENV}/deployments"): (200, done)
    }
    with serving(Scripted(answers=answers)) as platform:
        from slipway_cli.asking import Session
        from slipway_cli.contexts import Choices
        from slipway_cli.output import Output

        session = Session(Choices(platform.url), Output())
        assert following._usual_seconds(session, {"environment_id": ENVIRONMENT}) == 20
