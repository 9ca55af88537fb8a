"""The steps of `make deploy` before and after SAM, which is left out here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy import __main__ as command
from deploy import checks
from deploy.options import ROOT

STACK = "slipway-dev"
REGION = "eu-central-1"


class Cloud:
    """As much of AWS as is asked: the account, and stacks that are there."""

    region_name = REGION
    stacks: tuple[str, ...] = ()

    def client(self, service: str) -> Cloud:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012"}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName not in self.stacks:
            message = f"Stack with id {StackName} does not exist"
            error = {"Error": {"Code": "ValidationError", "Message": message}}
            raise ClientError(error, "DescribeStacks")
        output = {"OutputKey": "ApiUrl", "OutputValue": "https://api.example.com"}
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": [output]}]}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud()
    monkeypatch.setattr("boto3.Session", lambda: cloud)
    return cloud


@pytest.fixture
def sent(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """SAM's arguments, instead of SAM; a layer is there that fits."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setenv("ARCHITECTURE", "x86_64")
    monkeypatch.setenv("RUNTIME", "python3.12")
    monkeypatch.setattr(command, "_sam", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(checks, "layer", lambda *_: iter(()))
    return calls


def test_the_layer_and_the_functions_get_the_same_parameters(
    cloud: Cloud, sent: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.stacks = (STACK,)

    assert command.main(["dev", "--parameters", "ReconcileSchedule='rate(5 minutes)'"]) == 0

    build, deploy = sent
    own = (
        'ParameterKey=Architecture,ParameterValue="x86_64"',
        'ParameterKey=PythonRuntime,ParameterValue="python3.12"',
    )
    assert build == ("build", "--parameter-overrides", *own)
    assert deploy[:7] == (
        *("deploy", "--config-env", "dev", "--stack-name", STACK, "--s3-prefix", STACK),
    )
    assert set(own) < set(deploy)
    assert 'ParameterKey=ReconcileSchedule,ParameterValue="rate(5 minutes)"' in deploy
    said = capsys.readouterr().out
    assert "account 123456789012, eu-central-1" in said
    assert "make demo API=https://api.example.com" in said
    assert "make undeploy STAGE=dev" in said


def test_unconfirmed_changes_are_not_a_deployment(
    sent: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["prod", "--stack", "slipway-eu"]) == 1

    said = capsys.readouterr()
    assert "not confirmed" in said.err
    assert "this account runs at most 10 functions at once" in said.out


def test_a_reservation_that_the_account_cannot_give_is_refused(
    sent: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["dev", "--parameters", "ReservedConcurrency=1"]) == 1

    assert "use at most 0" in capsys.readouterr().err
    assert sent == []


def test_nothing_is_built_when_something_is_wrong(
    sent: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["dev", "--stack", "SLIPWAY", "--parameters", "Sage=dev"]) == 1

    said = capsys.readouterr().err
    assert sent == []
    assert "cannot be named SLIPWAY" in said and "did you mean Stage?" in said


def test_a_layer_that_does_not_fit_is_not_sent(
    sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "layer", lambda *_: iter(["The layer is built for arm64"]))

    assert command.main(["dev"]) == 1
    assert [each[0] for each in sent] == ["build"]


def test_the_next_steps_name_another_stack(
    cloud: Cloud, sent: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.stacks = ("slipway-eu",)

    assert command.main(["dev", "--stack", "slipway-eu"]) == 0
    assert "make undeploy STAGE=dev STACK=slipway-eu" in capsys.readouterr().out


def test_the_makefile_passes_on_the_variables_of_the_command() -> None:
    makefile = (Path(ROOT) / "Makefile").read_text()

    assert "export ARCHITECTURE RUNTIME COMPILER" in makefile
    assert '-m deploy $(STAGE) --stack "$(STACK)" --parameters "$$PARAMETERS"' in makefile
