"""What AWS, or the functions on AWS, would refuse: asked before anything is built or changed.

Each check yields what is wrong, a sentence each; nothing if all is well.
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

# ELF's numbers of the processors that Lambda has.
PROCESSORS = {0x3E: "x86_64", 0xB7: "arm64"}
# What Lambda leaves to functions that reserve nothing, in an account with a small quota and others.
UNRESERVED = (10, 100)
# Nothing can be done with a stack in one of these.
STUCK = {
    "ROLLBACK_COMPLETE": "its first deployment failed; delete it: make undeploy",
    "ROLLBACK_FAILED": "its first deployment failed; delete it: make undeploy",
    "DELETE_FAILED": "it could not be deleted; its events in the console say why",
    "UPDATE_ROLLBACK_FAILED": "its last update could not be rolled back; continue that in the "
    "console (Stack actions), then deploy again",
}


def parameters(declared: Mapping[str, dict[str, Any]], given: Mapping[str, str]) -> Iterator[str]:
    """Unknown names, and values that CloudFormation would refuse."""
    for name, value in given.items():
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1)
            hint = (
                f"; do you mean {near[0]}?" if near else f"; it has {', '.join(sorted(declared))}"
            )
            yield f"{name}: the template has no such parameter{hint}"
        elif why := _unfit(declared[name], value):
            yield f"{name}={value}: it must be {why}"


def _unfit(declaration: dict[str, Any], value: str) -> str | None:
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
    """Whether bytecode for Lambda's Python can be written here."""
    version = runtime.removeprefix("python")
    if found := shutil.which(program):
        asked = [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True)
        if done.stdout.strip() == version:
            return
    yield (
        f"There is no Python {version} here ({program}) to compile the layer with; without that "
        f"every cold start takes about twice as long. Install it, name it "
        f"(COMPILER=/path/to/python{version}), or deploy for a Python that is here "
        f"(RUNTIME=python3.12)"
    )


def runtime(name: str) -> Iterator[str]:
    """Whether Lambda runs this Python on a system that the layer's wheels are built for."""
    if int(name.partition(".")[2] or 0) < 12:
        yield (
            f"Lambda runs {name} on Amazon Linux 2, whose C library is older than the one that the "
            "layer may be built for: use RUNTIME=python3.12 or later"
        )


def layer(folder: Path, architecture: str, runtime: str) -> Iterator[str]:
    """Whether the built layer is one that the functions can import."""
    libraries = sorted(folder.rglob("*.so"))
    if not libraries:
        yield f"{folder}: no layer was built here; run make build"
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
    """What a compiled file runs on, by its ELF header."""
    with library.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF":
        return "no Linux"
    (number,) = struct.unpack_from("<H", header, 18)
    return PROCESSORS.get(number, f"processor {number:#x}")


def credentials(session: Any) -> tuple[str, Iterator[str]]:
    """The account that will be deployed to, and what is wrong with the credentials for it."""
    if not session.region_name:
        return "", iter(["No region is set: export AWS_REGION=eu-central-1, say"])
    try:
        return session.client("sts").get_caller_identity()["Account"], iter(())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        why = "have expired" if "Expired" in code else f"are refused ({code})"
        return "", iter([f"The AWS credentials {why}; sign in again"])
    except BotoCoreError as error:
        return "", iter(
            [f"AWS cannot be asked: {error}. `aws sts get-caller-identity` has to work"]
        )


def state(cloudformation: Any, stack: str) -> tuple[bool, Iterator[str]]:
    """Whether the stack is there, and why it cannot be deployed to."""
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
        return True, iter([f"{stack} is {status}: wait for that to end"])
    return status != "REVIEW_IN_PROGRESS", iter(())


def limits(functions: Any) -> dict[str, int] | None:
    """AccountLimit of Lambda's GetAccountSettings; None if the credentials may not ask."""
    try:
        found: dict[str, int] = functions.get_account_settings()["AccountLimit"]
    except ClientError:
        return None
    return found


def concurrency(limits: Mapping[str, int], reserved: int, functions: int) -> Iterator[str]:
    """Whether the account leaves enough to reserve so many executions for each function.

    `limits` is AccountLimit of Lambda's GetAccountSettings.
    """
    free, need = limits["UnreservedConcurrentExecutions"], reserved * functions
    least = UNRESERVED[limits["ConcurrentExecutions"] > UNRESERVED[1]]
    if need and free - need < least:
        most = max(0, free - least) // functions
        yield (
            f"ReservedConcurrency={reserved} takes {need} concurrent executions for {functions} "
            f"functions. The account has {free} unreserved and keeps {least} of them: "
            f"{most} is the most here"
        )
