"""A check of rights that follow tags, as those of environments do."""

from __future__ import annotations

import json
import time
from typing import Any

from deploy.prove.check import Check, Deployed, Seen
from deploy.prove.sandbox import Sandbox

TAG = "slipway-prove"
SETTLES = 15  # seconds until the rights of a new role hold everywhere


def api_tags(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A role with rights to what belongs to APIs with its tag, and nothing else of theirs, makes an
    API and its route."""
    name = sandbox.next_name()
    route = {"ApiId": {"Ref": "Api"}, "RouteKey": "GET /"}
    resources = {
        "Api": {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"Name": name, "ProtocolType": "HTTP"},
        },
        "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": route},
    }
    request = {
        "StackName": name,
        "TemplateBody": json.dumps({"Resources": resources}),
        "Tags": [{"Key": TAG, "Value": name}],
        "RoleARN": _role(sandbox, name),
    }
    if deployed.is_aws:
        time.sleep(SETTLES)
    create = sandbox.client("cloudformation").create_stack
    sandbox.patiently(f"stack {name}", lambda: create(**request))
    # The role is needed until the stack is gone.
    sandbox.delete_later(f"stack {name}, after its deletion", sandbox.settled, name=name)
    sandbox.delete_stack_later(name)
    status = sandbox.settled(name)
    return Seen(status == "CREATE_COMPLETE", str(status))


def _role(sandbox: Sandbox, name: str) -> str:
    """The ARN of a role for CloudFormation."""
    iam = sandbox.client("iam")
    trust: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudformation.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]
    sandbox.delete_later(f"role {name}", iam.delete_role, RoleName=name)
    apis = f"arn:{made['Arn'].split(':')[1]}:apigateway:*::"
    anywhere = {
        "Effect": "Allow",
        "Action": "apigateway:*",
        "Resource": [f"{apis}/apis", f"{apis}/tags/*"],
    }
    tagged = {
        "Effect": "Allow",
        "Action": "apigateway:*",
        "Resource": f"{apis}/apis/*",
        "Condition": {"StringEquals": {f"aws:ResourceTag/{TAG}": name}},
    }
    policy = {"RoleName": name, "PolicyName": "prove"}
    iam.put_role_policy(**policy, PolicyDocument=_document(anywhere, tagged))
    sandbox.delete_later(f"policy of {name}", iam.delete_role_policy, **policy)
    return str(made["Arn"])


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


CHECKS = (Check("iam-api-tags", "CREATE_COMPLETE, with rights by the API's tag", api_tags),)
