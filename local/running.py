"""The platforms of this checkout that run now, and the owner's keys for their AWS."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from local.iam_keys import Key
from local.platform import HERE, REGION, client


class Running(NamedTuple):
    """A running platform: the content of its emulator.json, and its owner's key."""

    about: dict[str, Any]
    owner: Key

    def client(self, service: str) -> Any:
        """A boto3 client of its AWS."""
        return client(self.about["endpoint"], service, self.owner)


def platforms(root: Path = HERE) -> Iterator[Running]:
    """The platforms that run in this checkout."""
    for path in sorted(root.glob(".slipway/run-*/emulator.json")):
        yield Running(json.loads(path.read_text()), _key(_variables(path.with_name("aws.env"))))


def key_for(endpoint: str, root: Path = HERE) -> Key | None:
    """The owner's key, if `endpoint` is the AWS of a platform that runs in this checkout."""
    for path in root.glob(".slipway/run-*/aws.env"):
        found = _variables(path)
        if found.get("AWS_ENDPOINT_URL") == endpoint.rstrip("/"):
            return _key(found)
    return None


def adopt_key(root: Path = HERE) -> None:
    """Let this process's AWS clients sign with such a key, if AWS_ENDPOINT_URL is such an endpoint.

    No other key in the environment is of use there.
    """
    if key := key_for(os.environ.get("AWS_ENDPOINT_URL", ""), root):
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
            os.environ.pop(name, None)
        os.environ.update(key.variables())
        os.environ.setdefault("AWS_REGION", REGION)


def _variables(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)=(\S+)$", path.read_text(), re.MULTILINE))


def _key(variables: dict[str, str]) -> Key:
    return Key(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
