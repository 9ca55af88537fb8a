"""The command line against a running platform: from an account to a page that answers."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.platform import Platform
from slipway_cli.main import run
from tests.support.http_user import DIRECT, PASSWORD, Person
from tests.support.repository import ROOT

pytestmark = pytest.mark.xdist_group("e2e")

Slipway = Callable[..., Any]


@pytest.fixture
def slipway(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Slipway:
    """Calls the command line as a new user who has signed in with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPWAY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SLIPWAY_URL", platform.url)

    def call(*arguments: str, code: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            run([*arguments, "--json"])
        told = capsys.readouterr()
        assert ended.value.code == code, told
        lines = [json.loads(line) for line in told.out.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    user = Person(platform.url).sign_in()
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    assert call("login", "--email", user.email, "--password-stdin")["email"] == user.email
    return call


def test_from_a_project_to_the_end_of_an_environment_by_names(
    slipway: Slipway, tmp_path: Path
) -> None:
    slipway("projects", "create", "payments", "--label", "team=checkout")
    (tmp_path / "slipway.toml").write_text('project = "payments"\nenvironment = "pr-7"\n')

    assert slipway("envs", "create", "pr-7", "--ttl", "2h", "--wait")["status"] == "running"
    assert slipway("deploy", "pr-7", "sha-1234567", "--wait")["status"] == "succeeded"
    assert slipway("envs", "show")["live_version"] == "sha-1234567"
    assert [each["name"] for each in slipway("envs", "list")] == ["pr-7"]
    events = slipway("envs", "events", "pr-7")
    rollout = next(each["subject"] for each in events if each["subject"].startswith("dep_"))
    assert slipway("logs", rollout, "--follow")[-1]["message"] == "sha-1234567 is live"
    assert slipway("watch", rollout)[-1]["status"] == "succeeded"
    refused = slipway("deploy", "pr-8", "sha-1234567", "--wait", code=3)
    assert refused["error"]["code"] == "not_found"
    assert slipway("envs", "destroy", "--yes", "--wait")["status"] == "destroyed"
    assert slipway("envs", "list") == []
    assert [each["name"] for each in slipway("envs", "list", "--ended")] == ["pr-7"]


def test_from_a_template_to_a_page(slipway: Slipway) -> None:
    template = ROOT / "examples" / "hello-web" / "template.yaml"
    slipway("projects", "create", "web")
    pushed = slipway("templates", "push", "cli-hello", str(template), "--publish")
    assert pushed["state"] == "published"

    created = ["envs", "create", "front", "--template", "cli-hello", "--project", "web", "--wait"]
    assert slipway(*created)["status"] == "running"
    slipway("deploy", "front", "v1", "--project", "web", "--wait")

    url = slipway("envs", "open", "front", "--project", "web")["url"]
    with DIRECT.open(url, timeout=30) as page:
        assert b"v1" in page.read()


def test_a_token_for_a_pipeline(slipway: Slipway, monkeypatch: pytest.MonkeyPatch) -> None:
    slipway("projects", "create", "payments")
    made = slipway("tokens", "create", "ci", "--scope", "read", "--only-project", "payments")

    monkeypatch.setenv("SLIPWAY_TOKEN", made["token"])
    assert [each["name"] for each in slipway("projects", "list")] == ["payments"]
    refused = slipway("envs", "create", "pr-7", "--project", "payments", code=3)
    assert refused["error"]["code"] == "forbidden"


def test_what_a_rollback_does_is_seen_on_the_page_and_its_hold_is_released(
    slipway: Slipway,
) -> None:
    template = ROOT / "examples" / "hello-web" / "template.yaml"
    slipway("projects", "create", "shop")
    of = ("--project", "shop")
    slipway("templates", "push", "cli-shop", str(template), "--publish")
    slipway("envs", "create", "front", "--template", "cli-shop", "--wait", *of)
    for version in ("v1", "v2"):
        slipway("deploy", "front", version, "--wait", *of)

    plan = slipway("rollback", "front", "--reason", "v2 is wrong", "--dry-run", *of)
    done = slipway("rollback", "front", "--reason", "v2 is wrong", "--wait", *of)

    assert plan["version"] == {"before": "v2", "after": "v1"}
    assert (done["status"], done["version"], done["trigger"]) == ("succeeded", "v1", "rollback")
    held = slipway("hold", "show", "front", *of)
    assert held["hold"]["reason"] == "v2 is wrong"
    assert "version v1" in DIRECT.open(held["base_url"]).read().decode()
    assert slipway("hold", "release", "front", *of)["hold"] is None


def test_a_device_without_a_password_is_approved_in_a_session(
    slipway: Slipway, platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = slipway("whoami")
    tokens = json.loads((tmp_path / "config" / "tokens.json").read_text())[platform.url]
    person = Person(platform.url)
    person.token = tokens["access_token"]

    def approved(*lines: str) -> None:
        [code] = re.findall(r"[B-Z]{4}-[B-Z]{4}", lines[0])
        seen = person.ask("GET", f"/api/v1/auth/device?user_code={code}")
        assert (seen.status, seen.body["status"]) == (200, "pending")
        decided = person.ask("POST", "/api/v1/auth/device/approve", {"user_code": code})
        assert decided.body["status"] == "approved"

    monkeypatch.setattr("slipway_cli.device._tell", approved)
    monkeypatch.setenv("SLIPWAY_CONFIG_DIR", str(tmp_path / "device"))

    assert slipway("login", "--device")["email"] == mine["email"]
    assert slipway("whoami")["id"] == mine["id"]


def test_variables_and_secrets_go_there_and_back(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slipway("projects", "create", "settings")
    (tmp_path / "slipway.toml").write_text('project = "settings"\nenvironment = "pr-7"\n')
    slipway("envs", "create", "pr-7", "--wait")
    slipway("variables", "set", "LOG_LEVEL=info", "TEAM=checkout", "--of-project")
    (tmp_path / ".env").write_text("LOG_LEVEL=debug\nGREETING='Hello  you'\n")

    changed = slipway("variables", "import", ".env")
    exported = slipway("variables", "export")
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery staple\n"))
    secret = slipway("secrets", "set", "PASSWORD")

    assert changed["configuration"] >= 1
    expected = {"LOG_LEVEL": "debug", "TEAM": "checkout", "GREETING": "Hello  you"}
    assert exported == expected
    assert secret["name"] == "PASSWORD"
    shown = slipway("secrets", "list")
    assert "correct horse" not in json.dumps([secret, shown])
    slipway("variables", "unset", "LOG_LEVEL")
    found = {each["name"]: each["value"] for each in slipway("variables", "list")}
    assert found == {**expected, "LOG_LEVEL": "info"}
    slipway("secrets", "unset", "PASSWORD", "--yes")
    assert slipway("secrets", "list") == []
