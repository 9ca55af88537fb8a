"""The command line as people and programs meet it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from slipway_cli import contexts
from slipway_cli.main import COMMANDS, app, globals_first, run
from slipway_cli.output import printable, shown
from tests.support.cli.calling import call
from tests.support.cli.scripted import CUT, DEPLOYMENT, ENVIRONMENT, Scripted, serving
from tests.support.repository import ROOT

ME = ("GET", "/api/v1/auth/me")
PROJECTS = ("GET", "/api/v1/projects")
LIST = [{"id": "prj_1", "name": "payments", "created_at": "2026-11-23T01:02:03.456Z"}]


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# --- flags ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["envs", "list", "--json", "-p", "x"], ["--json", "-p", "x", "envs", "list"]),
        (["deploy", "a", "v1", "--url=http://h"], ["--url=http://h", "deploy", "a", "v1"]),
        (["deploy", "--", "--json"], ["deploy", "--", "--json"]),
        (["envs", "list", "--project"], ["--project", "envs", "list"]),
        (["envs", "list", "--json=yes"], ["envs", "list", "--json=yes"]),
    ],
)
def test_global_flags_stand_anywhere(given: list[str], expected: list[str]) -> None:
    assert globals_first(given) == expected


def test_a_flag_beats_a_variable_and_a_variable_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "slipway.toml").write_text('project = "from-the-file"\nenvironment = "staging"\n')
    monkeypatch.chdir(below)

    assert contexts.Choices().the_project() == "from-the-file"
    assert contexts.Choices().the_environment() == "staging"
    monkeypatch.setenv("SLIPWAY_PROJECT", "from-the-variable")
    assert contexts.Choices().the_project() == "from-the-variable"
    assert contexts.Choices(project="from-the-flag").the_project() == "from-the-flag"


def test_a_repository_does_not_choose_where_the_token_is_sent(tmp_path: Path) -> None:
    (tmp_path / "slipway.toml").write_text('url = "https://evil.example.com"\n')

    assert contexts.Choices().platform() == contexts.LAPTOP


def test_a_broken_file_of_the_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / "slipway.toml").write_text("project = ")

    with serving(Scripted()) as platform:
        assert call(platform, "envs", "list") == 2


@pytest.mark.parametrize("arguments", [["nonsense"], ["deploy"], ["envs", "create"], ["--nope"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(arguments)

    assert ended.value.code == 2
    assert "--help" in capsys.readouterr().err


# --- output -----------------------------------------------------------------------------------


def test_json_prints_json_only(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Scripted(answers={PROJECTS: (200, LIST)})) as platform:
        assert call(platform, "projects", "list", "--json") == 0

    assert said(capsys) == LIST


def test_quiet_prints_ids_only(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Scripted(answers={PROJECTS: (200, LIST)})) as platform:
        assert call(platform, "projects", "list", "-q") == 0

    assert capsys.readouterr().out == "prj_1\n"


def test_a_refusal_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"detail": "No.", "code": "forbidden", "errors": []}
    with serving(Scripted(answers={PROJECTS: (403, problem)})) as platform:
        assert call(platform, "projects", "list", "--json") == 3

    error = said(capsys)
    assert (error["exit_code"], error["error"]["code"]) == (3, "forbidden")


def test_each_field_at_fault_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    fields = [{"pointer": "#/name", "detail": "is taken"}, {"pointer": "#/x", "detail": "is odd"}]
    problem = {"detail": "Two fields are wrong.", "code": "invalid_request", "errors": fields}
    with serving(Scripted(answers={("POST", PROJECTS[1]): (422, problem)})) as platform:
        assert call(platform, "projects", "create", "payments") == 3

    told = capsys.readouterr().err
    assert "#/name: is taken" in told
    assert "#/x: is odd" in told


def test_what_others_wrote_cannot_move_the_cursor() -> None:
    assert printable("ok\x1b[2J\r\n\u202ebad") == "ok?[2J???bad"
    assert shown({"reason": "a\x07b"}, "reason") == "a?b"


def test_following_as_json_prints_a_line_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    line = {"ts": "2026-11-23T01:02:03.456Z", "step": "ship", "level": "info", "message": "Done"}
    with serving(Scripted(log=[line, line], faults=[CUT])) as platform:
        assert call(platform, "logs", DEPLOYMENT, "--json") == 0

    assert [json.loads(text) for text in capsys.readouterr().out.splitlines()] == [line, line]


# --- questions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["envs", "destroy", ENVIRONMENT], "--yes"),
        (["projects", "delete", "payments"], "--yes"),
        (["members", "remove", "usr_1", "-p", "prj_1"], "--yes"),
        (["login"], "--email"),
        (["login", "--email", "ann@example.com"], "--password-stdin"),
    ],
)
def test_a_question_without_a_terminal_ends_with_2_and_names_the_flag(
    arguments: list[str],
    flag: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with serving(Scripted(["running"])) as platform:
        assert call(platform, *arguments) == 2

    assert f"Add {flag}" in capsys.readouterr().err
    assert not [each for each in platform.requests if each.method == "DELETE"]


# --- sessions ---------------------------------------------------------------------------------


def signed_in(platform: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_TOKEN")
    monkeypatch.setattr(sys, "stdin", _Lines("correct horse battery\n"))
    tokens = {"access_token": "old", "refresh_token": "slr_1", "token_type": "bearer"}
    platform.answers["POST", "/api/v1/auth/login"] = (200, tokens)
    assert call(platform, "login", "--email", "ann@example.com", "--password-stdin") == 0


class _Lines:
    def __init__(self, text: str) -> None:
        self.text = text

    def readline(self) -> str:
        return self.text

    def isatty(self) -> bool:
        return False


def test_tokens_are_kept_in_a_file_that_only_its_owner_can_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(Scripted()) as platform:
        signed_in(platform, monkeypatch)

    kept = contexts.folder() / "tokens.json"
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    assert contexts.read_tokens(platform.url)["refresh_token"] == "slr_1"
    assert "correct horse" not in kept.read_text()
    assert contexts.listed() == [{"url": platform.url, "email": "ann@example.com", "current": True}]


@pytest.mark.parametrize(("status", "signs_in"), [(201, True), (202, False)])
def test_registering_signs_in_unless_the_address_must_be_proven_first(
    status: int, signs_in: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLIPWAY_TOKEN")
    monkeypatch.setattr(sys, "stdin", _Lines("correct horse battery\n"))
    answers: dict[tuple[str, str], tuple[int, Any]] = {
        ("POST", "/api/v1/auth/register"): (status, {"id": "usr_1"}),
        ("POST", "/api/v1/auth/login"): (200, {"access_token": "new", "refresh_token": "slr_1"}),
    }
    with serving(Scripted(answers=answers)) as platform:
        mine = ["--email", "ann@example.com", "--password-stdin", "--invitation", "inv"]
        assert call(platform, "register", *mine) == 0

    sent = {"email": "ann@example.com", "password": "correct horse battery", "invitation": "inv"}
    assert platform.requests[0].body == sent
    assert bool(contexts.read_tokens(platform.url)) == signs_in
    assert ("link that was mailed" in capsys.readouterr().out) != signs_in


def test_an_access_token_that_has_ended_is_renewed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Scripted()) as platform:
        signed_in(platform, monkeypatch)
        renewed = {"access_token": "new", "refresh_token": "slr_2"}
        platform.answers["POST", "/api/v1/auth/refresh"] = (200, renewed)
        platform.answers[ME] = (401, {"detail": "It has ended.", "code": "session_ended"})

        assert call(platform, "whoami") == 4

    asked = [each.headers.get("authorization") for each in platform.requests[1:]]
    assert asked == ["Bearer old", None, "Bearer new"]
    assert contexts.read_tokens(platform.url) == renewed


def test_signing_out_ends_the_session_and_forgets_the_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(Scripted()) as platform:
        signed_in(platform, monkeypatch)
        platform.answers["POST", "/api/v1/auth/logout"] = (204, None)
        assert call(platform, "logout") == 0
        assert call(platform, "whoami") == 4

    assert platform.requests[-1].path == "/api/v1/auth/logout"
    assert contexts.read_tokens(platform.url) == {}


@pytest.mark.parametrize("url", ["http://slipway.example.com", "ftp://x", "slipway.example.com"])
def test_a_password_is_not_sent_openly(url: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["login", url, "--email", "ann@example.com", "--password-stdin"])

    assert ended.value.code == 2


def test_a_redirect_does_not_carry_the_token_away() -> None:
    with serving(Scripted(answers={ME: (302, None)})) as platform:
        assert call(platform, "whoami") != 0

    assert len(platform.requests) == 1


# --- help -------------------------------------------------------------------------------------


def commands() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    group: Any = typer.main.get_command(app)
    for name in COMMANDS:
        command = group.get_command(None, name)
        inner = getattr(command, "commands", None)
        found += [(f"{name} {each}", inner[each]) for each in inner] if inner else [(name, command)]
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_has_help_and_an_example(name: str, command: Any) -> None:
    assert command.help
    assert command.epilog.startswith(f"Example: slipway {name}") or "$(slipway" in command.epilog


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_for_each_shell(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["completion", shell])

    assert ended.value.code == 0
    assert "_SLIPWAY_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [("slipway en", 1, ["envs"]), ("slipway -p pay", 2, ["payments"])],
)
def test_the_shell_completes_commands_and_live_names(
    words: str, at: int, expected: list[str]
) -> None:
    with serving(Scripted(answers={PROJECTS: (200, LIST)})) as platform:
        asked = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "cli"),
            "SLIPWAY_URL": platform.url,
            "_SLIPWAY_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(at),
        }
        done = subprocess.run(
            [sys.executable, "-m", "slipway_cli"], env=asked, capture_output=True, text=True
        )

    assert done.stdout.split() == expected


def test_help_imports_neither_tables_nor_the_keyring() -> None:
    code = (
        "import sys; from slipway_cli.main import run\n"
        "try: run(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'keyring', 'platformdirs', 'urllib.request'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "cli")},
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines()[-1] == "['urllib.request']"
