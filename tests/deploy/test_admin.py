"""`make admin`: the operator's one-time link makes an administrator, and nobody else's account."""

from __future__ import annotations

import os
import re
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import admin, as_function
from local import running
from slipway.domain.account import OPERATOR
from slipway.store import account_records, table, user_records
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.api.registering import ME, quick_passwords, register, set_parameters, user
from tests.support.store import between

EMAIL = "ceo@example.com"
URL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def _here(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One platform runs here; its functions have the settings of the test."""
    quick_passwords(monkeypatch)
    outputs = {"AuthFunctionName": "slipway-AuthFunction"}
    about = {
        "api_url": URL,
        "endpoint": "",
        "region": "us-east-1",
        "outputs": outputs,
        "pid": os.getpid(),
    }
    owner = SimpleNamespace(id="key", secret="secret", token="")
    platform = SimpleNamespace(about=about, owner=owner, client=lambda service: service)
    monkeypatch.setattr(running, "platforms", lambda: [platform])
    monkeypatch.setattr(as_function, "adopt", lambda *given: None)
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")


def link(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The secret in the link that the command prints."""
    assert admin.main([EMAIL, *arguments]) == 0
    found = re.findall(
        rf"{URL}/docs/account#invitation=(\S+)&email=ceo%40example.com", _out(capsys)
    )
    assert len(found) == 1
    return str(found[0])


def _out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.parametrize("mode", ["open", "invite", "closed", "domains"])
def test_the_link_makes_an_administrator_in_every_mode(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    set_parameters(monkeypatch, REGISTRATION=mode)

    made = register(EMAIL, invitation=link(capsys))

    assert made.status == 201
    assert made.json["platform_role"] == "admin"
    assert made.json["email_verified_at"] is not None
    assert account_records.administrators() == 1


def test_a_curl_command_is_printed_beside_the_link(capsys: pytest.CaptureFixture[str]) -> None:
    admin.main([EMAIL])

    said = _out(capsys)
    assert f"curl {URL}/api/v1/auth/register" in said
    assert '"password": "CHOOSE ONE"' in said


def test_a_second_link_ends_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = link(capsys), link(capsys)

    assert_refused(register(EMAIL, invitation=first), 403, "invitation_invalid")
    assert register(EMAIL, invitation=second).status == 201
    assert_refused(register(EMAIL, invitation=second), 403, "invitation_invalid")


def test_the_link_lasts_a_day(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    invitation = link(capsys)
    [item] = table.get(account_records.invitation_key(invitation.partition(".")[0]))
    monkeypatch.setattr("slipway.services.registration._now", lambda: item["expires_at"])

    assert_refused(register(EMAIL, invitation=invitation), 403, "invitation_invalid")
    assert item["invited_by"] == OPERATOR


def test_who_registered_the_address_first_gains_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    squatter = user(EMAIL)

    invitation = link(capsys)
    before = squatter.get(ME).json["platform_role"]
    made = register(EMAIL, "the operator's", invitation=invitation)

    assert before == "member"
    assert made.json["id"] == squatter.user_id
    assert made.json["platform_role"] == "admin"
    assert_refused(squatter.get(ME), 401, "session_ended")
    [entry] = table.get(user_records.email_key(EMAIL))
    assert entry["password_hash"] == "hash of the operator's"


def test_a_disabled_administrator_can_be_recovered(capsys: pytest.CaptureFixture[str]) -> None:
    root, ceo = user("root@example.com", "admin"), user(EMAIL, "admin")
    root.post(f"/api/v1/users/{ceo.user_id}/disable")

    made = register(EMAIL, invitation=link(capsys))

    assert made.json["status"] == "active"
    assert account_records.administrators() == 2


def test_of_two_who_use_the_link_at_once_one_sets_the_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user(EMAIL)
    invitation = link(capsys)
    answers: list[Answer] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: answers.append(register(EMAIL, "first one", invitation=invitation)),
    )

    answers.append(register(EMAIL, "second one", invitation=invitation))

    assert [answer.status for answer in answers] == [201, 403]
    [entry] = table.get(user_records.email_key(EMAIL))
    assert entry["password_hash"] == "hash of first one"


def test_an_administrators_invitation_never_takes_an_account_over() -> None:
    root = user("root@example.com", "admin")
    made = root.post("/api/v1/invitations", {"email": EMAIL, "platform_role": "admin"}).json
    user(EMAIL)

    assert_refused(register(EMAIL, invitation=made["invitation"]), 403, "invitation_invalid")


@pytest.mark.parametrize("email", ["", "nobody", "a@b@example.com"])
def test_what_is_no_address_is_refused(capsys: pytest.CaptureFixture[str], email: str) -> None:
    assert admin.main([email]) == 1
    assert "No link was made" in capsys.readouterr().err


@pytest.mark.parametrize("running_here", [0, 2])
def test_one_platform_must_be_meant(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, running_here: int
) -> None:
    platform = SimpleNamespace(about={"api_url": URL, "pid": os.getpid()})
    monkeypatch.setattr(running, "platforms", lambda: [platform] * running_here)

    assert admin.main([EMAIL]) == 1
    assert "STACK=" in capsys.readouterr().err


def test_a_platform_that_was_killed_is_not_meant(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [here] = running.platforms()
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = SimpleNamespace(about={"api_url": "http://127.0.0.1:1", "pid": gone.pid})
    monkeypatch.setattr(running, "platforms", lambda: [dead, here])

    assert register(EMAIL, invitation=link(capsys)).status == 201


def test_a_stack_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = {"ApiUrl": URL, "AuthFunctionName": "slipway-dev-AuthFunction"}
    described = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    frozen = SimpleNamespace(access_key="a", secret_key="b", token=None)
    asked: list[Any] = []

    class Session:
        region_name = "eu-central-1"

        def client(self, service: str) -> Any:
            return SimpleNamespace(describe_stacks=self.describe_stacks)

        def describe_stacks(self, StackName: str) -> Any:
            asked.append(StackName)
            return {"Stacks": [{"Outputs": described}]}

        def get_credentials(self) -> Any:
            return SimpleNamespace(get_frozen_credentials=lambda: frozen)

    monkeypatch.setattr("deploy.as_function.boto3.Session", Session)
    monkeypatch.setattr(as_function, "adopt", lambda _, *given: asked.append(given))

    assert register(EMAIL, invitation=link(capsys, "--stack", "slipway-dev")).status == 201
    assert asked == [
        "slipway-dev",
        ("slipway-dev-AuthFunction", "eu-central-1", ("a", "b", None)),
    ]


def test_the_link_needs_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    answer = register("eve@example.com", invitation=link(capsys))

    assert_refused(answer, 403, "invitation_invalid")
    assert Client().get("/api/v1/users").status == 401
