"""Shows the functions' errors in the terminal, one line each; with LOGS=1 all of their output.

What a step tells its workflow by an error, such as that a rollout was canceled, is not shown. Mail
that the platform sends is shown, too.

It runs inside the emulator's process.
"""

import contextlib
import json
import os
import re
import sys
from typing import Any

ALL = os.environ.get("SLIPWAY_LOGS") == "1"
_FRAME = re.compile(r'File ".*?/code-[0-9a-f]+/(?:python/)?(.+)", line (\d+), in (\S+)')
# The stack's name and the random suffix around a function's name.
_GENERATED = re.compile(r"^\w+-|-\w+$")


def invoked(function: str, reply: dict[str, Any]) -> None:
    """Show the error of an invocation, if it failed, and its output with LOGS=1."""
    name = _GENERATED.sub("", function)
    lines = [f"{name} | {line}" for line in reply["log"].splitlines()] if ALL else []
    lines += [f"! {name}: {logged}" for logged in logged_exceptions(reply["log"])]
    if "error" in reply and not _is_expected(reply.get("classes", [])):
        lines.append(f"! {name}: {_told(reply['error'])}")
    _print(lines)


def _is_expected(classes: list[str]) -> bool:
    """Whether an error of these classes is an outcome in Slipway, not a fault."""
    return "SlipwayError" in classes and "Fault" not in classes


def _print(lines: list[str]) -> None:
    """Print the lines. A caller's text cannot control the terminal: escape what is not seen."""
    for line in lines:
        seen = (letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
        print("".join(seen), file=sys.stdout, flush=True)


def mailed(mail: dict[str, Any]) -> None:
    """Show a mail, the request of SES's SendEmail: nothing leaves this machine."""
    content = mail["Content"]["Simple"]
    to = ", ".join(mail["Destination"]["ToAddresses"])
    lines = [f"mail to {to}: {content['Subject']['Data']}"]
    lines += [f"  | {line}" for line in content["Body"]["Text"]["Data"].splitlines()]
    _print(lines)


def logged_exceptions(log: str) -> list[str]:
    """One line for each exception that a handler caught, logged and answered with a 5xx.

    The line is the root cause, which the answer omits, and where it was: `AccessDenied…: User … is
    not authorized to perform … (slipway/store/table.py:12 in read)`.
    """
    causes = []
    for line in log.splitlines():
        if '"exception":' not in line:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            # Python prints the root cause first.
            first, *_ = json.loads(line)["exception"].split("\n\n", 1)
            lines = first.strip().splitlines()
            causes.append(_located(lines[-1], lines))
    return causes


def _told(error: dict[str, Any]) -> str:
    """`KeyError: 'id' (app.py:12 in create)`."""
    text = f"{error['errorType']}: {error['errorMessage']}"
    return _located(text, error.get("stackTrace", []))


def _located(text: str, trace: list[str]) -> str:
    """The text with the innermost frame of our own code, if the trace has one."""
    frames = [found.groups() for frame in trace if (found := _FRAME.search(frame))]
    ours = [frame for frame in frames if frame[0].startswith("slipway/") or "/" not in frame[0]]
    if not ours:
        return text
    file, line, where = ours[-1]
    return f"{text} ({file}:{line} in {where})"
