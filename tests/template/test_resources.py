"""The stack's data, its retention, and its alarms."""

from __future__ import annotations

import collections
import graphlib
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from tests.support import lifetimes
from tests.support.repository import MACHINES, ROOT, resources, running, template, transformed


def test_every_parameter_has_a_default() -> None:
    assert [name for name, each in template()["Parameters"].items() if "Default" not in each] == []


def test_the_table_has_recovery_a_stream_and_a_time_to_live() -> None:
    (table,) = resources("AWS::DynamoDB::Table").values()
    properties = table["Properties"]

    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_prod_encrypts_the_table_with_a_key_and_protects_it() -> None:
    (table,) = resources("AWS::DynamoDB::Table").values()
    in_prod = {"Fn::If": ["IsProd", True, False]}

    assert table["Properties"]["DeletionProtectionEnabled"] == in_prod
    assert table["Properties"]["SSESpecification"]["SSEEnabled"] == in_prod


def test_template_bodies_are_retained_encrypted_and_private() -> None:
    (bucket,) = resources("AWS::S3::Bucket").values()
    properties = bucket["Properties"]

    # A first deployment that fails leaves no bucket behind.
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"
    assert bucket["UpdateReplacePolicy"] == "Retain"
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}


def test_the_allowed_types_are_named() -> None:
    allowed = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")

    assert len(allowed) > 10
    assert all(each.startswith("AWS::") and each.count("::") == 2 for each in allowed)
    # A nested stack or a custom resource could make anything.
    assert not [each for each in allowed if "CloudFormation" in each or "Custom" in each]


def test_dispatch_retries_single_records_and_moves_failures_to_dead_letters() -> None:
    mappings = transformed("AWS::Lambda::EventSourceMapping").values()

    assert mappings
    for mapping in mappings:
        properties = mapping["Properties"]
        assert properties["FunctionName"]["Ref"] in running("dispatch")
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties["BisectBatchOnFunctionError"] is True
        assert 0 < properties["MaximumRetryAttempts"] <= 100
        assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {
            "Fn::GetAtt": ["DeadLetters", "Arn"]
        }


def test_environments_do_not_wait_behind_deployments() -> None:
    wanted = {
        name: {pattern["Pattern"] for pattern in mapping["Properties"]["FilterCriteria"]["Filters"]}
        for name, mapping in transformed("AWS::Lambda::EventSourceMapping").items()
    }

    environments = wanted.pop("DispatchEnvironmentsFunctionStream")
    deployments = wanted.pop("DispatchDeploymentsFunctionStream")
    assert environments and not any("DEP#" in pattern for pattern in environments)
    # Nobody waits for entries of audits to be linked.
    assert deployments and all(
        "DEP#" in pattern or "UNLINKED#" in pattern for pattern in deployments
    )
    assert wanted == {}


def test_a_new_account_with_ten_executions_can_deploy_and_work() -> None:
    parameters = template()["Parameters"]
    reserved = {"Fn::If": ["Reserves", {"Ref": "ReservedConcurrency"}, {"Ref": "AWS::NoValue"}]}
    written = (ROOT / "template.yaml").read_text()

    # Lambda refuses any reservation there, and two readers of four shards are eight executions.
    assert parameters["ReservedConcurrency"]["Default"] == 0
    assert parameters["StreamParallelism"]["Default"] == 1
    assert template()["Conditions"]["Reserves"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "ReservedConcurrency"}, "0"]}]
    }
    for function in transformed("AWS::Lambda::Function").values():
        assert function["Properties"]["ReservedConcurrentExecutions"] == reserved
    for mapping in transformed("AWS::Lambda::EventSourceMapping").values():
        assert mapping["Properties"]["ParallelizationFactor"] == {"Ref": "StreamParallelism"}
    # It is written once, and says why.
    (at,) = [found.start() for found in re.finditer("ReservedConcurrentExecutions:", written)]
    *_, first, second, _ = written[:at].splitlines()
    assert first.lstrip().startswith("#") and "10 concurrent executions" in first + second


def named(node: Any) -> Iterator[str]:
    """The name of every parameter, resource and pseudo parameter that the node refers to."""
    if isinstance(node, list):
        for each in node:
            yield from named(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            first = value[0] if isinstance(value, list) and value else value
            if key == "Ref":
                yield value
            elif key == "DependsOn":
                yield from value if isinstance(value, list) else [value]
            elif key == "Fn::GetAtt":
                yield first.partition(".")[0]
            elif key == "Fn::Sub":
                yield from re.findall(r"\$\{([\w:]+)", first)
                yield from named(value)
            else:
                yield from named(value)


def test_no_resource_depends_on_itself() -> None:
    # CloudFormation refuses a circular dependency. cfn-lint does not see those in included files.
    graph = {name: set(named(resource)) for name, resource in transformed().items()}

    order = list(graphlib.TopologicalSorter(graph).static_order())

    assert "EnvironmentLimits" in graph["ProvisionFunction"]
    assert order.index("ApiApiGatewayDefaultStage") > order.index("AuthFunction")
    assert len(order) > len(graph) > 80


def test_no_two_mappings_share_a_stream_and_a_function() -> None:
    # Lambda refuses the second: ResourceConflictException, whatever the filters (recorded in
    # LocalStack's test_lambda_integration_dynamodbstreams, test_duplicate_event_source_mappings).
    feeds = [
        (json.dumps(mapping["EventSourceArn"]), json.dumps(mapping["FunctionName"]))
        for each in transformed("AWS::Lambda::EventSourceMapping").values()
        for mapping in [each["Properties"]]
    ]

    assert feeds
    assert len(feeds) == len(set(feeds))


def test_no_stream_has_more_than_two_readers() -> None:
    # More than two at one shard are throttled (DynamoDB's documentation of streams).
    readers = collections.Counter(
        json.dumps(each["Properties"]["EventSourceArn"])
        for each in transformed("AWS::Lambda::EventSourceMapping").values()
    )

    assert readers
    assert max(readers.values()) <= 2


def test_reconcile_has_a_rule_that_can_be_disabled_and_a_daily_one() -> None:
    rules = {
        name: each["Properties"]["ScheduleExpression"]
        for name, each in transformed("AWS::Events::Rule").items()
    }

    assert rules == {
        "ReconcileFunctionClock": {"Ref": "ReconcileSchedule"},
        "ReconcileFunctionDaily": "rate(1 day)",
    }


def test_every_record_with_a_deadline_wakes_reconcile() -> None:
    # Dispatch cannot wake reconcile for a record that it does not receive.
    wanted = [
        json.loads(pattern["Pattern"])
        for mapping in transformed("AWS::Lambda::EventSourceMapping").values()
        for pattern in mapping["Properties"]["FilterCriteria"]["Filters"]
    ]
    changes = {
        str(sk): set(each["eventName"])
        for each in wanted
        for sk in each["dynamodb"]["Keys"].get("sk", {"S": []})["S"]
    }

    assert changes["{'prefix': 'ENV#'}"] == changes["{'prefix': 'DEP#'}"] == {"INSERT", "MODIFY"}
    # A project has a deadline when it goes, not from its beginning.
    assert changes["PROJECT"] == {"MODIFY", "REMOVE"}


def test_of_what_ttl_deletes_dispatch_receives_leases_alone() -> None:
    removals = [
        pattern
        for mapping in transformed("AWS::Lambda::EventSourceMapping").values()
        for each in mapping["Properties"]["FilterCriteria"]["Filters"]
        if "REMOVE" in (pattern := json.loads(each["Pattern"]))["eventName"]
    ]
    received = {
        kind.sk
        for kind in lifetimes.kinds()
        for pattern in removals
        for sk in pattern["dynamodb"]["Keys"]["sk"]["S"]
        if kind.ttl != "none"
        and (kind.sk == sk if isinstance(sk, str) else sk["prefix"].startswith(kind.sk))
    }

    assert len(removals) == 3
    assert received == {"LEASE"}


def test_the_api_writes_an_access_log_and_is_throttled() -> None:
    (api,) = resources("AWS::Serverless::HttpApi").values()

    assert "$context.requestId" in api["Properties"]["AccessLogSettings"]["Format"]
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(
        api["Properties"]["DefaultRouteSettings"]
    )


def test_every_log_group_has_a_retention() -> None:
    groups = resources("AWS::Logs::LogGroup")

    assert groups
    assert all("RetentionInDays" in group["Properties"] for group in groups.values())


def watched() -> dict[str, str]:
    """Metric -> everything said about the alarms that watch it, as text."""
    found: dict[str, str] = {}
    for alarm in resources("AWS::CloudWatch::Alarm").values():
        properties: dict[str, Any] = alarm["Properties"]
        metrics = [
            each["MetricStat"]["Metric"]
            for each in properties.get("Metrics", [])
            if "MetricStat" in each
        ]
        for metric in metrics or [properties]:
            name = f"{metric['Namespace']} {metric['MetricName']}"
            found[name] = found.get(name, "") + str(metric.get("Dimensions", ""))
    return found


def test_errors_throttles_dead_letters_and_failed_executions_raise_alarms() -> None:
    metrics = watched()

    assert "'Api'" in metrics["AWS/ApiGateway 5xx"]
    assert "AWS/Lambda Throttles" in metrics
    assert "DeadLetters" in metrics["AWS/SQS ApproximateNumberOfMessagesVisible"]
    for name in resources("AWS::Serverless::StateMachine"):
        assert f"'{name}'" in metrics["AWS/States ExecutionsFailed"]
    for name, function in resources("AWS::Serverless::Function").items():
        # A step's errors are caught, retried and reported by its workflow.
        if not function["Properties"]["CodeUri"].startswith("functions/steps/"):
            assert f"'{name}'" in metrics["AWS/Lambda Errors"]
    for alarm in resources("AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "Alarms"}]


def test_alarms_can_be_published() -> None:
    # CloudWatch may not use the key behind alias/aws/sns, and nobody would notice.
    (topic,) = resources("AWS::SNS::Topic").values()

    assert "alias/aws/sns" not in str(topic.get("Properties", {}).get("KmsMasterKeyId"))


def test_every_state_machine_is_traced() -> None:
    machines = resources("AWS::Serverless::StateMachine")

    assert len(machines) == len(MACHINES)
    assert all(each["Properties"]["Tracing"] == {"Enabled": True} for each in machines.values())


def test_dev_and_prod_can_be_deployed() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    for stage in template()["Parameters"]["Stage"]["AllowedValues"]:
        deploy = config[stage]["deploy"]["parameters"]
        assert deploy["stack_name"] == f"slipway-{stage}"
        assert deploy["parameter_overrides"] == f"Stage={stage}"
        assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert config["prod"]["deploy"]["parameters"]["confirm_changeset"] is True
