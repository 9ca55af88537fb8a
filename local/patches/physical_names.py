"""A stack does not take over an existing resource with the same physical name.

Defect: most stock handlers overwrite an existing resource, even one of another stack, and deleting
either stack deletes it for both. CloudFormation fails the creation and rolls back. A generated name
was the same each time a stack of that name was created, so that a new stack overwrote what the last
one had retained (`DeletionPolicy: Retain`); CloudFormation adds random characters. And it kept the
whole stack's name and cut off the logical id; CloudFormation shortens both (deploy/names.py).

Identities are those of the resource types' schemas: the last property is the name.
"""

import contextvars
import functools
from collections.abc import Callable
from typing import Any

Properties = dict[str, Any]

IDENTITIES: dict[str, tuple[str, ...]] = {
    "AWS::ApiGatewayV2::DomainName": ("DomainName",),
    "AWS::ApiGatewayV2::Stage": ("ApiId", "StageName"),
    "AWS::Athena::WorkGroup": ("Name",),
    "AWS::AutoScaling::AutoScalingGroup": ("AutoScalingGroupName",),
    "AWS::AutoScaling::LaunchConfiguration": ("LaunchConfigurationName",),
    "AWS::Backup::BackupVault": ("BackupVaultName",),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::CloudWatch::Dashboard": ("DashboardName",),
    "AWS::CodeBuild::Project": ("Name",),
    "AWS::Cognito::UserPoolGroup": ("UserPoolId", "GroupName"),
    "AWS::DynamoDB::GlobalTable": ("TableName",),
    "AWS::DynamoDB::Table": ("TableName",),
    "AWS::ECR::Repository": ("RepositoryName",),
    "AWS::ECS::Cluster": ("ClusterName",),
    "AWS::ECS::Service": ("Cluster", "ServiceName"),
    "AWS::EKS::Cluster": ("Name",),
    "AWS::ElastiCache::CacheCluster": ("ClusterName",),
    "AWS::ElastiCache::ReplicationGroup": ("ReplicationGroupId",),
    "AWS::ElastiCache::SubnetGroup": ("CacheSubnetGroupName",),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("Name",),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("Name",),
    "AWS::Events::EventBus": ("Name",),
    "AWS::Events::Rule": ("EventBusName", "Name"),
    "AWS::Glue::Job": ("Name",),
    "AWS::IAM::InstanceProfile": ("InstanceProfileName",),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName",),
    "AWS::IAM::Role": ("RoleName",),
    "AWS::IAM::User": ("UserName",),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::Kinesis::Stream": ("Name",),
    "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamName",),
    "AWS::Lambda::Alias": ("FunctionName", "Name"),
    "AWS::Lambda::EventInvokeConfig": ("FunctionName", "Qualifier"),
    "AWS::Lambda::Function": ("FunctionName",),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::Logs::LogStream": ("LogGroupName", "LogStreamName"),
    "AWS::Logs::MetricFilter": ("LogGroupName", "FilterName"),
    "AWS::Logs::ResourcePolicy": ("PolicyName",),
    "AWS::Logs::SubscriptionFilter": ("LogGroupName", "FilterName"),
    "AWS::OpenSearchService::Domain": ("DomainName",),
    "AWS::Pipes::Pipe": ("Name",),
    "AWS::RDS::DBCluster": ("DBClusterIdentifier",),
    "AWS::RDS::DBInstance": ("DBInstanceIdentifier",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::SNS::Topic": ("TopicName",),
    "AWS::SQS::Queue": ("QueueName",),
    "AWS::SSM::Parameter": ("Name",),
    "AWS::Scheduler::Schedule": ("GroupName", "Name"),
    "AWS::Scheduler::ScheduleGroup": ("Name",),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::StepFunctions::StateMachine": ("StateMachineName",),
    "AWS::WAFv2::WebACL": ("Scope", "Name"),
}
# Whether the resource exists, even outside of stacks, for the types in Slipway's templates.
_EXISTS: dict[str, Callable[[Any, Properties], bool]] = {
    "AWS::CloudWatch::Alarm": lambda m, p: (
        p["AlarmName"] in m._cw._alarms or p["AlarmName"] in m._cw._composite_alarms
    ),
    "AWS::DynamoDB::GlobalTable": lambda m, p: p["TableName"] in m._dynamodb._tables,
    "AWS::DynamoDB::Table": lambda m, p: p["TableName"] in m._dynamodb._tables,
    "AWS::Events::Rule": lambda m, p: (
        m._eb._rule_key(p["Name"], m._eb_rule_bus_name(p)) in m._eb._rules
    ),
    "AWS::IAM::Role": lambda m, p: p["RoleName"] in m._iam._roles,
    "AWS::IAM::User": lambda m, p: p["UserName"] in m._iam._users,
    "AWS::Lambda::Function": lambda m, p: p["FunctionName"] in m._lambda_svc._functions,
    "AWS::Logs::LogGroup": lambda m, p: p["LogGroupName"] in m._cw_logs._log_groups,
    "AWS::SNS::Topic": lambda m, p: any(
        topic["name"] == p["TopicName"] for topic in m._sns._topics.values()
    ),
    "AWS::SQS::Queue": lambda m, p: p["QueueName"] in m._sqs._queue_name_to_url,
    "AWS::SSM::Parameter": lambda m, p: p["Name"] in m._ssm._parameters,
    "AWS::SecretsManager::Secret": lambda m, p: p["Name"] in m._sm._secrets,
    "AWS::StepFunctions::StateMachine": lambda m, p: any(
        machine["name"] == p["StateMachineName"] for machine in m._sfn._state_machines.values()
    ),
}
# The resource that is being updated, which may keep its own name.
_updated_resource: contextvars.ContextVar[str] = contextvars.ContextVar("updated", default="")


def patch(module: Any) -> None:
    module._physical_name = _named_as_cloudformation(module._physical_name)
    for kind in IDENTITIES:
        handler = module._RESOURCE_HANDLERS[kind]
        stock = handler["create"]
        handler["create"] = _refusing_taken_names(module, kind, stock)
        # Updates that replace a resource call the create function by its own name.
        setattr(module, stock.__name__, handler["create"])
    stock_update = module._update_resource

    def update(kind: str, physical_id: str, *rest: Any) -> Any:
        token = _updated_resource.set(physical_id)
        try:
            return stock_update(kind, physical_id, *rest)
        finally:
            _updated_resource.reset(token)

    module._update_resource = update


# The random characters, and what the stack's name keeps at least.
_RANDOM, _LEAST = 12, 25


def _named_as_cloudformation(stock: Callable[..., str]) -> Callable[..., str]:
    def name(stack: str, logical_id: str, *, max_len: int = 128, **more: Any) -> str:
        suffix = stock(stack, logical_id, max_len=_RANDOM, **more)
        # Functions and roles may have 64 characters, and their names have as many as buckets'.
        room = (63 if max_len == 64 else max_len) - _RANDOM - 2
        if room < 2 * _LEAST - 1:
            return stock(stack, logical_id, max_len=max_len, **more)
        stack = stack[: max(_LEAST, room - len(logical_id))]
        found = f"{stack}-{logical_id[: room - len(stack)]}-{suffix}"
        return found.lower() if more.get("lowercase") else found

    return name


def patch_generated(module: Any) -> None:
    """Add random characters to generated names at a stack's creation. Updates keep them."""
    seed = module._NAME_SEED

    def provision(*arguments: Any) -> tuple[Any, str]:
        token = seed.set(module.new_uuid()[:8])
        try:
            return module._provision_resource(*arguments), seed.get()
        finally:
            seed.reset(token)

    module._provision_keeping_seed = provision


def _refusing_taken_names(module: Any, kind: str, stock: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stock)
    def create(logical_id: str, properties: Properties, *rest: Any, **named: Any) -> Any:
        _refuse_taken_name(module, kind, properties)
        return stock(logical_id, properties, *rest, **named)

    return create


def _refuse_taken_name(module: Any, kind: str, properties: Properties) -> None:
    """Raises ValueError with CloudFormation's message if the template's name is taken."""
    identity = IDENTITIES[kind]
    name = properties.get(identity[-1])
    if not name:
        return
    from ministack.services.cloudformation import _stacks

    mine = _updated_resource.get()
    for stack in _stacks.values():
        for resource in stack.get("_resources", {}).values():
            if resource["ResourceType"] != kind:
                continue
            physical_id, theirs = resource["PhysicalResourceId"], resource["Properties"]
            if not all(theirs.get(each) == properties.get(each) for each in identity):
                continue
            if physical_id == mine:
                return
            raise ValueError(f"{name} already exists in stack {stack['StackId']}")
    if kind in _EXISTS and _EXISTS[kind](module, properties):
        raise ValueError(
            f"Resource handler returned message: \"Resource of type '{kind}' with identifier "
            f"'{name}' already exists.\" (RequestToken: {module.new_uuid()}, "
            "HandlerErrorCode: AlreadyExists)"
        )


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch,
    "ministack.services.cloudformation.stacks": patch_generated,
}
