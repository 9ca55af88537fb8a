"""What the developer sees of the functions: each error in one line; with LOGS=1 everything.

Used inside the emulator's process.
"""

import contextlib
import json
import os
import re
import sys
from typing import Any

ALL = os.environ.get("SLIPWAY_LOGS") == "1"
_FRAME = re.compile(r'File ".*?/code-[0-9a-f]+/(?:python/)?(.+)", line (\d+), in (\S+)')
_MADE_UP = re.compile(r"^\w+-|-\w+$")  # the stack's name and the random end that surround a name


def invoked(function: str, reply: dict[str, Any]) -> None:
    """Show what an invocation wrote, if all is wanted, and the error it ended with, if any."""
    name = _MADE_UP.sub("", function)
    lines = [f"{name} | {line}" for line in reply["log"].splitlines()] if ALL else []
    lines += [f"! {name}: {logged}" for logged in logged_exceptions(reply["log"])]
    if "error" in reply:
        lines.append(f"! {name}: {_told(reply['error'])}")
    if lines:
        print("\n".join(lines), file=sys.stdout, flush=True)


def logged_exceptions(log: str) -> list[str]:
    """One line for each exception that a handler caught, logged and answered with a 5xx.

    The line is the root cause, because that is what the answer does not tell: `AccessDenied…: User
    … is not authorized to perform …`.
    """
    causes = []
    for line in log.splitlines():
        if '"exception":' not in line:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            # Python prints the first cause first.
            first, *_ = json.loads(line)["exception"].split("\n\n", 1)
            causes.append(first.strip().splitlines()[-1])
    return causes


def _told(error: dict[str, Any]) -> str:
    """`KeyError: 'id' (app.py:12 in create)`: the innermost frame that is ours."""
    text = f"{error['errorType']}: {error['errorMessage']}"
    frames = [
        found.groups() for frame in error.get("stackTrace", []) if (found := _FRAME.search(frame))
    ]
    ours = [frame for frame in frames if frame[0].startswith("slipway/") or "/" not in frame[0]]
    if not ours:
        return text
    file, line, where = ours[-1]
    return f"{text} ({file}:{line} in {where})"
