"""`make deploy`: check, build, check the build, deploy it, and print the next steps.

    python -m deploy STAGE [--stack NAME] [--parameters "Key=Value …"]

It runs in SAM's own environment (.venv-sam). The variables ARCHITECTURE, RUNTIME and COMPILER say
what the layer is built for; its Makefile reads them too. AWS_PROFILE, AWS_REGION and
AWS_ENDPOINT_URL select the account.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from deploy import checks, names
from deploy.options import ROOT, Options, Refused, declared, functions, read
from local import region, running

BUILT = ROOT / ".aws-sam" / "build"

DONE = """
  API     {ApiUrl}
  docs    {ApiUrl}/docs
  admin   make admin EMAIL=you@example.com STACK={stack}
                                       prints a one-time link for the first administrator
  try it  make demo API={ApiUrl}
  update  make deploy {how}            deploys what has changed
  remove  make undeploy {how}          destroys every environment, then deletes the stack
"""


def main(arguments: list[str]) -> int:
    """Deploy the stack. Returns the exit status: 0 if it was deployed."""
    given = _parsed(arguments)
    architecture = os.environ.get("ARCHITECTURE", "arm64")
    runtime = os.environ.get("RUNTIME", "python3.13")
    build = {"Architecture": architecture, "PythonRuntime": runtime}
    try:
        options = read(given.stage, given.stack, given.parameters, build)
        running.adopt_key()
        region.adopt()
        session = boto3.Session()
        account, known = before(options, session)
        print(f"Deploying {options.stack} to account {account}, {session.region_name}", flush=True)
        compiler = checks.compiler(runtime, os.environ.get("COMPILER", runtime))
        open_ = checks.openness(options.parameters)
        for note in [*notes(session, known), *open_, *checks.runtime(runtime), *compiler]:
            print(f"note: {note}", flush=True)
        _sam("build", "--parameter-overrides", *_overrides(build))
        refuse(checks.layer(BUILT / "CoreLayer", architecture, runtime))
        _sam("deploy", *_destination(options))
    except Refused as refused:
        print("Nothing was deployed:", *refused.reasons, sep="\n  - ", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        return failed.returncode
    found = outputs(session, options.stack)
    if "ApiUrl" not in found:
        print("Nothing was deployed: the changes were not confirmed.", file=sys.stderr)
        return 1
    print(DONE.format(how=_how(options), stack=options.stack, **found))
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make deploy")
    parser.add_argument("stage")
    parser.add_argument("--stack", default="")
    parser.add_argument("--parameters", default="")
    return parser.parse_args(arguments)


def refuse(reasons: Iterable[str]) -> None:
    """Raises Refused with the reasons, if there are any."""
    if found := list(reasons):
        raise Refused(*found)


def before(options: Options, session: Any) -> tuple[str, bool]:
    """The account, and whether the stack exists. Raises Refused with every reason.

    AWS is asked only if the command line is valid.
    """
    given = options.parameters
    wrong = [*checks.parameters(declared(), given), *checks.registration(given)]
    if why := names.refusal(options.stack):
        wrong.insert(0, f"The stack cannot be named {options.stack}. {why}")
    refuse(wrong)
    account, faults = checks.credentials(session)
    refuse(faults)
    known, faults = checks.state(session.client("cloudformation"), options.stack)
    refuse(faults)
    reserved = int(options.parameters.get("ReservedConcurrency", 0))
    limits = checks.limits(session.client("lambda")) if reserved and not known else None
    if limits:
        refuse(checks.concurrency(limits, reserved, functions()))
    return account, known


def notes(session: Any, known: bool) -> list[str]:
    """Warnings, which do not prevent the deployment."""
    if known:
        return []
    limits = checks.limits(session.client("lambda"))
    if limits and (total := limits["ConcurrentExecutions"]) < 100:
        return [f"this account runs at most {total} functions at once: see docs/deploying.md"]
    return []


def _destination(options: Options) -> list[str]:
    return [
        *("--config-env", options.stage, "--stack-name", options.stack),
        *("--s3-prefix", options.stack, "--parameter-overrides"),
        *_overrides(options.parameters),
    ]


def _overrides(parameters: dict[str, str]) -> list[str]:
    """The parameters in the form in which SAM accepts spaces and quotes in values."""
    return [
        'ParameterKey={},ParameterValue="{}"'.format(name, value.replace('"', r"\""))
        for name, value in parameters.items()
    ]


def _sam(*arguments: str) -> None:
    """Raises CalledProcessError. SAM builds the layer with the first python3 on PATH."""
    here = Path(sys.executable).parent
    path = f"{here}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        [str(here / "sam"), *arguments],
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "PATH": path},
        check=True,
    )


def _how(options: Options) -> str:
    """The arguments for make: the stage, and the stack unless it is the stage's default."""
    own = read(options.stage, "", "", {}).stack
    stack = "" if options.stack == own else f" STACK={options.stack}"
    return f"STAGE={options.stage}{stack}"


def outputs(session: Any, stack: str) -> dict[str, str]:
    """The stack's outputs by name. Empty if the stack does not exist."""
    try:
        [found] = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError:
        return {}
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
