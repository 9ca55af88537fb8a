"""Access keys of the laptop's AWS: the owner's, and those of functions.

All keys that local code signs with are created here. The owner's is created for each run, in
whose folder the file `aws.env` has it.
"""

import os
import secrets
import threading
from typing import Any, NamedTuple

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Key(NamedTuple):
    """An access key; temporary ones have a session token."""

    id: str
    secret: str
    token: str = ""

    @classmethod
    def of_environment(cls) -> "Key":
        """The key in this process's environment variables; empty without one."""
        return cls(*(os.environ.get(name, "") for name in NAMES))

    def variables(self) -> dict[str, str]:
        """The environment variables from which AWS's clients read the key."""
        return {name: value for name, value in zip(NAMES, self, strict=True) if value}


def of_owner() -> Key:
    """A new key for the account's root user, the developer, with every right."""
    return Key(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


_lock = threading.Lock()
_sessions: dict[tuple[str, str], Key] = {}


def of_function(config: dict[str, Any]) -> Key:
    """The key of a function's execution role, in a session named after the function.

    It is created on first use, inside the emulator, and shared by the function's workers. It is
    random, so that other functions cannot guess it.
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
    """The emulator's record of a session."""
    arn = session_arn(role, function)
    return {
        "Arn": arn,
        "AccountId": arn.split(":")[4],
        "UserId": f"{role.rpartition('/')[2]}:{function}",
        "SecretAccessKey": key.secret,
        "SessionToken": key.token,
    }


def session_arn(role: str, session: str) -> str:
    """The ARN of a role's session, which omits the role's path."""
    partition, account = role.split(":")[1], role.split(":")[4]
    name = role.rpartition("/")[2]
    return f"arn:{partition}:sts::{account}:assumed-role/{name}/{session[:64]}"
