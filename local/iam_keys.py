"""Access keys of the laptop's AWS: the owner's, and those that functions are given.

Every key that anything local signs with comes from here, so that how keys are made can be changed
in one place.
"""

import secrets
import threading
from typing import Any, NamedTuple


class Key(NamedTuple):
    """An access key; temporary ones have a session token."""

    id: str
    secret: str
    token: str = ""

    def variables(self) -> dict[str, str]:
        """The environment variables from which AWS's clients take it."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {name: value for name, value in zip(names, self, strict=True) if value}


# The account's root user: whoever runs `make local`, and its tests. It may do everything.
OWNER = Key("local", "local")

_lock = threading.Lock()
_sessions: dict[tuple[str, str], Key] = {}


def of_function(config: dict[str, Any]) -> Key:
    """The key of a function's execution role, in a session that is named after the function.

    Made on first use, inside the emulator; the same one for every worker of the function. It is
    random: no function can guess that of another.
    """
    from ministack.services import sts

    role, function = config.get("Role", ""), config["FunctionName"]
    with _lock:
        key = _sessions.get((role, config.get("FunctionArn", function)))
        if key is None:
            suffix = secrets.token_hex(8).upper()
            key = Key(f"ASIA{suffix}", secrets.token_urlsafe(30), secrets.token_urlsafe(96))
            sts.register_session(key.id, _record(role, function, key))
            _sessions[role, config.get("FunctionArn", function)] = key
    return key


def _record(role: str, function: str, key: Key) -> dict[str, Any]:
    """What the emulator keeps of a session."""
    arn = session_arn(role, function)
    return {
        "Arn": arn,
        "AccountId": arn.split(":")[4],
        "UserId": f"{role.rpartition('/')[2]}:{function}",
        "SecretAccessKey": key.secret,
        "SessionToken": key.token,
    }


def session_arn(role: str, session: str) -> str:
    """How AWS names who has taken on a role: without the role's path."""
    partition, account = role.split(":")[1], role.split(":")[4]
    name = role.rpartition("/")[2]
    return f"arn:{partition}:sts::{account}:assumed-role/{name}/{session[:64]}"
