"""The resource types that templates may contain, and what making each of them takes.

To allow another type, add it here and run `make policies`: the parameter AllowedResourceTypes and
the policies of the making role and of drift detection are generated from this list, and the check
of template versions and the laptop's CloudFormation read it.

TYPES has the IAM actions of a type by the property that needs them: `""` is for every resource, `|`
means "or", and a dot leads inwards. They come from the handlers of the type's schema in
CloudFormation's registry, which lists them for all properties together,
and from its permissions for tags. WITHHELD has those that
environments are not given, with the reason; a template that needs one is refused. Actions of a
feature that neither list names, such as replicas in other regions, are not given either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# An action without a service belongs to the type's own.
_TYPES: Mapping[str, Mapping[str, str]] = {
    "AWS::CloudWatch::Alarm": {
        "": "DeleteAlarms DescribeAlarms PutMetricAlarm",
        "Tags": "ListTagsForResource TagResource UntagResource",
    },
    "AWS::DynamoDB::Table": {
        "": "CreateTable DeleteTable DescribeTable UpdateTable",
        "ContributorInsightsSpecification": "DescribeContributorInsights UpdateContributorInsights",
        "ImportSourceSpecification": "DescribeImport ImportTable",
        "KinesisStreamSpecification": "DescribeKinesisStreamingDestination "
        "DisableKinesisStreamingDestination EnableKinesisStreamingDestination "
        "UpdateKinesisStreamingDestination",
        "PointInTimeRecoverySpecification": "DescribeContinuousBackups UpdateContinuousBackups",
        "ResourcePolicy": "DeleteResourcePolicy GetResourcePolicy PutResourcePolicy",
        "Tags": "ListTagsOfResource TagResource UntagResource",
        "TimeToLiveSpecification": "DescribeTimeToLive UpdateTimeToLive",
    },
    "AWS::Events::Rule": {
        "": "DeleteRule DescribeRule ListTargetsByRule PutRule",
        "RoleArn": "iam:PassRole",
        "Tags": "ListTagsForResource TagResource UntagResource",
        "Targets": "PutTargets RemoveTargets",
    },
    "AWS::IAM::Role": {
        "": "CreateRole DeleteRole GetRole ListAttachedRolePolicies ListRolePolicies",
        "AssumeRolePolicyDocument": "UpdateAssumeRolePolicy",
        "Description|MaxSessionDuration": "UpdateRole",
        "ManagedPolicyArns": "AttachRolePolicy DetachRolePolicy",
        "PermissionsBoundary": "DeleteRolePermissionsBoundary PutRolePermissionsBoundary",
        "Policies": "DeleteRolePolicy GetRolePolicy PutRolePolicy",
        "Tags": "ListRoleTags TagRole UntagRole",
    },
    "AWS::Lambda::Alias": {
        "": "CreateAlias DeleteAlias GetAlias UpdateAlias",
        "ProvisionedConcurrencyConfig": "DeleteProvisionedConcurrencyConfig "
        "GetProvisionedConcurrencyConfig PutProvisionedConcurrencyConfig",
    },
    "AWS::Lambda::EventInvokeConfig": {
        "": "DeleteFunctionEventInvokeConfig GetFunctionEventInvokeConfig "
        "PutFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig",
    },
    "AWS::Lambda::EventSourceMapping": {
        "": "CreateEventSourceMapping DeleteEventSourceMapping GetEventSourceMapping "
        "UpdateEventSourceMapping",
        "Tags": "ListTags TagResource UntagResource",
    },
    "AWS::Lambda::Function": {
        "": "CreateFunction DeleteFunction GetFunction",
        "Code.S3Bucket|Code.S3Key": "s3:GetObject",
        "Code.S3ObjectVersion": "s3:GetObjectVersion",
        "Code|Architectures": "UpdateFunctionCode",
        "CodeSigningConfigArn": "DeleteFunctionCodeSigningConfig "
        "GetFunctionCodeSigningConfig PutFunctionCodeSigningConfig",
        "Description|Environment|EphemeralStorage|Handler|Layers|LoggingConfig|MemorySize|Role"
        "|Runtime|Timeout|TracingConfig|VpcConfig|DeadLetterConfig|KmsKeyArn|SnapStart": (
            "UpdateFunctionConfiguration"
        ),
        "FunctionScalingConfig": "GetFunctionScalingConfig PutFunctionScalingConfig",
        "Layers": "GetLayerVersion",
        "PublishToLatestPublished": "PublishVersion",
        "RecursiveLoop": "GetFunctionRecursionConfig PutFunctionRecursionConfig",
        "ReservedConcurrentExecutions": "DeleteFunctionConcurrency PutFunctionConcurrency",
        "Role": "iam:PassRole",
        "RuntimeManagementConfig": "GetRuntimeManagementConfig PutRuntimeManagementConfig",
        "Tags": "ListTags TagResource UntagResource",
    },
    "AWS::Lambda::Permission": {"": "AddPermission GetPolicy RemovePermission"},
    "AWS::Lambda::Url": {
        "": "CreateFunctionUrlConfig DeleteFunctionUrlConfig GetFunctionUrlConfig "
        "UpdateFunctionUrlConfig",
    },
    "AWS::Lambda::Version": {
        "": "DeleteFunction GetFunctionConfiguration ListVersionsByFunction PublishVersion",
        "FunctionScalingConfig": "GetFunctionScalingConfig PutFunctionScalingConfig",
        "ProvisionedConcurrencyConfig": "GetProvisionedConcurrencyConfig "
        "PutProvisionedConcurrencyConfig",
        "RuntimePolicy": "GetRuntimeManagementConfig PutRuntimeManagementConfig",
    },
    "AWS::Logs::LogGroup": {
        "": "CreateLogGroup DeleteLogGroup DescribeLogGroups",
        "BearerTokenAuthenticationEnabled": "PutBearerTokenAuthentication",
        "DataProtectionPolicy": "DeleteDataProtectionPolicy GetDataProtectionPolicy "
        "PutDataProtectionPolicy",
        "DeletionProtectionEnabled": "PutLogGroupDeletionProtection",
        "FieldIndexPolicies": "DeleteIndexPolicy DescribeIndexPolicies PutIndexPolicy",
        "KmsKeyId": "AssociateKmsKey DisassociateKmsKey",
        "ResourcePolicyDocument": "DeleteResourcePolicy DescribeResourcePolicies PutResourcePolicy",
        "RetentionInDays": "DeleteRetentionPolicy PutRetentionPolicy",
        "Tags": "ListTagsForResource TagResource UntagResource",
    },
    "AWS::S3::Bucket": {
        "": "CreateBucket DeleteBucket ListBucket",
        "AccelerateConfiguration": "GetAccelerateConfiguration PutAccelerateConfiguration",
        "AccessControl": "GetBucketAcl PutBucketAcl PutObjectAcl",
        "AnalyticsConfigurations": "GetAnalyticsConfiguration PutAnalyticsConfiguration",
        "BucketEncryption": "GetEncryptionConfiguration PutEncryptionConfiguration",
        "CorsConfiguration": "GetBucketCORS PutBucketCORS",
        "IntelligentTieringConfigurations": "GetIntelligentTieringConfiguration "
        "PutIntelligentTieringConfiguration",
        "InventoryConfigurations": "GetInventoryConfiguration PutInventoryConfiguration",
        "LifecycleConfiguration": "GetLifecycleConfiguration PutLifecycleConfiguration",
        "LoggingConfiguration": "GetBucketLogging PutBucketLogging",
        "MetadataConfiguration|MetadataTableConfiguration": ""
        "CreateBucketMetadataTableConfiguration DeleteBucketMetadataTableConfiguration "
        "GetBucketMetadataTableConfiguration "
        "UpdateBucketMetadataAnnotationTableConfiguration "
        "UpdateBucketMetadataInventoryTableConfiguration "
        "UpdateBucketMetadataJournalTableConfiguration",
        "MetricsConfigurations": "GetMetricsConfiguration PutMetricsConfiguration",
        "NotificationConfiguration": "GetBucketNotification PutBucketNotification",
        "ObjectLockConfiguration|ObjectLockEnabled": "GetBucketObjectLockConfiguration "
        "PutBucketObjectLockConfiguration",
        "OwnershipControls": "GetBucketOwnershipControls PutBucketOwnershipControls",
        "PublicAccessBlockConfiguration": "GetBucketPublicAccessBlock PutBucketPublicAccessBlock",
        "ReplicationConfiguration": "GetReplicationConfiguration PutReplicationConfiguration",
        "Tags": "GetBucketTagging ListTagsForResource PutBucketTagging TagResource UntagResource",
        "VersioningConfiguration": "GetBucketVersioning PutBucketVersioning",
        "WebsiteConfiguration": "DeleteBucketWebsite GetBucketWebsite PutBucketWebsite",
    },
    "AWS::SNS::Subscription": {
        "": "GetSubscriptionAttributes SetSubscriptionAttributes Subscribe Unsubscribe",
        "SubscriptionRoleArn": "iam:PassRole",
    },
    "AWS::SNS::Topic": {
        "": "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes",
        "DataProtectionPolicy": "GetDataProtectionPolicy PutDataProtectionPolicy",
        "Subscription": "ListSubscriptionsByTopic Subscribe Unsubscribe",
        "Tags": "ListTagsForResource TagResource UntagResource",
    },
    "AWS::SNS::TopicPolicy": {"": "SetTopicAttributes"},
    "AWS::SQS::Queue": {
        "": "CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl SetQueueAttributes",
        "Tags": "ListQueueTags TagQueue UntagQueue",
    },
    "AWS::SQS::QueuePolicy": {"": "SetQueueAttributes"},
}
_HTTP_API: Mapping[str, Mapping[str, str]] = {
    f"AWS::ApiGatewayV2::{name}": {"": "DELETE GET PATCH POST", **more}
    for name, more in {
        "Api": {"Body": "PUT", "BodyS3Location": "s3:GetObject", "Tags": "TagResource"},
        "Authorizer": {"AuthorizerCredentialsArn": "iam:PassRole"},
        "Deployment": {},
        "Integration": {"CredentialsArn": "iam:PassRole"},
        "IntegrationResponse": {},
        "Model": {},
        "Route": {},
        "RouteResponse": {},
        "Stage": {"Tags": "TagResource UntagResource"},
    }.items()
}
# The list above has the types that the SAM transform makes of its own.
SERVERLESS = (
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::SimpleTable",
)
# What does the same as a type that templates are often refused for (docs/templates.md).
_HTTP = "an HTTP API (AWS::Serverless::HttpApi, and HttpApi in Events) serves the same functions"
_LAYER = "put the layer into the archive of the function's code"
INSTEAD: Mapping[str, str] = {
    "AWS::ApiGateway::RestApi": _HTTP,
    "AWS::Lambda::LayerVersion": _LAYER,
    "AWS::Scheduler::Schedule": "the event Schedule, or AWS::Events::Rule, has a schedule, too",
    "AWS::Serverless::Api": _HTTP,
    "AWS::Serverless::LayerVersion": _LAYER,
}
WITHHELD: Mapping[str, str] = {
    "dynamodb:DescribeImport": "a table cannot be filled from another bucket",
    "dynamodb:ImportTable": "a table cannot be filled from another bucket",
    "dynamodb:DisableKinesisStreamingDestination": "Kinesis is not available to environments",
    "dynamodb:EnableKinesisStreamingDestination": "Kinesis is not available to environments",
    "dynamodb:UpdateKinesisStreamingDestination": "Kinesis is not available to environments",
    "dynamodb:DeleteResourcePolicy": "a table's own policy could let other accounts in",
    "dynamodb:PutResourcePolicy": "a table's own policy could let other accounts in",
    "iam:DeleteRolePermissionsBoundary": "no role may lose its boundary",
    "lambda:DeleteFunctionCodeSigningConfig": "the account's signing profiles are out of reach",
    "lambda:PutFunctionCodeSigningConfig": "the account's signing profiles are out of reach",
    "lambda:GetFunctionScalingConfig": "capacity providers belong to the account",
    "lambda:PutFunctionScalingConfig": "capacity providers belong to the account",
    "lambda:GetLayerVersion": "layers belong to the account",
    "logs:DeleteIndexPolicy": "field indexes are not available to environments",
    "logs:DescribeIndexPolicies": "field indexes are not available to environments",
    "logs:PutIndexPolicy": "field indexes are not available to environments",
    "logs:DeleteResourcePolicy": "such a policy applies to all logs of the account",
    "logs:DescribeResourcePolicies": "such a policy applies to all logs of the account",
    "logs:PutResourcePolicy": "such a policy applies to all logs of the account",
    "s3:CreateBucketMetadataTableConfiguration": "metadata tables belong to the account",
    "s3:DeleteBucketMetadataTableConfiguration": "metadata tables belong to the account",
    "s3:GetBucketMetadataTableConfiguration": "metadata tables belong to the account",
    "s3:UpdateBucketMetadataAnnotationTableConfiguration": "metadata tables belong to the account",
    "s3:UpdateBucketMetadataInventoryTableConfiguration": "metadata tables belong to the account",
    "s3:UpdateBucketMetadataJournalTableConfiguration": "metadata tables belong to the account",
    "s3:PutReplicationConfiguration": "a bucket cannot be replicated out of its environment",
}
# The services that a type hands the role in its property `iam:PassRole`.
PASSED_TO: Mapping[str, str] = {
    "AWS::ApiGatewayV2::Authorizer": "apigateway.amazonaws.com",
    "AWS::ApiGatewayV2::Integration": "apigateway.amazonaws.com",
    "AWS::Events::Rule": "events.amazonaws.com",
    "AWS::Lambda::Function": "lambda.amazonaws.com",
    "AWS::SNS::Subscription": "sns.amazonaws.com",
}
# Actions that support no resource.
WITHOUT_RESOURCE = frozenset(
    {
        "cloudwatch:DescribeAlarms",
        "lambda:CreateEventSourceMapping",
        "logs:DescribeLogGroups",
        *(f"logs:{verb}ResourcePolicy" for verb in ("Put", "Delete")),
        *(f"logs:{verb}IndexPolicy" for verb in ("Put", "Delete")),
        *("logs:DescribeResourcePolicies", "logs:DescribeIndexPolicies"),
    }
)


class Named(NamedTuple):
    """How a type's resources are named: the property, the longest name, and the ARN before it.

    The ARN is `arn:<partition>:<service>:<region>:<account>:` and `rest`, or without region
    (`iam`), or without both (`s3`), and then the name.
    """

    property: str
    longest: int
    rest: str
    is_lower_case: bool = False


NAMES: Mapping[str, Named] = {
    "AWS::CloudWatch::Alarm": Named("AlarmName", 255, "alarm:"),
    "AWS::DynamoDB::Table": Named("TableName", 255, "table/"),
    "AWS::Events::Rule": Named("Name", 64, "rule/"),
    "AWS::IAM::Role": Named("RoleName", 64, "role/"),
    "AWS::Lambda::Function": Named("FunctionName", 64, "function:"),
    "AWS::Logs::LogGroup": Named("LogGroupName", 512, "log-group:"),
    "AWS::S3::Bucket": Named("BucketName", 63, "", is_lower_case=True),
    "AWS::SNS::Topic": Named("TopicName", 256, ""),
    "AWS::SQS::Queue": Named("QueueName", 80, ""),
}


def service(kind: str) -> str:
    """The prefix of the actions of the type's service."""
    own = kind.split("::")[1]
    return {"ApiGatewayV2": "apigateway"}.get(own, own.lower())


def _actions(kind: str, properties: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, actions in properties.items():
        for action in actions.split():
            yield (action if ":" in action else f"{service(kind)}:{action}"), name


# The property that needs an action, by the type and the action. See the module's docstring.
TYPES: Mapping[str, Mapping[str, str]] = {
    kind: dict(_actions(kind, properties)) for kind, properties in {**_TYPES, **_HTTP_API}.items()
}
ALLOWED = tuple(sorted((*TYPES, *SERVERLESS)))


def is_read(action: str) -> bool:
    """Whether an action only reads, so that drift detection needs it."""
    return re.match(r"\w+:(Get|Describe|List|GET)", action) is not None


def given() -> frozenset[str]:
    """Every action that environments are given for one of the types."""
    return frozenset({each for actions in TYPES.values() for each in actions} - set(WITHHELD))
