"""Why something failed: what Step Functions reported, in the words that people are shown.

A state machine records an error as it was reported, because an expression that fails inside a
Catch ends the execution, with nothing recorded. This module decodes the report when a record is
read. A record's `failure` has one of two shapes:

    {error, reason, step?}              written by Slipway's Python code
    {error, cause, step, recovery?}     written by a state machine; `recovery` is the
                                        {error, cause, step} that ended the way back

The cause is text from whatever failed: a sentence, a Lambda function's JSON, a sentence with JSON
behind it, either of them cut off, or nothing. No text makes this module raise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from slipway.errors import StackGone

NO_REASON = "no reason was given"

_REPORTED = ("error", "cause", "step", "recovery")

_MESSAGE = re.compile(r'"errorMessage"\s*:\s*')
_NOTHING_TO_RESTORE = "there was nothing to go back to"
_WAYS_BACK = {
    "Restore": "what was there before could not be put back",
    "Remove what was made": "what was made could not be taken back",
}
_DECODER = json.JSONDecoder(strict=False)
# In a JSON string: an escape, or what is left of one at the end of a text that was cut off.
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[^u]|u[0-9a-fA-F]{0,3}$|$)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def decode(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A record's `failure` as it is shown: `{error, reason, step?}`, and what else the record has.

    A way back that failed adds its own reason. If it failed because the stack is gone, its error
    and step replace the first ones: then there is nothing left to repair.
    """
    first = _one(stored)
    recovery = stored.get("recovery") or {}
    if not recovery.get("error"):
        return first
    second = _one(recovery)
    step = second.get("step", "")
    detail = second["reason"] if second["reason"] != NO_REASON else second["error"]
    if step == "Restore" and second["error"] == StackGone.__name__:
        reason = f"{first['reason']}; and {_NOTHING_TO_RESTORE}: {detail}"
        return {**second, "reason": reason}
    what = _WAYS_BACK.get(step, f"{step} failed")
    return {**first, "reason": f"{first['reason']}; and {what}: {detail}"}


def summary(stored: Mapping[str, Any]) -> str:
    """The error and its reason in one line, for logs."""
    shown = decode(stored)
    return f"{shown['error']}: {shown['reason']}"


def _one(stored: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in stored.items() if name not in _REPORTED}
    reason = stored["reason"] if "reason" in stored else _told(str(stored.get("cause") or ""))
    shown |= {"error": str(stored.get("error") or "Unknown"), "reason": str(reason)}
    return {**shown, "step": str(stored["step"])} if stored.get("step") else shown


def _told(cause: str) -> str:
    """The reason, without what Step Functions says of roles, the table and accounts."""
    reason = reason_of(cause)
    if "arn:" not in reason:
        return reason
    # Imported here, because few reasons name anything of AWS.
    from slipway.domain.masking import without_platform

    return without_platform(reason)


def reason_of(cause: str) -> str:
    """The message in the cause of an error, or the cause itself if it contains none.

    Always returns text that UTF-8 can encode, and never an empty one.
    """
    message = _message(cause)
    return _encodable(cause if message is None else message).strip() or NO_REASON


def _message(cause: str) -> str | None:
    """The `errorMessage` in the cause; None if there is none, empty if it says nothing."""
    found = _whole(cause)
    if found is not None:
        return _as_text(found["errorMessage"])
    match = _MESSAGE.search(cause)
    if match is None:
        return None
    try:
        return _as_text(_DECODER.raw_decode(cause, match.end())[0])
    except (ValueError, RecursionError):
        rest = cause[match.end() :]
    # Cut off within the message, or no JSON after all.
    return _unescaped(rest[1:]) if rest.startswith('"') else None


def _whole(cause: str) -> dict[str, Any] | None:
    """The JSON object that the cause is, or that follows its sentence, if it has a message."""
    start = cause.find("{")
    if start < 0:
        return None
    try:
        found, _ = _DECODER.raw_decode(cause, start)
    except (ValueError, RecursionError):
        return None
    return found if "errorMessage" in found else None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _character(match[1]), text)


def _character(escape: str) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape.startswith("u"):
        return ""
    return _ESCAPES.get(escape, escape)


def _encodable(text: str) -> str:
    """Surrogate pairs become the characters they stand for; half a pair becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
