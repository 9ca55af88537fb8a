"""The permissions that CloudFormation needs to create, update or delete a resource with a role.

The registry's schema of a type, which cfn-lint contains, lists the actions of each of its handlers,
for all features of the type together. Therefore these rules select the actions to check:

1. An action that belongs to a feature (FEATURES) counts only if the template sets the feature's
   property; in an update, only if the update changes it.
2. An action of another service counts only if FEATURES has it: `iam:PassRole` for a role,
   `s3:GetObject` for a function's code. A dash there means never, because the emulator lacks the
   feature that needs it (the account's own keys, networks, replicas).
3. Creating needs no action that removes (Delete, Untag, Detach …) and, except for a feature, none
   that updates; deleting needs none that creates (Create, Put, Tag …). Some handlers list them.
4. Every other action counts, including those that read the resource back.

Each action is checked for the resource's own ARN (ARNS), or for the one that its feature names. For
a type that is not in these tables, only the action named after it counts (CreateVpc to create a
VPC), for any resource: enough to notice that the role has no permissions for the type.
"""

import fnmatch
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.iam import Check

NEVER = "-"
Properties = Mapping[str, Any]


class Resource(NamedTuple):
    """A resource of a stack. `name` is its physical name or id, also before it is created."""

    kind: str
    name: str
    properties: Properties
    before: Properties | None = None  # in an update
    region: str = "us-east-1"
    account: str = "000000000000"

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"

    def sets(self, names: str) -> bool:
        """Whether the template sets one of the properties, or the update changes one."""
        for name in names.split("|"):
            now = _at(self.properties, name)
            if (
                (now not in (None, [], {}, ""))
                if self.before is None
                else now != _at(self.before, name)
            ):
                return True
        return False


def _at(properties: Properties, name: str) -> Any:
    found: Any = properties
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return _without_awss_own(found) if name == "Tags" else found


def _without_awss_own(tags: Any) -> Any:
    """The tags without CloudFormation's own, `aws:cloudformation:…`."""
    if isinstance(tags, Mapping):
        return {key: value for key, value in tags.items() if not key.startswith("aws:")}
    if isinstance(tags, list):
        return [tag for tag in tags if not str(tag.get("Key", "")).startswith("aws:")]
    return tags


# The property that an action belongs to, by the type; `|` is "or". The first match decides.
FEATURES: dict[str, dict[str, str]] = {
    "AWS::DynamoDB::Table": {
        "dynamodb:*TimeToLive": "TimeToLiveSpecification",
        "dynamodb:*ContinuousBackups": "PointInTimeRecoverySpecification",
        "dynamodb:*ContributorInsights": "ContributorInsightsSpecification",
        "dynamodb:*KinesisStreamingDestination": "KinesisStreamSpecification",
        "dynamodb:*Import*": "ImportSourceSpecification",
        "dynamodb:*Tag*": "Tags",
        "dynamodb:*ResourcePolicy": "ResourcePolicy",
        "dynamodb:*Replica": NEVER,
        "dynamodb:*Item": NEVER,
        "dynamodb:BatchWriteItem": NEVER,
        "dynamodb:Scan": NEVER,
        "dynamodb:Query": NEVER,
    },
    "AWS::IAM::Role": {
        "iam:AttachRolePolicy": "ManagedPolicyArns",
        "iam:DetachRolePolicy": "ManagedPolicyArns",
        "iam:*RolePolicy": "Policies",
        "iam:*RolePermissionsBoundary": "PermissionsBoundary",
        "iam:UpdateRole": "Description|MaxSessionDuration",
        "iam:UpdateRoleDescription": NEVER,
        "iam:UpdateAssumeRolePolicy": "AssumeRolePolicyDocument",
        "iam:*TagRole": "Tags",
    },
    "AWS::Lambda::Function": {
        "lambda:*FunctionConcurrency": "ReservedConcurrentExecutions",
        "lambda:UpdateFunctionCode": "Code|Architectures",
        "lambda:UpdateFunctionConfiguration": (
            "Description|Environment|EphemeralStorage|Handler|Layers|LoggingConfig|MemorySize"
            "|Role|Runtime|Timeout|TracingConfig|VpcConfig|DeadLetterConfig|KmsKeyArn|SnapStart"
        ),
        "lambda:*agResource": "Tags",
        "lambda:GetLayerVersion": "Layers",
        "lambda:GetCodeSigningConfig": NEVER,
        "lambda:*CodeSigningConfig": "CodeSigningConfigArn",
        "lambda:*RuntimeManagementConfig": "RuntimeManagementConfig",
        "lambda:*RecursionConfig": "RecursiveLoop",
        "lambda:*ScalingConfig": "FunctionScalingConfig",
        "lambda:PublishVersion": "PublishToLatestPublished",
        "lambda:*CapacityProvider": NEVER,
        "lambda:AssociateRuntimeAlias": NEVER,
        "iam:PassRole": "Role",
        "s3:GetObject": "Code.S3Bucket|Code.S3Key",
        "s3:GetObjectVersion": "Code.S3ObjectVersion",
    },
    "AWS::Lambda::EventSourceMapping": {"lambda:*agResource": "Tags", "lambda:ListTags": "Tags"},
    "AWS::Lambda::Permission": {},
    "AWS::Lambda::Alias": {"lambda:*ProvisionedConcurrency*": "ProvisionedConcurrencyConfig"},
    "AWS::Lambda::Version": {
        "lambda:*ProvisionedConcurrency*": "ProvisionedConcurrencyConfig",
        "lambda:*RuntimeManagementConfig": "RuntimePolicy",
        "lambda:*ScalingConfig": "FunctionScalingConfig",
    },
    "AWS::Lambda::Url": {},
    "AWS::Lambda::EventInvokeConfig": {},
    "AWS::SQS::Queue": {"sqs:*ag*": "Tags"},
    "AWS::SQS::QueuePolicy": {},
    "AWS::SNS::Topic": {
        "sns:*agResource": "Tags",
        "sns:ListTagsForResource": "Tags",
        "sns:Subscribe": "Subscription",
        "sns:Unsubscribe": "Subscription",
        "sns:ListSubscriptionsByTopic": "Subscription",
        "sns:*DataProtectionPolicy": "DataProtectionPolicy",
        "iam:PassRole": NEVER,
    },
    "AWS::SNS::Subscription": {"iam:PassRole": "SubscriptionRoleArn"},
    "AWS::SNS::TopicPolicy": {},
    "AWS::Logs::LogGroup": {
        "logs:*RetentionPolicy": "RetentionInDays",
        "logs:*Tag*": "Tags",
        "logs:UntagResource": "Tags",
        "logs:*DataProtectionPolicy": "DataProtectionPolicy",
        "logs:*KmsKey": "KmsKeyId",
        "logs:*IndexPolic*": "FieldIndexPolicies",
        "logs:*ResourcePolic*": "ResourcePolicyDocument",
        "logs:*LogDelivery": NEVER,
        "logs:*DeletionProtection": "DeletionProtectionEnabled",
        "logs:*BearerTokenAuthentication": "BearerTokenAuthenticationEnabled",
    },
    "AWS::CloudWatch::Alarm": {
        "cloudwatch:*agResource": "Tags",
        "cloudwatch:ListTagsForResource": "Tags",
    },
    "AWS::S3::Bucket": {
        **dict.fromkeys(
            # IAM has other names for these.
            (
                "s3:PutBucketReplication",
                "s3:PutObjectLockConfiguration",
                "s3:DeleteBucketAnalyticsConfiguration",
                "s3:DeleteBucketCors",
                "s3:DeleteBucketMetricsConfiguration",
                "s3:DeleteBucketEncryption",
                "s3:DeleteBucketLifecycle",
                "s3:DeleteBucketReplication",
            ),
            NEVER,
        ),
        "s3:*Tag*": "Tags",
        "s3:*Abac": NEVER,
        "s3:*AnalyticsConfiguration": "AnalyticsConfigurations",
        "s3:*EncryptionConfiguration": "BucketEncryption",
        "s3:*BucketCors": "CorsConfiguration",
        "s3:*InventoryConfiguration": "InventoryConfigurations",
        "s3:*LifecycleConfiguration": "LifecycleConfiguration",
        "s3:*BucketMetadata*": "MetadataConfiguration|MetadataTableConfiguration",
        "s3:*MetricsConfiguration": "MetricsConfigurations",
        "s3:*BucketNotification": "NotificationConfiguration",
        "s3:*Replication*": "ReplicationConfiguration",
        "s3:*BucketWebsite": "WebsiteConfiguration",
        "s3:*AccelerateConfiguration": "AccelerateConfiguration",
        "s3:*PublicAccessBlock": "PublicAccessBlockConfiguration",
        "s3:*ObjectLock*": "ObjectLockConfiguration|ObjectLockEnabled",
        "s3:*Acl": "AccessControl",
        "s3:*BucketLogging": "LoggingConfiguration",
        "s3:*BucketVersioning": "VersioningConfiguration",
        "s3:*OwnershipControls": "OwnershipControls",
        "s3:*IntelligentTieringConfiguration": "IntelligentTieringConfigurations",
        "s3:DeleteObject": NEVER,
    },
} | {
    f"AWS::ApiGatewayV2::{name}": {
        "apigateway:*agResource": "Tags",
        "apigateway:PUT": "Body",
        "iam:PassRole": "CredentialsArn|AuthorizerCredentialsArn",
    }
    for name in (
        "Api",
        "Authorizer",
        "Deployment",
        "Integration",
        "IntegrationResponse",
        "Model",
        "Route",
        "RouteResponse",
        "Stage",
    )
}
# Verbs that a handler does not need, by the operation.
OPPOSITE = {
    "create": "Delete|Untag|Detach|Remove|Disable",
    "delete": "Create|Put|Tag|Untag|Attach|Add",
}
# The role that a type passes, and the receiving service.
PASSED_TO = {
    "AWS::Lambda::Function": ("Role", "lambda.amazonaws.com"),
    "AWS::SNS::Subscription": ("SubscriptionRoleArn", "sns.amazonaws.com"),
    "AWS::ApiGatewayV2::Integration": ("CredentialsArn", "apigateway.amazonaws.com"),
    "AWS::ApiGatewayV2::Authorizer": ("AuthorizerCredentialsArn", "apigateway.amazonaws.com"),
}
# Actions that support no resource.
WITHOUT_RESOURCE = {
    "logs:DescribeLogGroups",
    *(f"logs:{verb}ResourcePolicy" for verb in ("Put", "Delete")),
    *(f"logs:{verb}IndexPolicy" for verb in ("Put", "Delete")),
    *("logs:DescribeResourcePolicies", "logs:DescribeIndexPolicies"),
    "cloudwatch:DescribeAlarms",
    "lambda:CreateEventSourceMapping",
}


@functools.lru_cache(maxsize=64)
def handlers(kind: str) -> Mapping[str, list[str]]:
    """The actions of each handler of a type, by the handler's name; none for an unknown type.

    The first call for a type takes about 2 ms to read cfn-lint's index and the schema.
    """
    import cfnlint

    schemas = Path(cfnlint.__file__).parent / "data/schemas"
    name = _index(schemas / "providers/us-east-1.json").get(kind)
    if name is None:
        return {}
    schema = json.loads((schemas / f"resources/{name}.json").read_text())
    found = schema.get("handlers") or {}
    return {operation: each.get("permissions", []) for operation, each in found.items()}


@functools.lru_cache(maxsize=1)
def _index(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text())
    return found


def checks(operation: str, resource: Resource) -> Iterator[Check]:
    """The checks for the role. `operation` is create, update or delete."""
    features = FEATURES.get(resource.kind)
    for action in handlers(resource.kind).get(operation, []):
        if features is None:
            if _is_named_after(operation, resource.kind, action):
                yield Check(action, ANY)
        elif _counts(action, features, resource, operation):
            yield from _asked(action, resource)


ANY = ""  # for any resource


def _is_named_after(operation: str, kind: str, action: str) -> bool:
    noun = kind.rpartition("::")[2]
    verbs = [operation] if operation == "delete" else [operation, "put"]
    return action.partition(":")[2].lower() in [f"{verb}{noun}".lower() for verb in verbs]


def _counts(action: str, features: dict[str, str], resource: Resource, operation: str) -> bool:
    own = action.partition(":")[0] == service(resource.kind)
    if own and _is_verb(action, OPPOSITE.get(operation, "")):
        return False
    for pattern, property_ in features.items():
        if fnmatch.fnmatchcase(action.lower(), pattern.lower()):
            return property_ != NEVER and resource.sets(property_)
    if operation == "create" and _is_verb(action, "Update"):
        return False
    if operation != "update" or _is_verb(action, "Get|Describe|List|GET"):
        return own
    # If an update changes only features, nothing else is written.
    return own and _changes_itself(resource, features)


def _is_verb(action: str, verbs: str) -> bool:
    return bool(verbs) and bool(re.match(rf"\w+:({verbs})(?![a-z])", action))


def _changes_itself(resource: Resource, features: dict[str, str]) -> bool:
    named = {name.partition(".")[0] for each in features.values() for name in each.split("|")}
    before = resource.before or {}
    keys = {*resource.properties, *before} - named
    return any(resource.properties.get(key) != before.get(key) for key in keys)


def service(kind: str) -> str:
    """The prefix of the actions of the type's service."""
    own = kind.split("::")[1]
    return {"ApiGatewayV2": "apigateway"}.get(own, own.lower())


def _asked(action: str, resource: Resource) -> Iterator[Check]:
    properties = resource.properties
    if action == "iam:PassRole":
        member, to = PASSED_TO[resource.kind]
        yield Check(action, str(_at(properties, member)), {"iam:PassedToService": to})
    elif action.startswith("s3:GetObject"):
        code = properties.get("Code") or {}
        yield Check(action, f"arn:aws:s3:::{code.get('S3Bucket')}/{code.get('S3Key')}")
    elif action == "lambda:GetLayerVersion":
        yield from (Check(action, str(layer)) for layer in properties.get("Layers") or [])
    elif action in WITHOUT_RESOURCE:
        yield Check(action, "*", _context(action, resource))
    else:
        for arn in ARNS[resource.kind](resource, action):
            yield Check(action, arn, _context(action, resource))


def _context(action: str, resource: Resource) -> dict[str, str]:
    if resource.kind == "AWS::Lambda::EventSourceMapping" and "Tag" not in action:
        return {"lambda:FunctionArn": _function(resource)}
    if resource.kind == "AWS::IAM::Role":
        # A role's policies are changed under its new boundary.
        properties = resource.before if resource.before is not None else resource.properties
        if action in ("iam:CreateRole", "iam:PutRolePermissionsBoundary"):
            properties = resource.properties
        boundary = properties.get("PermissionsBoundary")
        return {"iam:PermissionsBoundary": boundary} if boundary else {}
    return {}


def _function(resource: Resource) -> str:
    """The ARN of the function to which a resource belongs, without version or alias."""
    properties = resource.properties
    named = str(properties.get("FunctionName") or properties.get("TargetFunctionArn"))
    name = named.split(":function:")[-1].split(":")[0]
    return resource.arn("lambda", f"function:{name}")


def _queues(resource: Resource, action: str) -> Iterator[str]:
    for url in resource.properties.get("Queues") or []:
        yield resource.arn("sqs", str(url).rstrip("/").rpartition("/")[2])


def _topics(resource: Resource, action: str) -> list[str]:
    topic = resource.properties.get("TopicArn")
    return [str(each) for each in resource.properties.get("Topics") or [topic]]


def _http_api(resource: Resource, action: str) -> list[str]:
    """The path of API Gateway's request. A POST is for the collection."""
    last = resource.kind.rpartition("::")[2]
    top = f"arn:aws:apigateway:{resource.region}::/apis"
    own = resource.name.rpartition("|")[2]
    api = str(resource.properties.get("ApiId", own))
    if last != "Api":
        parents = {"RouteResponse": "RouteId", "IntegrationResponse": "IntegrationId"}
        parent = str(resource.properties.get(parents.get(last, ""), ""))
        below = {"RouteResponse": f"routes/{parent}/routeresponses"}
        below |= {"IntegrationResponse": f"integrations/{parent}/integrationresponses"}
        top += f"/{api}/{below.get(last, f'{last.lower()}s')}"
    return [top if action == "apigateway:POST" else f"{top}/{own}"]


def _named(prefix: str, name: str = "") -> Callable[[Resource, str], list[str]]:
    """The ARN with the resource's own name. `prefix` is the service and the path before it."""
    where, _, rest = prefix.partition(" ")
    return lambda resource, action: [resource.arn(where, f"{rest}{resource.name}")]


def _of_function(resource: Resource, action: str) -> list[str]:
    return [_function(resource)]


ARNS: dict[str, Callable[[Resource, str], Any]] = {
    "AWS::DynamoDB::Table": _named("dynamodb table/"),
    "AWS::IAM::Role": lambda it, action: [f"arn:aws:iam::{it.account}:role/{it.name}"],
    "AWS::Lambda::Function": _named("lambda function:"),
    "AWS::Lambda::EventSourceMapping": _named("lambda event-source-mapping:"),
    "AWS::Lambda::Permission": _of_function,
    "AWS::Lambda::Alias": _of_function,
    "AWS::Lambda::Version": _of_function,
    "AWS::Lambda::Url": _of_function,
    "AWS::Lambda::EventInvokeConfig": _of_function,
    "AWS::SQS::Queue": lambda it, action: [it.arn("sqs", it.name.rstrip("/").rpartition("/")[2])],
    "AWS::SQS::QueuePolicy": _queues,
    "AWS::SNS::Topic": lambda it, action: [it.arn("sns", it.name.rpartition(":")[2])],
    "AWS::SNS::Subscription": _topics,
    "AWS::SNS::TopicPolicy": _topics,
    "AWS::Logs::LogGroup": _named("logs log-group:"),
    "AWS::CloudWatch::Alarm": _named("cloudwatch alarm:"),
    "AWS::S3::Bucket": lambda it, action: [f"arn:aws:s3:::{it.name}"],
} | {kind: _http_api for kind in FEATURES if "::ApiGatewayV2::" in kind}
# The property with a resource's name, its maximum length, and whether it is in lower case.
NAMES = {
    "AWS::CloudWatch::Alarm": ("AlarmName", 255, False),
    "AWS::DynamoDB::Table": ("TableName", 255, False),
    "AWS::IAM::Role": ("RoleName", 64, False),
    "AWS::Lambda::Function": ("FunctionName", 64, False),
    "AWS::Logs::LogGroup": ("LogGroupName", 512, False),
    "AWS::S3::Bucket": ("BucketName", 63, True),
    "AWS::SNS::Topic": ("TopicName", 256, False),
    "AWS::SQS::Queue": ("QueueName", 80, False),
}
