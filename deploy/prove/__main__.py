"""`make prove-on-aws`: run the checks and print a report.

    python -m deploy.prove --stack NAME [--endpoint URL] [--only "ROW …"]

`--only` runs the checks of those rows. The caller's own credentials and region are used, except
with the endpoint of a running `make local`, which has its own credentials and stack.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy.prove import deployed_checks, role_checks, stack_checks, workflow_checks
from deploy.prove.check import Check, Deployed, Seen
from deploy.prove.sandbox import Clients, Sandbox
from local import region

CHECKS: tuple[Check, ...] = (
    *workflow_checks.CHECKS,
    *stack_checks.CHECKS,
    *deployed_checks.CHECKS,
    *role_checks.CHECKS,
)
LAPTOP = "slipway"
_WORDS = {True: "pass", False: "FAIL", None: "unclear"}


def main(arguments: Sequence[str], checks: Sequence[Check] = CHECKS) -> int:
    """Returns the exit status: 0 if AWS behaves as docs/aws.md says and nothing is left behind."""
    parser = argparse.ArgumentParser(prog="make prove-on-aws")
    parser.add_argument("--stack", default="")
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--only", default="")
    given = parser.parse_args(arguments)
    only, rows = set(given.only.split()), {check.row for check in checks}
    if only - rows:
        print(f"No check for {', '.join(sorted(only - rows))}", file=sys.stderr)
        return 2
    region.adopt()
    clients = _clients(given.endpoint)
    stack = given.stack or (LAPTOP if given.endpoint else "")
    if not stack:
        print("Specify the deployed stack: make prove-on-aws STACK=…", file=sys.stderr)
        return 2
    try:
        found = deployed_checks.outputs(clients, stack)
    except (BotoCoreError, ClientError) as error:
        print(f"The stack {stack} cannot be read: {error}", file=sys.stderr)
        return 2
    deployed = Deployed(stack, found, clients, is_aws=not given.endpoint)
    quick = {"patience": 30, "poll": 0.05} if given.endpoint else {}
    with Sandbox(clients, **quick) as sandbox:
        print(f"Checking {stack}; temporary resources are named {sandbox.name}", flush=True)
        outcomes = [
            _report(check, sandbox, deployed) for check in checks if check.row in (only or rows)
        ]
    for each in sandbox.left:
        print(f"could not be deleted: {each}", file=sys.stderr)
    counts = ", ".join(f"{outcomes.count(value)} {word}" for value, word in _WORDS.items())
    print(f"{len(outcomes)} checks: {counts}")
    return 1 if False in outcomes or sandbox.left else 0


def _report(check: Check, sandbox: Sandbox, deployed: Deployed) -> bool | None:
    try:
        seen = check.run(sandbox, deployed)
    except Exception as error:
        # A permission may be missing, or AWS may answer in another form. Other checks still run.
        seen = Seen(False, f"{type(error).__name__}: {error}")
    print(f"\n{_WORDS[seen.as_expected]:8}{check.row}")
    print(f"  expected  {check.says}\n  seen      {seen.what}", flush=True)
    return seen.as_expected


def _clients(endpoint: str) -> Clients:
    if not endpoint:
        return lambda service: boto3.client(service)
    from local import iam_keys, platform, running

    key = running.key_for(endpoint) or iam_keys.Key.of_environment()
    return partial(platform.client, endpoint, key=key)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
