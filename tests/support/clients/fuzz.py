"""`make fuzz`: schemathesis tests a fresh platform by its OpenAPI document.

    python -m tests.support.clients.fuzz [--examples N] [--seed N]

All checks are on, and stateful tests follow the document's links. Prints what schemathesis prints;
the exit status is its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from local.platform import Platform
from tests.support.administrator import administrator
from tests.support.client_tools import HERE, PYTHON_TOOLS
from tests.support.http_user import PASSWORD, Person
from tests.support.repository import ROOT

# One caller sends all requests, so the limits of a caller are high.
QUOTAS = (
    *("ProjectsPerUser", "TemplatesPerUser", "EnvironmentsPerUser"),
    *("EnvironmentsPerProject", "DeploymentsPerUser", "DeploymentsPerProject"),
)
PARAMETERS = {
    "SimulatedSeconds": "1",
    "RequestsPerMinute": "0",
    **{f"Max{name}": "100000" for name in QUOTAS},
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--examples", type=int, default=85, help="of each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    given = parser.parse_args()
    with Platform(ROOT, parameters=PARAMETERS) as platform:
        someone = administrator(platform)
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
            "SLIPWAY_EMAIL": someone.email,
            "SLIPWAY_OTHER_EMAIL": Person(platform.url).sign_in().email,
            "SLIPWAY_PASSWORD": PASSWORD,
        }
        command = [
            *(str(PYTHON_TOOLS / "bin/st"), "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{platform.url}/openapi.json", "--phases", given.phases),
            *("--max-examples", str(given.examples), "--seed", str(given.seed)),
            *(
                "--workers",
                "2",
                "--request-timeout",
                "30",
                "--continue-on-failure",
                "--generation-database",
                "none",
            ),
        ]
        return subprocess.run(
            command, env=environment, check=False, cwd=platform.run_dir
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
