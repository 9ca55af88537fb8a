"""Run Slipway's code here as one of its functions: with its settings, and our credentials."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local import region, running


class Refused(Exception):
    """The reason why the command does nothing."""


def adopt(functions: Any, name: str, region: str, key: tuple[str, str, str | None]) -> None:
    """Set the variables that Slipway's code reads: the function's own, and the key.

    `functions` is a client of Lambda. `key` is an access key's id, its secret, and the session's
    token if there is one.
    """
    found = functions.get_function_configuration(FunctionName=name)
    key_id, secret, token = key
    os.environ.update(found["Environment"]["Variables"])
    os.environ.update(AWS_REGION=region, AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret)
    os.environ.pop("AWS_SESSION_TOKEN", None)
    if token:
        os.environ["AWS_SESSION_TOKEN"] = token


def of_stack(name: str) -> str:
    """Adopt the settings of the stack's auth function. Returns the URL of its API."""
    running.adopt_key()
    region.adopt()
    session = boto3.Session()
    found = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    ours: Any = session.get_credentials()
    frozen = ours.get_frozen_credentials()
    key = (frozen.access_key, frozen.secret_key, frozen.token)
    functions = session.client("lambda")
    adopt(functions, outputs["AuthFunctionName"], session.region_name, key)
    return os.environ.get("PUBLIC_URL") or outputs["ApiUrl"]


def corrects(
    target: str, arguments: list[str], correct: Callable[[], int], said: str, failed: str
) -> int:
    """Run a command that corrects the table: of a stack on AWS, or of the platform that runs here.

    `target` is make's. `correct` returns how many items it has corrected, which `said` tells in the
    place of `{}`; `failed` begins the message of a failure. Returns the exit status.
    """
    parser = argparse.ArgumentParser(prog=f"make {target}")
    parser.add_argument("--stack", default="")
    given = parser.parse_args(arguments)
    try:
        if given.stack:
            of_stack(given.stack)
        else:
            of_local(f"make {target} STACK=slipway-dev")
        print(said.format(correct()))
    except (Refused, ClientError, BotoCoreError) as error:
        print(f"{failed}: {error}", file=sys.stderr)
        return 1
    return 0


def of_local(make: str) -> str:
    """Adopt the settings of the platform that runs here. Returns its URL.

    `make` is the command for a stack on AWS. Raises Refused unless one platform runs.
    """
    platforms = [each for each in running.platforms() if _lives(each.about["pid"])]
    if len(platforms) != 1:
        found = ", ".join(each.about["api_url"] for each in platforms) or "none"
        raise Refused(
            f"one `make local` must be running here, and there is {found}. "
            f"For a stack on AWS: {make}"
        )
    [platform] = platforms
    about = platform.about
    name = about["outputs"]["AuthFunctionName"]
    key = (platform.owner.id, platform.owner.secret, platform.owner.token or None)
    adopt(platform.client("lambda"), name, about["region"], key)
    os.environ["AWS_ENDPOINT_URL"] = about["endpoint"]
    return os.environ.get("PUBLIC_URL") or str(about["api_url"])


def _lives(pid: int) -> bool:
    """Whether the process exists. The files of one that was killed stay until the next start."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
