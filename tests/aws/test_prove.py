"""`make prove-on-aws` asks, reports, and leaves nothing behind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.prove import __main__ as prove
from deploy.prove.check import Check, Deployed, Seen
from deploy.prove.sandbox import Ended, Sandbox
from local.platform import Platform

pytestmark = pytest.mark.xdist_group("aws")


def left(platform: Platform, name: str) -> list[str]:
    """The account's resources with this name."""
    ask: dict[str, Any] = {
        "roles": platform.client("iam").list_roles()["Roles"],
        "tables": platform.client("dynamodb").list_tables()["TableNames"],
        "functions": platform.client("lambda").list_functions()["Functions"],
        "machines": platform.client("stepfunctions").list_state_machines()["stateMachines"],
        "stacks": [
            each
            for each in platform.client("cloudformation").describe_stacks()["Stacks"]
            if each["StackStatus"] != "DELETE_COMPLETE"
        ],
    }
    return [f"{kind}: {each}" for kind, found in ask.items() for each in found if name in str(each)]


def named(output: str) -> str:
    found = re.search(r"slipway-prove-[0-9a-f]{8}", output)
    assert found, output
    return found[0]


def test_every_check_passes_on_the_laptop_and_nothing_is_left(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    code = prove.main(["--endpoint", platform.endpoint])

    told = capsys.readouterr()
    assert (code, told.err) == (0, ""), told.out
    assert "0 FAIL" in told.out
    for check in prove.CHECKS:
        assert f"{check.row}\n  expected  {check.says}\n  seen      " in told.out
    assert left(platform, named(told.out)) == []


def makes_all_and_fails(sandbox: Sandbox, deployed: Deployed) -> Seen:
    body = '{"Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}'
    name = sandbox.next_name()
    sandbox.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    sandbox.delete_stack_later(name)
    assert sandbox.table and sandbox.function
    sandbox.machine({"Say": {"Type": "Succeed"}})
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Anything")


def test_a_check_that_breaks_off_is_a_failure_and_leaves_nothing(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    check = Check("row", "something", makes_all_and_fails)

    code = prove.main(["--endpoint", platform.endpoint], [check])

    told = capsys.readouterr().out
    assert code == 1
    assert "FAIL    row" in told
    assert "AccessDenied" in told
    assert left(platform, named(told)) == []


def test_failures_and_unclear_results_are_counted_separately(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [
        Check("otherwise", "a", lambda *_: Seen(False, "b")),
        Check("unclear", "a", lambda *_: Seen(None, "c")),
        Check("so", "a", lambda *_: Seen(True, "a")),
    ]

    code = prove.main(["--endpoint", platform.endpoint], checks)

    assert code == 1
    assert "3 checks: 1 pass, 1 FAIL, 1 unclear" in capsys.readouterr().out


def test_resources_that_cannot_be_deleted_are_reported(platform: Platform) -> None:
    def fails() -> None:
        raise RuntimeError("it is in use")

    with Sandbox(platform.client) as sandbox:
        sandbox.delete_later("a thing", fails)

    assert sandbox.left == ["a thing: it is in use"]


def test_a_missing_stack_is_reported_before_anything_is_made(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    code = prove.main(["--stack", "none-such", "--endpoint", platform.endpoint])

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert "none-such cannot be read" in told.err


def test_some_rows_can_be_asked_for_and_others_are_none(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    some = prove.main(["--endpoint", platform.endpoint, "--only", "cfn-names q-concurrency"])
    told = capsys.readouterr().out
    none = prove.main(["--endpoint", platform.endpoint, "--only", "cfn-names cfn-nothing"])

    assert (some, none) == (0, 2)
    assert "2 checks: 2 pass" in told
    assert "No check for cfn-nothing" in capsys.readouterr().err


def test_an_execution_is_repeated_while_its_role_is_not_known(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = "User: role is not authorized to perform: dynamodb:PutItem"
    outcomes = [
        Ended("FAILED", error="DynamoDB.AmazonDynamoDBException", cause=denied),
        Ended("SUCCEEDED", output={"Error": "Lambda.AWSLambdaException", "Cause": denied}),
        Ended("SUCCEEDED", output={"Error": "CustomError", "Cause": "{}"}),
    ]
    sandbox = Sandbox(platform.client, patience=5, poll=0)
    monkeypatch.setattr(sandbox, "machine", lambda *_, **__: "machine")
    monkeypatch.setattr(sandbox, "start", lambda *_: "execution")
    monkeypatch.setattr(sandbox, "ended", lambda _: outcomes.pop(0))

    assert sandbox.run({}).output["Error"] == "CustomError"


def test_on_aws_the_stack_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main([]) == 2
    assert "STACK=" in capsys.readouterr().err
