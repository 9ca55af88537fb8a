"""Mistakes are explained before anything is built."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from deploy import checks
from deploy.options import Refused, declared, functions, read
from local import region
from local.package import load_yaml
from tests.support.repository import ROOT, resources


@pytest.mark.parametrize(
    "name,value,said",
    [
        ("Sage", "dev", "no such parameter; did you mean Stage?"),
        ("Colour", "red", "no such parameter; its parameters are "),
        ("Stage", "test", "one of dev, prod"),
        ("MaxTtlHours", "0", "1 or more"),
        ("MaxTtlHours", "9000", "8736 or less"),
        ("MaxTtlHours", "long", "a number"),
        ("PythonRuntime", "3.13", "like python3"),
    ],
)
def test_a_parameter_that_cloudformation_would_refuse_is_reported(
    name: str, value: str, said: str
) -> None:
    (found,) = checks.parameters(declared(), {name: value})

    assert said in found
    assert found.startswith(name)


def test_parameters_that_the_template_accepts_pass() -> None:
    defaults = {name: str(each["Default"]) for name, each in declared().items()}

    assert list(checks.parameters(declared(), defaults)) == []


def test_a_stage_brings_its_stack_and_what_is_given_comes_before_it() -> None:
    own = {"Architecture": "x86_64"}

    dev = read("dev", "", "LogLevel=DEBUG ReconcileSchedule='rate(5 minutes)'", own)
    other = read("prod", "slipway-eu", "", own)

    assert (dev.stack, dev.stage) == ("slipway-dev", "dev")
    assert dev.parameters == {
        "Stage": "dev",
        "LogLevel": "DEBUG",
        "ReconcileSchedule": "rate(5 minutes)",
        "Architecture": "x86_64",
    }
    assert (other.stack, other.parameters["Stage"]) == ("slipway-eu", "prod")


@pytest.mark.parametrize(
    "stage,given,said",
    [
        ("test", "", "samconfig.toml has the stages dev and prod"),
        ("dev", "LogLevel", "not Key=Value"),
        ("dev", "Architecture=x86_64", "make deploy ARCHITECTURE=x86_64"),
        ("dev", "PythonRuntime=python3.12", "make deploy RUNTIME=python3.12"),
    ],
)
def test_invalid_options_are_refused(stage: str, given: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        read(stage, "", given, {"Architecture": "arm64", "PythonRuntime": "python3.13"})


def library(folder: Path, name: str, processor: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x7fELF" + bytes(14) + struct.pack("<H", processor))


@pytest.mark.parametrize(
    "name,processor,said",
    [
        ("_core.cpython-313-aarch64-linux-gnu.so", 0xB7, None),
        ("_rust.abi3.so", 0xB7, None),
        ("_rust.abi3.so", 0x3E, "built for x86_64 and the functions run on arm64"),
        ("_rust.abi3.so", 0xF3, "built for processor 0xf3"),
        ("_core.cpython-312-aarch64-linux-gnu.so", 0xB7, "built for Python 3.12"),
    ],
)
def test_a_layer_that_the_functions_cannot_import_is_reported(
    tmp_path: Path, name: str, processor: int, said: str | None
) -> None:
    library(tmp_path / "python/x", name, processor)

    found = list(checks.layer(tmp_path, "arm64", "python3.13"))

    assert found == [] if said is None else said in found[0]


def test_a_layer_that_was_not_built_is_reported(tmp_path: Path) -> None:
    (found,) = checks.layer(tmp_path, "arm64", "python3.13")

    assert "make build" in found


def test_a_compiled_file_that_is_not_elf_is_not_for_linux(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(b"\xcf\xfa\xed\xfe" + bytes(20))

    (found,) = checks.layer(tmp_path, "arm64", "python3.13")

    assert "built for another system than Linux" in found


def test_bytecode_needs_the_exact_version() -> None:
    here = "python{}.{}".format(*sys.version_info)

    assert list(checks.compiler(here, sys.executable)) == []
    for program in (sys.executable, "no-such-python"):
        (found,) = checks.compiler("python3.99", program)
        assert "is not installed" in found and "COMPILER=" in found


@pytest.mark.parametrize("name,wrong", [("python3.11", 1), ("python3.12", 0), ("python3.13", 0)])
def test_a_python_of_amazon_linux_2_is_reported(name: str, wrong: int) -> None:
    assert len(list(checks.runtime(name))) == wrong


class Cloud:
    """A CloudFormation with one stack."""

    def __init__(self, status: str) -> None:
        self.status = status

    def describe_stacks(self, StackName: str) -> Any:
        if not self.status:
            message = f"Stack with id {StackName} does not exist"
            error = {"Error": {"Code": "ValidationError", "Message": message}}
            raise ClientError(error, "DescribeStacks")
        return {"Stacks": [{"StackStatus": self.status}]}


@pytest.mark.parametrize(
    "status,known,said",
    [
        ("", False, None),
        ("CREATE_COMPLETE", True, None),
        ("UPDATE_ROLLBACK_COMPLETE", True, None),
        ("REVIEW_IN_PROGRESS", False, None),
        ("UPDATE_IN_PROGRESS", True, "wait until it has finished"),
        ("ROLLBACK_COMPLETE", True, "make undeploy"),
        ("UPDATE_ROLLBACK_FAILED", True, "continue the rollback"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_reported(
    status: str, known: bool, said: str | None
) -> None:
    found, wrong = checks.state(Cloud(status), "slipway-dev")

    reasons = list(wrong)
    assert found is known
    assert reasons == [] if said is None else said in reasons[0]


def test_aws_region_counts_as_it_does_for_the_aws_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    region.adopt()

    assert boto3.Session().region_name == "eu-central-1"


def test_without_a_region_or_credentials_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    _, no_region = checks.credentials(boto3.Session())
    _, no_credentials = checks.credentials(boto3.Session(region_name="eu-central-1"))

    assert "AWS_REGION" in next(no_region)
    assert "Unable to locate credentials" in next(no_credentials)


@mock_aws
def test_the_account_id_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    account, wrong = checks.credentials(boto3.Session(region_name="eu-central-1"))

    assert (account, list(wrong)) == ("123456789012", [])


def test_functions_are_counted_as_the_template_has_them() -> None:
    assert functions() == len(resources("AWS::Serverless::Function"))


@pytest.mark.parametrize(
    "total,free,reserved,said",
    [
        # A new account: nothing at all may be reserved.
        (10, 10, 0, None),
        (10, 10, 1, "use at most 0"),
        (1000, 1000, 60, None),
        (1000, 1000, 70, "use at most 69"),
        (1000, 200, 10, "use at most 7"),
    ],
)
def test_a_reservation_that_lambda_would_refuse_is_reported(
    total: int, free: int, reserved: int, said: str | None
) -> None:
    limits = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": free}

    found = list(checks.concurrency(limits, reserved, 13))

    assert found == [] if said is None else said in found[0]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"Registration": "domains"}, True),
        ({"Registration": "domains", "MailSender": ""}, True),
        ({"Registration": "domains", "MailSender": "slipway@example.com"}, False),
        ({"Registration": "invite"}, False),
        ({}, False),
    ],
)
def test_domains_need_mail(given: dict[str, str], refused: bool) -> None:
    assert bool([*checks.registration(given)]) == refused


def test_open_registration_is_pointed_out() -> None:
    [note] = checks.openness({"Registration": "open"})

    assert "run code in this account" in note
    assert [*checks.openness({"Registration": "invite"}), *checks.openness({})] == []


def test_cloudformation_refuses_domains_without_mail_as_well() -> None:
    rule = load_yaml(ROOT / "template.yaml")["Rules"]["DomainsNeedMail"]

    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Registration"}, "domains"]}
    [assertion] = rule["Assertions"]
    without_mail = {"Fn::Equals": [{"Ref": "MailSender"}, ""]}
    assert assertion["Assert"] == {"Fn::Not": [without_mail]}
