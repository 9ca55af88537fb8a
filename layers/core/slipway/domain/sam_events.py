"""The events of SAM functions and state machines, and the resources that SAM creates for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from slipway.domain.references import MAX_NAME, below
from slipway.domain.template import not_allowed
from slipway.errors import FieldError

# The resource types that SAM creates for an event of a function or a state machine, by its type.
# Permissions and roles come with the function.
EVENTS: Mapping[str, Sequence[str]] = {
    "AlexaSkill": (),
    "Api": ("AWS::Serverless::Api",),
    "CloudWatchEvent": ("AWS::Events::Rule",),
    "CloudWatchLogs": ("AWS::Logs::SubscriptionFilter",),
    "Cognito": (),
    "DocumentDB": ("AWS::Lambda::EventSourceMapping",),
    "DynamoDB": ("AWS::Lambda::EventSourceMapping",),
    "EventBridgeRule": ("AWS::Events::Rule",),
    "HttpApi": ("AWS::Serverless::HttpApi",),
    "IoTRule": ("AWS::IoT::TopicRule",),
    "Kinesis": ("AWS::Lambda::EventSourceMapping",),
    "MQ": ("AWS::Lambda::EventSourceMapping",),
    "MSK": ("AWS::Lambda::EventSourceMapping",),
    "S3": (),
    "SNS": ("AWS::SNS::Subscription",),
    "SQS": ("AWS::Lambda::EventSourceMapping",),
    "Schedule": ("AWS::Events::Rule",),
    "ScheduleV2": ("AWS::Scheduler::Schedule",),
    "SelfManagedKafka": ("AWS::Lambda::EventSourceMapping",),
}
# Events that name no API share one. It may also be allowed by the types that SAM creates for it.
_APIS: Mapping[str, Sequence[str]] = {
    "AWS::Serverless::Api": (
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Stage",
    ),
    "AWS::Serverless::HttpApi": ("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage"),
}
_NAMES_API = {"Api": "RestApiId", "HttpApi": "ApiId"}


class Event(NamedTuple):
    """The type of an event, and the resource types that SAM creates for it."""

    kind: str
    makes: tuple[str, ...]


def refused(types: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """Those of the resource types that SAM creates that no pattern of `allowed` allows."""
    others = not_allowed(types, allowed)
    return [each for each in others if not_allowed(_APIS.get(each, [each]), allowed)]


def found(resources: Mapping[str, Any], faults: list[FieldError]) -> Iterator[tuple[str, Event]]:
    """The events for which SAM creates resources, with the places of their types."""
    for name, resource in resources.items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if not str(kind).startswith("AWS::Serverless::"):
            continue
        at = below("#/Resources", name, "Properties", "Events")
        events = _of(_of(resource, "Properties"), "Events")
        if not isinstance(events, dict | None):
            faults.append(FieldError(at, "must be a mapping"))
            continue
        for event, said in (events or {}).items():
            here, kind = below(at, event, "Type"), _of(said, "Type")
            if not isinstance(kind, str):
                faults.append(FieldError(here, "is required"))
            elif kind not in EVENTS:
                faults.append(FieldError(here, f"{kind[:MAX_NAME]} is not an event type of SAM"))
            else:
                api = _of(_of(_of(said, "Properties"), _NAMES_API.get(kind, "")), "Ref")
                if not (isinstance(api, str) and api in resources):
                    yield here, Event(kind, (*EVENTS[kind], *_queue(_of(said, "Properties"))))


def _queue(properties: Any) -> Iterator[str]:
    """The types that SAM adds for an event with a queue before it or a dead-letter queue."""
    subscribed = _of(properties, "SqsSubscription")
    if subscribed not in (None, "false"):
        yield from ("AWS::Lambda::EventSourceMapping", "AWS::SQS::QueuePolicy")
    if subscribed == "true" or _of(_of(properties, "DeadLetterConfig"), "Type") == "SQS":
        yield "AWS::SQS::Queue"


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
