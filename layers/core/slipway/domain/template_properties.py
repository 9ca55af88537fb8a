"""The rule for each property of the resource types that templates may contain.

By resource type and rule, the paths of the properties; `*` stands for each item of a list or each
key of a mapping. A path stands for everything below it. A property that is not here is refused, so
that what AWS adds to a type is not allowed unseen. The rules are those of
slipway.domain.template_rules; those of REFUSED refuse a property altogether.

    free   the property names nothing outside its own resource, and costs nothing by itself
    own    it names a resource, which must be of this template or under the environment's prefix
    name   it is the resource's physical name, which must be under the environment's prefix
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from slipway.domain.event_properties import EVENTS

# A name is a rule, a mapping the rules of what is below.
Node = str | dict[str, Any]

_NETWORK = "is not available to environments: they may not use the account's networks"
_PAID = "is not available to environments: it costs while nothing uses it. Leave it out"
_PROTECTED = "must be left out: it could keep the resource after its environment has ended"
_SIGNING = "is not available to environments: they may not use the account's signing profiles"
# The role would need to change the resource policies of every log in the account.
_ACCESS_LOGS = "is not available to environments: access logs need rights over the account's logs"

REFUSED: Mapping[str, str] = {
    "access_logs": _ACCESS_LOGS,
    "body": "is not available to environments. Write the document into Body",
    "broker": "is not available to environments: they may not use brokers and their secrets",
    "certificate": "is not available to environments: they may not use the account's certificates",
    "domain": "is not available to environments: they may not use the account's domains",
    "events": "is not available to environments: it reads the events of the whole account. A rule "
    "may have a ScheduleExpression",
    "files": "is not available to environments: they may not use the account's file systems",
    "image": "is not available to environments: they may not read the account's images. Use a zip "
    "file",
    "import": "is not available to environments: it reads another bucket",
    "made_by_sam": "is not available to environments: SAM makes CodeDeploy resources for it",
    "named_role": "must be left out: the name of a role is left to CloudFormation",
    "network": _NETWORK,
    "paid": _PAID,
    "path": "must be left out: the role of environments makes roles with the path / only",
    "protected": _PROTECTED,
    "queries": "is not available to environments: it reads the metrics of the whole account",
    "shared": "is not available to environments: it sends or grants data to others",
    "signing": _SIGNING,
    "target_role": "must be left out: a rule reaches functions, queues and topics of its template "
    "by their own policies",
    "withheld": "is not available to environments: the role that makes them has no right to it",
}

_FUNCTION_FREE = (
    "Architectures Description DurableConfig.ExecutionTimeout DurableConfig.RetentionPeriodInDays "
    "Environment.Variables EphemeralStorage Handler ImageConfig LoggingConfig.ApplicationLogLevel "
    "LoggingConfig.LogFormat LoggingConfig.SystemLogLevel PackageType PublishToLatestPublished "
    "Runtime SnapStart TenancyConfig Timeout"
)

PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "AWS::ApiGatewayV2::Api": {
        "body": "Body",
        "no body": "BodyS3Location",
        "integration": "Target",
        "own": "CredentialsArn",
        "free": "ApiKeySelectionExpression BasePath CorsConfiguration Description "
        "DisableExecuteApiEndpoint DisableSchemaValidation FailOnWarnings IpAddressType Name "
        "ProtocolType RouteKey RouteSelectionExpression Version",
        "tags": "Tags",
    },
    "AWS::ApiGatewayV2::Authorizer": {
        "own": "ApiId AuthorizerCredentialsArn",
        "integration": "AuthorizerUri",
        "free": "AuthorizerPayloadFormatVersion AuthorizerResultTtlInSeconds AuthorizerType "
        "EnableSimpleResponses IdentitySource IdentityValidationExpression JwtConfiguration Name",
    },
    "AWS::ApiGatewayV2::Deployment": {"own": "ApiId", "free": "Description StageName"},
    "AWS::ApiGatewayV2::Integration": {
        "own": "ApiId CredentialsArn",
        "integration": "IntegrationUri",
        "no network": "ConnectionId",
        "internet": "ConnectionType",
        "free": "ContentHandlingStrategy Description IntegrationMethod IntegrationSubtype "
        "IntegrationType PassthroughBehavior PayloadFormatVersion RequestParameters "
        "RequestTemplates ResponseParameters TemplateSelectionExpression TimeoutInMillis TlsConfig",
    },
    "AWS::ApiGatewayV2::IntegrationResponse": {
        "own": "ApiId IntegrationId",
        "free": "ContentHandlingStrategy IntegrationResponseKey ResponseParameters "
        "ResponseTemplates TemplateSelectionExpression",
    },
    "AWS::ApiGatewayV2::Model": {"own": "ApiId", "free": "ContentType Description Name Schema"},
    "AWS::ApiGatewayV2::Route": {
        "own": "ApiId AuthorizerId",
        "target": "Target",
        "free": "ApiKeyRequired AuthorizationScopes AuthorizationType ModelSelectionExpression "
        "OperationName RequestModels RequestParameters RouteKey RouteResponseSelectionExpression",
    },
    "AWS::ApiGatewayV2::RouteResponse": {
        "own": "ApiId RouteId",
        "free": "ModelSelectionExpression ResponseModels ResponseParameters RouteResponseKey",
    },
    "AWS::ApiGatewayV2::Stage": {
        "own": "ApiId DeploymentId",
        "no access_logs": "AccessLogSettings",
        "no certificate": "ClientCertificateId",
        "free": "AutoDeploy DefaultRouteSettings Description RouteSettings StageName "
        "StageVariables",
        "tags": "Tags",
    },
    "AWS::CloudWatch::Alarm": {
        "name": "AlarmName",
        "own": "AlarmActions.* InsufficientDataActions.* OKActions.*",
        "expression": "Metrics.*.Expression",
        "account": "Metrics.*.AccountId",
        "no queries": "EvaluationCriteria EvaluationInterval EvaluationWindow",
        "free": "ActionConfiguration ActionsEnabled AlarmDescription ComparisonOperator "
        "DatapointsToAlarm Dimensions EvaluateLowSampleCountPercentile EvaluationPeriods "
        "ExtendedStatistic MetricName Metrics.*.Id Metrics.*.Label Metrics.*.MetricStat "
        "Metrics.*.Period Metrics.*.ReturnData Namespace Period Statistic Threshold "
        "ThresholdMetricId TreatMissingData Unit WarmUpConfiguration",
        "tags": "Tags",
    },
    "AWS::DynamoDB::Table": {
        "name": "TableName",
        "key": "SSESpecification.KMSMasterKeyId",
        "own": "KinesisStreamSpecification.StreamArn",
        "no import": "ImportSourceSpecification",
        "no protected": "DeletionProtectionEnabled",
        "no paid": "WarmThroughput GlobalSecondaryIndexes.*.WarmThroughput VectorIndexes",
        "no withheld": "ResourcePolicy StreamSpecification.ResourcePolicy",
        "throughput": "ProvisionedThroughput.ReadCapacityUnits "
        "ProvisionedThroughput.WriteCapacityUnits "
        "GlobalSecondaryIndexes.*.ProvisionedThroughput.ReadCapacityUnits "
        "GlobalSecondaryIndexes.*.ProvisionedThroughput.WriteCapacityUnits",
        "free": "AttributeDefinitions BillingMode ContributorInsightsSpecification "
        "GlobalSecondaryIndexes.*.ContributorInsightsSpecification "
        "GlobalSecondaryIndexes.*.IndexName GlobalSecondaryIndexes.*.KeySchema "
        "GlobalSecondaryIndexes.*.OnDemandThroughput GlobalSecondaryIndexes.*.Projection KeySchema "
        "KinesisStreamSpecification.ApproximateCreationDateTimePrecision LocalSecondaryIndexes "
        "OnDemandThroughput PointInTimeRecoverySpecification SSESpecification.SSEEnabled "
        "SSESpecification.SSEType StreamSpecification.StreamViewType TableClass "
        "TimeToLiveSpecification",
        "tags": "StreamSpecification.Tags Tags",
    },
    "AWS::Events::Rule": {
        "name": "Name",
        "own": "Targets.*.Arn Targets.*.DeadLetterConfig.Arn",
        "no events": "EventBusName EventPattern",
        "no target_role": "RoleArn Targets.*.RoleArn",
        "no withheld": "Targets.*.AppSyncParameters Targets.*.BatchParameters "
        "Targets.*.EcsParameters Targets.*.HttpParameters Targets.*.KinesisParameters "
        "Targets.*.RedshiftDataParameters Targets.*.RunCommandParameters "
        "Targets.*.SageMakerPipelineParameters",
        "free": "Description ScheduleExpression State Targets.*.Id Targets.*.Input "
        "Targets.*.InputPath Targets.*.InputTransformer Targets.*.RetryPolicy "
        "Targets.*.SqsParameters",
        "tags": "Tags",
    },
    "AWS::IAM::Role": {
        "assume": "AssumeRolePolicyDocument",
        "managed": "ManagedPolicyArns.*",
        "boundary": "PermissionsBoundary",
        "no named_role": "RoleName",
        "root": "Path",
        "free": "Description MaxSessionDuration Policies",
        "tags": "Tags",
    },
    "AWS::Lambda::Alias": {
        "own": "FunctionName",
        "provisioned": "ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",
        "free": "Description FunctionVersion Name RoutingConfig",
    },
    "AWS::Lambda::EventInvokeConfig": {
        "own": "DestinationConfig.OnFailure.Destination DestinationConfig.OnSuccess.Destination "
        "FunctionName",
        "free": "MaximumEventAgeInSeconds MaximumRetryAttempts Qualifier",
    },
    "AWS::Lambda::EventSourceMapping": {
        "own": "DestinationConfig.OnFailure.Destination EventSourceArn FunctionName",
        "key": "KmsKeyArn",
        "no broker": "AmazonManagedKafkaEventSourceConfig DocumentDBEventSourceConfig Queues "
        "SelfManagedEventSource SelfManagedKafkaEventSourceConfig SourceAccessConfigurations "
        "Topics",
        "no paid": "ProvisionedPollerConfig",
        "free": "BatchSize BisectBatchOnFunctionError Enabled FilterCriteria FunctionResponseTypes "
        "LoggingConfig MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds "
        "MaximumRetryAttempts MetricsConfig ParallelizationFactor ScalingConfig StartingPosition "
        "StartingPositionTimestamp TumblingWindowInSeconds",
        "tags": "Tags",
    },
    "AWS::Lambda::Function": {
        "name": "FunctionName",
        "own": "DeadLetterConfig.TargetArn Layers.* Role",
        "bucket": "Code.S3Bucket",
        "key": "Code.SourceKMSKeyArn DurableConfig.KMSKeyArn KmsKeyArn",
        "log_group": "LoggingConfig.LogGroup",
        "no files": "FileSystemConfigs",
        "no image": "Code.ImageUri",
        "no network": "VpcConfig",
        "no paid": "CapacityProviderConfig FunctionScalingConfig",
        "no signing": "CodeSigningConfigArn",
        "memory": "MemorySize",
        "reserved": "ReservedConcurrentExecutions",
        "terminates": "RecursiveLoop",
        "free": f"{_FUNCTION_FREE} Code.S3Key Code.S3ObjectStorageMode Code.S3ObjectVersion "
        "Code.ZipFile RuntimeManagementConfig TracingConfig",
        "tags": "Tags",
    },
    "AWS::Lambda::Permission": {
        "own": "FunctionName",
        # The others depend on each other: slipway.domain.template_policies.
        "free": "Action EventSourceToken FunctionUrlAuthType InvokedViaFunctionUrl Principal "
        "PrincipalOrgID SourceAccount SourceArn",
    },
    "AWS::Lambda::Url": {
        "own": "TargetFunctionArn",
        "free": "AuthType Cors InvokeMode Qualifier",
    },
    "AWS::Lambda::Version": {
        "own": "FunctionName",
        "provisioned": "ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",
        "no paid": "FunctionScalingConfig",
        "free": "CodeSha256 Description RuntimePolicy",
    },
    "AWS::Logs::LogGroup": {
        "log_group": "LogGroupName",
        "key": "KmsKeyId",
        "no protected": "DeletionProtectionEnabled",
        "no shared": "DataProtectionPolicy ResourcePolicyDocument",
        "free": "BearerTokenAuthenticationEnabled LogGroupClass RetentionInDays",
        "no withheld": "FieldIndexPolicies",
        "tags": "Tags",
    },
    "AWS::S3::Bucket": {
        "name": "BucketName BucketNamePrefix",
        "own": "LoggingConfiguration.DestinationBucketName "
        "NotificationConfiguration.LambdaConfigurations.*.Function "
        "NotificationConfiguration.QueueConfigurations.*.Queue "
        "NotificationConfiguration.TopicConfigurations.*.Topic "
        "AnalyticsConfigurations.*.StorageClassAnalysis.DataExport.Destination.BucketArn "
        "InventoryConfigurations.*.Destination.BucketArn",
        "account": "AnalyticsConfigurations.*.StorageClassAnalysis.DataExport.Destination."
        "BucketAccountId "
        "InventoryConfigurations.*.Destination.BucketAccountId",
        "key": "BucketEncryption.ServerSideEncryptionConfiguration.*.ServerSideEncryptionByDefault."
        "KMSMasterKeyID",
        "private": "AccessControl",
        "no protected": "ObjectLockConfiguration ObjectLockEnabled",
        "no shared": "MetadataConfiguration MetadataTableConfiguration "
        "MetricsConfigurations.*.AccessPointArn",
        "free": "AccelerateConfiguration AnalyticsConfigurations.*.Id "
        "AnalyticsConfigurations.*.Prefix AnalyticsConfigurations.*.TagFilters "
        "AnalyticsConfigurations.*.StorageClassAnalysis.DataExport.Destination.Format "
        "AnalyticsConfigurations.*.StorageClassAnalysis.DataExport.Destination.Prefix "
        "AnalyticsConfigurations.*.StorageClassAnalysis.DataExport.OutputSchemaVersion "
        "BucketEncryption.ServerSideEncryptionConfiguration.*.BlockedEncryptionTypes "
        "BucketEncryption.ServerSideEncryptionConfiguration.*.BucketKeyEnabled "
        "BucketEncryption.ServerSideEncryptionConfiguration.*.ServerSideEncryptionByDefault."
        "SSEAlgorithm BucketNamespace CorsConfiguration IntelligentTieringConfigurations "
        "InventoryConfigurations.*.Destination.Format InventoryConfigurations.*.Destination.Prefix "
        "InventoryConfigurations.*.Enabled InventoryConfigurations.*.Id "
        "InventoryConfigurations.*.IncludedObjectVersions "
        "InventoryConfigurations.*.OptionalFields InventoryConfigurations.*.Prefix "
        "InventoryConfigurations.*.ScheduleFrequency LifecycleConfiguration "
        "LoggingConfiguration.LogFilePrefix LoggingConfiguration.TargetObjectKeyFormat "
        "MetricsConfigurations.*.Id MetricsConfigurations.*.Prefix "
        "MetricsConfigurations.*.TagFilters NotificationConfiguration.EventBridgeConfiguration "
        "NotificationConfiguration.LambdaConfigurations.*.Event "
        "NotificationConfiguration.LambdaConfigurations.*.Filter "
        "NotificationConfiguration.QueueConfigurations.*.Event "
        "NotificationConfiguration.QueueConfigurations.*.Filter "
        "NotificationConfiguration.TopicConfigurations.*.Event "
        "NotificationConfiguration.TopicConfigurations.*.Filter OwnershipControls "
        "PublicAccessBlockConfiguration VersioningConfiguration WebsiteConfiguration",
        "no withheld": "AbacStatus ReplicationConfiguration",
        "tags": "Tags",
    },
    "AWS::Serverless::Function": {
        "name": "FunctionName",
        "own": "DeadLetterQueue.TargetArn Layers.* Role "
        "EventInvokeConfig.DestinationConfig.OnFailure.Destination "
        "EventInvokeConfig.DestinationConfig.OnSuccess.Destination",
        "code": "CodeUri",
        "key": "DurableConfig.KMSKeyArn KmsKeyArn SourceKMSKeyArn",
        "log_group": "LoggingConfig.LogGroup",
        "assume": "AssumeRolePolicyDocument",
        "boundary": "PermissionsBoundary",
        "sam_policies": "Policies",
        "sam_events": "Events",
        "no files": "FileSystemConfigs",
        "no image": "ImageUri",
        "no made_by_sam": "DeploymentPreference",
        "no network": "VpcConfig",
        "no paid": "CapacityProviderConfig FunctionScalingConfig",
        "no path": "RolePath",
        "no signing": "CodeSigningConfigArn",
        "memory": "MemorySize",
        "provisioned": "ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",
        "reserved": "ReservedConcurrentExecutions",
        "terminates": "RecursiveLoop",
        "free": f"{_FUNCTION_FREE} AutoPublishAlias AutoPublishAliasAllProperties "
        "AutoPublishCodeSha256 DeadLetterQueue.Type "
        "EventInvokeConfig.DestinationConfig.OnFailure.Type "
        "EventInvokeConfig.DestinationConfig.OnSuccess.Type "
        "EventInvokeConfig.MaximumEventAgeInSeconds EventInvokeConfig.MaximumRetryAttempts "
        "FunctionUrlConfig InlineCode PropagateTags RuntimeManagementConfig Tracing "
        "VersionDeletionPolicy VersionDescription",
        "tags": "Tags",
    },
    "AWS::Serverless::HttpApi": {
        "body": "DefinitionBody",
        "no access_logs": "AccessLogSettings",
        "no body": "DefinitionUri",
        "no domain": "Domain",
        "own": "Auth.Authorizers.*.FunctionArn Auth.Authorizers.*.FunctionInvokeRole",
        "free": "Auth.Authorizers.*.AuthorizationScopes "
        "Auth.Authorizers.*.AuthorizerPayloadFormatVersion "
        "Auth.Authorizers.*.EnableFunctionDefaultPermissions "
        "Auth.Authorizers.*.EnableSimpleResponses Auth.Authorizers.*.Identity "
        "Auth.Authorizers.*.IdentitySource Auth.Authorizers.*.JwtConfiguration "
        "Auth.DefaultAuthorizer Auth.EnableIamAuthorizer CorsConfiguration DefaultRouteSettings "
        "Description DisableExecuteApiEndpoint FailOnWarnings Name PropagateTags RouteSettings "
        "StageName StageVariables",
        "tags": "Tags",
    },
    "AWS::Serverless::SimpleTable": {
        "name": "TableName",
        "key": "SSESpecification.KMSMasterKeyId",
        "throughput": "ProvisionedThroughput.ReadCapacityUnits "
        "ProvisionedThroughput.WriteCapacityUnits",
        "free": "PointInTimeRecoverySpecification PrimaryKey SSESpecification.SSEEnabled "
        "SSESpecification.SSEType",
        "tags": "Tags",
    },
    "AWS::SNS::Subscription": {
        "own": "RedrivePolicy.deadLetterTargetArn SubscriptionRoleArn TopicArn",
        "endpoint": "Endpoint",
        "no shared": "Region ReplayPolicy",
        "free": "DeliveryPolicy FilterPolicy FilterPolicyScope Protocol RawMessageDelivery",
    },
    "AWS::SNS::Topic": {
        "name": "TopicName",
        "key": "KmsMasterKeyId",
        "own": "DeliveryStatusLogging.*.FailureFeedbackRoleArn "
        "DeliveryStatusLogging.*.SuccessFeedbackRoleArn",
        "endpoint": "Subscription.*.Endpoint",
        "no protected": "ArchivePolicy",
        "no shared": "DataProtectionPolicy",
        "free": "ContentBasedDeduplication DeliveryStatusLogging.*.Protocol "
        "DeliveryStatusLogging.*.SuccessFeedbackSampleRate DisplayName FifoThroughputScope "
        "FifoTopic MaximumMessageSize SignatureVersion Subscription.*.Protocol TracingConfig",
        "tags": "Tags",
    },
    "AWS::SNS::TopicPolicy": {"own": "Topics.*", "policy": "PolicyDocument"},
    "AWS::SQS::Queue": {
        "name": "QueueName",
        "key": "KmsMasterKeyId",
        "own": "RedriveAllowPolicy.sourceQueueArns.* RedrivePolicy.deadLetterTargetArn",
        "free": "ContentBasedDeduplication DeduplicationScope DelaySeconds FifoQueue "
        "FifoThroughputLimit KmsDataKeyReusePeriodSeconds MaximumMessageSize "
        "MessageRetentionPeriod ReceiveMessageWaitTimeSeconds RedriveAllowPolicy.redrivePermission "
        "RedrivePolicy.maxReceiveCount "
        "SqsManagedSseEnabled VisibilityTimeout",
        "tags": "Tags",
    },
    "AWS::SQS::QueuePolicy": {"own": "Queues.*", "policy": "PolicyDocument"},
}


@cache
def of_type(kind: str) -> Node | None:
    """The rules of the type's properties as a tree; None if the type is not listed."""
    return _tree(PROPERTIES[kind]) if kind in PROPERTIES else None


@cache
def of_event(kind: str) -> Node | None:
    """The rules of the properties of SAM's event; None if the type is not listed."""
    return _tree(EVENTS[kind]) if kind in EVENTS else None


def _tree(rules: Mapping[str, str]) -> Node:
    tree: dict[str, Any] = {}
    for rule, paths in rules.items():
        for path in paths.split():
            *parents, name = path.split(".")
            node = tree
            for each in parents:
                node = node.setdefault(each, {})
            node[name] = rule
    return tree
