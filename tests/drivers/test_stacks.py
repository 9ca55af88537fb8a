"""The CloudFormation driver on real stacks of the emulator: made, changed, failed, deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.platform import Platform
from slipway.aws import secret_inputs
from slipway.domain import timestamps
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverFault, DriverRefused, RolledBack, StackGone
from slipway.settings import settings
from tests.support.drivers import BUCKET, OTHER, OTHER_KEY, Subject, signal, until


def described(stacks: Any, of: Subject) -> dict[str, Any]:
    [found] = stacks.describe_stacks(StackName=stack_name(of.id))["Stacks"]
    return dict(found)


def begun(stacks: Any, of: Subject) -> list[str]:
    """The tokens of the stack's operations, in the order in which they were begun."""
    events = stacks.describe_stack_events(StackName=stack_name(of.id))["StackEvents"]
    return [
        event["ClientRequestToken"]
        for event in reversed(events)
        if event["PhysicalResourceId"] == event["StackId"]
        and event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
    ]


def live(of: Subject, progress: Any) -> str:
    assert progress.outputs
    return str(progress.outputs["Live"])


def test_a_stack_gets_the_inputs_and_the_values_that_slipway_supplies(
    stack: Subject, stacks: Any
) -> None:
    made = stack.go("provision")

    assert made.base_url == "https://preview.example.com"
    assert made.outputs and made.outputs["About"] == "payments/3/a+b"
    assert made.outputs["Live"] == "none "
    tags = {tag["Key"]: tag["Value"] for tag in described(stacks, stack)["Tags"]}
    assert tags == {
        "slipway:project": f"prj_{stack.id.split('_')[1]}",
        "slipway:environment": stack.id,
        "slipway-scope": stack.id.rpartition("_")[2][10:18],
        "slipway:owner": "usr_1",
        "slipway:expires_at": "never",
    }


def test_a_version_and_its_artifact_reach_the_stack_and_nothing_else_changes(
    stack: Subject,
) -> None:
    stack.go("provision")

    shipped = stack.go("ship", version="v1", artifact="s3://builds/v1.zip")

    assert live(stack, shipped) == "v1 s3://builds/v1.zip"
    assert shipped.outputs and shipped.outputs["About"] == "payments/3/a+b"
    assert live(stack, stack.go("restore")) == "none "


def test_the_parts_of_an_artifact_reach_a_template_that_declares_them(
    stack: Subject, emulator: Platform
) -> None:
    names = ("ArtifactBucket", "ArtifactKey", "ArtifactVersion")
    template = {
        "Parameters": {name: {"Type": "String"} for name in names},
        "Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"Live": {"Value": {"Fn::Join": [" ", [{"Ref": name} for name in names]]}}},
    }
    key = "templates/parts/1.0/digest"
    emulator.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(template).encode())
    stack.fields = {"template_key": key, "parameters": names, "defaults": ()}
    stack.go("provision")

    artifacts = ["s3://builds/a/b.zip?versionId=v.1_2", "s3://builds/c.zip", "registry/web:1", None]
    lived = [live(stack, stack.go("ship", version="v1", artifact=each)) for each in artifacts]

    assert lived == ["builds a/b.zip v.1_2", "builds c.zip ", "  ", "  "]


def test_before_the_first_version_the_default_of_the_template_applies(
    stack: Subject, emulator: Platform
) -> None:
    parameters = {"Version": {"Type": "String", "AllowedPattern": "v[0-9]+", "Default": "v0"}}
    template = {
        "Parameters": parameters,
        "Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"Live": {"Value": {"Ref": "Version"}}},
    }
    key = "templates/strict/1.0/digest"
    emulator.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(template).encode())
    stack.fields = {"template_key": key, "parameters": ("Version",), "defaults": ("Version",)}

    asked = (("provision", None), ("ship", "v1"), ("restore", None))
    lived = [stack.go(verb, version=version).outputs for verb, version in asked]

    assert lived == [{"Live": "v0"}, {"Live": "v1"}, {"Live": "v0"}]


def test_a_deployment_updates_the_tags(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stack.fields["expires_at"] = "2026-11-24T00:00:00Z"

    stack.go("ship", version="v1")

    tags = {tag["Key"]: tag["Value"] for tag in described(stacks, stack)["Tags"]}
    assert tags["slipway:expires_at"] == "2026-11-24T00:00:00.000Z"
    assert tags["slipway:environment"] == stack.id


def test_several_simultaneous_polls_begin_one_operation(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    since = timestamps.now()
    for _ in range(3):
        stack.go("ship", since, version="v1")

    assert len(begun(stacks, stack)) == 2
    assert len({token.rpartition("-")[0] for token in begun(stacks, stack)}) == 2


def test_deploying_the_live_version_is_done_at_once(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stack.go("ship", version="v1")

    assert stack.ask("ship", version="v1").done
    assert len(begun(stacks, stack)) == 2


def test_the_events_of_the_stack_become_lines(stack: Subject) -> None:
    stack.go("provision")
    stack.execution = "dep_1"
    since = timestamps.now()
    stack.go("ship", since, version="v1")

    lines = stack.driver.lines(stack.operation("ship", since))

    name = stack_name(stack.id)
    assert lines[0].message.startswith(f"{name} (AWS::CloudFormation::Stack) UPDATE_IN_PROGRESS")
    assert lines[-1].message == f"{name} (AWS::CloudFormation::Stack) UPDATE_COMPLETE"
    assert "Topic (AWS::SNS::Topic) UPDATE_COMPLETE" in [line.message for line in lines]
    assert [line.ts for line in lines] == sorted(line.ts for line in lines)


def test_the_last_events_of_a_deleted_stack_are_read_by_its_id(stack: Subject, stacks: Any) -> None:
    stack.fields["stack_id"] = stack.go("provision").stack_id
    assert stack.fields["stack_id"] == described(stacks, stack)["StackId"]
    since = timestamps.now()
    stack.go("retire", since)

    lines = stack.driver.lines(stack.operation("retire", since))

    messages = [line.message for line in lines]
    assert "Topic (AWS::SNS::Topic) DELETE_COMPLETE" in messages
    assert messages[-1] == f"{stack_name(stack.id)} (AWS::CloudFormation::Stack) DELETE_COMPLETE"


def test_a_creation_that_fails_says_why_and_leaves_nothing_behind(
    stack: Subject, stacks: Any
) -> None:
    stack.fields["inputs"] = {"Broken": "true"}

    since = timestamps.now()
    with pytest.raises(DriverRefused, match=r"^Bad \(AWS::S3::Bucket\): .*exists"):
        stack.go("provision", since)
    with pytest.raises(DriverRefused, match=r"^Bad \(AWS::S3::Bucket\): .*exists"):
        stack.ask("provision", since)

    assert described(stacks, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stack.go("retire").done
    with pytest.raises(stacks.exceptions.ClientError, match="does not exist"):
        described(stacks, stack)


def test_a_failed_update_leaves_the_live_version(stack: Subject) -> None:
    stack.go("provision")
    stack.go("ship", version="v1")

    since = timestamps.now()
    for _ in range(2):
        with pytest.raises(RolledBack, match=r"^Bad \(AWS::S3::Bucket\): .*exists"):
            stack.go("ship", since, version="broken")

    errors = [line.level for line in stack.driver.lines(stack.operation("ship", since))]
    assert "error" in errors
    assert live(stack, stack.go("restore", version="v1")) == "v1 "
    assert live(stack, stack.go("ship", version="v2")) == "v2 "


def test_a_canceled_rollout_is_restored(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stack.go("ship", version="v1")
    stack.execution = "dep_2"
    stack.ask("ship", version="slow")
    until(lambda: _resource(stacks, stack, "Signal"))

    canceled = timestamps.now()
    assert not stack.ask("restore", canceled, version="v1").done
    signal(stacks, stack_name(stack.id))

    assert live(stack, stack.go("restore", canceled, version="v1")) == "v1 "
    assert len(begun(stacks, stack)) == 3
    lines = stack.driver.lines(stack.operation("restore", canceled))
    assert any("UPDATE_ROLLBACK_COMPLETE" in line.message for line in lines)


def _resource(stacks: Any, of: Subject, name: str) -> bool:
    events = stacks.describe_stack_events(StackName=stack_name(of.id))["StackEvents"]
    return any(event["LogicalResourceId"] == name for event in events)


def test_an_operation_of_somebody_else_is_waited_for(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stacks.update_stack(
        StackName=stack_name(stack.id),
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": name, "UsePreviousValue": True}
            if name != "Version"
            else {"ParameterKey": name, "ParameterValue": "slow"}
            for name in stack.fields["parameters"]
        ],
    )
    until(lambda: _resource(stacks, stack, "Signal"))

    for verb in ("provision", "ship", "restore", "retire"):
        assert not stack.ask(verb, version="v1").done
    assert described(stacks, stack)["StackStatus"] == "UPDATE_IN_PROGRESS"
    signal(stacks, stack_name(stack.id))

    assert live(stack, stack.go("ship", version="v1")) == "v1 "


def test_a_stack_that_was_deleted_by_hand_takes_no_version(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stacks.delete_stack(StackName=stack_name(stack.id))
    until(lambda: stacks.describe_stacks()["Stacks"] and stack.ask("retire").done)

    for verb in ("ship", "restore"):
        with pytest.raises(StackGone, match="no longer exists"):
            stack.ask(verb, version="v1")
    assert stack.ask("retire").done


def test_a_resource_that_cannot_be_deleted_is_reported_and_retried_by_the_next_attempt(
    stack: Subject, stacks: Any, emulator: Platform
) -> None:
    stack.go("provision")
    name = stack_name(stack.id)
    alarm = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Alarm")
    physical = alarm["StackResourceDetail"]["PhysicalResourceId"]
    watch = emulator.client("cloudwatch")
    watch.put_composite_alarm(AlarmName=f"on-{physical}", AlarmRule=f'ALARM("{physical}")')

    since = timestamps.now()
    for _ in range(2):
        with pytest.raises(DriverRefused, match=r"^Alarm \(AWS::CloudWatch::Alarm\): ") as refused:
            stack.go("retire", since)
        [remains] = refused.value.remains
        assert remains.startswith(f"Alarm (AWS::CloudWatch::Alarm, {physical}): Cannot delete")

    watch.delete_alarms(AlarmNames=[f"on-{physical}"])
    assert stack.go("retire").done


def test_a_resource_that_cannot_be_deleted_is_retained_by_name(
    stack: Subject, stacks: Any, emulator: Platform
) -> None:
    stack.go("provision")
    name = stack_name(stack.id)
    alarm = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Alarm")
    physical = alarm["StackResourceDetail"]["PhysicalResourceId"]
    watch = emulator.client("cloudwatch")
    watch.put_composite_alarm(AlarmName=f"on-{physical}", AlarmRule=f'ALARM("{physical}")')
    with pytest.raises(DriverRefused):
        stack.go("retire")

    stack.fields["retain"] = ("Alarm",)
    assert stack.go("retire").done

    with pytest.raises(stacks.exceptions.ClientError, match="does not exist"):
        described(stacks, stack)
    alarms = watch.describe_alarms(AlarmNames=[physical])["MetricAlarms"]
    assert [each["AlarmName"] for each in alarms] == [physical]


def test_a_protected_stack_is_refused(stack: Subject, stacks: Any) -> None:
    stack.go("provision")
    stacks.update_termination_protection(
        StackName=stack_name(stack.id), EnableTerminationProtection=True
    )

    with pytest.raises(DriverRefused, match="TerminationProtection"):
        stack.ask("retire")


def test_secrets_are_read_where_they_are_kept(stack: Subject, emulator: Platform) -> None:
    store = emulator.client("ssm")
    name = secret_inputs.path(stack.id, "Password")
    store.put_parameter(Name=name, Value="hunter2", Type="SecureString")
    stack.fields["secrets"] = {"Password": stack.id}

    made = stack.go("provision")
    assert made.outputs and made.outputs["Password"] == "hunter2"


def test_an_update_changes_template_inputs_and_secrets_and_can_be_restored(
    stack: Subject, stacks: Any, emulator: Platform
) -> None:
    place = f"{stack.id}/01m83nbr9xns5e3kj72k"
    for where, value in ((stack.id, "hunter2"), (place, "hunter3")):
        name = secret_inputs.path(where, "Password")
        emulator.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")
    stack.fields["secrets"] = {"Password": stack.id}
    before = dict(stack.fields)
    stack.go("provision")
    stack.go("ship", version="v1")

    stack.fields |= {
        "template_key": OTHER_KEY,
        "parameters": tuple(OTHER["Parameters"]),
        "inputs": {"Size": 4},
        "secrets": {"Password": place},
        "expires_at": timestamps.now(),
    }
    updated = stack.go("ship", version="v1", full_update=True)
    tags = {tag["Key"]: tag["Value"] for tag in described(stacks, stack)["Tags"]}
    shipped = stack.go("ship", version="v2")
    stack.fields = before
    restored = stack.go("restore", version="v1", full_update=True)

    assert updated.outputs == {"Live": "v1 in 4", "Password": "hunter3"}
    assert updated.base_url is None
    assert tags["slipway:expires_at"] != "never"
    assert shipped.outputs == {"Live": "v2 in 4", "Password": "hunter3"}
    assert restored.outputs and restored.outputs["About"] == "payments/3/a+b"
    assert (restored.outputs["Live"], restored.outputs["Password"]) == ("v1 ", "hunter2")


def test_a_failed_update_leaves_the_previous_template(stack: Subject) -> None:
    stack.go("provision")
    before = dict(stack.fields)

    stack.fields |= {"template_key": OTHER_KEY, "parameters": tuple(OTHER["Parameters"])}
    stack.fields["inputs"] = {"Size": 5}
    with pytest.raises(RolledBack, match=r"^Bad \(AWS::S3::Bucket\): .*exists"):
        stack.go("ship", full_update=True)

    stack.fields = before
    assert live(stack, stack.go("ship", version="v1")) == "v1 "


@pytest.mark.parametrize("verb", ["provision", "ship", "restore", "retire"])
def test_a_service_that_does_not_answer_is_a_temporary_fault(
    verb: str, stack: Subject, on_lambda: pytest.MonkeyPatch
) -> None:
    on_lambda.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings.cache_clear()

    with pytest.raises(DriverFault):
        stack.ask(verb, version="v1")
