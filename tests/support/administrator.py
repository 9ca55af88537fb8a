"""An administrator of a running platform, whom `make admin` lets in."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from local.platform import REGION, Platform
from local.stack import NAME
from tests.support.http_user import Person
from tests.support.repository import ROOT


def administrator(platform: Platform) -> Person:
    """A user, signed in, who registered with the one-time link."""
    someone = Person(platform.url)
    done = subprocess.run(
        [sys.executable, "-m", "deploy.admin", someone.email, "--stack", NAME],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": "layers/core",
            "AWS_ENDPOINT_URL": platform.endpoint,
            "AWS_REGION": REGION,
            **platform.owner.variables(),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"#invitation=(\S+)&", done.stdout)
    assert found, done.stderr
    return someone.sign_in(invitation=found[1])
