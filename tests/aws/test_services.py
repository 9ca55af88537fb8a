"""The other services of the laptop, and moto where Slipway's tests trust it, say what AWS said."""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from deploy.prove.sandbox import Clients, Sandbox
from local.platform import Platform
from tests.support.aws_facts import facts

pytestmark = pytest.mark.xdist_group("aws")


@pytest.fixture(params=["moto", "laptop"])
def clients(request: pytest.FixtureRequest) -> Clients:
    if request.param == "laptop":
        platform: Platform = request.getfixturevalue("platform")
        return platform.client
    request.getfixturevalue("aws")
    return lambda service: boto3.client(service)


def refused(call: Any, **request: Any) -> dict[str, Any]:
    """The error's code and message, and the status."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    answer = raised.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return {
        "code": answer["Error"]["Code"],
        "message": answer["Error"].get("Message"),
        "status": status,
    }


# ── S3 ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bucket(clients: Clients) -> Iterator[str]:
    s3, name = clients("s3"), f"slipway-prove-{uuid.uuid4().hex}"
    more: dict[str, Any] = {}
    if s3.meta.region_name != "us-east-1":
        more = {"CreateBucketConfiguration": {"LocationConstraint": s3.meta.region_name}}
    s3.create_bucket(Bucket=name, **more)
    yield name
    for each in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=each["Key"])
    s3.delete_bucket(Bucket=name)


def test_an_object_that_is_there_is_not_replaced(clients: Clients, bucket: str) -> None:
    s3, body = clients("s3"), b"first"
    digest = b64encode(hashlib.sha256(body).digest()).decode()
    request = {"Bucket": bucket, "Key": "k", "IfNoneMatch": "*", "ChecksumSHA256": digest}
    s3.put_object(**request, Body=body)

    told = refused(s3.put_object, **request, Body=body)

    fact = facts("objects")["exists"]
    assert (told["code"], told["status"]) == (fact["code"], fact["status"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_an_object_whose_checksum_differs_is_refused(platform: Platform) -> None:
    # moto looks at no checksum.
    s3, bucket = platform.client("s3"), platform.outputs["TemplatesBucketName"]
    digest = b64encode(hashlib.sha256(b"another").digest()).decode()

    told = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"first", ChecksumSHA256=digest)

    assert told["status"] == 400


def test_a_bucket_with_objects_is_not_deleted(clients: Clients, bucket: str) -> None:
    s3 = clients("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    told = refused(s3.delete_bucket, Bucket=bucket)

    fact = facts("objects")["not_empty"]
    assert (told["code"], told["status"]) == (fact["code"], fact["status"])


# ── Systems Manager, Secrets Manager, EventBridge ────────────────────────────────────────────


@pytest.fixture
def place(clients: Clients) -> Iterator[str]:
    ssm, path = clients("ssm"), f"/slipway/environments/{uuid.uuid4().hex}"
    yield path
    found = ssm.get_parameters_by_path(Path=path, Recursive=True)["Parameters"]
    if found:
        ssm.delete_parameters(Names=[each["Name"] for each in found])


def test_parameters_that_are_missing_are_named_beside_those_that_are_there(
    clients: Clients, place: str
) -> None:
    ssm = clients("ssm")
    ssm.put_parameter(Name=f"{place}/a", Value="1", Type="SecureString", Overwrite=True)
    ssm.put_parameter(Name=f"{place}/a", Value="2", Type="SecureString", Overwrite=True)

    answer = ssm.get_parameters(Names=[f"{place}/a", f"{place}/b"], WithDecryption=True)

    assert set(facts("parameters")["answer"]) <= set(answer)
    assert [each["Value"] for each in answer["Parameters"]] == ["2"]
    assert answer["InvalidParameters"] == [f"{place}/b"]


def test_a_parameter_that_is_there_is_not_replaced(clients: Clients, place: str) -> None:
    ssm, request = clients("ssm"), {"Name": f"{place}/a", "Type": "String"}
    ssm.put_parameter(**request, Value="1")

    told = refused(ssm.put_parameter, **request, Value="2")

    assert told["code"] == "ParameterAlreadyExists"
    assert ssm.get_parameter(Name=f"{place}/a")["Parameter"]["Value"] == "1"


def test_parameters_are_found_below_a_path_at_any_depth(clients: Clients, place: str) -> None:
    ssm = clients("ssm")
    for name in ("a", "of/update/b"):
        ssm.put_parameter(Name=f"{place}/{name}", Value="1", Type="SecureString")

    found = ssm.get_parameters_by_path(Path=place, Recursive=True)["Parameters"]

    assert {each["Name"] for each in found} == {f"{place}/a", f"{place}/of/update/b"}


def test_deleting_missing_parameters_is_not_an_error(clients: Clients, place: str) -> None:
    answer = clients("ssm").delete_parameters(Names=[f"{place}/none"])

    assert answer["InvalidParameters"] == [f"{place}/none"]


def test_ten_parameters_are_asked_for_at_once_and_no_more(clients: Clients, place: str) -> None:
    ssm = clients("ssm")
    names = [f"{place}/{n}" for n in range(11)]

    assert refused(ssm.get_parameters, Names=names)["code"] == "ValidationException"
    assert ssm.get_parameters(Names=names[:10])["InvalidParameters"] == names[:10]


def test_a_standard_parameter_has_4096_bytes_at_most(platform: Platform) -> None:
    ssm = platform.client("ssm")

    told = refused(ssm.put_parameter, Name="/big", Value="x" * 4097, Type="SecureString")

    assert told["code"] == "ValidationException"


def test_a_secret_is_read_by_its_arn_or_missed_in_aws_words(clients: Clients) -> None:
    secrets, fact = clients("secretsmanager"), facts("secrets")
    made = secrets.create_secret(Name=f"slipway-prove-{uuid.uuid4().hex}", SecretString="x")

    found = secrets.get_secret_value(SecretId=made["ARN"])
    told = refused(secrets.get_secret_value, SecretId="slipway-prove-none")

    assert (found["SecretString"], found["VersionStages"]) == ("x", fact["VersionStages"])
    assert (told["code"], told["message"]) == (
        fact["missing"]["code"],
        fact["missing"]["message"],
    )
    secrets.delete_secret(SecretId=made["ARN"], ForceDeleteWithoutRecovery=True)


def test_a_rule_is_switched_off_and_on_as_often_as_one_likes(platform: Platform) -> None:
    events, fact = platform.client("events"), facts("rules")
    name = f"slipway-prove-{uuid.uuid4().hex}"
    events.put_rule(Name=name, ScheduleExpression="rate(1 day)")

    states = []
    for change in (events.disable_rule,) * 2 + (events.enable_rule,) * 2:
        change(Name=name)
        states.append(events.describe_rule(Name=name)["State"])

    assert states == [fact["off"]] * 2 + [fact["on"]] * 2
    events.delete_rule(Name=name)
    told = refused(events.enable_rule, Name=name)
    words = fact["missing"]["message"].format(name=name)
    assert (told["code"], told["message"]) == (fact["missing"]["code"], words)


@pytest.mark.parametrize(
    "rate", ["rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 MINUTES)", "rate(5)"]
)
def test_a_malformed_rate_is_refused(platform: Platform, rate: str) -> None:
    told = refused(
        platform.client("events").put_rule, Name="slipway-prove-rate", ScheduleExpression=rate
    )

    assert told["code"] == "ValidationException"
    assert told["message"] == "Parameter ScheduleExpression is not valid."


def test_a_stack_with_such_a_rate_is_rolled_back(sandbox: Sandbox) -> None:
    name = sandbox.next_name()
    rule = {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 minutes)"}}
    body = json.dumps({"Resources": {"Clock": rule}})
    sandbox.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    sandbox.delete_stack_later(name)

    assert sandbox.settled(name) == "ROLLBACK_COMPLETE"


def test_rights_on_a_topic_are_rights_on_its_subscriptions_and_no_others(sandbox: Sandbox) -> None:
    sns, functions = sandbox.client("sns"), sandbox.client("lambda")
    found = functions.get_function(FunctionName=sandbox.function)["Configuration"]

    outcomes = []
    for name in (sandbox.next_name(), f"another-{sandbox.name}"):
        topic = sns.create_topic(Name=name)["TopicArn"]
        sandbox.delete_later("topic", sns.delete_topic, TopicArn=topic)
        endpoint = {"Protocol": "lambda", "Endpoint": found["FunctionArn"]}
        subscription = sns.subscribe(TopicArn=topic, **endpoint, ReturnSubscriptionArn=True)
        resource = "arn:aws:states:::aws-sdk:sns:getSubscriptionAttributes"
        arguments = {"SubscriptionArn": subscription["SubscriptionArn"]}
        task = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
        execution = sandbox.start(sandbox.machine({"Look": task}))
        outcomes.append(sandbox.ended(execution))

    assert [each.status for each in outcomes] == ["SUCCEEDED", "FAILED"]
    assert f"on resource: {topic} " in (outcomes[1].cause or "")


# ── Lambda ───────────────────────────────────────────────────────────────────────────────────


def called(sandbox: Sandbox, **event: Any) -> tuple[str | None, dict[str, Any]]:
    """The FunctionError and the payload."""
    answer = sandbox.client("lambda").invoke(
        FunctionName=sandbox.function, Payload=json.dumps(event)
    )
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


@pytest.mark.parametrize(
    "name, event",
    [("timed_out", {"do": "wait", "seconds": 10}), ("exited", {"do": "exit"})],
)
def test_a_sandbox_that_dies_is_an_error_of_lambda(
    sandbox: Sandbox, name: str, event: dict[str, Any]
) -> None:
    kind, told = called(sandbox, **event)

    fact = facts("sandbox")
    assert kind == fact["FunctionError"]
    assert told["errorType"] == fact[name]["errorType"]
    assert "Error: " in told["errorMessage"]


def test_an_exception_has_its_class_its_text_and_its_trace(sandbox: Sandbox) -> None:
    kind, told = called(sandbox, do="raise", saying="so")

    assert kind == facts("sandbox")["FunctionError"]
    # The laptop's requests have no ids.
    assert set(facts("function_errors")["raised"]["cause_keys"]) - {"requestId"} <= set(told)


def test_a_function_that_is_not_there_is_named_so(sandbox: Sandbox) -> None:
    functions = sandbox.client("lambda")

    told = refused(functions.invoke, FunctionName="slipway-prove-none", Payload=b"{}")

    assert told["code"] == "ResourceNotFoundException"


def test_variables_of_more_than_4_kilobytes_are_refused(sandbox: Sandbox) -> None:
    fact = facts("lambda_limits")
    variables = {"A": "x" * fact["environment"]["bytes"]}

    told = refused(
        sandbox.client("lambda").update_function_configuration,
        FunctionName=sandbox.function,
        Environment={"Variables": variables},
    )

    assert told["code"] == fact["code"]
    assert fact["environment"]["message"] in told["message"]


def test_variables_of_lambdas_own_are_refused(sandbox: Sandbox) -> None:
    told = refused(
        sandbox.client("lambda").update_function_configuration,
        FunctionName=sandbox.function,
        Environment={"Variables": {"AWS_REGION": "eu-central-1", "MINE": "x"}},
    )

    assert told["code"] == facts("lambda_limits")["code"]
    assert told["message"].endswith("in this request: AWS_REGION")


def test_a_reservation_that_leaves_too_little_is_refused(sandbox: Sandbox) -> None:
    functions, fact = sandbox.client("lambda"), facts("lambda_limits")
    where = {"FunctionName": sandbox.function}

    told = refused(functions.put_function_concurrency, **where, ReservedConcurrentExecutions=5000)
    taken = functions.put_function_concurrency(**where, ReservedConcurrentExecutions=2)

    assert told["code"] == fact["code"]
    assert told["message"].startswith(fact["unreserved"])
    assert taken["ReservedConcurrentExecutions"] == 2
    functions.delete_function_concurrency(**where)


@pytest.mark.parametrize("wanted, status", [(5000, "ROLLBACK_COMPLETE"), (3, "CREATE_COMPLETE")])
def test_a_template_reserves_what_lambda_allows(sandbox: Sandbox, wanted: int, status: str) -> None:
    name = sandbox.next_name()
    properties = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": sandbox.role,
        "Code": {"ZipFile": "def handler(event, context): pass"},
        "ReservedConcurrentExecutions": wanted,
    }
    function = {"Type": "AWS::Lambda::Function", "Properties": properties}
    body = json.dumps({"Resources": {"F": function}})
    sandbox.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    sandbox.delete_stack_later(name)

    assert sandbox.settled(name) == status
    if status == "CREATE_COMPLETE":
        found = sandbox.client("cloudformation").list_stack_resources(StackName=name)
        function_name = found["StackResourceSummaries"][0]["PhysicalResourceId"]
        told = sandbox.client("lambda").get_function_concurrency(FunctionName=function_name)
        assert told["ReservedConcurrentExecutions"] == wanted
