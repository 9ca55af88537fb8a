"""The exceptions that end a command early, and the exit codes.

| code | meaning                                                                        |
| ---- | ------------------------------------------------------------------------------ |
| 0    | it succeeded; with `--wait`, what was waited for succeeded                      |
| 1    | what was waited for failed, was rolled back, canceled or superseded             |
| 2    | wrong usage, or a question that nobody can answer, because there is no terminal |
| 3    | the platform refused: unknown, forbidden, in conflict, invalid                  |
| 4    | not signed in                                                                  |
| 5    | no answer                                                                      |
| 130  | interrupted by Ctrl-C                                                          |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FAILED, USAGE, REFUSED, NOT_SIGNED_IN, NO_ANSWER, INTERRUPTED = 1, 2, 3, 4, 5, 130


class CommandFailed(Exception):
    """Ends the command with `exit_code`.

    `message` says what happened, `code` is the API's stable code if there is one, `fields` are the
    fields at fault as `{pointer, detail}`, and `hint` is the command or action to try next.
    """

    exit_code = FAILED

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        hint: str = "",
        fields: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.fields = fields

    def as_json(self) -> dict[str, Any]:
        """The same for programs: `{error: {…}, exit_code}`."""
        error = {
            "message": self.message,
            "code": self.code,
            "hint": self.hint,
            "errors": list(self.fields),
        }
        return {
            "error": {name: value for name, value in error.items() if value},
            "exit_code": self.exit_code,
        }


class WrongUsage(CommandFailed):
    exit_code = USAGE


class Refused(CommandFailed):
    exit_code = REFUSED


class NotSignedIn(CommandFailed):
    exit_code = NOT_SIGNED_IN


class NoAnswer(CommandFailed):
    exit_code = NO_ANSWER
