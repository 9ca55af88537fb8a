"""Checks of a deployed stack that do not change it."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from deploy.prove.check import Check, Deployed, Seen
from deploy.prove.sandbox import Sandbox

# A new account needs as many to run two stream readers and the API.
FEWEST_AT_ONCE = 10


def slash(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """Slipway itself answers a path that ends with a slash."""
    status, body = _answer(deployed, "/api/v1/projects/")
    return Seen(status == 401 and b'"code"' in body, f"{status} {body[:120]!r}")


def host(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A request with the name of another host does not reach Slipway."""
    status, body = _answer(deployed, "/health", Host="slipway.invalid")
    return Seen(status in (403, 421) and b'"ok"' not in body, f"{status} {body[:120]!r}")


def _answer(deployed: Deployed, path: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of a GET of the deployed API."""
    request = urllib.request.Request(deployed.outputs["ApiUrl"] + path, headers=headers)
    # No proxy is used for loopback.
    direct = [] if deployed.is_aws else [urllib.request.ProxyHandler({})]
    try:
        with urllib.request.build_opener(*direct).open(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def names(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """Generated names begin with the stack's whole name."""
    pages = deployed.clients("cloudformation").get_paginator("list_stack_resources")
    generated = ("AWS::Lambda::Function", "AWS::IAM::Role")
    found = [
        each["PhysicalResourceId"]
        for page in pages.paginate(StackName=deployed.stack)
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] in generated
    ]
    others = [each for each in found if not each.startswith(f"{deployed.stack}-")]
    return Seen(bool(found) and not others, f"{len(found)} names, others: {others[:3]}")


def concurrency(sandbox: Sandbox, deployed: Deployed) -> Seen:
    limits = deployed.clients("lambda").get_account_settings()["AccountLimit"]
    at_once = limits["ConcurrentExecutions"]
    return Seen(at_once >= FEWEST_AT_ONCE, f"{at_once} at once in this region")


def rights(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A role with permissions on a topic can read and delete the topic's subscriptions."""
    sns, functions = sandbox.client("sns"), sandbox.client("lambda")
    topic = sns.create_topic(Name=sandbox.name)["TopicArn"]
    sandbox.delete_later("topic", sns.delete_topic, TopicArn=topic)
    found = functions.get_function(FunctionName=sandbox.function)["Configuration"]
    wanted = {"TopicArn": topic, "Protocol": "lambda", "Endpoint": found["FunctionArn"]}
    subscription = {"SubscriptionArn": "{% $arn %}"}

    def task(action: str, arguments: dict[str, str], **then: Any) -> dict[str, Any]:
        resource = f"arn:{topic.split(':')[1]}:states:::aws-sdk:sns:{action}"
        return {"Type": "Task", "Resource": resource, "Arguments": arguments, **then}

    known = {"arn": "{% $states.result.SubscriptionArn %}"}
    states = {
        "Subscribe": task("subscribe", wanted, Assign=known, Next="Look"),
        "Look": task("getSubscriptionAttributes", subscription, Next="Unsubscribe"),
        "Unsubscribe": task("unsubscribe", subscription, End=True),
    }
    ended = sandbox.run(states)
    return Seen(ended.status == "SUCCEEDED", f"{ended.status} {ended.error}: {ended.cause}"[:300])


CHECKS: tuple[Check, ...] = (
    Check("http-slash", "401 with a problem from Slipway", slash),
    Check("http-host", "403 of API Gateway (421 of the laptop)", host),
    Check("iam-topics", "SUCCEEDED: permissions on a topic cover its subscriptions", rights),
    Check("cfn-names", f"<stack>-…, for {', '.join(('functions', 'roles'))}", names),
    Check("q-concurrency", f"{FEWEST_AT_ONCE} or more", concurrency),
)


def outputs(clients: Any, stack: str) -> dict[str, str]:
    """The stack's outputs by name. Raises ClientError if the stack does not exist."""
    [found] = clients("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
