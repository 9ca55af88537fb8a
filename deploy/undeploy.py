"""`make undeploy`: destroy every environment, delete the stack, and list what is kept on purpose.

    python -m deploy.undeploy STAGE [--stack NAME] [--yes]

Environments are destroyed by Slipway's own code and workflows, because their stacks can only be
deleted with a role of Slipway's stack. Meanwhile the API answers 429, so that no environment is
created. If an environment cannot be destroyed, the API is opened again and the stack stays.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
from botocore.exceptions import ClientError

from deploy import as_function, leftovers
from deploy.checks import credentials
from deploy.options import Refused, read
from local import region, running

POLL = 2.0  # seconds
TRIES = 3  # for each environment
CLOSED = {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0}


class Incomplete(Exception):
    """Something could not be destroyed or deleted. The stack still exists."""


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if nothing is left except what is kept on purpose."""
    parser = argparse.ArgumentParser(prog="make undeploy")
    parser.add_argument("stage")
    parser.add_argument("--stack", default="")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--wait", type=float, default=3600, help="seconds for the environments")
    given = parser.parse_args(arguments)
    running.adopt_key()
    region.adopt()
    session = boto3.Session()
    try:
        name = read(given.stage, given.stack, "", {}).stack
        account, wrong = credentials(session)
        if reasons := list(wrong):
            raise Refused(*reasons)
        if stack := described(session, name):
            confirm(name, account, given.yes)
            remove(session, stack, given.wait)
    except (Refused, Incomplete) as error:
        print(error, file=sys.stderr)
        return 1
    return report(session, name)


def described(session: Any, name: str) -> dict[str, Any] | None:
    """The stack with this name or id; None if it does not exist."""
    try:
        [found] = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else dict(found)


def confirm(name: str, account: str, yes: bool) -> None:
    """Ask for the stack's name, unless `yes`. Raises Refused without it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"There is no terminal to confirm that {name} is to be deleted: pass YES=1")
    question = (
        f"This destroys every environment of {name} in account {account}. Type the stack's name: "
    )
    if input(question).strip() != name:
        raise Refused("Nothing was changed")


def remove(session: Any, stack: dict[str, Any], wait: float) -> None:
    """Destroy the environments and delete the stack.

    Raises Incomplete, with the API open again, if an environment cannot be destroyed.
    """
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    # A first deployment that failed has no outputs and no environments.
    if "TableName" in outputs:
        api = session.client("apigatewayv2")
        before = api.get_stage(ApiId=outputs["ApiId"], StageName="$default")
        route = dict(ApiId=outputs["ApiId"], StageName="$default")
        # A route that has settings of its own does not heed the stage's.
        routes = before.get("RouteSettings", {})
        closed = dict.fromkeys(routes, CLOSED)
        api.update_stage(**route, DefaultRouteSettings=CLOSED, RouteSettings=closed)
        try:
            end_environments(session, outputs, wait)
        except BaseException:
            settings = before.get("DefaultRouteSettings", {})
            api.update_stage(**route, DefaultRouteSettings=settings, RouteSettings=routes)
            raise
    leftovers.remove_roles(session, stack["StackName"])
    delete(session, stack, outputs.get("TableName"))
    leftovers.remove(session, stack["StackName"])


def end_environments(session: Any, outputs: dict[str, str], wait: float) -> None:
    """Tear down every environment and wait until all are destroyed. A failed teardown is retried.

    Raises Incomplete when all that remain have failed TRIES times, or after `wait` seconds.
    """
    ours = session.get_credentials().get_frozen_credentials()
    key = (ours.access_key, ours.secret_key, ours.token)
    function = outputs["DispatchEnvironmentsFunctionName"]
    as_function.adopt(session.client("lambda"), function, session.region_name, key)
    table, end, printed = outputs["TableName"], time.monotonic() + wait, ""
    tries = Counter[str]()
    while live := list(environments(session, table)):
        idle = [each for each in live if each["status"] not in ("expiring", "tearing_down")]
        if len(idle) == len(live) and all(tries[each["id"]] >= TRIES for each in idle):
            names = "\n".join(f"  - {each['id']}: {_why(each)}" for each in idle)
            raise Incomplete(
                f"These environments cannot be destroyed, so the stack stays:\n{names}"
            )
        for each in idle:
            if tries[each["id"]] < TRIES:
                tries[each["id"]] += 1
                _end(each)
        if time.monotonic() > end:
            raise Incomplete(
                f"{len(live)} environments were not destroyed in {wait:.0f} s; try again"
            )
        counts = Counter(str(each["status"]) for each in live)
        now = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        if now != printed:
            print(f"environments: {now}", flush=True)
            printed = now
        time.sleep(POLL)


def environments(session: Any, table: str) -> Iterator[Any]:
    """The environments that are not destroyed. Scans the table: no index spans all projects."""
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


def _end(environment: Any) -> None:
    from slipway.domain import ids
    from slipway.errors import StaleWrite
    from slipway.services import teardowns

    if environment["status"] == "teardown_failed":
        with suppress(StaleWrite):
            teardowns.retry(environment, "undeploy")
    else:
        teardowns.begin_as(ids.parse_environment(environment["id"]), "undeploy")


def _why(environment: Any) -> str:
    """The reason that the API would show."""
    from slipway.store import environment_records

    failure = environment_records.to_model(environment).failure
    return failure.reason if failure else f"it is {environment['status']}"


def delete(session: Any, stack: dict[str, Any], table: str | None) -> None:
    """Delete the stack. A table with deletion protection is kept. Raises Incomplete."""
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
        raise Incomplete("\n".join([f"{stack['StackName']} is {status}:", *why]))


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
    """The reason why each remaining resource could not be deleted."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return {
        each["LogicalResourceId"]: each.get("ResourceStatusReason", "")
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] == "DELETE_FAILED"
    }


def report(session: Any, name: str) -> int:
    """Print what is left. Returns 1 if that includes orphans."""
    kept, orphans = leftovers.kept(session, name), leftovers.orphans(session, name)
    print(f"{name} is deleted." + (" Kept on purpose:" if kept else " Nothing is left."))
    for what, how in kept:
        print(f"  - {what}\n    {how}")
    for each in orphans:
        print(f"orphan: {each}", file=sys.stderr)
    return 1 if orphans else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
