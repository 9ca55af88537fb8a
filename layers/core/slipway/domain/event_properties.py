"""The rule for each property of SAM's events, in the form of slipway.domain.template_properties."""

from __future__ import annotations

from collections.abc import Mapping

_SCHEDULED = {
    "own": "DeadLetterConfig.Arn RoleArn ScheduleGroupName EventBusName",
    "key": "KmsKeyArn",
    "boundary": "PermissionsBoundary",
    "free": "DeadLetterConfig.QueueLogicalId DeadLetterConfig.Type Description Enabled EndDate "
    "FlexibleTimeWindow Input InputPath InputTransformer Name OmitName Pattern RetryPolicy "
    "RuleName Schedule ScheduleExpression ScheduleExpressionTimezone StartDate State Target",
}

_MATCHED = {
    "own": "DeadLetterConfig.Arn",
    "no events": "EventBusName Pattern",
    "free": "DeadLetterConfig.QueueLogicalId DeadLetterConfig.Type Enabled Input InputPath "
    "InputTransformer RetryPolicy RuleName State Target",
}

# The rules for the properties of SAM's events, by the type of the event. In events of other
# types, others call the function: they are refused.
EVENTS: Mapping[str, Mapping[str, str]] = {
    "Api": {
        "own": "Auth.InvokeRole RestApiId",
        "free": "Auth.ApiKeyRequired Auth.AuthorizationScopes Auth.Authorizer Method Path "
        "RequestModel RequestParameters ResponseTransferMode TimeoutInMillis",
    },
    "CloudWatchEvent": _MATCHED,
    "EventBridgeRule": _MATCHED,
    "Schedule": {
        "own": "DeadLetterConfig.Arn",
        "name": "Name",
        "no target_role": "RoleArn",
        "free": "DeadLetterConfig.QueueLogicalId DeadLetterConfig.Type Description Enabled Input "
        "RetryPolicy Schedule State",
    },
    "ScheduleV2": _SCHEDULED,
    "DynamoDB": {
        "own": "Stream DestinationConfig.OnFailure.Destination",
        "key": "KmsKeyArn",
        "no paid": "ProvisionedPollerConfig",
        "free": "BatchSize BisectBatchOnFunctionError DestinationConfig.OnFailure.Type Enabled "
        "FilterCriteria FunctionResponseTypes LoggingConfig MaximumBatchingWindowInSeconds "
        "MaximumRecordAgeInSeconds MaximumRetryAttempts MetricsConfig ParallelizationFactor "
        "StartingPosition StartingPositionTimestamp TumblingWindowInSeconds",
        "tags": "Tags",
    },
    "HttpApi": {
        "own": "ApiId",
        "free": "Auth.AuthorizationScopes Auth.Authorizer Method Path PayloadFormatVersion "
        "RouteSettings TimeoutInMillis",
    },
    "S3": {"own": "Bucket", "free": "Events Filter"},
    "SNS": {
        "own": "RedrivePolicy.deadLetterTargetArn SqsSubscription.QueueArn "
        "SqsSubscription.QueueUrl Topic",
        "no shared": "Region",
        "free": "FilterPolicy FilterPolicyScope SqsSubscription.BatchSize SqsSubscription.Enabled "
        "SqsSubscription.QueuePolicyLogicalId",
    },
    "SQS": {
        "own": "Queue",
        "key": "KmsKeyArn",
        "no paid": "ProvisionedPollerConfig",
        "free": "BatchSize Enabled FilterCriteria FunctionResponseTypes LoggingConfig "
        "MaximumBatchingWindowInSeconds MetricsConfig ScalingConfig",
        "tags": "Tags",
    },
}
