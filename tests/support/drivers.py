"""A template, and environments for each driver to work on."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipway.aws import redaction
from slipway.domain import ids, timestamps
from slipway.domain.masking import Masker
from slipway.drivers.base import Driver, Operation, Progress
from tests.support.local.platform import ALARM

MAKING_ROLES = "arn:aws:iam::000000000000:role/slipway-making-"
MAKING_BOUNDARY = "arn:aws:iam::000000000000:policy/limits"
MAKING_POLICY = "arn:aws:iam::000000000000:policy/making"
BUCKET = "slipway-templates"
KEY = "templates/small/1.0/digest"
_ZONES = {"Fn::Join": ["+", {"Ref": "Zones"}]}
TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Version": {"Type": "String", "Default": "none"},
        "Artifact": {"Type": "String", "Default": ""},
        "EnvironmentName": {"Type": "String"},
        "ProjectName": {"Type": "String"},
        "EnvironmentId": {"Type": "String"},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a"},
        "Size": {"Type": "Number", "Default": 1},
        "Broken": {"Type": "String", "Default": "false"},
        "Password": {"Type": "String", "NoEcho": True, "Default": "none"},
    },
    "Conditions": {
        "IsSlow": {"Fn::Equals": [{"Ref": "Version"}, "slow"]},
        "IsBroken": {
            "Fn::Or": [
                {"Fn::Equals": [{"Ref": "Version"}, "broken"]},
                {"Fn::Equals": [{"Ref": "Broken"}, "true"]},
            ]
        },
    },
    "Resources": {
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": {"Fn::Sub": "${Version} ${Artifact}"}},
        },
        "Secret": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": {"Ref": "Password"}},
        },
        "Alarm": ALARM,
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Signal": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Condition": "IsSlow",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "60"},
        },
        "After": {"Type": "AWS::SNS::Topic", "Condition": "IsSlow", "DependsOn": "Signal"},
        "Bad": {
            "Type": "AWS::S3::Bucket",
            "Condition": "IsBroken",
            "Properties": {"BucketName": BUCKET},
        },
    },
    "Outputs": {
        "Url": {"Value": {"Fn::Sub": "https://${EnvironmentName}.example.com"}},
        "Live": {"Value": {"Fn::Sub": "${Version} ${Artifact}"}},
        "About": {"Value": {"Fn::Join": ["/", [{"Ref": "ProjectName"}, {"Ref": "Size"}, _ZONES]]}},
        "Password": {"Value": {"Fn::GetAtt": ["Secret", "Value"]}},
    },
}
# Another version of it: no address any more, and it cannot be made with a size of 5.
OTHER_KEY = "templates/small/2.0/digest"
OTHER: dict[str, Any] = {
    "Parameters": {
        "Version": {"Type": "String", "Default": "none"},
        "Size": {"Type": "Number"},
        "Password": TEMPLATE["Parameters"]["Password"],
    },
    "Conditions": {"IsBroken": {"Fn::Equals": [{"Ref": "Size"}, "5"]}},
    "Resources": {
        "Alarm": TEMPLATE["Resources"]["Alarm"],
        "Secret": TEMPLATE["Resources"]["Secret"],
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Bad": TEMPLATE["Resources"]["Bad"],
    },
    "Outputs": {
        "Live": {"Value": {"Fn::Sub": "${Version} in ${Size}"}},
        "Password": TEMPLATE["Outputs"]["Password"],
    },
}


@dataclass
class Subject:
    """An environment, the driver it has, and what it is asked."""

    driver: Driver
    fields: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(ids.EnvironmentId(ids.new_part(), ids.new_part())))
    execution: str = "env_1"

    def operation(self, verb: str, since: datetime | None = None, **more: Any) -> Operation:
        return Operation(
            execution=self.execution,
            environment_id=self.id,
            environment_name="preview",
            project_name="payments",
            owner="usr_1",
            started_at=since or timestamps.now(),
            now=timestamps.now(),
            resource=self.driver.resources[-1] if verb in ("provision", "retire") else None,
            **self.fields,
            **more,
        )

    def ask(self, verb: str, since: datetime | None = None, **more: Any) -> Progress:
        with redaction.hiding(self.id, lambda: Masker(())):
            progress: Progress = getattr(self.driver, verb)(self.operation(verb, since, **more))
        return progress

    def go(self, verb: str, since: datetime | None = None, **more: Any) -> Progress:
        """Ask until it is done; it takes no notice of how long it should wait."""
        began, progress = since or timestamps.now(), Progress(done=False)
        while not progress.done:
            progress = self.ask(verb, began, **more)
            time.sleep(0.02)
        return progress


def until(ready: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < end, f"still not so after {seconds} s"
        time.sleep(0.05)
    return value


def signal(stacks: Any, name: str) -> None:
    """Send the signal that a slow update of the stack waits for."""
    handle = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Handle")
    url = handle["StackResourceDetail"]["PhysicalResourceId"]
    body = json.dumps({"Status": "SUCCESS", "UniqueId": "1", "Data": "", "Reason": ""}).encode()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    wanted = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
    direct.open(wanted, timeout=5).close()
