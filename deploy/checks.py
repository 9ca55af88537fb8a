"""Checks for what AWS would refuse, made before anything is built or changed.

Each check yields the faults that it finds, one sentence for each.
"""

import difflib
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# The processors that Lambda has, by their numbers in ELF headers.
PROCESSORS = {0x3E: "x86_64", 0xB7: "arm64"}
# The concurrency that cannot be reserved, in an account with a small quota and in others.
UNRESERVED = (10, 100)
# A stack in one of these states cannot be deployed to.
STUCK = {
    "ROLLBACK_COMPLETE": "its first deployment failed; delete it: make undeploy",
    "ROLLBACK_FAILED": "its first deployment failed; delete it: make undeploy",
    "DELETE_FAILED": "it could not be deleted; see its events in the console",
    "UPDATE_ROLLBACK_FAILED": "its last update could not be rolled back; continue the rollback in "
    "the console (Stack actions), then deploy again",
}


def parameters(declared: Mapping[str, dict[str, Any]], given: Mapping[str, str]) -> Iterator[str]:
    """Unknown parameters, and values that CloudFormation would refuse."""
    for name, value in given.items():
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1)
            hint = (
                f"; did you mean {near[0]}?"
                if near
                else f"; its parameters are {', '.join(sorted(declared))}"
            )
            yield f"{name}: the template has no such parameter{hint}"
        elif why := _expected(declared[name], value):
            yield f"{name}={value}: it must be {why}"


def registration(given: Mapping[str, str]) -> Iterator[str]:
    """Whether the mode of registration is safe, as the template's rule says."""
    if given.get("Registration") == "domains" and not given.get("MailSender"):
        yield (
            "Registration=domains needs MailSender=… as well, in the same command: without mail "
            "anyone can write any address"
        )


def openness(given: Mapping[str, str]) -> Iterator[str]:
    """Whether strangers may come in."""
    if given.get("Registration") == "open":
        yield (
            "Registration=open: everyone who can reach the API may register and run code in this "
            "account; invite is the default"
        )


def _expected(declaration: dict[str, Any], value: str) -> str | None:
    if allowed := declaration.get("AllowedValues"):
        return None if value in map(str, allowed) else f"one of {', '.join(map(str, allowed))}"
    pattern = declaration.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        return f"like {pattern}"
    if declaration["Type"] != "Number":
        return None
    try:
        number = float(value)
    except ValueError:
        return "a number"
    least, most = declaration.get("MinValue"), declaration.get("MaxValue")
    if least is not None and number < least:
        return f"{least} or more"
    if most is not None and number > most:
        return f"{most} or less"
    return None


def compiler(runtime: str, program: str) -> Iterator[str]:
    """Whether this machine can compile bytecode for Lambda's Python."""
    version = runtime.removeprefix("python")
    if found := shutil.which(program):
        asked = [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True)
        if done.stdout.strip() == version:
            return
    yield (
        f"Python {version} ({program}) is not installed, so the layer is not compiled and every "
        f"cold start takes about twice as long. Install it, give its path "
        f"(COMPILER=/path/to/python{version}), or deploy for a Python that is installed "
        f"(RUNTIME=python3.12)"
    )


def runtime(name: str) -> Iterator[str]:
    """Whether Lambda runs this Python on a system that supports the layer's wheels."""
    if int(name.partition(".")[2] or 0) < 12:
        yield (
            f"Lambda runs {name} on Amazon Linux 2, whose C library is too old for the layer: "
            "use RUNTIME=python3.12 or later"
        )


def layer(folder: Path, architecture: str, runtime: str) -> Iterator[str]:
    """Whether the functions can import the built layer."""
    libraries = sorted(folder.rglob("*.so"))
    if not libraries:
        yield f"{folder} has no built layer: run make build"
    wanted = runtime.removeprefix("python")
    for each in libraries:
        if (built := processor(each)) != architecture:
            yield (
                f"The layer is built for {built} and the functions run on {architecture} "
                f"({each.name}): make build ARCHITECTURE={architecture}"
            )
            return
    versions = {
        f"{found[1]}.{found[2]}" for each in libraries if (found := _VERSION.search(each.name))
    }
    if versions - {wanted}:
        yield (
            f"The layer is built for Python {', '.join(sorted(versions))} and the functions run on "
            f"{runtime}: make build RUNTIME={runtime}"
        )


_VERSION = re.compile(r"\.cpython-(\d)(\d+)-")


def processor(library: Path) -> str:
    """The processor for which a library was compiled, from its ELF header."""
    with library.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF":
        return "another system than Linux"
    (number,) = struct.unpack_from("<H", header, 18)
    return PROCESSORS.get(number, f"processor {number:#x}")


def credentials(session: Any) -> tuple[str, Iterator[str]]:
    """The account's id, and the faults of the credentials."""
    if not session.region_name:
        return "", iter(["No region is set: for example, export AWS_REGION=eu-central-1"])
    try:
        return session.client("sts").get_caller_identity()["Account"], iter(())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        why = "have expired" if "Expired" in code else f"were refused ({code})"
        return "", iter([f"The AWS credentials {why}; sign in again"])
    except BotoCoreError as error:
        return "", iter(
            [f"AWS cannot be reached: {error}. `aws sts get-caller-identity` must succeed"]
        )


def state(cloudformation: Any, stack: str) -> tuple[bool, Iterator[str]]:
    """Whether the stack exists, and why it cannot be deployed to."""
    try:
        [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return False, iter(())
        return False, iter([f"{stack}: {error}"])
    status = found["StackStatus"]
    if why := STUCK.get(status):
        return True, iter([f"{stack} is {status}: {why}"])
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        return True, iter([f"{stack} is {status}: wait until it has finished"])
    return status != "REVIEW_IN_PROGRESS", iter(())


def limits(functions: Any) -> dict[str, int] | None:
    """AccountLimit of Lambda's GetAccountSettings; None without the permission to ask."""
    try:
        found: dict[str, int] = functions.get_account_settings()["AccountLimit"]
    except ClientError:
        return None
    return found


def concurrency(limits: Mapping[str, int], reserved: int, functions: int) -> Iterator[str]:
    """Whether the account can reserve `reserved` executions for each of `functions`.

    `limits` is AccountLimit of Lambda's GetAccountSettings.
    """
    free, need = limits["UnreservedConcurrentExecutions"], reserved * functions
    least = UNRESERVED[limits["ConcurrentExecutions"] > UNRESERVED[1]]
    if need and free - need < least:
        most = max(0, free - least) // functions
        yield (
            f"ReservedConcurrency={reserved} reserves {need} concurrent executions for {functions} "
            f"functions. The account has {free} unreserved, of which {least} cannot be reserved: "
            f"use at most {most}"
        )
