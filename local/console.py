"""What the developer sees of the functions: each uncaught error in short; with LOGS=1 everything.

Used inside the emulator's process.
"""

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
    if "error" in reply:
        lines.append(f"! {name}: {_told(reply['error'])}")
    if lines:
        print("\n".join(lines), file=sys.stdout, flush=True)


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
