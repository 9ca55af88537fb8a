"""Run Slipway's code here as one of its functions: with its settings, and our credentials."""

import os
from typing import Any


def adopt(functions: Any, name: str, region: str, key: tuple[str, str, str | None]) -> None:
    """Set the variables that Slipway's code reads: the function's own, and the key.

    `functions` is a client of Lambda. `key` is an access key's id, its secret, and the session's
    token if there is one.
    """
    found = functions.get_function_configuration(FunctionName=name)
    key_id, secret, token = key
    os.environ.update(found["Environment"]["Variables"])
    os.environ.update(AWS_REGION=region, AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret)
    os.environ.pop("AWS_SESSION_TOKEN", None)
    if token:
        os.environ["AWS_SESSION_TOKEN"] = token
