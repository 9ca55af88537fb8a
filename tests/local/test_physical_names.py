"""Names that are taken (patches/physical_names.py, template_log_groups.py).

The words "… already exists in stack arn:…" and "Resource of type … already exists." are
CloudFormation's; AWS describes the rule in the user guide, "Name type": a name that is given has to
be unique, and a resource that has one cannot be replaced.
"""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from local.patches.physical_names import IDENTITIES
from local.platform import Platform
from tests.support.local.platform import ALARM, EVERYTHING, Stacks

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
ROLE = EVERYTHING
ZIP = b"PK\5\6" + bytes(18)  # one without files
ENDS = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
KEY: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


class Named(NamedTuple):
    """A type whose resources may be given a name."""

    kind: str
    name: str
    properties: dict[str, Any]
    service: str
    make: Callable[[Any, str], Any]
    """Make such a resource without a stack."""
    find: Callable[[Any, str], Any]
    """Raise if there is none."""


TYPES = [
    Named(
        "AWS::DynamoDB::Table",
        "TableName",
        KEY,
        "dynamodb",
        lambda aws, name: aws.create_table(TableName=name, **KEY),
        lambda aws, name: aws.describe_table(TableName=name),
    ),
    Named(
        "AWS::SQS::Queue",
        "QueueName",
        {},
        "sqs",
        lambda aws, name: aws.create_queue(QueueName=name),
        lambda aws, name: aws.get_queue_url(QueueName=name),
    ),
    Named(
        "AWS::SNS::Topic",
        "TopicName",
        {},
        "sns",
        lambda aws, name: aws.create_topic(Name=name),
        lambda aws, name: aws.get_topic_attributes(
            TopicArn=f"arn:aws:sns:us-east-1:000000000000:{name}"
        ),
    ),
    Named(
        "AWS::Lambda::Function",
        "FunctionName",
        {
            "Code": {"ZipFile": "def handler(event, context): pass"},
            "Handler": "index.handler",
            "Runtime": "python3.13",
            "Role": ROLE,
        },
        "lambda",
        lambda aws, name: aws.create_function(
            FunctionName=name, Role=ROLE, Code={"ZipFile": ZIP}, Handler="a.b", Runtime="python3.13"
        ),
        lambda aws, name: aws.get_function(FunctionName=name),
    ),
    Named(
        "AWS::IAM::Role",
        "RoleName",
        {"AssumeRolePolicyDocument": TRUST},
        "iam",
        lambda aws, name: aws.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
        ),
        lambda aws, name: aws.get_role(RoleName=name),
    ),
    Named(
        "AWS::Logs::LogGroup",
        "LogGroupName",
        {},
        "logs",
        lambda aws, name: aws.create_log_group(logGroupName=name),
        lambda aws, name: aws.describe_log_streams(logGroupName=name),
    ),
    Named(
        "AWS::CloudWatch::Alarm",
        "AlarmName",
        ALARM["Properties"],
        "cloudwatch",
        lambda aws, name: aws.put_metric_alarm(AlarmName=name, **ALARM["Properties"]),
        lambda aws, name: aws.describe_alarms(AlarmNames=[name])["MetricAlarms"][0],
    ),
    Named(
        "AWS::StepFunctions::StateMachine",
        "StateMachineName",
        {"RoleArn": ROLE, "DefinitionString": json.dumps(ENDS)},
        "stepfunctions",
        lambda aws, name: aws.create_state_machine(
            name=name, roleArn=ROLE, definition=json.dumps(ENDS)
        ),
        lambda aws, name: aws.describe_state_machine(
            stateMachineArn=f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}"
        ),
    ),
    Named(
        "AWS::Events::Rule",
        "Name",
        {"ScheduleExpression": "rate(1 day)"},
        "events",
        lambda aws, name: aws.put_rule(Name=name, ScheduleExpression="rate(1 day)"),
        lambda aws, name: aws.describe_rule(Name=name),
    ),
    Named(
        "AWS::SSM::Parameter",
        "Name",
        {"Type": "String", "Value": "1"},
        "ssm",
        lambda aws, name: aws.put_parameter(Name=name, Type="String", Value="1"),
        lambda aws, name: aws.get_parameter(Name=name),
    ),
    Named(
        "AWS::SecretsManager::Secret",
        "Name",
        {"SecretString": "1"},
        "secretsmanager",
        lambda aws, name: aws.create_secret(Name=name, SecretString="1"),
        lambda aws, name: aws.describe_secret(SecretId=name),
    ),
]
every_type = pytest.mark.parametrize("named", TYPES, ids=lambda named: named.kind)


def one(named: Named, name: str, **more: Any) -> dict[str, Any]:
    """A template with one resource of that name."""
    properties = {**named.properties, named.name: name}
    return {"Resources": {"It": {"Type": named.kind, "Properties": properties, **more}}}


@pytest.fixture
def stacks(platform: Platform) -> Stacks:
    return Stacks(platform)


@pytest.fixture
def name() -> str:
    return f"taken-{uuid.uuid4().hex}"


@every_type
def test_a_name_of_another_stacks_resource_is_taken(
    platform: Platform, stacks: Stacks, named: Named, name: str
) -> None:
    first = stacks.create(one(named, name))

    second = stacks.create(one(named, name))

    assert (first.status, second.status) == ("CREATE_COMPLETE", "ROLLBACK_COMPLETE")
    assert second.failures() == {"It": f"{name} already exists in stack {first.id}"}
    second.delete()
    named.find(platform.client(named.service), name)
    first.delete()
    assert stacks.create(one(named, name)).status == "CREATE_COMPLETE"


@every_type
def test_a_name_of_what_no_stack_made_is_taken(
    platform: Platform, stacks: Stacks, named: Named, name: str
) -> None:
    client = platform.client(named.service)
    named.make(client, name)

    stack = stacks.create(one(named, name))

    assert stack.status == "ROLLBACK_COMPLETE"
    said = f"Resource of type '{named.kind}' with identifier '{name}' already exists."
    assert said in stack.failures()["It"]
    assert "HandlerErrorCode: AlreadyExists" in stack.failures()["It"]
    stack.delete()
    named.find(client, name)


def test_a_name_of_another_bucket_is_taken(platform: Platform, stacks: Stacks, name: str) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    platform.client("s3").create_bucket(Bucket=name)

    stack = stacks.create({"Resources": {"It": bucket}})

    # The emulator has these from AWS: the name of a bucket is checked before anything is made.
    assert stack.status == "ROLLBACK_COMPLETE"
    found = stack.client.describe_events(StackName=stack.id)["OperationEvents"]
    [reason] = [each["ValidationStatusReason"] for each in found if "ValidationName" in each]
    assert reason == f"Resource of type 'AWS::S3::Bucket' with identifier '{name}' already exists."
    stack.delete()
    platform.client("s3").head_bucket(Bucket=name)


def test_one_stack_does_not_use_a_name_twice(stacks: Stacks, name: str) -> None:
    template = one(TYPES[0], name)
    resources = {"It": template["Resources"]["It"], "Other": template["Resources"]["It"]}

    stack = stacks.create({"Resources": resources})

    assert stack.status == "ROLLBACK_COMPLETE"
    assert list(stack.failures().values()) == [f"{name} already exists in stack {stack.id}"]


@every_type
def test_an_update_keeps_the_name_and_may_not_take_another(
    platform: Platform, stacks: Stacks, named: Named, name: str
) -> None:
    mine, theirs = f"{name}-1", f"{name}-2"
    stacks.create(one(named, theirs))
    stack = stacks.create(one(named, mine))

    stack.update(one(named, mine) | {"Description": "as before"})
    assert stack.status == "UPDATE_COMPLETE"
    stack.update(one(named, theirs))

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "already exists" in stack.failures()["It"]
    client = platform.client(named.service)
    named.find(client, mine)
    named.find(client, theirs)


def test_a_resource_that_has_a_name_is_not_replaced(stacks: Stacks, name: str) -> None:
    table = TYPES[0]
    other = table._replace(
        properties={
            **KEY,
            "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        }
    )
    stack = stacks.create(one(table, name))

    stack.update(one(other, name))

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.failures()["It"] == (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
        f"Rename {name} and update the stack again."
    )


def test_a_stack_made_again_leaves_alone_what_the_first_retained(
    platform: Platform, stacks: Stacks
) -> None:
    template = {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "DeletionPolicy": "Retain",
                "Properties": KEY,
            },
            "Logs": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain"},
        }
    }
    first = stacks.create(template)
    retained = first.physical_ids()
    first.delete()

    again = stacks.create(template, name=first.name)

    assert again.status == "CREATE_COMPLETE"
    made = again.physical_ids()
    assert set(made.values()).isdisjoint(retained.values())
    prefix = f"{first.name}-"
    assert all(each.startswith(prefix) for each in [*retained.values(), *made.values()])
    again.update(template | {"Description": "as before"})
    assert again.physical_ids() == made
    platform.client("dynamodb").describe_table(TableName=retained["Table"])
    platform.client("logs").describe_log_streams(logGroupName=retained["Logs"])


def test_names_are_those_of_the_resource_types_schemas() -> None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    for kind, identity in IDENTITIES.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        for each in identity:
            assert each in schema["properties"], (kind, each)


@pytest.mark.parametrize("logical_id", ["It", "HandlesTheRequestsOfCustomersAtNight"])
def test_a_generated_name_keeps_25_characters_of_the_stacks_name(
    platform: Platform, logical_id: str
) -> None:
    """deploy/names.py has the rule, tests/deploy/test_names.py names that AWS generated."""
    name = f"names-{uuid.uuid4().hex}-of-a-long-stack"
    trust = {"AssumeRolePolicyDocument": TRUST}
    template = {
        "Resources": {
            logical_id: {"Type": "AWS::IAM::Role", "Properties": trust},
            "Bucket": {"Type": "AWS::S3::Bucket"},
        }
    }

    made = Stacks(platform).create(template, name=name).physical_ids()

    assert re.fullmatch(rf"{name[:25]}\S*-{logical_id[:20]}\w*-[0-9A-F]{{12}}", made[logical_id])
    assert len(made[logical_id]) <= 64
    assert made["Bucket"].startswith(name[:25])
    assert len(made["Bucket"]) <= 63
