"""Checks of the errors of Step Functions and DynamoDB, and of idempotency tokens."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import ClientError

from deploy.prove.check import Check, Deployed, Seen
from deploy.prove.sandbox import Ended, Sandbox

# Errors that every task that invokes a function retries.
RETRIED = {
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "States.Timeout",
}
_KEY = {"pk": {"S": "prove"}, "sk": {"S": "prove"}}
_MEGABYTE = 1_048_576


def _caught(sandbox: Sandbox, resource: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The error that a Catch receives from a failing task; empty if the task succeeds."""
    catch = {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Caught"}
    task = {"Type": "Task", "Resource": resource, "Arguments": arguments, "TimeoutSeconds": 20}
    states = {"Do": {**task, "Catch": [catch], "End": True}, "Caught": {"Type": "Succeed"}}
    ended: Ended = sandbox.run(states)
    if ended.status != "SUCCEEDED":
        return {"Error": ended.error, "Cause": f"{ended.cause} (no Catch received it)"}
    return dict(ended.output) if _is_error(ended.output) else {}


def _is_error(output: Any) -> bool:
    return isinstance(output, dict) and set(output) == {"Error", "Cause"}


def _named(error: dict[str, Any], *names: str) -> Seen:
    return Seen(error.get("Error") in names, f"{error.get('Error')}: {error.get('Cause')}"[:300])


# ── DynamoDB by Slipway's own transport ──────────────────────────────────────────────────────


@contextmanager
def _as_on_lambda(credentials: Any) -> Iterator[None]:
    """Set the variables in which Lambda provides credentials."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    values = (credentials.access_key, credentials.secret_key, credentials.token or "")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(zip(names, values, strict=True))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def transport(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """AWS accepts signed requests, and a refusal has the code and the item."""
    from slipway.aws.dynamodb import ANSWER_SECONDS, Wire

    client = sandbox.client("dynamodb")
    item = {"TableName": sandbox.table, "Item": _KEY}
    client.put_item(**item)
    refused = {
        **item,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    wire = Wire(client.meta.endpoint_url, client.meta.region_name)
    with _as_on_lambda(client._get_credentials()):
        sent = wire.send("PutItem", json.dumps(refused).encode())
        status, raw = wire.receive(sent, time.time() + 4 * ANSWER_SECONDS)
    wire.close()
    answer = json.loads(raw)
    code = str(answer.get("__type")).rpartition("#")[2]
    is_read = code == "ConditionalCheckFailedException" and answer.get("Item") == _KEY
    return Seen(status == 400 and is_read, f"{status} {raw.decode()}"[:300])


def condition(sandbox: Sandbox, deployed: Deployed) -> Seen:
    resource = "arn:aws:states:::dynamodb:updateItem"
    error = _caught(sandbox, _here(sandbox, resource), _missing_item_update(sandbox))
    return _named(error, "DynamoDB.ConditionalCheckFailedException")


def canceled(sandbox: Sandbox, deployed: Deployed) -> Seen:
    resource = "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems"
    arguments = {"TransactItems": [{"Update": _missing_item_update(sandbox)}]}
    error = _caught(sandbox, _here(sandbox, resource), arguments)
    return _named(error, "DynamoDb.TransactionCanceledException")


def _missing_item_update(sandbox: Sandbox) -> dict[str, Any]:
    """An update of an item that does not exist."""
    return {
        "TableName": sandbox.table,
        "Key": {"pk": {"S": "missing"}, "sk": {"S": "missing"}},
        "UpdateExpression": "SET a = :one",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def _here(sandbox: Sandbox, resource: str) -> str:
    """The ARN in the partition of the account."""
    partition = sandbox.role.split(":")[1]
    return resource.replace("arn:aws:", f"arn:{partition}:")


def foreign_kinds(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """SDK integrations refuse the value type NULL."""
    put = {"TableName": sandbox.table, "Item": {**_KEY, "nothing": {"NULL": True}}}
    resource = _here(sandbox, "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems")
    try:
        error = _caught(sandbox, resource, {"TransactItems": [{"Put": put}]})
    except ClientError as refused:
        return Seen(True, f"not even created: {refused}"[:300])
    return Seen(bool(error), f"{error or 'it was accepted'}"[:300])


# ── Functions that die ───────────────────────────────────────────────────────────────────────


def sandbox_errors(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """The errors of functions that exit, time out, or need too much memory."""
    resource = _here(sandbox, "arn:aws:states:::lambda:invoke")
    events = {
        "exits": {"do": "exit"},
        "takes too long": {"do": "wait", "seconds": 10},
        "needs too much": {"do": "need", "bytes": 256 * _MEGABYTE},
    }
    if not deployed.is_aws:
        # A worker on the laptop has no memory limit.
        del events["needs too much"]
    seen, told = [], []
    for name, event in events.items():
        arguments = {"FunctionName": sandbox.function, "Payload": event}
        error = _caught(sandbox, resource, arguments)
        seen.append(error.get("Error"))
        told.append(f"{name}: {error.get('Error')}, {str(error.get('Cause'))[:150]}")
    return Seen(set(seen) <= RETRIED, "; ".join(told))


def moments(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """Timestamps have the format of those that the store writes, as they are compared as text."""
    states = {"Say": {"Type": "Pass", "Output": "{% $states.context %}", "End": True}}
    context = sandbox.run(states).output
    found = context["State"]["EnteredTime"], context["Execution"]["StartTime"]
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    return Seen(all(re.fullmatch(pattern, each) for each in found), ", ".join(found))


def attempts(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """Each attempt of a task has the same EnteredTime."""
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    event = {"do": "raise", "saying": "{% $states.context.State.EnteredTime %}"}
    task = {
        "Type": "Task",
        "Resource": _here(sandbox, "arn:aws:states:::lambda:invoke"),
        "Arguments": {"FunctionName": sandbox.function, "Payload": event},
    }
    ended = sandbox.run({"Do": {**task, "Retry": retry, "End": True}})
    found = re.findall(r'"errorMessage": ?"([^"]*)"', " ".join(ended.failures))
    return Seen(len(found) == 2 and found[0] == found[1], f"{found} in {ended.events}"[:300])


def spent_token(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A token of a canceled transaction is used for another request."""
    client, token = sandbox.client("dynamodb"), sandbox.next_name()
    never = {"Update": _missing_item_update(sandbox)}
    put = {"Put": {"TableName": sandbox.table, "Item": {**_KEY, "sk": {"S": token}}}}
    with suppress(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[never], ClientRequestToken=token)
    try:
        client.transact_write_items(TransactItems=[put], ClientRequestToken=token)
    except client.exceptions.IdempotentParameterMismatchException as error:
        return Seen(True, f"spent: {error}. Slipway uses another token for each attempt.")
    return Seen(True, "reusable: the second request was carried out")


CHECKS = (
    Check(
        "ddb-transport", "Slipway's own signed requests are accepted, refusals are read", transport
    ),
    Check("sfn-condition", "DynamoDB.ConditionalCheckFailedException", condition),
    Check("sfn-canceled", "DynamoDb.TransactionCanceledException", canceled),
    Check("sfn-sandbox", f"one of {', '.join(sorted(RETRIED))}", sandbox_errors),
    Check("sfn-entered-time", "UTC with milliseconds and Z", moments),
    Check("sfn-attempts", "the same timestamp twice", attempts),
    Check("sfn-sdk-kinds", "NULL is refused by an SDK integration", foreign_kinds),
    Check("ddb-spent-token", "either is fine; Slipway relies on neither", spent_token),
)
