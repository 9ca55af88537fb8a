"""`make undeploy`: end every environment, delete the stack, and say what is left on purpose.

    python -m deploy.undeploy STAGE [--stack NAME] [--yes]

Environments are ended as their owners would end them, by Slipway's own code and workflows, because
their stacks can only be deleted with the role that the stack has for it. Nobody can make new ones
meanwhile: the API answers 429. If an environment cannot be ended, the API is opened again and the
stack stays.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
from botocore.exceptions import ClientError

from deploy import leavings
from deploy.checks import credentials
from deploy.options import Refused, read

POLL = 2.0  # seconds
TRIES = 3  # for each environment
CLOSED = {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0}


class Left(Exception):
    """What could not be ended or deleted; the stack is still there."""


def main(arguments: list[str]) -> int:
    """0 if nothing is left but what is kept on purpose."""
    parser = argparse.ArgumentParser(prog="make undeploy")
    parser.add_argument("stage")
    parser.add_argument("--stack", default="")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--wait", type=float, default=3600, help="seconds for the environments")
    asked = parser.parse_args(arguments)
    session = boto3.Session()
    try:
        name = read(asked.stage, asked.stack, "", {}).stack
        account, wrong = credentials(session)
        if reasons := list(wrong):
            raise Refused(*reasons)
        if stack := described(session, name):
            confirm(name, account, asked.yes)
            remove(session, stack, asked.wait)
    except (Refused, Left) as error:
        print(error, file=sys.stderr)
        return 1
    return report(session, name)


def described(session: Any, name: str) -> dict[str, Any] | None:
    """The stack, by its name or its id; None if there is none."""
    try:
        [found] = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else dict(found)


def confirm(name: str, account: str, yes: bool) -> None:
    """Raises Refused unless somebody says so."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"Nobody can be asked whether to delete {name}: say so with YES=1")
    question = f"This ends every environment of {name} in account {account}. Type its name: "
    if input(question).strip() != name:
        raise Refused("Nothing was changed")


def remove(session: Any, stack: dict[str, Any], wait: float) -> None:
    """Raises Left, with the API open again, if anything cannot be ended or deleted."""
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    # A first deployment that failed has left no outputs, and nobody has ever used it.
    if "TableName" in outputs:
        api = session.client("apigatewayv2")
        before = api.get_stage(ApiId=outputs["ApiId"], StageName="$default")
        throttle = dict(ApiId=outputs["ApiId"], StageName="$default")
        api.update_stage(**throttle, DefaultRouteSettings=CLOSED)
        try:
            end_environments(session, outputs, wait)
        except BaseException:
            settings = before.get("DefaultRouteSettings", {})
            api.update_stage(**throttle, DefaultRouteSettings=settings)
            raise
    delete(session, stack, outputs.get("TableName"))
    leavings.remove(session, stack["StackName"])


def end_environments(session: Any, outputs: dict[str, str], wait: float) -> None:
    """Give every environment back, and wait until all are destroyed. A teardown that fails is tried
    again; Raises Left when all that remain have failed TRIES times, or when the time is up."""
    _become_a_function(session, outputs["DispatchEnvironmentsFunctionName"])
    table, end, said = outputs["TableName"], time.monotonic() + wait, ""
    tries = Counter[str]()
    while live := list(environments(session, table)):
        idle = [each for each in live if each["status"] not in ("expiring", "tearing_down")]
        if len(idle) == len(live) and all(tries[each["id"]] >= TRIES for each in idle):
            names = "\n".join(f"  - {each['id']}: {_why(each)}" for each in idle)
            raise Left(f"These environments cannot be ended, so the stack stays:\n{names}")
        for each in idle:
            if tries[each["id"]] < TRIES:
                tries[each["id"]] += 1
                _end(each)
        if time.monotonic() > end:
            raise Left(f"{len(live)} environments have not ended in {wait:.0f} s; ask again")
        counts = Counter(str(each["status"]) for each in live)
        now = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        if now != said:
            print(f"environments: {now}", flush=True)
            said = now
        time.sleep(POLL)


def environments(session: Any, table: str) -> Iterator[Any]:
    """Those that are not destroyed. Reads the whole table: nothing lists them across projects."""
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=table,
            ConsistentRead=True,
            FilterExpression="begins_with(sk, :kind) AND #status <> :destroyed",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":kind": {"S": "ENV#"}, ":destroyed": {"S": "destroyed"}},
        )
    )
    from slipway.store import wire

    for page in pages:
        yield from map(wire.decode, page["Items"])


def _become_a_function(session: Any, function: str) -> None:
    """What Slipway's code reads from the environment: a function's variables, and our rights."""
    found = session.client("lambda").get_function_configuration(FunctionName=function)
    ours = session.get_credentials().get_frozen_credentials()
    os.environ.update(found["Environment"]["Variables"])
    os.environ.update(
        AWS_REGION=session.region_name,
        AWS_ACCESS_KEY_ID=ours.access_key,
        AWS_SECRET_ACCESS_KEY=ours.secret_key,
    )
    os.environ.pop("AWS_SESSION_TOKEN", None)
    if ours.token:
        os.environ["AWS_SESSION_TOKEN"] = ours.token


def _end(environment: Any) -> None:
    from slipway.domain import ids
    from slipway.errors import Overtaken
    from slipway.services import teardowns

    if environment["status"] == "teardown_failed":
        with suppress(Overtaken):
            teardowns.retry(environment, "undeploy")
    else:
        teardowns.give_back(ids.parse_environment(environment["id"]), "undeploy")


def _why(environment: Any) -> str:
    """As the API would tell."""
    from slipway.store import environment_records

    failure = environment_records.read(environment).failure
    return failure.reason if failure else f"it is {environment['status']}"


def delete(session: Any, stack: dict[str, Any], table: str | None) -> None:
    """Delete the stack; a table that is protected is kept, and nothing else."""
    cloudformation, stack_id = session.client("cloudformation"), stack["StackId"]
    kept = protected(session, table) if table else False
    print(f"deleting {stack['StackName']}", flush=True)
    cloudformation.delete_stack(StackName=stack_id)
    status = _settled(cloudformation, stack_id)
    if (
        status == "DELETE_FAILED"
        and kept
        and set(_undeleted(cloudformation, stack_id)) == {"Table"}
    ):
        cloudformation.delete_stack(StackName=stack_id, RetainResources=["Table"])
        status = _settled(cloudformation, stack_id)
    if status != "DELETE_COMPLETE":
        why = [f"  - {name}: {why}" for name, why in _undeleted(cloudformation, stack_id).items()]
        raise Left("\n".join([f"{stack['StackName']} is {status}:", *why]))


def protected(session: Any, table: str) -> bool:
    found = session.client("dynamodb").describe_table(TableName=table)["Table"]
    return bool(found.get("DeletionProtectionEnabled"))


def _settled(cloudformation: Any, stack_id: str) -> str:
    while True:
        [found] = cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        if not found["StackStatus"].endswith("_IN_PROGRESS"):
            return str(found["StackStatus"])
        time.sleep(POLL)


def _undeleted(cloudformation: Any, stack_id: str) -> dict[str, str]:
    """Why each resource that is left could not be deleted."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return {
        each["LogicalResourceId"]: each.get("ResourceStatusReason", "")
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] == "DELETE_FAILED"
    }


def report(session: Any, name: str) -> int:
    """Say what is left. 1 if some of it should not be."""
    kept, orphans = leavings.kept(session, name), leavings.orphans(session, name)
    print(f"{name} is gone." + (" Kept on purpose:" if kept else " Nothing is left of it."))
    for what, how in kept:
        print(f"  - {what}\n    {how}")
    for each in orphans:
        print(f"left, and should not be: {each}", file=sys.stderr)
    return 1 if orphans else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
